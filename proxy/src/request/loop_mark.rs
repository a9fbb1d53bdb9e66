//! How a request is known that comes round: an endpoint's address leads back here, perhaps by way of others.
//!
//! Each process has a mark, drawn when it starts, and puts it into `CDN-Loop` (RFC 8586) of all that it sends
//! on. It says nothing but that it is the same one. Why not `Via`, says decision 32.

use crate::route::Fields;

pub(crate) const CDN_LOOP: &str = "cdn-loop";

/// A request may come by twice: from one listener to another. With the third time it does not end.
const MOST: usize = 2;

#[derive(Debug, Clone)]
pub(crate) struct LoopMark(String);

impl LoopMark {
    pub(crate) fn new(random: u64) -> Self {
        Self(format!("serin-{:08x}", random as u32))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the request has come by here as often as it may.
    pub(super) fn goes_round(&self, fields: &dyn Fields) -> bool {
        let mut times = 0;
        fields.any(CDN_LOOP, &mut |line| {
            let own = |name: &&[u8]| who(name) == self.0.as_bytes();
            times += line.split(|byte| *byte == b',').filter(own).count();
            times >= MOST
        })
    }
}

/// Who has added an element of it, without what it says about that.
fn who(element: &[u8]) -> &[u8] {
    element.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue};

    #[test]
    fn a_request_goes_round_that_has_come_by_twice_however_others_write_it() {
        let mark = LoopMark::new(0xabc);
        assert_eq!(mark.as_str(), "serin-00000abc");
        let goes_round = |lines: &[&'static str]| {
            let mut fields = HeaderMap::new();
            for line in lines {
                fields.append(CDN_LOOP, HeaderValue::from_static(line));
            }
            mark.goes_round(&fields)
        };
        assert!(goes_round(&["serin-00000abc", "other", "serin-00000abc"]));
        assert!(goes_round(&["serin-00000abc; a=b , other.example:80,serin-00000abc"]));
        for few in [&[][..], &["serin-00000abc"], &["serin-00000abd, serin-00000abc"]] {
            assert!(!goes_round(few), "{few:?}");
        }
    }
}
