//! Names whose values nobody wants to read in a log, a span or a report, whatever the configuration
//! says: of JSON keys and of the parameters of a query.

use std::borrow::Cow;

const WITHIN: [&str; 9] = [
    "password",
    "passwd",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "authorization",
    "signature",
    "credential",
];
/// Too short to be looked for within other words.
const WHOLE: [&str; 2] = ["sig", "auth"];

pub(crate) const HIDDEN: &str = "REDACTED";

pub(crate) fn is_secret(name: &str) -> bool {
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let name = name.to_ascii_lowercase();
    WITHIN.iter().any(|part| name.contains(part)) || WHOLE.contains(&name.as_str())
}

/// An address with the values of such parameters taken out; their names stay.
pub(crate) fn without_secrets(target: &str) -> Cow<'_, str> {
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
