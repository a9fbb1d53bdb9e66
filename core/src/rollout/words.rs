//! How durations, shares and moments are written in sentences for operators.

use crate::time::Wall;
use std::fmt;
use std::time::Duration;

/// `1h30m`, `15m`, `2.5s`, `340ms`: two units at most.
#[derive(Debug, Clone, Copy)]
pub struct Span(pub Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // From a minute on, to the nearest second.
        let minute = self.0.as_secs_f64() >= 59.5;
        let whole = if minute { self.0.as_secs_f64().round() as u64 } else { self.0.as_secs() };
        let (d, h, m, s) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60);
        let pair = |f: &mut fmt::Formatter<'_>, a: u64, au: &str, b: u64, bu: &str| match b {
            0 => write!(f, "{a}{au}"),
            b => write!(f, "{a}{au}{b}{bu}"),
        };
        if d > 0 {
            pair(f, d, "d", h, "h")
        } else if h > 0 {
            pair(f, h, "h", m, "m")
        } else if m > 0 {
            pair(f, m, "m", s, "s")
        } else if s > 0 {
            let tenths = self.0.subsec_millis() / 100;
            if tenths > 0 { write!(f, "{s}.{tenths}s") } else { write!(f, "{s}s") }
        } else if self.0.is_zero() {
            f.write_str("0s")
        } else {
            write!(f, "{}ms", self.0.as_millis())
        }
    }
}

/// `0.99%`, `12%`: three significant digits, nothing after a point that says nothing.
#[derive(Debug, Clone, Copy)]
pub struct Percent(pub f64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = self.0 * 100.0;
        let digits = match percent.abs() {
            p if p >= 100.0 => 0,
            p if p >= 10.0 => 1,
            p if p >= 1.0 => 2,
            _ => 3,
        };
        let text = format!("{percent:.digits$}");
        let text = if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.')
        } else {
            &text
        };
        write!(f, "{text}%")
    }
}

/// What somebody gave as a reason, after a colon; nothing when they gave none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given<'a>(pub(super) &'a str);

impl fmt::Display for Given<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => Ok(()),
            reason => write!(f, ": {reason}"),
        }
    }
}

/// `1 sample`, `2 samples`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted(pub(super) u64, pub(super) &'static str);

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(n, what) = self;
        write!(f, "{n} {what}{}", if *n == 1 { "" } else { "s" })
    }
}

/// How much a bet or test has gathered: past a thousand the number says nothing more.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gathered(pub(super) f64);

impl fmt::Display for Gathered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            value if value > 100_000.0 => f.write_str("over 100000"),
            value if value >= 10.0 => write!(f, "{value:.0}"),
            value => write!(f, "{value:.2}"),
        }
    }
}

/// A number that is foretold: two digits, and never less than it is.
#[derive(Debug, Clone, Copy)]
pub struct Rounded(pub u64);

impl Rounded {
    fn up(self) -> u64 {
        let mut unit = 1;
        while self.0 / unit >= 100 {
            unit *= 10;
        }
        self.0.div_ceil(unit) * unit
    }

    /// So many seconds, in whole minutes from two on: never nothing.
    pub fn time(self) -> Duration {
        let seconds = self.0.max(1);
        Duration::from_secs(if seconds < 120 { seconds } else { seconds.div_ceil(60) * 60 })
    }
}

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.up().to_string();
        for (at, digit) in digits.char_indices() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// A moment, in UTC: `2026-11-24 13:00 UTC`.
#[derive(Debug, Clone, Copy)]
pub struct When(pub Wall);

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0.0) {
            Ok(at) => write!(f, "{}", at.strftime("%Y-%m-%d %H:%M UTC")),
            Err(_) => f.write_str("at an unknown time"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_shares_read_like_the_configuration() {
        let span = |ms| Span(Duration::from_millis(ms)).to_string();
        assert_eq!(span(900_000), "15m");
        assert_eq!(span(5_400_000), "1h30m");
        assert_eq!(span(2_500), "2.5s");
        assert_eq!(span(340), "340ms");
        assert_eq!(span(899_900), "15m");
        assert_eq!(span(59_900), "1m");
        assert_eq!(span(90_000_000), "1d1h");
        assert_eq!(Percent(0.01).to_string(), "1%");
        assert_eq!(Percent(0.123_456).to_string(), "12.3%");
        assert_eq!(Percent(1.0).to_string(), "100%");
        assert_eq!(Percent(0.000_5).to_string(), "0.05%");
        assert_eq!(When(Wall(0)).to_string(), "1970-01-01 00:00 UTC");
    }

    #[test]
    fn what_is_foretold_is_round_and_never_nothing() {
        let said = [0, 7, 99, 101, 2_345, 1_234_567].map(|n| Rounded(n).to_string());
        assert_eq!(said, ["0", "7", "99", "110", "2,400", "1,300,000"]);
        let time = [0, 45, 119, 120, 470].map(|s| Span(Rounded(s).time()).to_string());
        assert_eq!(time, ["1s", "45s", "1m59s", "2m", "8m"]);
    }

    #[test]
    fn a_sentence_ends_where_nobody_gave_a_reason_and_one_is_one() {
        assert_eq!(format!("paused by ana{}", Given("")), "paused by ana");
        assert_eq!(format!("paused by ana{}", Given("lunch")), "paused by ana: lunch");
        assert_eq!(Counted(1, "sample").to_string(), "1 sample");
        assert_eq!(Counted(2, "sample").to_string(), "2 samples");
    }
}
