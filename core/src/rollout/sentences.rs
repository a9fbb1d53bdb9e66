//! What operators read: every reason as a sentence with its numbers. No sentence is ever parsed.

use super::evidence::{Concentration, Data, MissingReading, Named, Outlook, SharedCause, Value};
use super::position::{GateRef, GateRefKind};
use super::reason::{GoodEnough, Grounds, HoldReason, Idle, RollbackReason};
use super::words::{Counted, Gathered, Given, Percent, Rounded, Span, When};
use crate::measure::Part;
use crate::time::Wall;
use std::fmt;

impl fmt::Display for HoldReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle(idle) => fmt::Display::fmt(idle, f),
            Self::Paused { by, why } => write!(f, "paused by {by}{}", Given(why)),
            Self::GaveUp { after, seen, needed } => {
                write!(f, "no answer within {}: ", Span(*after))?;
                match seen < needed {
                    true => write!(f, "{seen} of {needed} requests seen"),
                    false => {
                        write!(f, "{seen} requests show it neither good enough nor worse")
                    }
                }
            }
            Self::NoData(Data::Stale { age }) => {
                write!(f, "the latest numbers are {} old", Span(*age))
            }
            Self::NoData(Data::Late { by }) => {
                write!(f, "not observing: own threads were {} late", Span(*by))
            }
            Self::NoData(Data::Fresh | Data::Missing) => {
                f.write_str("no numbers from the data plane")
            }
            Self::JustStarted => f.write_str("just started, nothing has been observed yet"),
            Self::ClockJumped { settles_in } => {
                write!(f, "the clock jumped; it is believed again in {}", Span(*settles_in))
            }
            Self::GuardStanding { guard, lasted, acts_after } => match acts_after.is_zero() {
                true => write!(f, "guard {guard} is breached"),
                false => {
                    write!(
                        f,
                        "guard {guard} is breached for {} of {}",
                        Span(*lasted),
                        Span(*acts_after)
                    )
                }
            },
            Self::GuardDoubtful { guard, observed, threshold, samples } => {
                write!(
                    f,
                    "guard {guard} reads {}",
                    Against { observed: *observed, threshold: *threshold }
                )?;
                write!(f, ", which is not yet proven by {}", Counted(*samples, "sample"))
            }
            Self::Burning { rule, rate, threshold, stable } => {
                write!(
                    f,
                    "burn rule {rule}: burning {rate:.1} times as fast as the budget allows; its limit is {threshold}"
                )?;
                match stable {
                    Some(stable) => write!(f, ", stable's rate {stable:.1}"),
                    None => Ok(()),
                }
            }
            Self::Aside { rule, away, probation, requests } => match away.is_zero() {
                true if probation.is_zero() => write!(
                    f,
                    "back after {rule}, on probation: {} of {} requests seen",
                    requests.seen, requests.needed
                ),
                true => write!(
                    f,
                    "back after {rule}, on probation: fresh traffic decides for {} more",
                    Span(*probation)
                ),
                false => write!(f, "stepped aside on {rule}; back in {}", Span(*away)),
            },
            Self::StableAsWell { guard, observed, threshold, stable } => {
                let against = Against { observed: *observed, threshold: *threshold };
                write!(f, "guard {guard} reads {against}, and holds: stable is no better")?;
                match stable {
                    Some(stable) => write!(f, " with {stable}"),
                    None => Ok(()),
                }
            }
            Self::FewClients { rule, failures } => {
                let whose = match failures.elsewhere * 2 > failures.of {
                    true => "clients whose requests fail on stable as well",
                    false => "few clients",
                };
                let what = failures.met.as_str();
                write!(f, "{rule} holds: its {what}s are those of {whose}; {failures}")
            }
            Self::ClientErrors { candidate, stable } => {
                write!(f, "more answers of 4xx than stable: {candidate}, stable {stable}")
            }
            Self::StableWorse { rule, shares } => {
                write!(f, "{rule} is breached, and stable is worse: {shares}")
            }
            Self::NoReading { guard, missing } => {
                write!(f, "guard {guard} sees nothing: {missing}")
            }
            Self::SharedCause(shared) => write!(f, "shared cause: {shared}"),
            Self::Tripped => f.write_str("the tripwire holds the candidate's requests back"),
            Self::NotReady(ready) => {
                write!(f, "{} of the candidate's {} endpoints are ready", ready.ready, ready.total)
            }
            Self::TooFewReady { ready, share } => write!(
                f,
                "{} of the candidate's {} endpoints are ready, the step needs {share}",
                ready.ready, ready.total
            ),
            Self::Frozen { by, reason } => write!(f, "frozen by {by}: {reason}"),
            Self::BudgetFrozen { left, below } => {
                write!(
                    f,
                    "{} of the error budget is left, under {}",
                    Percent(*left),
                    Percent(*below)
                )
            }
            Self::Window { reason, opens, .. } => window(f, reason.as_deref(), *opens),
            Self::HoldRunning { left } => write!(f, "{} of the hold to go", Span(*left)),
            Self::TooFewSamples(s) => write!(f, "{} of {} requests seen", s.seen, s.needed),
            Self::NotProven { value, needed, outlook } => {
                let value = Gathered(*value);
                write!(f, "not yet sure that it is good enough: evidence {value} of {needed:.0}")?;
                match outlook {
                    Some(outlook) => write!(f, "; {outlook}"),
                    None => Ok(()),
                }
            }
            Self::Gate { gate, refused } => match refused {
                None => write!(f, "waits for {gate}"),
                Some(detail) => write!(f, "waits for {gate}, which refused: {detail}"),
            },
            Self::Approvals { before, given, needed, by } => {
                write!(f, "waits for {needed} approvals before {before}")?;
                if !given.is_empty() {
                    write!(f, "; given by {}", given.join(" and "))?;
                }
                let open: Vec<&str> =
                    by.iter().filter(|by| !given.contains(by)).map(String::as_str).collect();
                match open.is_empty() {
                    true => Ok(()),
                    false => write!(f, "; {} may", open.join(" or ")),
                }
            }
            Self::Checklist { before, missing } => {
                write!(f, "waits for the checklist before {before}: {}", missing.join(", "))
            }
            Self::Shadow { compared, mismatched, below } => write!(
                f,
                "shadow: {} of {} compared, {} differ or failed (under {} wanted)",
                compared.seen,
                compared.needed,
                Percent(*mismatched),
                Percent(*below)
            ),
            Self::Breached(why) => write!(f, "is about to roll back: {why}"),
            Self::Accepted => f.write_str("accepted, and decided on next"),
            Self::Quarantined { identity, why } => {
                write!(f, "{identity} was rejected and needs a retry: {why}")
            }
        }
    }
}

