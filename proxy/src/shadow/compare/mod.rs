//! Two answers to one request, and where they differ.
//!
//! Pure: bytes in, places out. Statuses, the chosen headers, and bodies as bytes or as JSON values;
//! compressed bodies are unpacked first, because two encoders rarely agree. What cannot be compared
//! (one answer is too long, or packed in a way that is not known here) is said to be so, and is
//! neither same nor different.

mod decode;
mod json;
pub mod redact;

use super::response_pair::{Answer, Body, Whole};
use crate::route::Fields;
use serin_config::model::{Compare, CompareBody, JsonPath, Shadow};

#[derive(Debug)]
pub(super) struct Rules {
    status: bool,
    headers: Vec<String>,
    body: CompareBody,
    ignore: Vec<JsonPath>,
    redacted: Vec<JsonPath>,
    redacted_headers: Vec<String>,
    most: u64,
}

/// A difference, with what stood there, redacted and cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) path: String,
    pub(super) stable: String,
    pub(super) shadow: String,
}

/// They could not be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unknown;

/// Differences of one pair of answers that are kept.
const MOST_FOUND: usize = 64;
pub(super) const HIDDEN: &str = "[redacted]";

impl Rules {
    pub(super) fn new(compare: &Compare, shadow: &Shadow) -> Self {
        Self {
            status: compare.status,
            headers: compare.headers.iter().map(|name| name.to_ascii_lowercase()).collect(),
            body: compare.body,
            ignore: compare.ignore.clone(),
            redacted: shadow.redact_json.clone(),
            redacted_headers: shadow.redact_headers.clone(),
            most: shadow.max_body,
        }
    }

    pub(super) fn wants_body(&self) -> bool {
        self.body != CompareBody::None
    }

    pub(super) fn headers_of<F: Fields + ?Sized>(&self, fields: &F) -> Vec<Option<Vec<u8>>> {
        let joined = |name: &String| {
            let mut all: Option<Vec<u8>> = None;
            fields.any(name, &mut |line| {
                match &mut all {
                    Some(all) => {
                        all.extend_from_slice(b", ");
                        all.extend_from_slice(line);
                    }
                    None => all = Some(line.to_vec()),
                }
                false
            });
            all
        };
        self.headers.iter().map(joined).collect()
    }

    pub(super) fn encoding_of<F: Fields + ?Sized>(&self, fields: &F) -> Option<Vec<u8>> {
        let encoding = fields.first("content-encoding").filter(|_| self.wants_body())?;
        let encoding = encoding.trim_ascii().to_ascii_lowercase();
        (!encoding.is_empty() && encoding != b"identity").then_some(encoding)
    }

    /// Where they differ; nothing when they are the same.
    pub(super) fn compare(&self, stable: &Answer, shadow: &Answer) -> Result<Vec<Found>, Unknown> {
        let mut found = Vec::new();
        if self.status && stable.status != shadow.status {
            found.push(Found {
                path: "status".to_owned(),
                stable: stable.status.to_string(),
                shadow: shadow.status.to_string(),
            });
        }
        for ((name, one), other) in self.headers.iter().zip(&stable.headers).zip(&shadow.headers) {
            if one != other {
                found.push(Found {
                    path: format!("header {name}"),
                    stable: self.header(name, one.as_deref()),
                    shadow: self.header(name, other.as_deref()),
                });
            }
        }
        match self.bodies(stable, shadow, &mut found) {
            // What is known to differ does so, whatever the rest is.
            Err(Unknown) if found.is_empty() => Err(Unknown),
            Ok(()) | Err(Unknown) => Ok(found),
        }
    }

    fn header(&self, name: &str, value: Option<&[u8]>) -> String {
        let Some(value) = value else { return "absent".to_owned() };
        let hidden =
            serin_core::secret::is_secret(name) || self.redacted_headers.iter().any(|h| h == name);
        if hidden { HIDDEN.to_owned() } else { json::cut(&String::from_utf8_lossy(value)) }
    }

    fn bodies(
        &self,
        stable: &Answer,
        shadow: &Answer,
        found: &mut Vec<Found>,
    ) -> Result<(), Unknown> {
        let (one, other) = match (&stable.body, &shadow.body) {
            (Body::Unread, _) | (_, Body::Unread) => return Ok(()),
            // How long they are unpacked is not known.
            (Body::Longer(_), _) | (_, Body::Longer(_))
                if stable.encoding.is_some() || shadow.encoding.is_some() =>
            {
                return Err(Unknown);
            }
            (Body::Whole(one), Body::Whole(other)) => (one.concat(), other.concat()),
            (Body::Whole(one), Body::Longer(least)) => {
                return longer(one, *least, found, |one, least| (one, least));
            }
            (Body::Longer(least), Body::Whole(other)) => {
                return longer(other, *least, found, |other, least| (least, other));
            }
            (Body::Longer(_), Body::Longer(_)) => return Err(Unknown),
        };
        if one == other && stable.encoding == shadow.encoding {
            return Ok(());
        }
        let one = decode::decoded(one, stable.encoding.as_deref(), self.most)?;
        let other = decode::decoded(other, shadow.encoding.as_deref(), self.most)?;
        if self.body == CompareBody::Json
            && let Some(different) = json::compare(&one, &other, &self.ignore, &self.redacted)
        {
            found.extend(different.into_iter().take(MOST_FOUND));
        } else if one != other {
            let at = one.iter().zip(&other).take_while(|(one, other)| one == other).count();
            let shown = |body: &[u8]| format!("{} bytes, different from byte {at} on", body.len());
            found.push(Found {
                path: "body".to_owned(),
                stable: shown(&one),
                shadow: shown(&other),
            });
        }
        Ok(())
    }
}

/// One is whole, of the other only a least length is known: when that is more, they differ.
fn longer(
    whole: &Whole,
    least: u64,
    found: &mut Vec<Found>,
    order: impl Fn(String, String) -> (String, String),
) -> Result<(), Unknown> {
    let length = whole.length;
    if least <= length {
        return Err(Unknown);
    }
    let (stable, shadow) = order(format!("{length} bytes"), format!("{least} bytes or more"));
    found.push(Found { path: "body".to_owned(), stable, shadow });
    Ok(())
}
