//! Names whose values nobody is to see who does not need them: of headers, of the parameters of a
//! query, of cookies and of JSON keys. The one list for logs, spans, copies, reports and the view of
//! the configuration; a file can add to it and never takes away from it.

use std::borrow::Cow;

const WITHIN: [&str; 20] = [
    "password",
    "passwd",
    "passphrase",
    "privatekey",
    "secret",
    "signature",
    "signingkey",
    "session",
    "sharedkey",
    "subscriptionkey",
    "token",
    "accesskey",
    "accountkey",
    "apikey",
    "assertion",
    "authkey",
    "authorization",
    "credential",
    "cookie",
    "jwt",
];
/// Too short to be looked for within other words.
const WHOLE: [&str; 7] = ["auth", "sig", "pwd", "pass", "otp", "xauth", "xcsrf"];

/// What stands in the place of such a value.
pub const HIDDEN: &str = "REDACTED";

/// Whether a name says that its value is a secret. Case and everything but letters and digits is
/// overlooked: `X-Api-Key` is `api_key`. Asked of every header of a request that is copied, so it
/// allocates nothing.
pub fn is_secret(name: &str) -> bool {
    is_secret_field(name.as_bytes())
}

/// The same of a header's name that was not taken for text yet.
pub fn is_secret_field(name: &[u8]) -> bool {
    let begins = |at: &usize| matches!(name[*at] | 0x20, b'p' | b's' | b't' | b'a' | b'c' | b'j');
    let mut places = (0..name.len()).filter(begins);
    places.any(|at| WITHIN.iter().any(|word| rest_after(&name[at..], word).is_some()))
        || WHOLE.iter().any(|word| {
            let rest = rest_after(name, word);
            rest.is_some_and(|rest| !rest.iter().any(u8::is_ascii_alphanumeric))
        })
}

/// What follows a word with which a name begins.
fn rest_after<'n>(name: &'n [u8], word: &str) -> Option<&'n [u8]> {
    let mut wanted = word.bytes();
    let mut next = wanted.next()?;
    for (at, byte) in name.iter().enumerate() {
        if !byte.is_ascii_alphanumeric() {
            continue;
        }
        if byte.to_ascii_lowercase() != next {
            return None;
        }
        match wanted.next() {
            Some(byte) => next = byte,
            None => return Some(&name[at + 1..]),
        }
    }
    None
}

/// An address with the values of such parameters taken out; their names stay.
pub fn without_secrets(target: &str) -> Cow<'_, str> {
    let Some((path, query)) = target.split_once('?') else { return Cow::Borrowed(target) };
    query_without_secrets(query)
        .map_or(Cow::Borrowed(target), |query| Cow::Owned(format!("{path}?{query}")))
}

/// `None` when there is nothing to take out.
fn query_without_secrets(query: &str) -> Option<String> {
    let secret = |pair: &str| pair.split_once('=').is_some_and(|(name, _)| is_secret(name));
    if !query.split(['&', ';']).any(secret) {
        return None;
    }
    let mut out = String::with_capacity(query.len());
    for pair in query.split_inclusive(['&', ';']) {
        match pair.split_once('=') {
            Some((name, value)) if is_secret(name) => {
                let end = value.trim_start_matches(|c| !matches!(c, '&' | ';'));
                out.extend([name, "=", HIDDEN, end]);
            }
            Some(_) | None => out.push_str(pair),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_secret_however_it_is_spelt() {
        for secret in [
            "Authorization",
            "proxy-authorization",
            "Cookie",
            "set-cookie",
            "x-api-key",
            "API_KEY",
            "apiKey",
            "X-Auth-Token",
            "x-amz-security-token",
            "X-Amz-Signature",
            "client_secret",
            "password",
            "user.passwd",
            "sig",
            "Auth",
            "X-Auth-Key",
            "session_id",
            "PHPSESSION",
            "id_token",
            "Ocp-Apim-Subscription-Key",
            "jwt",
            "x-jwt-assertion",
            "_pass_",
        ] {
            assert!(is_secret(secret), "{secret}");
        }
        for plain in [
            "accept",
            "host",
            "user-agent",
            "idempotency-key",
            "signal",
            "author",
            "authority",
            "key",
            "passage",
            "x-request-id",
            "etag",
            "",
            "-",
            "compass",
            "apis",
            "secre",
            "toke",
        ] {
            assert!(!is_secret(plain), "{plain}");
        }
    }

    #[test]
    fn values_of_secret_parameters_go_and_everything_else_stays() {
        for (given, wanted) in [
            ("/a?b=c", "/a?b=c"),
            ("/token=1", "/token=1"),
            ("/a?access_token=x=y&b=1", "/a?access_token=REDACTED&b=1"),
            ("/a?b=1;X-Amz-Signature=ff", "/a?b=1;X-Amz-Signature=REDACTED"),
            ("/a?Api-Key=1&&sig=2&signal=3", "/a?Api-Key=REDACTED&&sig=REDACTED&signal=3"),
            ("/a?token&token=", "/a?token&token=REDACTED"),
        ] {
            assert_eq!(without_secrets(given), wanted, "{given}");
        }
    }
}