fn window(f: &mut fmt::Formatter<'_>, reason: Option<&str>, opens: Option<Wall>) -> fmt::Result {
    f.write_str("outside the deploy windows")?;
    if let Some(reason) = reason {
        write!(f, " ({reason})")?;
    }
    match opens {
        Some(at) => write!(f, "; opens {}", When(at)),
        None => f.write_str("; none opens within two weeks"),
    }
}

impl fmt::Display for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPlan => "no rollout is planned",
            Self::Manual => "a rollout is planned and starts when asked",
            Self::UpToDate => "the planned release is stable already",
            Self::Seen => "the planned release had its rollout",
            Self::ByHand => "weights were set by hand",
        })
    }
}

impl fmt::Display for GateRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = self.before;
        match &self.kind {
            GateRefKind::Approval => write!(f, "an approval before {before}"),
            GateRefKind::Item { item } => write!(f, "{item:?} of the checklist before {before}"),
            GateRefKind::Webhook { url } => write!(f, "{url} before {before}"),
            GateRefKind::Shadow => write!(f, "shadow comparisons before {before}"),
            GateRefKind::Budget => {
                write!(f, "a confirmation before {before}, the error budget is low")
            }
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share(share) => write!(f, "{}", Percent(*share)),
            Self::Time(time) => write!(f, "{}", Span(*time)),
            Self::Ratio(ratio) => write!(f, "{} of stable's", Percent(*ratio)),
        }
    }
}

/// `3.1% against a limit of 1%`.
struct Against {
    observed: Option<Value>,
    threshold: Value,
}

