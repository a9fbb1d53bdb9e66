//! Spans of time and shares on the command line: always with their unit.

use std::time::Duration;

/// `90s`, `15m`, `2h`.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no span of time; write it with its unit, like 90s or 15m");
    let at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(at);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let unit = match unit {
        "ms" => return Ok(Duration::from_millis(number)),
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    number.checked_mul(unit).map(Duration::from_secs).ok_or_else(wrong)
}

/// `25%`, `0.5%`: in basis points.
pub(crate) fn parse_weight(text: &str) -> Result<u16, String> {
    let wrong =
        || format!("{text:?} is no weight; write 0% to 100%, with at most two decimals, like 25%");
    let number = text.strip_suffix('%').ok_or_else(wrong)?;
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > 2 {
        return Err(wrong());
    }
    let points: u64 = format!("{whole}{part:0<2}").parse().map_err(|_| wrong())?;
    u16::try_from(points).ok().filter(|points| *points <= 10_000).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_its_unit() {
        assert_eq!(parse("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("15m"), Ok(Duration::from_secs(900)));
        for wrong in ["90", "m", "", "1.5h", "-1s", "1 h", "99999999999999999999d"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_weight_is_a_share_of_the_whole() {
        assert_eq!(parse_weight("25%"), Ok(2500));
        assert_eq!(parse_weight("0.5%"), Ok(50));
        assert_eq!(parse_weight("0.05%"), Ok(5));
        assert_eq!(parse_weight("100%"), Ok(10_000));
        for wrong in ["25", "101%", "0.005%", "%", "-1%", "1e1%", "100.01%"] {
            assert!(parse_weight(wrong).is_err(), "{wrong}");
        }
    }
}
