//! Quantities as operators write them: `15m`, `10%`, `256KiB`. The unit is part of the value.

use serin_core::weights::BasisPoints;
use std::time::Duration;

/// What is wrong with a quantity, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct QuantityFault {
    pub(crate) message: String,
    pub(crate) hint: String,
}

fn fault<T>(message: String, hint: impl Into<String>) -> Result<T, QuantityFault> {
    Err(QuantityFault { message, hint: hint.into() })
}

/// The longest time a configuration may name: a year.
pub(crate) const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

const TIMES: &[(&str, u64)] = &[
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
    ("w", 604_800_000_000_000),
];

/// `500ms`, `1h30m`, `1.5s`.
pub(crate) fn duration(text: &str) -> Result<Duration, QuantityFault> {
    let shown = crate::report::shown(text);
    let example = "write a number and a unit: `500ms`, `30s`, `15m`, `1h30m`, `7d`";
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return fault(
            format!("{shown} has no unit"),
            format!("write `{text}s` for seconds, or `ms`, `m`, `h`, `d`"),
        );
    }
    let mut total: u128 = 0;
    let mut rest = text;
    let mut smallest = u64::MAX;
    while !rest.is_empty() {
        let Some((number, unit, after)) = number_and_unit(rest) else {
            return fault(format!("{shown} is not a duration"), example);
        };
        let Some((_, nanos)) = TIMES.iter().find(|(name, _)| *name == unit) else {
            return fault(
                format!(
                    "{shown} is not a duration: the unit {} is unknown",
                    crate::report::shown(unit)
                ),
                example,
            );
        };
        if *nanos >= smallest {
            return fault(
                format!("{shown} is not a duration: its units do not get smaller"),
                example,
            );
        }
        smallest = *nanos;
        let Some(part) = scaled(number, *nanos) else {
            return fault(format!("{shown} is not a duration"), example);
        };
        total += part;
        rest = after;
    }
    if text.is_empty() {
        return fault("a duration is missing".to_owned(), example);
    }
    match u64::try_from(total).map(Duration::from_nanos) {
        Ok(found) if found <= LONGEST => Ok(found),
        Ok(_) | Err(_) => fault(format!("{shown} is longer than a year"), "write a shorter time"),
    }
}

/// The longest number at the front, the unit after it, and what follows.
fn number_and_unit(text: &str) -> Option<(&str, &str, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, rest) = text.split_at(digits);
    let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
    let (unit, after) = rest.split_at(end);
    (!number.is_empty() && number.len() <= 20).then_some((number, unit, after))
}

/// A decimal number times a whole one, without a detour over floats.
fn scaled(number: &str, by: u64) -> Option<u128> {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || part.len() > 9 || (number.contains('.') && part.is_empty()) {
        return None;
    }
    let whole: u128 = whole.parse().ok()?;
    let part_value: u128 = if part.is_empty() { 0 } else { part.parse().ok()? };
    let digits = u32::try_from(part.len()).ok()?;
    Some(whole * u128::from(by) + part_value * u128::from(by) / 10u128.pow(digits))
}

const SIZES: &[(&str, u64)] = &[
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// `256KiB`, `10MiB`, `1.5GB`.
pub(crate) fn size(text: &str) -> Result<u64, QuantityFault> {
    let shown = crate::report::shown(text);
    let example = "write a number and a unit: `512B`, `32KiB`, `10MiB`, `1GiB`";
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return fault(
            format!("{shown} has no unit"),
            format!("write `{text}B` for bytes, or `KiB`, `MiB`, `GiB`"),
        );
    }
    let Some((number, unit, "")) = number_and_unit(text) else {
        return fault(format!("{shown} is not a size"), example);
    };
    let Some((_, bytes)) = SIZES.iter().find(|(name, _)| *name == unit.trim_start()) else {
        let letter = unit.trim_start().chars().next().map(|c| c.to_ascii_uppercase());
        let hint = match letter {
            Some(c @ ('K' | 'M' | 'G' | 'T')) => format!("write `{number}{c}iB`"),
            Some(_) | None => example.to_owned(),
        };
        return fault(
            format!("{shown} is not a size: the unit {} is unknown", crate::report::shown(unit)),
            hint,
        );
    };
    match scaled(number, *bytes).and_then(|n| u64::try_from(n).ok()) {
        Some(found) => Ok(found),
        None => fault(format!("{shown} is not a size"), example),
    }
}

/// `240B/s`.
pub(crate) fn rate(text: &str) -> Result<u64, QuantityFault> {
    match text.strip_suffix("/s") {
        Some(per_second) => size(per_second),
        None => fault(
            format!("{} is not a rate", crate::report::shown(text)),
            "write a size and `/s`: `240B/s`, `1KiB/s`",
        ),
    }
}

