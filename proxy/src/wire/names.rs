//! What a field's name means to Serin, found once, while the head is read.
//!
//! Nearly all fields of nearly all heads concern only the two ends. Whoever forwards a head asks
//! about the others one by one, and copies these without asking.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing in Serin has a rule for it, unless a route or `Connection` names it.
    Other,
    Host,
    Cookie,
    ContentLength,
    Date,
    /// There may be a rule: it is to be asked for by name.
    Special,
}

const FORWARDED: &[u8] = b"x-forwarded-";

impl Kind {
    /// `underscored` says that there is an underscore in the name, which can make it a twin of one
    /// that has a rule.
    pub fn of(name: &[u8], underscored: bool) -> Self {
        if underscored {
            return Self::Special;
        }
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        let special = match name.len() {
            2 => is("te"),
            4 if is("host") => return Self::Host,
            4 if is("date") => return Self::Date,
            5 => is("proxy"),
            6 if is("cookie") => return Self::Cookie,
            6 => is("expect"),
            7 => is("upgrade") || is("trailer"),
            9 => is("x-real-ip") || is("forwarded"),
            10 => is("connection") || is("keep-alive"),
            11 => is("traceparent"),
            12 => is("x-request-id"),
            14 if is("content-length") => return Self::ContentLength,
            14 => is("http2-settings") || is("x-serin-shadow"),
            15 => is("x-forwarded-for") || is("x-serin-version"),
            16 => is("proxy-connection") || is("x-forwarded-host"),
            17 => is("transfer-encoding") || is("x-forwarded-proto"),
            18 => is("proxy-authenticate"),
            19 => is("proxy-authorization"),
            _ => false,
        };
        let forwarded = || {
            name.get(..FORWARDED.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(FORWARDED))
        };
        if special || name.len() >= FORWARDED.len() && matches!(name[0], b'x' | b'X') && forwarded()
        {
            return Self::Special;
        }
        Self::Other
    }
}