impl fmt::Display for Against {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = match self.threshold {
            // The observed value has said of what.
            Value::Ratio(ratio) => Value::Share(ratio),
            limit @ (Value::Share(_) | Value::Time(_)) => limit,
        };
        match self.observed {
            Some(observed) => write!(f, "{observed} against a limit of {limit}"),
            None => write!(f, "beyond {limit}"),
        }
    }
}

impl fmt::Display for MissingReading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooFew => "too few requests",
            Self::NoSignal => "no such signal was pushed",
            Self::NoBaseline => "stable has nothing to compare with",
            Self::NoShadow => "no copies were compared",
        })
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.bad, self.of)
    }
}

impl fmt::Display for Concentration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, networks, users, .. } = self;
        let what = self.met.as_str();
        let first = |named: &[Named]| named.first().cloned();
        match first(&self.by_network) {
            Some(top) if *networks == 1 => {
                write!(f, "{of} of {of} {what}s came from {}", top.name)?;
            }
            Some(top) => {
                write!(f, "{of} {what}s came from {networks} networks, {} of them ", top.count)?;
                write!(f, "from {}", top.name)?;
            }
            None => write!(f, "{}", Counted(*of, what))?,
        }
        if let Some(users) = users {
            write!(f, " ({})", Counted(*users, "user"))?;
        }
        let mut before = "; ";
        let mut say = |named: &[Named], words: fn(&str) -> String| match first(named) {
            Some(top) => {
                let said = write!(f, "{before}{} {}", top.count, words(&top.name));
                before = ", ";
                said
            }
            None => Ok(()),
        };
        say(&self.by_route, |name| format!("on route {name}"))?;
        say(&self.by_method, str::to_owned)?;
        say(&self.by_endpoint, |name| format!("by {name}"))
    }
}

impl fmt::Display for SharedCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "candidate {} bad, stable {} bad", Percent(self.candidate), Percent(self.stable))
    }
}

impl fmt::Display for RollbackReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guard { .. } => self.guard(f),
            Self::Burn { rule, promise, long, short, stable, threshold, samples } => {
                let rate = |rate: &Option<f64>| rate.map_or("?".into(), |r| format!("{r:.1}"));
                let (long, short) = (rate(long), rate(short));
                let promise = promise.as_str();
                write!(
                    f,
                    "burn rule {rule}: burning {long} and {short} times as fast as the {promise} budget allows; its limit is {threshold}"
                )?;
                if stable.is_some() {
                    write!(f, ", stable's {}", rate(stable))?;
                }
                write!(f, ", {}", Counted(*samples, "request"))
            }
            Self::Errors { candidate, stable, value, needed } => write!(
                f,
                "more errors than stable: {candidate} bad, stable {stable}; evidence {} of {needed:.0}",
                Gathered(*value)
            ),
            Self::Slower { quantile, baseline, candidate, stable, value, needed } => {
                write!(f, "slower than stable: {candidate} over ")?;
                // Beyond what any answer of stable took, it is nobody's quantile.
                if *quantile < 1.0 {
                    let quantile = Percent(*quantile).to_string();
                    write!(f, "stable's p{} of ", quantile.trim_end_matches('%'))?;
                }
                let value = Gathered(*value);
                let limit = Span(*baseline);
                write!(f, "{limit}, stable {stable}; evidence {value} of {needed:.0}")
            }
            Self::WorseThanBefore { candidate, stable, limit, value, needed } => write!(
                f,
                "more errors than stable before: {candidate} bad, stable {stable}; the limit is {}, evidence {} of {needed:.0}",
                Percent(*limit),
                Gathered(*value)
            ),
            Self::HarmRequests { failed, cap, forgiven } => {
                write!(f, "{} failed, {cap} may", Counted(*failed, "request"))?;
                beyond(f, *forgiven)
            }
            Self::HarmUsers { users, cap, forgiven, told_apart } => {
                match told_apart {
                    true => write!(f, "{users} users were hurt, {cap} may be")?,
                    false => {
                        let requests = Counted(*users, "request");
                        write!(f, "{requests} failed, {cap} users may be hurt")?;
                    }
                }
                beyond(f, *forgiven)?;
                match told_apart {
                    true => Ok(()),
                    false => f.write_str(" (users cannot be told apart: each request counts)"),
                }
            }
            Self::TooFew(s) => {
                write!(f, "the hold is over with {} of {} requests seen", s.seen, s.needed)
            }
            Self::Aborted { by, reason } => write!(f, "aborted by {by}{}", Given(reason)),
            Self::Undone { by, reason, to } => {
                write!(f, "{to} is stable again, undone by {by}{}", Given(reason))
            }
            Self::Unlisted { wanted: Some(wanted) } => {
                write!(f, "the plan now brings in {wanted}")
            }
            Self::Unlisted { wanted: None } => f.write_str("the plan was taken away"),
        }
    }
}

