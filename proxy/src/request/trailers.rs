//! Fields that stand after a body, on their way from one side to the other.
//!
//! What decides how a message is framed, who asks, and what a recipient does with it belongs into the
//! head, where it was judged. After the body it would come too late to be judged, and somebody might
//! believe it; so it goes no further. The same holds for what a route sets or removes.

use crate::request::hop;
use crate::route::Edits;
use http::HeaderMap;

/// RFC 9110, section 6.5.1, beside what `hop` protects.
const OF_THE_HEAD: [&str; 26] = [
    "age",
    "content-encoding",
    "content-range",
    "connection",
    "date",
    "expires",
    "http2-settings",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "if-range",
    "keep-alive",
    "location",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "retry-after",
    "te",
    "trailer",
    "upgrade",
    "vary",
    "www-authenticate",
];

/// Whether a field of this name may stand there.
pub(crate) fn may_follow(name: &[u8]) -> bool {
    let same = |own: &&str| name.eq_ignore_ascii_case(own.as_bytes());
    !(OF_THE_HEAD.iter().any(same) || hop::is_own(name))
}

/// What goes on of what came.
pub(crate) fn passing(mut came: HeaderMap, edits: Option<&Edits>) -> Option<HeaderMap> {
    let ends = |name: &str| {
        let edited = edits.is_some_and(|edits| edits.touch(name.as_bytes()));
        edited || !may_follow(name.as_bytes())
    };
    let gone: Vec<_> = came.keys().filter(|name| ends(name.as_str())).cloned().collect();
    for name in gone {
        came.remove(name);
    }
    (!came.is_empty()).then_some(came)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_into_a_head_does_not_follow_a_body() {
        for name in
            ["Content-Length", "host", "Authorization", "x-forwarded-for", "X_Forwarded_For"]
        {
            assert!(!may_follow(name.as_bytes()), "{name}");
        }
        assert!(may_follow(b"grpc-status") && may_follow(b"x-checksum"));
    }
}
