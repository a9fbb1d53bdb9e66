//! Which protocol a request asks to change to, and whether an answer agrees to that one.
//!
//! HTTP/2 is never changed to: it would be a way around every route. A request with a body asks for
//! nothing either, because no protocol needs one, and where it ends could be read in two ways. Such
//! requests go on without what they asked for.

use crate::route::Fields;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upgrade {
    WebSocket,
    Other,
}

/// What the fields of a request of HTTP/1.1 without a body ask for, and by which name.
pub(crate) fn asked_for(fields: &dyn Fields) -> Option<(Upgrade, &str)> {
    let is_upgrade = |option: &[u8]| option.trim_ascii().eq_ignore_ascii_case(b"upgrade");
    if !fields.any("connection", &mut |line| line.split(|b| *b == b',').any(is_upgrade)) {
        return None;
    }
    let protocol = std::str::from_utf8(alone(fields)?).ok()?;
    if protocol.eq_ignore_ascii_case("websocket") {
        return Some((Upgrade::WebSocket, protocol));
    }
    let is_http2 = protocol.as_bytes().windows(3).any(|part| part.eq_ignore_ascii_case(b"h2c"));
    (!is_http2).then_some((Upgrade::Other, protocol))
}

/// The same of an extended CONNECT (RFC 8441): WebSockets alone have a meaning there.
pub(crate) fn asked_for_by(protocol: &str) -> Option<Upgrade> {
    protocol.eq_ignore_ascii_case("websocket").then_some(Upgrade::WebSocket)
}

/// What HTTP/1.1 proves with that a WebSocket was understood, and HTTP/2 has no need of. Made from luck.
pub(crate) fn key(luck: [u64; 2]) -> String {
    STANDARD.encode(luck.map(u64::to_be_bytes).as_flattened())
}

/// Whether an answer proves that the key was understood (RFC 6455, section 4.2.2).
pub(crate) fn accepts(key: &str, answer: &dyn Fields) -> bool {
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let expected = STANDARD.encode(hash.finalize());
    answer
        .first("sec-websocket-accept")
        .is_some_and(|told| told.trim_ascii() == expected.as_bytes())
}

/// Whether the one protocol that a 101 names is among those that the request has named.
pub(crate) fn agrees(asked: &str, answer: &dyn Fields) -> bool {
    alone(answer).is_some_and(|protocol| {
        let mut asked = asked.split(',').map(str::trim);
        asked.any(|one| one.as_bytes().eq_ignore_ascii_case(protocol))
    })
}

/// The value of `Upgrade` where it stands once.
fn alone(fields: &dyn Fields) -> Option<&[u8]> {
    let mut lines = 0;
    fields.any("upgrade", &mut |_| {
        lines += 1;
        lines > 1
    });
    if lines == 1 { fields.first("upgrade") } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderName};

    fn fields(lines: &[(&str, &str)]) -> HeaderMap {
        let line = |(name, value): &(&str, &str)| {
            (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())
        };
        lines.iter().map(line).collect()
    }

    #[test]
    fn a_protocol_is_asked_for_by_one_line_that_the_connection_lists() {
        let asked = |lines: &[(&str, &str)]| {
            asked_for(&fields(lines)).map(|(upgrade, name)| (upgrade, name.to_owned()))
        };
        let named = |name: &str| asked(&[("connection", "keep-alive, Upgrade"), ("upgrade", name)]);
        assert_eq!(named("WebSocket"), Some((Upgrade::WebSocket, "WebSocket".to_owned())));
        assert_eq!(named("own/1, b"), Some((Upgrade::Other, "own/1, b".to_owned())));
        assert_eq!(named("H2C"), None);
        assert_eq!(named("own, h2c"), None);
        assert_eq!(asked(&[("upgrade", "websocket")]), None);
        assert_eq!(asked(&[("connection", "upgrade")]), None);
        let twice = [("connection", "upgrade"), ("upgrade", "a"), ("upgrade", "b")];
        assert_eq!(asked(&twice), None);
    }

    #[test]
    fn a_key_is_accepted_by_the_hash_that_the_standard_shows() {
        let accept = |value: &str| {
            let answer = fields(&[("sec-websocket-accept", value)]);
            accepts("dGhlIHNhbXBsZSBub25jZQ==", &answer)
        };
        assert!(accept("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert!(!accept("s3pPLMBiTxaQ9kYGzzhZRbK+xOO="));
        assert!(!accepts("dGhlIHNhbXBsZSBub25jZQ==", &fields(&[])));
        assert_eq!(key([0, u64::MAX]), "AAAAAAAAAAD//////////w==");
    }

    #[test]
    fn an_answer_agrees_to_one_of_the_names() {
        assert!(agrees("websocket", &fields(&[("upgrade", "WebSocket")])));
        assert!(agrees("a, b/2", &fields(&[("upgrade", "b/2")])));
        assert!(!agrees("a, b/2", &fields(&[("upgrade", "a, b/2")])));
        assert!(!agrees("a", &fields(&[("upgrade", "b")])));
        assert!(!agrees("a", &fields(&[("upgrade", "a"), ("upgrade", "a")])));
        assert!(!agrees("", &fields(&[])));
    }
}
