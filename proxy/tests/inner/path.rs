use proptest::prelude::*;
use serin_proxy::route::path::{Refused, normalise};

#[test]
fn a_path_in_normal_form_is_left_as_it_is() {
    for path in ["/", "/a", "/a/", "/a/b.c", "/a%2Cb", "/a;v=1/b", "/~u/x-y_z", "/a...b/..."] {
        assert_eq!(normalise(path).as_deref(), Ok(path));
    }
}

#[test]
fn dots_doubled_slashes_and_needless_escapes_are_resolved_once() {
    for (raw, normal) in [
        ("//", "/"),
        ("/a//b", "/a/b"),
        ("/a/./b", "/a/b"),
        ("/a/.", "/a/"),
        ("/a/../admin", "/admin"),
        ("/a/..", "/"),
        ("/a/b/..", "/a/"),
        ("/a/%2e%2E/admin", "/admin"),
        ("/%61dmin", "/admin"),
        ("/a/%7euser", "/a/~user"),
        ("/a%c3%a9", "/a%C3%A9"),
        ("/caf\u{e9}", "/caf%C3%A9"),
        // Decoded once only: this stays an escaped percent sign.
        ("/%252e%252e/x", "/%252e%252e/x"),
    ] {
        assert_eq!(normalise(raw).as_deref(), Ok(normal), "{raw}");
    }
}

#[test]
fn what_could_mean_two_things_is_refused() {
    for (raw, why) in [
        ("", Refused::NotAbsolute),
        ("a", Refused::NotAbsolute),
        ("*", Refused::NotAbsolute),
        ("/a b", Refused::Character),
        ("/a\\b", Refused::Character),
        ("/a\0", Refused::Character),
        ("/a\n", Refused::Character),
        ("/a#b", Refused::Character),
        ("/a?b", Refused::Character),
        ("/a%2fb", Refused::EncodedSeparator),
        ("/a%2Fb", Refused::EncodedSeparator),
        ("/a%5cb", Refused::EncodedSeparator),
        ("/a%00b", Refused::EncodedSeparator),
        ("/a%", Refused::Escape),
        ("/a%4", Refused::Escape),
        ("/a%zz", Refused::Escape),
        ("/a%+1", Refused::Escape),
        ("/..", Refused::AboveRoot),
        ("/a/../../x", Refused::AboveRoot),
        ("/%2e%2e/x", Refused::AboveRoot),
        ("/a/..;/admin", Refused::DotParameters),
        ("/a/%2e.;x=1/admin", Refused::DotParameters),
        ("/.;/admin", Refused::DotParameters),
    ] {
        assert_eq!(normalise(raw), Err(why), "{raw:?}");
    }
}

proptest! {
    #[test]
    fn a_normal_form_is_its_own_and_hides_nothing(
        raw in "/(\\.|/|%2e|%2E|%25|a|B|~|;|%C3|%c3|\u{e9}|%41|%20|-){0,24}"
    ) {
        if let Ok(normal) = normalise(&raw) {
            let again = normalise(&normal);
            prop_assert_eq!(again.as_deref(), Ok(&*normal));
            prop_assert!(normal.starts_with('/') && normal.is_ascii());
            let inner = &normal[1..];
            let hidden = |s: &str| matches!(s, "." | "..");
            prop_assert!(!inner.split('/').any(hidden), "{}", normal);
            let empties = inner.split('/').filter(|s| s.is_empty()).count();
            prop_assert!(empties <= 1 && (empties == 0 || inner.is_empty() || inner.ends_with('/')));
        }
    }

    #[test]
    fn no_input_panics(raw in "\\PC{0,40}") {
        let _ = normalise(&raw);
    }
}
