//! Values taken out of a JSON text, and not a byte of it changed beside them.
//!
//! The text is read whole before anything is decided: what is not JSON from its first byte to its
//! last is refused, so that no copy leaves half redacted. Keys are compared as they are meant, with
//! their escapes undone, and every one of several equal keys is taken.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serin_config::model::{JsonPath, JsonStep};
use std::fmt;
use std::ops::Range;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotJson;

const REPLACEMENT: &[u8] = b"\"[redacted]\"";

/// The text without the values at the paths; `None` when there were none.
pub fn redact(text: &[u8], paths: &[JsonPath]) -> Result<Option<Vec<u8>>, NotJson> {
    let text = std::str::from_utf8(text).map_err(|_| NotJson)?;
    let root: &RawValue = serde_json::from_str(text).map_err(|_| NotJson)?;
    // Depth is bounded by what serde_json reads, and it has read the whole.
    serde_json::from_str::<serde_json::Value>(text).map_err(|_| NotJson)?;
    let mut hits = Vec::new();
    for path in paths {
        find(text, root, path.steps(), &mut hits)?;
    }
    if hits.is_empty() {
        return Ok(None);
    }
    hits.sort_by_key(|hit| (hit.start, std::cmp::Reverse(hit.end)));
    let (mut out, mut from) = (Vec::with_capacity(text.len()), 0);
    for hit in hits {
        // Within one that was taken out already.
        if hit.start < from {
            continue;
        }
        out.extend_from_slice(&text.as_bytes()[from..hit.start]);
        out.extend_from_slice(REPLACEMENT);
        from = hit.end;
    }
    out.extend_from_slice(&text.as_bytes()[from..]);
    Ok(Some(out))
}

fn find(
    text: &str,
    value: &RawValue,
    steps: &[JsonStep],
    hits: &mut Vec<Range<usize>>,
) -> Result<(), NotJson> {
    let raw = value.get();
    let Some((step, rest)) = steps.split_first() else {
        // It borrows from the text, so its place is the distance between the two.
        let start = raw.as_ptr().addr().wrapping_sub(text.as_ptr().addr());
        let hit = start..start.saturating_add(raw.len());
        if text.get(hit.clone()) != Some(raw) {
            return Err(NotJson);
        }
        hits.push(hit);
        return Ok(());
    };
    match (step, raw.as_bytes().first()) {
        (JsonStep::Key(wanted), Some(b'{')) => {
            let Fields(fields) = serde_json::from_str(raw).map_err(|_| NotJson)?;
            let named = fields.iter().filter(|(key, _)| key == wanted);
            named.into_iter().try_for_each(|(_, value)| find(text, value, rest, hits))
        }
        (JsonStep::Index(_) | JsonStep::Any, Some(b'[')) => {
            let Items(items) = serde_json::from_str(raw).map_err(|_| NotJson)?;
            let is = |at: usize| !matches!(step, JsonStep::Index(index) if *index != at);
            let chosen = items.iter().enumerate().filter(|(at, _)| is(*at));
            chosen.into_iter().try_for_each(|(_, value)| find(text, value, rest, hits))
        }
        (JsonStep::Key(_) | JsonStep::Index(_) | JsonStep::Any, _) => Ok(()),
    }
}

/// All of an object's, equal keys too.
struct Fields<'t>(Vec<(String, &'t RawValue)>);

struct Items<'t>(Vec<&'t RawValue>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(All)
    }
}

impl<'de> Deserialize<'de> for Items<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Items<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Items(items))
            }
        }
        deserializer.deserialize_seq(All)
    }
}
