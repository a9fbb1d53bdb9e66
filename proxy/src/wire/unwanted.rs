//! Request headers that nobody behind a listener gets to see: no route, no session and no backend.
//!
//! A program that reads headers as CGI does takes `X_Auth_User` for `X-Auth-User`, and so walks
//! around what a route says about the latter; `Proxy` becomes the variable that names its proxy for
//! outgoing requests; and `X-Serin-Shadow` says that a request is Serin's own copy. Pure.

/// Why a header goes no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unwanted {
    Underscore,
    Proxy,
    ShadowMark,
}

/// `None` when the header may pass. `underscores` says that those of the name do no harm.
pub(crate) fn why(name: &[u8], underscores: bool) -> Option<Unwanted> {
    if name.eq_ignore_ascii_case(b"proxy") {
        return Some(Unwanted::Proxy);
    }
    if name.eq_ignore_ascii_case(b"x-serin-shadow") {
        return Some(Unwanted::ShadowMark);
    }
    (!underscores && name.contains(&b'_')).then_some(Unwanted::Underscore)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::names::Kind;

    #[test]
    fn what_goes_no_further_is_known_by_its_name_in_any_case() {
        let cases = [
            ("X_Auth_User", Unwanted::Underscore),
            ("PROXY", Unwanted::Proxy),
            ("X-Serin-Shadow", Unwanted::ShadowMark),
        ];
        for (name, expected) in cases {
            for name in [name.to_owned(), name.to_lowercase(), name.to_uppercase()] {
                assert_eq!(why(name.as_bytes(), false), Some(expected), "{name}");
                // Whoever reads a head looks at no others.
                let kind = Kind::of(name.as_bytes(), name.contains('_'));
                assert_eq!(kind, Kind::Special, "{name}");
            }
        }
        assert_eq!(why(b"x_auth_user", true), None);
        for name in ["proxy-connection", "x-serin-version", "x-auth-user", "prox"] {
            assert_eq!(why(name.as_bytes(), false), None, "{name}");
        }
    }
}