/// `> 1%`: a guard acts above its value, so no other comparison means anything.
pub(crate) fn above<T>(
    text: &str,
    value: fn(&str) -> Result<T, QuantityFault>,
) -> Result<T, QuantityFault> {
    let after = text.strip_prefix('>').filter(|after| !after.starts_with('='));
    let Some(after) = after else {
        let bare = text.trim_start_matches(['<', '=', '>', ' ']);
        return fault(
            format!("{} is not a comparison", crate::report::shown(text)),
            format!("a guard acts above a value: write `\"> {bare}\"`"),
        );
    };
    value(after.trim_start())
}

/// `99.9%`: parts of ten million, so that comparing and printing stay exact.
pub(crate) fn percent(text: &str) -> Result<f64, QuantityFault> {
    let shown = crate::report::shown(text);
    let example = "write a percentage: `10%`, `99.9%`";
    let Some(number) = text.strip_suffix('%') else {
        return match text.parse::<f64>() {
            Ok(n) if n.is_finite() && n.fract() != 0.0 && n.abs() < 1.0 => {
                fault(format!("{shown} has no unit"), format!("write `{}%`", rounded(n * 100.0)))
            }
            Ok(_) => fault(format!("{shown} has no unit"), format!("write `{text}%`")),
            Err(_) => fault(format!("{shown} is not a percentage"), example),
        };
    };
    if number.starts_with('-') {
        return fault(format!("{shown} is below 0%"), "write a share between `0%` and `100%`");
    }
    let number = number.trim_end();
    match scaled(number, 1_000_000_000) {
        Some(billionths) if billionths <= 100_000_000_000_000 => {
            Ok(billionths as f64 / 100_000_000_000.0)
        }
        Some(_) | None => fault(format!("{shown} is not a percentage"), example),
    }
}

fn rounded(n: f64) -> f64 {
    (n * 1e6).round() / 1e6
}

/// A percentage that is a share of the whole.
pub(crate) fn share(text: &str) -> Result<f64, QuantityFault> {
    let found = percent(text)?;
    if found > 1.0 {
        return fault(
            format!("{} is over 100%", text.trim()),
            "write a share between `0%` and `100%`",
        );
    }
    Ok(found)
}

/// A share of traffic, which is held in hundredths of a percent.
pub(crate) fn weight(text: &str) -> Result<BasisPoints, QuantityFault> {
    let found = share(text)? * f64::from(serin_core::weights::WHOLE);
    let whole = found.round();
    if (found - whole).abs() > 1e-6 {
        return fault(
            format!("{} is finer than 0.01%", text.trim()),
            "weights are held in hundredths of a percent",
        );
    }
    match BasisPoints::new(whole as u16) {
        Some(points) => Ok(points),
        None => fault(format!("{} is over 100%", text.trim()), "write a share up to `100%`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says<T: std::fmt::Debug>(found: Result<T, QuantityFault>) -> (String, String) {
        let fault = found.expect_err("a fault");
        (fault.message, fault.hint)
    }

    #[test]
    fn durations_carry_their_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        assert_eq!(duration("30d"), Ok(Duration::from_secs(30 * 86_400)));
        assert_eq!(says(duration("30")).0, "`30` has no unit");
        assert_eq!(says(duration("30")).1, "write `30s` for seconds, or `ms`, `m`, `h`, `d`");
        for wrong in ["", "s", "5 minutes", "-5s", "1m1h", "1e3s", "5M", "1.s", "9999999999999d"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_carry_their_unit() {
        assert_eq!(size("256KiB"), Ok(262_144));
        assert_eq!(size("1.5GB"), Ok(1_500_000_000));
        assert_eq!(size("10 MiB"), Ok(10 << 20));
        assert_eq!(says(size("32k")).1, "write `32KiB`");
        assert_eq!(says(size("100")).0, "`100` has no unit");
        assert!(size("99999999999999999999TiB").is_err());
    }

    #[test]
    fn percentages_are_exact() {
        assert_eq!(percent("99.9%"), Ok(0.999));
        assert_eq!(percent("0.1%"), Ok(0.001));
        assert_eq!(says(percent("0.1")).1, "write `10%`");
        assert_eq!(says(percent("10")).1, "write `10%`");
        assert_eq!(says(share("120%")).0, "120% is over 100%");
        assert_eq!(weight("12.34%").map(BasisPoints::get), Ok(1234));
        assert_eq!(says(weight("0.001%")).0, "0.001% is finer than 0.01%");
    }
}
