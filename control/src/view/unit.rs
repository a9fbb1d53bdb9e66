//! What the numbers of a verdict are numbers of, and how such a number is written.

use serde::{Deserialize, Serialize};
use serin_core::rollout::{Percent, Span};
use std::time::Duration;
use utoipa::ToSchema;

/// What `observed`, `stableObserved` and `threshold` of a verdict are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Unit {
    /// From 0 to 1.
    Share,
    Seconds,
    /// Times stable's value.
    Ratio,
    Requests,
    Users,
    Endpoints,
    /// Times as fast as the error budget allows.
    BurnRate,
    /// What a test has gathered; the threshold is what proves it.
    Evidence,
}

impl Unit {
    /// A whole number of something.
    pub fn is_count(self) -> bool {
        match self {
            Self::Requests | Self::Users | Self::Endpoints => true,
            Self::Share | Self::Seconds | Self::Ratio | Self::BurnRate | Self::Evidence => false,
        }
    }

    pub fn write(self, number: f64) -> String {
        let counted = |what| match number == 1.0 {
            true => format!("1 {what}"),
            false => format!("{number:.0} {what}s"),
        };
        match self {
            Self::Share => Percent(number).to_string(),
            Self::Seconds => Duration::try_from_secs_f64(number)
                .map_or_else(|_| format!("{number} s"), |time| Span(time).to_string()),
            Self::Ratio => format!("{} of stable's", Percent(number)),
            Self::Requests => counted("request"),
            Self::Users => counted("user"),
            Self::Endpoints => counted("endpoint"),
            Self::BurnRate => format!("{number:.1} times what the budget allows"),
            Self::Evidence => format!("evidence of {number:.2}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_a_verdict_says_what_it_is() {
        assert_eq!(Unit::Share.write(0.0312), "3.12%");
        assert_eq!(Unit::Seconds.write(0.25), "250ms");
        assert_eq!(Unit::Ratio.write(0.5), "50% of stable's");
        assert_eq!(
            (Unit::Requests.write(1.0), Unit::Users.write(51.0)),
            ("1 request".into(), "51 users".into())
        );
        assert_eq!(Unit::BurnRate.write(14.4), "14.4 times what the budget allows");
        assert_eq!(Unit::Seconds.write(f64::INFINITY), "inf s");
    }
}
