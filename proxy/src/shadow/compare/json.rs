//! Two JSON values, and the paths at which they differ.
//!
//! Elements of a list are compared one by one and reported under one path, `$.items[*].id`, so that
//! a thousand differences of one kind are one group. Values are shown only where they are simple,
//! and never where the configuration redacts or where the key alone says that they are secret.

use super::{Found, HIDDEN, MOST_FOUND};
use serde_json::{Map, Value};
use serin_config::model::{JsonPath, JsonStep};
use serin_core::secret::is_secret;
use std::collections::BTreeMap;
use std::fmt::Write;

const LONGEST_SHOWN: usize = 80;
const LONGEST_PATH: usize = 200;

/// `None` when one of them is no JSON. Each path once, with the first values that differ there.
pub(super) fn compare(
    stable: &[u8],
    shadow: &[u8],
    ignore: &[JsonPath],
    redacted: &[JsonPath],
) -> Option<Vec<Found>> {
    let one: Value = serde_json::from_slice(stable).ok()?;
    let other: Value = serde_json::from_slice(shadow).ok()?;
    let mut walk = Walk { ignore, redacted, at: Vec::new(), found: BTreeMap::new() };
    walk.values(&one, &other);
    Some(walk.found.into_values().collect())
}

#[derive(Clone, Copy)]
enum Step<'v> {
    Key(&'v str),
    Index(usize),
}

struct Walk<'r, 'v> {
    ignore: &'r [JsonPath],
    redacted: &'r [JsonPath],
    at: Vec<Step<'v>>,
    found: BTreeMap<String, Found>,
}

impl<'v> Walk<'_, 'v> {
    fn values(&mut self, one: &'v Value, other: &'v Value) {
        // Nothing is ever missed by it: a path that is ignored hides all that is below.
        if self.found.len() >= MOST_FOUND || self.ignore.iter().any(|path| self.is_at(path)) {
            return;
        }
        match (one, other) {
            (Value::Object(one), Value::Object(other)) => self.objects(one, other),
            (Value::Array(one), Value::Array(other)) => {
                if one.len() != other.len() {
                    self.differ(format!("{} items", one.len()), format!("{} items", other.len()));
                }
                for (index, (one, other)) in one.iter().zip(other).enumerate() {
                    self.below(Step::Index(index), |walk| walk.values(one, other));
                }
            }
            (one, other) if one == other => {}
            (one, other) => {
                let (one, other) = (self.shown(one), self.shown(other));
                self.differ(one, other);
            }
        }
    }

    fn objects(&mut self, one: &'v Map<String, Value>, other: &'v Map<String, Value>) {
        for (key, value) in one {
            self.below(Step::Key(key), |walk| match other.get(key) {
                Some(other) => walk.values(value, other),
                None => walk.only(Some(value), None),
            });
        }
        for (key, value) in other.iter().filter(|(key, _)| !one.contains_key(*key)) {
            self.below(Step::Key(key), |walk| walk.only(None, Some(value)));
        }
    }

    /// A key that only one of them has.
    fn only(&mut self, one: Option<&Value>, other: Option<&Value>) {
        if self.ignore.iter().any(|path| self.is_at(path)) {
            return;
        }
        let shown =
            |value: Option<&Value>| value.map_or_else(|| "absent".to_owned(), |v| self.shown(v));
        let (one, other) = (shown(one), shown(other));
        self.differ(one, other);
    }

    fn below(&mut self, step: Step<'v>, then: impl FnOnce(&mut Self)) {
        self.at.push(step);
        then(self);
        self.at.pop();
    }

    fn differ(&mut self, stable: String, shadow: String) {
        let path = self.path();
        let found = || Found { path: path.clone(), stable, shadow };
        self.found.entry(path.clone()).or_insert_with(found);
    }

    /// Whether the walk stands exactly where the path leads.
    fn is_at(&self, path: &JsonPath) -> bool {
        path.steps().len() == self.at.len() && self.is_below(path)
    }

    /// Or below it.
    fn is_below(&self, path: &JsonPath) -> bool {
        path.steps().len() <= self.at.len()
            && path.steps().iter().zip(&self.at).all(|(wanted, at)| match (wanted, at) {
                (JsonStep::Key(wanted), Step::Key(at)) => wanted == at,
                (JsonStep::Index(wanted), Step::Index(at)) => wanted == at,
                (JsonStep::Any, Step::Index(_)) => true,
                (JsonStep::Key(_), Step::Index(_))
                | (JsonStep::Index(_) | JsonStep::Any, Step::Key(_)) => false,
            })
    }

    fn path(&self) -> String {
        let mut path = "$".to_owned();
        for step in &self.at {
            // Writing to a string cannot fail.
            let _ = match step {
                Step::Key(key) if is_plain(key) => write!(path, ".{key}"),
                Step::Key(key) => write!(path, "[{key:?}]"),
                Step::Index(_) => write!(path, "[*]"),
            };
        }
        cut_to(&path, LONGEST_PATH)
    }

    fn shown(&self, value: &Value) -> String {
        let secret = |step: &Step<'_>| matches!(step, Step::Key(key) if is_secret(key));
        if self.redacted.iter().any(|path| self.is_below(path)) || self.at.iter().any(secret) {
            return HIDDEN.to_owned();
        }
        match value {
            Value::Array(items) => format!("{} items", items.len()),
            Value::Object(fields) => format!("an object of {} keys", fields.len()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                cut(&value.to_string())
            }
        }
    }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

pub(super) fn cut(text: &str) -> String {
    cut_to(text, LONGEST_SHOWN)
}

fn cut_to(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(most - 1).collect();
    cut.push('…');
    cut
}