fn beyond(f: &mut fmt::Formatter<'_>, forgiven: u64) -> fmt::Result {
    match forgiven {
        0 => Ok(()),
        forgiven => write!(f, " beyond the {forgiven} that stable's own failures explain"),
    }
}

impl RollbackReason {
    fn guard(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Guard { guard, observed, threshold, stable, samples, lasted, shared_cause } =
            self
        else {
            return Ok(());
        };
        let against = Against { observed: *observed, threshold: *threshold };
        write!(f, "guard {guard}: {against}")?;
        if let Some(stable) = stable {
            write!(f, ", stable {stable}")?;
        }
        write!(f, ", {}", Counted(*samples, "sample"))?;
        if !lasted.is_zero() {
            write!(f, ", for {}", Span(*lasted))?;
        }
        match shared_cause {
            Some(_) => f.write_str(" (shared cause: stable is bad as well)"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Grounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to)?;
        if !self.held.is_zero() {
            write!(f, " after {}", Span(self.held))?;
        }
        if self.promoted {
            return f.write_str(", promoted by hand");
        }
        if self.samples.needed > 0 {
            write!(f, ", {}", Counted(self.samples.seen, "request"))?;
        }
        match self.shown {
            Some(shown) => write!(f, ", {shown}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for GoodEnough {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proof { value, needed } => {
                write!(f, "proof {} of {needed:.0}", Gathered(*value))
            }
            Self::BoundedHarm { limit, .. } if *limit >= 1.0 => {
                f.write_str("harm is bounded: the next step is short")
            }
            Self::BoundedHarm { value, needed, limit } => {
                let (limit, value) = (Percent(*limit), Gathered(*value));
                write!(
                    f,
                    "harm is bounded: less than {limit} fail, evidence {value} of {needed:.0}"
                )
            }
        }
    }
}

impl fmt::Display for Outlook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(requests) = self.requests else {
            return f.write_str("as long as it fails as it does, no number of requests is enough");
        };
        let more = if requests == 1 { "request" } else { "requests" };
        write!(f, "about {} more {more}", Rounded(requests))?;
        match self.seconds {
            Some(seconds) => write!(f, ", about {} at this rate", Span(Rounded(seconds).time())),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_limit_between_quantiles_has_no_more_places_than_say_something() {
        let part = |bad| Part { bad, of: 810 };
        let slower = |bad: u64| RollbackReason::Slower {
            quantile: 1.0 - bad as f64 / 810.0,
            baseline: Duration::from_millis(500),
            candidate: part(81),
            stable: part(bad),
            value: 2_000.0,
            needed: 1_000.0,
        };
        let says = "81 of 810 over stable's p98.8 of 500ms, stable 10 of 810";
        assert!(slower(10).to_string().contains(says), "{}", slower(10));
        let says = "81 of 810 over 500ms, stable 0 of 810";
        assert!(slower(0).to_string().contains(says), "{}", slower(0));
    }

    #[test]
    fn who_saw_enough_requests_is_not_told_that_they_were_too_few() {
        let after = Duration::from_secs(86_400);
        let few = HoldReason::GaveUp { after, seen: 40, needed: 500 };
        assert_eq!(few.to_string(), "no answer within 1d: 40 of 500 requests seen");
        let many = HoldReason::GaveUp { after, seen: 720, needed: 500 };
        let says = "no answer within 1d: 720 requests show it neither good enough nor worse";
        assert_eq!(many.to_string(), says);
    }
}
