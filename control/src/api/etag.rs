//! ETag and If-Match: a change made on what somebody has seen is refused when it has moved on.
//!
//! A tag names the revision of what can be changed (weights, rollout, freeze), not every count
//! beside it; otherwise a busy service would never match. If-Match is optional: a pipeline
//! that wants the last word just leaves it out.

use super::problem::{Kind, Problem};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};

/// An opaque, strong tag, without its quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tag(String);

impl Tag {
    pub(crate) fn of_revision(revision: u64) -> Self {
        Self(format!("r{revision}"))
    }

    /// Of anything that can be written down.
    pub(crate) fn of_text(text: &str) -> Self {
        Self(blake3::hash(text.as_bytes()).to_hex()[..16].to_owned())
    }

    pub(crate) fn header(&self) -> (header::HeaderName, HeaderValue) {
        let value = HeaderValue::from_str(&format!("\"{}\"", self.0));
        (header::ETAG, value.unwrap_or_else(|_| HeaderValue::from_static("\"\"")))
    }
}

/// Refuses the request when its If-Match names none of `current`. Whether there was one.
pub(crate) fn check(headers: &HeaderMap, current: &Tag) -> Result<bool, Problem> {
    let mut seen = headers.get_all(header::IF_MATCH).iter().peekable();
    if seen.peek().is_none() {
        return Ok(false);
    }
    let matches = seen
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|tag| tag == "*" || unquoted(tag) == Some(current.0.as_str()));
    if matches { Ok(true) } else { Err(changed(&format!("it is now at \"{}\"", current.0))) }
}

/// 412, with where things stand.
pub(crate) fn changed(detail: &str) -> Problem {
    Problem::new(
        StatusCode::PRECONDITION_FAILED,
        Kind::Changed,
        format!("this is not what If-Match was made from: {detail}; read it again and decide anew"),
    )
}

/// Weak tags never match: RFC 9110 wants the strong comparison here.
fn unquoted(tag: &str) -> Option<&str> {
    tag.strip_prefix('"')?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_MATCH, value.parse().unwrap());
        headers
    }

    #[test]
    fn only_the_current_strong_tag_matches() {
        let current = Tag::of_revision(17);
        assert_eq!(check(&HeaderMap::new(), &current), Ok(false));
        for good in ["\"r17\"", "*", "\"r1\", \"r17\""] {
            assert_eq!(check(&with(good), &current), Ok(true), "{good}");
        }
        for stale in ["\"r16\"", "W/\"r17\"", "r17", "", "\"r17"] {
            assert_eq!(check(&with(stale), &current).unwrap_err().status(), 412, "{stale}");
        }
    }
}
