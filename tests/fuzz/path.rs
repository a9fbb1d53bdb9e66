//! A request's path: one normal form, and no way around it.

use serin_proxy::route::path::normalise;

#[test]
fn path() {
    let words =
        ["/", "//", "/./", "/../", "..;/", "%2e", "%2F", "%5c", "%00", "%25", "%", "\\", "#"];
    super::fuzz("path", &words, |input| {
        let Ok(raw) = std::str::from_utf8(input) else { return };
        let Ok(normal) = normalise(raw) else { return };
        assert!(normal.starts_with('/'), "{raw:?} → {normal:?}");
        let middle = ["//", "/./", "/../", "\\", "\0", "%2F", "%2f", "%5C", "%5c", "%00", "#", " "];
        for way in middle {
            assert!(!normal.contains(way), "{raw:?} → {normal:?} has {way:?}");
        }
        assert!(!normal.ends_with("/.") && !normal.ends_with("/.."), "{raw:?} → {normal:?}");
        assert_eq!(normalise(&normal).as_deref(), Ok(&*normal), "{raw:?} is not normal yet");
    });
}
