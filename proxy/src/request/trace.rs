//! W3C Trace Context: a valid `traceparent` passes as it came, anything else is made anew. A request
//! that is sampled keeps its trace, and each attempt is told its own span (see `spans`).

use crate::request::identify::{alone, push_ascii};
use crate::route::Fields;
use crate::spans::Parent;
use crate::thread::{hex, random};

pub(crate) const TRACEPARENT: &str = "traceparent";

/// The one that came, if it is valid (and alone).
pub(crate) fn parent(fields: &dyn Fields) -> Option<&str> {
    let parent = std::str::from_utf8(alone(fields, TRACEPARENT)?).ok()?;
    is_valid(parent).then_some(parent)
}

pub(crate) fn new_parent(into: &mut String) {
    // Not sampled: that is for whoever traces to decide.
    let mut parent = *b"00-tttttttttttttttttttttttttttttttt-ssssssssssssssss-00";
    parent[3..19].copy_from_slice(&hex(random() | 1));
    parent[19..35].copy_from_slice(&hex(random()));
    parent[36..52].copy_from_slice(&hex(random() | 1));
    push_ascii(&parent, into);
}

pub(crate) fn trace_id(parent: &str) -> Option<&str> {
    parent.split('-').nth(1)
}

/// Only of one that is valid.
pub(crate) fn parsed(parent: &str) -> Option<Parent> {
    let mut parts = parent.split('-').skip(1);
    let trace = u128::from_str_radix(parts.next()?, 16).ok()?;
    let span = u64::from_str_radix(parts.next()?, 16).ok()?;
    let flags = u8::from_str_radix(parts.next()?, 16).ok()?;
    Some(Parent { trace, span, sampled: flags & 1 == 1 })
}

fn is_valid(parent: &str) -> bool {
    let hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let some = |part: &str| part.bytes().any(|b| b != b'0');
    let mut parts = parent.split('-');
    let (Some(version), Some(trace), Some(span), Some(flags)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    hex(version, 2)
        && version != "ff"
        && hex(trace, 32)
        && some(trace)
        && hex(span, 16)
        && some(span)
        && hex(flags, 2)
        && (version != "00" || parts.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_standard_allows_is_passed_on() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert!(is_valid(&format!("00-{trace}-00f067aa0ba902b7-01")));
        assert!(is_valid(&format!("01-{trace}-00f067aa0ba902b7-01-more")));
        assert!(!is_valid(&format!("00-{trace}-00f067aa0ba902b7-01-more")));
        assert!(!is_valid(&format!("ff-{trace}-00f067aa0ba902b7-01")));
        assert!(!is_valid(&format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32))));
        assert!(!is_valid(&format!("00-{trace}-0000000000000000-01")));
        assert!(!is_valid(&format!("00-{}-00f067aa0ba902b7-01", trace.to_uppercase())));
        assert!(!is_valid(""));
        let mut made = String::new();
        new_parent(&mut made);
        assert!(is_valid(&made));
    }
}
