//! What a value must lie within beside being of its type: declared with its key, said by the schema, and
//! checked as it is read.

use super::{Reader, Size};
use crate::source::At;
use serde_json::Value as Json;
use std::ops::RangeInclusive;
use std::time::Duration;

pub(crate) trait Bounds<T> {
    /// What is wrong, and what to write where there is no default to name.
    fn fault(&self, value: &T) -> Option<(String, Option<String>)>;

    /// As JSON Schema says it, where it can.
    fn say(&self, schema: &mut Json);
}

/// A value that is out of bounds has been reported, and is read as if it were absent.
pub(crate) fn within<T>(
    found: Option<At<T>>,
    bounds: &impl Bounds<T>,
    default: Option<&str>,
    reader: &mut Reader<'_>,
) -> Option<At<T>> {
    let found = found?;
    let Some((message, hint)) = bounds.fault(&found.value) else { return Some(found) };
    let draft = reader.report.error(found.at, message);
    if let Some(hint) = hint.or_else(|| Some(format!("the default is {}", default?))) {
        draft.hint(hint);
    }
    None
}

/// The schema of a value that lies within bounds.
pub(crate) fn said<T>(mut schema: Json, bounds: &impl Bounds<T>) -> Json {
    bounds.say(&mut schema);
    schema
}

impl Bounds<u64> for RangeInclusive<u64> {
    fn fault(&self, value: &u64) -> Option<(String, Option<String>)> {
        let (least, most) = (self.start(), self.end());
        let side = match value {
            value if value < least => format!("below {least}"),
            value if value > most => format!("over {most}"),
            _ => return None,
        };
        let hint = format!("write a number from {least} to {most}");
        Some((format!("{value} is {side}"), Some(hint)))
    }

    fn say(&self, schema: &mut Json) {
        schema["minimum"] = Json::from(*self.start());
        schema["maximum"] = Json::from(*self.end());
    }
}

/// A time that means nothing when it is zero.
pub(crate) struct AboveZero;

impl Bounds<Duration> for AboveZero {
    fn fault(&self, value: &Duration) -> Option<(String, Option<String>)> {
        value.is_zero().then(|| ("must be longer than 0s".to_owned(), None))
    }

    fn say(&self, _: &mut Json) {}
}

/// What every unfinished request may hold in memory: from so many bytes to 1 MiB.
pub(crate) struct OfARequest(pub(crate) u64);

impl Bounds<Size> for OfARequest {
    fn fault(&self, Size(bytes): &Size) -> Option<(String, Option<String>)> {
        let Self(least) = self;
        if bytes < least {
            let message = format!("{bytes} bytes are too few for any request");
            return Some((message, Some(format!("write at least `{least}B`"))));
        }
        let hint = "every unfinished request may hold so much memory; write `64KiB` or less";
        (*bytes > 1 << 20).then(|| ("over 1 MiB".to_owned(), Some(hint.to_owned())))
    }

    fn say(&self, _: &mut Json) {}
}
