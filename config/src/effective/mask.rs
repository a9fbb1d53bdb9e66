//! What must not be seen: credentials in URLs, headers and cookies.

use serin_core::secret::is_secret;

pub(super) const MASK: &str = "***";

/// A URL without its credentials and without the values of its query.
pub(super) fn url(text: &str) -> String {
    let (base, query) = match text.split_once('?') {
        Some((base, _)) => (base, format!("?{MASK}")),
        None => (text, String::new()),
    };
    let (scheme, rest) = base.split_once("://").unwrap_or(("", base));
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let host = match authority.rsplit_once('@') {
        Some((_, host)) => format!("{MASK}@{host}"),
        None => authority.to_owned(),
    };
    let scheme = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
    format!("{scheme}{host}{path}{query}")
}

/// Headers, cookies and parameters that carry credentials by custom.
pub(super) fn unless_secret<'a>(name: &str, value: &'a str) -> &'a str {
    if is_secret(name) { MASK } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_urls_and_headers_are_masked() {
        assert_eq!(url("https://me:pw@ci.example/go?key=1"), "https://***@ci.example/go?***");
        assert_eq!(url("http://127.0.0.1:9/"), "http://127.0.0.1:9/");
        assert_eq!(unless_secret("Authorization", "Bearer x"), "***");
        assert_eq!(unless_secret("x-edge", "serin"), "serin");
    }
}
