//! Single values: text, numbers, switches and quantities.

use super::{Read, Reader};
use crate::quantity::{self, QuantityFault};
use crate::report::shown;
use crate::schema::{Defs, or_variable};
use crate::yaml::Node;
use serde_json::{Value as Json, json};
use serin_core::weights::BasisPoints;
use std::time::Duration;

/// Any single value, as its text.
impl Read for String {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        reader.text(node, "a text").map(str::to_owned)
    }

    /// `release: 2026.11` is a number to YAML and a text to us.
    fn schema(_: &mut Defs) -> Json {
        json!({ "type": ["string", "number", "boolean"] })
    }
}

impl Read for bool {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        match reader.text(node, "`true` or `false`")? {
            "true" => Some(true),
            "false" => Some(false),
            other => {
                let message = format!("{} is neither `true` nor `false`", shown(other));
                let meant = match other.to_ascii_lowercase().as_str() {
                    "yes" | "on" | "1" | "true" => "write `true`",
                    "no" | "off" | "0" | "false" => "write `false`",
                    _ => "write `true` or `false`",
                };
                reader.report.error(reader.at(node), message).hint(meant);
                None
            }
        }
    }

    fn schema(_: &mut Defs) -> Json {
        or_variable(json!({ "type": "boolean" }))
    }
}

impl Read for u64 {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text(node, "a whole number")?;
        let digits = text.replace('_', "");
        let clean = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        if let Some(number) = digits.parse().ok().filter(|_| clean) {
            return Some(number);
        }
        let draft =
            reader.report.error(reader.at(node), format!("{} is not a whole number", shown(text)));
        if clean {
            draft.hint(format!("the largest is {}", u64::MAX));
        } else {
            draft.hint("write digits only, like `500`");
        }
        None
    }

    fn schema(defs: &mut Defs) -> Json {
        defs.scalar("whole", || {
            json!({ "anyOf": [
                { "type": "integer", "minimum": 0 },
                { "type": "string", "pattern": "^([0-9_]+|.*\\$\\{.*)$" },
            ] })
        })
    }
}

impl Read for f64 {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text(node, "a number")?;
        let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        if let Some(number) = text.parse::<f64>().ok().filter(|n| plain && n.is_finite()) {
            return Some(number);
        }
        reader
            .report
            .error(reader.at(node), format!("{} is not a number", shown(text)))
            .hint("write a number like `1.5`");
        None
    }

    fn schema(defs: &mut Defs) -> Json {
        defs.scalar("number", || {
            json!({ "anyOf": [
                { "type": "number", "minimum": 0 },
                { "type": "string", "pattern": "^([0-9.]+|.*\\$\\{.*)$" },
            ] })
        })
    }
}

fn quantity<T>(
    node: &Node,
    reader: &mut Reader<'_>,
    wanted: &str,
    parse: fn(&str) -> Result<T, QuantityFault>,
) -> Option<T> {
    let text = reader.text(node, wanted)?;
    match parse(text.trim()) {
        Ok(value) => Some(value),
        Err(fault) => {
            reader.report.error(reader.at(node), fault.message).hint(fault.hint);
            None
        }
    }
}

fn pattern(of: &str) -> Json {
    json!({ "type": "string", "pattern": format!("^({of}|.*\\$\\{{.*)$") })
}

impl Read for Duration {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        quantity(node, reader, "a duration like `30s`", quantity::duration)
    }

    fn schema(defs: &mut Defs) -> Json {
        defs.scalar("duration", || pattern("([0-9]+(\\.[0-9]+)?(us|µs|ms|s|m|h|d|w))+"))
    }
}

/// Bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

impl Read for Size {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        quantity(node, reader, "a size like `32KiB`", quantity::size).map(Self)
    }

    fn schema(defs: &mut Defs) -> Json {
        defs.scalar("size", || pattern("[0-9]+(\\.[0-9]+)? ?([KMGT]i?B|kB|B)"))
    }
}

/// Bytes per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate(pub(crate) u64);

impl Read for Rate {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        quantity(node, reader, "a rate like `240B/s`", quantity::rate).map(Self)
    }

    fn schema(defs: &mut Defs) -> Json {
        defs.scalar("rate", || pattern("[0-9]+(\\.[0-9]+)? ?([KMGT]i?B|kB|B)/s"))
    }
}

fn percentage(defs: &mut Defs) -> Json {
    defs.scalar("percentage", || pattern("[0-9]+(\\.[0-9]+)? ?%"))
}

/// A percentage up to 100%, as a ratio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Share(pub(crate) f64);

impl Read for Share {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        quantity(node, reader, "a percentage like `10%`", quantity::share).map(Self)
    }

    fn schema(defs: &mut Defs) -> Json {
        percentage(defs)
    }
}

/// A percentage that may pass 100%, as a ratio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Percent(pub(crate) f64);

impl Read for Percent {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        quantity(node, reader, "a percentage like `20%`", quantity::percent).map(Self)
    }

    fn schema(defs: &mut Defs) -> Json {
        percentage(defs)
    }
}

/// A share of traffic.
impl Read for BasisPoints {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        quantity(node, reader, "a percentage like `10%`", quantity::weight)
    }

    fn schema(defs: &mut Defs) -> Json {
        percentage(defs)
    }
}

/// A comparison with a share: `> 1%`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct AboveShare(pub(crate) f64);

impl Read for AboveShare {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        quantity(node, reader, "a comparison like `\"> 1%\"`", |text| {
            quantity::above(text, quantity::share)
        })
        .map(Self)
    }

    fn schema(defs: &mut Defs) -> Json {
        defs.scalar("aboveShare", || pattern("> ?[0-9]+(\\.[0-9]+)? ?%"))
    }
}

/// A comparison with a time: `> 2s`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct AboveTime(pub(crate) Duration);

impl Read for AboveTime {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        quantity(node, reader, "a comparison like `\"> 2s\"`", |text| {
            quantity::above(text, quantity::duration)
        })
        .map(Self)
    }

    fn schema(defs: &mut Defs) -> Json {
        defs.scalar("aboveTime", || pattern("> ?([0-9]+(\\.[0-9]+)?(us|µs|ms|s|m|h|d|w))+"))
    }
}
