//! Headers that belong to one connection only, and headers that only look like ours.
//!
//! What `Connection` names is removed, except what Serin or the message itself needs: a client
//! cannot make us forget who it is. Names with underscores that read like one of those to CGI and
//! its heirs are removed as well.

use crate::route::Fields;

/// Never removed because a client says so.
const PROTECTED: [&str; 22] = [
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "authorization",
    "cookie",
    "cache-control",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-real-ip",
    "x-request-id",
    "traceparent",
    "tracestate",
    "set-cookie",
    "x-serin-shadow",
    "x-serin-version",
    "expect",
    "origin",
    "cdn-loop",
];

/// Hop by hop whether `Connection` names them or not.
const HOP: [&str; 6] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "http2-settings",
];

const FORWARDED: &[u8] = b"x-forwarded-";

/// What `Connection` lists of a message, looked at once.
pub(crate) struct Listed<'f> {
    fields: &'f dyn Fields,
    /// There is a name to look for, beyond those that only say what becomes of the connection.
    any: bool,
}

impl<'f> Listed<'f> {
    pub(crate) fn of(fields: &'f dyn Fields) -> Self {
        let plain: [&[u8]; 3] = [b"keep-alive", b"close", b"upgrade"];
        let is_plain = |option: &[u8]| plain.iter().any(|p| option.eq_ignore_ascii_case(p));
        let options = |line: &[u8]| {
            // Nearly always one option is the whole line.
            is_plain(line) || line.split(|b| *b == b',').map(<[u8]>::trim_ascii).all(is_plain)
        };
        let any = fields.any("connection", &mut |line| !options(line));
        Self { fields, any }
    }

    /// It names no field.
    pub(crate) fn is_plain(&self) -> bool {
        !self.any
    }

    fn names(&self, name: &[u8]) -> bool {
        self.any
            && !name.eq_ignore_ascii_case(b"upgrade")
            && !is_protected(name)
            && has_option(self.fields, &|option| option.eq_ignore_ascii_case(name))
    }
}

/// Whether `Connection` lists an option that passes `test`.
pub(crate) fn has_option(fields: &dyn Fields, test: &dyn Fn(&[u8]) -> bool) -> bool {
    fields
        .any("connection", &mut |line| line.split(|b| *b == b',').map(<[u8]>::trim_ascii).any(test))
}

/// Whether a request's field goes no further. `Upgrade` and `Connection` are written anew by
/// whoever forwards an upgrade.
pub(crate) fn ends_here(name: &[u8], listed: &Listed<'_>) -> bool {
    let own = match name.len() {
        2 => name.eq_ignore_ascii_case(b"te"),
        7 => name.eq_ignore_ascii_case(b"trailer") || name.eq_ignore_ascii_case(b"upgrade"),
        _ => is_hop(name),
    };
    own || listed.names(name) || is_twin(name)
}

/// Whether an answer's field goes no further. Its framing is left to whoever writes it.
pub(crate) fn response_ends_here(name: &[u8], switching: bool, listed: &Listed<'_>) -> bool {
    let hop = is_hop(name)
        && !name.eq_ignore_ascii_case(b"connection")
        && !name.eq_ignore_ascii_case(b"proxy-authenticate");
    hop || (!switching && name.eq_ignore_ascii_case(b"upgrade")) || listed.names(name)
}

fn is_hop(name: &[u8]) -> bool {
    // No other length is among them.
    matches!(name.len(), 10 | 14 | 16 | 18 | 19)
        && HOP.iter().any(|hop| name.eq_ignore_ascii_case(hop.as_bytes()))
}

/// Whether it is Serin's own, or the message's, to whoever reads it.
pub(crate) fn is_own(name: &[u8]) -> bool {
    is_protected(name)
        || is_twin(name)
        || name.get(..FORWARDED.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(FORWARDED))
}

fn is_protected(name: &[u8]) -> bool {
    PROTECTED.iter().any(|protected| name.eq_ignore_ascii_case(protected.as_bytes()))
}

fn is_twin(name: &[u8]) -> bool {
    let same = |twin: &[u8]| {
        name.iter().zip(twin).all(|(a, b)| a.eq_ignore_ascii_case(b) || (*a == b'_' && *b == b'-'))
    };
    name.contains(&b'_')
        && (PROTECTED.iter().any(|p| p.len() == name.len() && same(p.as_bytes()))
            || name.len() >= FORWARDED.len() && same(FORWARDED))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::names::Kind;

    #[test]
    fn whoever_reads_a_head_knows_which_names_have_a_rule() {
        let kind = |name: &str| Kind::of(name.as_bytes(), name.contains('_'));
        for name in HOP.iter().chain(&["te", "trailer", "upgrade", "x-forwarded-new", "a_b"]) {
            assert_eq!(kind(name), Kind::Special, "{name}");
            assert_eq!(kind(&name.to_uppercase()), Kind::Special, "{name}");
        }
        assert_eq!(kind("accept-language"), Kind::Other);
        assert_eq!(kind("Content-Length"), Kind::ContentLength);
    }

    #[test]
    fn every_name_that_ends_here_has_one_of_the_lengths() {
        assert!(HOP.iter().all(|name| is_hop(name.to_uppercase().as_bytes())));
        assert!(!is_hop(b"content-length") && !is_hop(b"host"));
    }
}
