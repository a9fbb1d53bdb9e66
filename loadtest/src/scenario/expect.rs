//! Whether what happened is what was expected. Pure.

use super::file::Expectation;
use super::watch::Sightings;
use crate::record::{Move, Record};
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The expectation, in words.
    pub expected: String,
    pub found: String,
    pub met: bool,
}

/// Every `within` is `patience` times as long as it says.
pub fn judge(
    expectation: &Expectation,
    patience: u32,
    record: &Record,
    seen: &Sightings,
) -> Finding {
    match expectation {
        Expectation::Reaches { state, after, within } => {
            reaches(state, *after, *within * patience, seen)
        }
        Expectation::Never { state } => {
            let first = seen.first(state, Duration::ZERO);
            Finding {
                expected: format!("is never {state}"),
                found: first.map_or("it never was".to_owned(), |s| format!("was at {:?}", s.at)),
                met: first.is_none() && !seen.all.is_empty(),
            }
        }
        Expectation::Ends { state } => {
            let last = seen.all.last().and_then(|s| s.state.as_deref());
            Finding {
                expected: format!("ends {state}"),
                found: last.unwrap_or("no rollout").to_owned(),
                met: last == Some(state),
            }
        }
        Expectation::Failed { version, at_least, at_most } => {
            failed(version.as_deref(), *at_least, *at_most, record)
        }
        Expectation::Share { version, is, plus_minus, from, to } => {
            let share = record.share(version, *from, *to);
            Finding {
                expected: format!(
                    "{version} has {}% ± {}% from {from:?} to {to:?}",
                    is * 100.0,
                    plus_minus * 100.0
                ),
                found: share.map_or("no requests".to_owned(), |s| format!("{:.3}%", s * 100.0)),
                met: share.is_some_and(|s| (s - is).abs() <= *plus_minus + 1e-12),
            }
        }
        Expectation::LastSeen { version, after, within } => {
            let last = record.last_seen.get(version.as_str()).copied();
            let before = *after + *within * patience;
            Finding {
                expected: format!("{version} answers nothing due after {before:?}"),
                found: last.map_or("it never answered".to_owned(), |l| format!("last due {l:?}")),
                met: last.is_some_and(|last| last <= before),
            }
        }
        Expectation::UsersMoved { from, to, at_most } => {
            let moved = Move { from: Arc::from(from.as_str()), to: Arc::from(to.as_str()) };
            let count = record.moves.get(&moved).copied().unwrap_or(0);
            Finding {
                expected: format!("at most {at_most} users moved from {from} to {to}"),
                found: format!("{count}, of {} users", record.users_seen),
                met: count <= *at_most && record.users_seen > 0,
            }
        }
        Expectation::Latency { version, quantile, at_most } => {
            let figures = match version {
                None => Some(&record.total),
                Some(version) => record.versions.get(version.as_str()),
            };
            let found = figures.and_then(|f| f.latency.quantile(*quantile));
            let whose = version.as_deref().unwrap_or("all");
            Finding {
                expected: format!("p{} of {whose} at most {at_most:?}", quantile * 100.0),
                found: found.map_or("no requests".to_owned(), |f| format!("{f:?}")),
                met: found.is_some_and(|f| f <= *at_most),
            }
        }
        Expectation::Reason { contains } => {
            let mut reasons = seen.all.iter().filter_map(|s| s.reason.as_deref());
            let found = reasons.find(|reason| reason.contains(contains.as_str()));
            let last = seen.all.iter().rev().find_map(|s| s.reason.as_deref());
            Finding {
                expected: format!("some reason says {contains:?}"),
                found: found.or(last).unwrap_or("no reason was given").to_owned(),
                met: found.is_some(),
            }
        }
    }
}

fn reaches(state: &str, after: Duration, within: Duration, seen: &Sightings) -> Finding {
    let first = seen.first(state, after);
    let last = seen.all.last().and_then(|s| s.state.as_deref()).unwrap_or("no rollout");
    Finding {
        expected: format!("is {state} within {within:?} after {after:?}"),
        found: first.map_or_else(
            || format!("never; it ended as {last}"),
            |s| format!("after {:?}", s.at.saturating_sub(after)),
        ),
        met: first.is_some_and(|s| s.at <= after + within),
    }
}

fn failed(version: Option<&str>, at_least: u64, at_most: u64, record: &Record) -> Finding {
    let failed = match version {
        None => record.total.failures,
        Some(version) => record.versions.get(version).map_or(0, |f| f.failures),
    };
    let whose = version.map_or(String::new(), |v| format!(" of {v}"));
    let expected = match (at_least, at_most) {
        (0, most) => format!("at most {most} failed requests{whose}"),
        (least, most) => format!("{least} to {most} failed requests{whose}"),
    };
    Finding {
        expected,
        found: format!("{failed} of {}", record.total.requests),
        met: (at_least..=at_most).contains(&failed) && record.total.requests > 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn seen() -> Sightings {
        let mut seen = Sightings::default();
        let at = Duration::from_millis;
        let service = |state: &str, weight: u64| json!({"weights": {"v42": weight}, "rollout": {"to": "v42", "state": state, "reason": "errors"}});
        seen.add(at(0), &json!({"rollout": null}));
        seen.add(at(1000), &service("running", 1000));
        seen.add(at(1050), &service("running", 1000));
        seen.add(at(2300), &service("rolledBack", 0));
        seen
    }

    #[test]
    fn a_state_is_reached_in_time_or_not() {
        let expect = |ms| Expectation::Reaches {
            state: "rolledBack".to_owned(),
            after: Duration::from_secs(2),
            within: Duration::from_millis(ms),
        };
        assert_eq!(seen().all.len(), 3);
        assert!(judge(&expect(300), 1, &Record::default(), &seen()).met);
        assert!(!judge(&expect(299), 1, &Record::default(), &seen()).met);
        assert!(!judge(&expect(300), 1, &Record::default(), &Sightings::default()).met);
        assert!(judge(&expect(150), 2, &Record::default(), &seen()).met, "patience");
    }

    #[test]
    fn an_expectation_about_no_data_is_not_met() {
        let nothing = Expectation::Failed { version: None, at_least: 0, at_most: 10 };
        assert!(!judge(&nothing, 1, &Record::default(), &seen()).met);
        let never = Expectation::Never { state: "rolledBack".to_owned() };
        assert!(!judge(&never, 1, &Record::default(), &Sightings::default()).met);
        assert!(!judge(&never, 1, &Record::default(), &seen()).met);
    }
}
