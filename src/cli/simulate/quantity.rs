//! Quantities of a scenario, each with its unit, as the configuration writes them.

use serde::de::{Deserialize, Deserializer, Error};
use std::time::Duration;

/// `15m`, `1h30m`, `250ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Span(pub(super) Duration);

/// `0.1%`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Share(pub(super) f64);

/// `+1h`, `-1d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shift(pub(super) i64);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        span(&text).map(Self).ok_or_else(|| {
            D::Error::custom(format!("{text:?} is no span of time; write it like 90s or 1h30m"))
        })
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let number = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
        match number.filter(|percent| (0.0..=100.0).contains(percent)) {
            Some(percent) => Ok(Self(percent / 100.0)),
            None => Err(D::Error::custom(format!("{text:?} is no share; write 0% to 100%"))),
        }
    }
}

impl<'de> Deserialize<'de> for Shift {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let signed = match text.split_at_checked(1) {
            Some(("+", rest)) => span(rest).map(|d| (1, d)),
            Some(("-", rest)) => span(rest).map(|d| (-1, d)),
            Some(_) | None => None,
        };
        let millis = signed.and_then(|(sign, d)| Some(sign * i64::try_from(d.as_millis()).ok()?));
        millis.map(Self).ok_or_else(|| {
            D::Error::custom(format!("{text:?} is no shift of a clock; write it like +1h or -30s"))
        })
    }
}

/// One or more numbers with their units, from the largest to the smallest.
pub(super) fn span(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (number, unit_on) = rest.split_at(digits);
        let letters = unit_on.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(unit_on.len());
        let (unit, after) = unit_on.split_at(letters);
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        let part = number.parse::<f64>().ok()? * seconds;
        total = total.checked_add(Duration::try_from_secs_f64(part).ok()?)?;
        rest = after;
    }
    (!text.trim().is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_may_have_several_units() {
        assert_eq!(span("1h30m"), Some(Duration::from_secs(5_400)));
        assert_eq!(span("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(span("0s"), Some(Duration::ZERO));
        for wrong in ["", "5", "m", "-1s", "1x", "99999999999999999999999d"] {
            assert_eq!(span(wrong), None, "{wrong}");
        }
    }
}
