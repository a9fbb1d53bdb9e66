//! Header edits, with names and values made once.

use super::compiled::RouteError;
use http::header::{HeaderName, HeaderValue};
use serin_config::model::HeaderEdits;

/// Applied in this order: remove, set, add.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edits {
    pub remove: Vec<HeaderName>,
    pub set: Vec<(HeaderName, HeaderValue)>,
    pub add: Vec<(HeaderName, HeaderValue)>,
}

impl Edits {
    pub fn new(edits: &HeaderEdits) -> Result<Self, RouteError> {
        Ok(Self {
            remove: edits.remove.iter().map(|n| name(n)).collect::<Result<_, _>>()?,
            set: edits.set.iter().map(pair).collect::<Result<_, _>>()?,
            add: edits.add.iter().map(pair).collect::<Result<_, _>>()?,
        })
    }

    /// Whether a field of this name is removed, or set anew.
    pub fn touch(&self, name: &[u8]) -> bool {
        let same = |edited: &HeaderName| name.eq_ignore_ascii_case(edited.as_str().as_bytes());
        self.remove.iter().any(same) || self.set.iter().any(|(edited, _)| same(edited))
    }

    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }
}

fn pair((header, value): &(String, String)) -> Result<(HeaderName, HeaderValue), RouteError> {
    let bad = || RouteError::HeaderValue { name: header.clone() };
    Ok((name(header)?, HeaderValue::from_str(value).map_err(|_| bad())?))
}

fn name(text: &str) -> Result<HeaderName, RouteError> {
    HeaderName::from_bytes(text.as_bytes())
        .map_err(|_| RouteError::HeaderName { name: text.to_owned() })
}
