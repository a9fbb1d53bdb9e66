//! `slo`: objectives that can be missed, and burn rates that can be reached.

use super::{Check, foresight::spoken, given};
use crate::file;
use crate::model::Timeouts;
use crate::report::shown;
use crate::source::At;
use serin_core::outcome::{BadStatuses, GRPC_LAST};
use serin_core::slo::{Availability, BudgetPolicy, BurnRule, LatencyObjective, Objectives};
use std::collections::HashMap;
use std::time::Duration;

/// The windows are kept for so long.
const LONGEST_WINDOW: Duration = Duration::from_secs(90 * 24 * 3600);
const LONGEST_BURN: Duration = Duration::from_secs(3 * 24 * 3600);

pub(super) fn check(
    found: Option<&At<file::Slo>>,
    timeouts: &Timeouts,
    check: &mut Check<'_>,
) -> Objectives {
    let promised = found.is_some();
    let found = given(found);
    let window = found.window();
    if let Some(at) = found.window.filter(|_| window > LONGEST_WINDOW) {
        check.error(at.at, "longer than 90d").hint("usual are `28d` and `30d`");
    }
    let availability = availability(&given(found.availability.as_ref()), check);
    Objectives {
        window,
        latency: found.latency.as_ref().and_then(|latency| self::latency(latency, timeouts, check)),
        burn_rates: match &found.burn_rates {
            Some(rules) => burn_rates(&rules.value, availability.objective, check),
            None => BurnRule::defaults(),
        },
        budget: budget(&given(found.budget_policy.as_ref()), check),
        availability,
        promised,
    }
}

fn objective(found: Option<&At<file::Share>>, check: &mut Check<'_>) -> Option<f64> {
    let found = found?;
    let ratio = found.value.0;
    if ratio <= 0.0 || ratio >= 1.0 {
        let hint = if ratio >= 1.0 {
            "100% leaves no budget to burn; write `99.9%`"
        } else {
            "write `99.9%`"
        };
        check.error(found.at, "an objective lies between 0% and 100%").hint(hint);
        return None;
    }
    Some(ratio)
}

fn availability(found: &file::Availability, check: &mut Check<'_>) -> Availability {
    objective(found.objective.as_ref(), check);
    let bad = statuses(&found.bad(), check);
    Availability { objective: found.objective().0, bad }
}

fn statuses(listed: &[At<String>], check: &mut Check<'_>) -> BadStatuses {
    let mut bad = BadStatuses::NONE;
    for status in listed {
        let class = status.value.strip_suffix("xx").and_then(|class| class.parse::<u16>().ok());
        let grpc = status.value.strip_prefix("grpc:").and_then(|code| code.parse::<u32>().ok());
        match (class, grpc, status.value.parse::<u16>()) {
            (Some(class @ 1..=5), _, _) => bad.insert_class(class),
            (_, Some(code @ 1..=GRPC_LAST), _) => bad.insert_grpc(code),
            (_, _, Ok(code @ 100..=599)) => bad.insert(code),
            (_, _, Ok(_) | Err(_)) => {
                check
                    .error(status.at, format!("{} is not a status", shown(&status.value)))
                    .hint("write `5xx` for all of a class, or one like `\"503\"` or `grpc:12`");
            }
        }
    }
    bad
}

fn latency(
    found: &file::LatencyObjective,
    timeouts: &Timeouts,
    check: &mut Check<'_>,
) -> Option<LatencyObjective> {
    let objective = objective(found.objective.as_ref(), check);
    let under = found.under.as_ref()?;
    if under.value > timeouts.response {
        check
            .warning(under.at, "no answer is ever slower")
            .label(format!("requests are given up after {}", spoken(timeouts.response)))
            .hint("lower it, or raise `timeouts.response`");
    }
    Some(LatencyObjective { objective: objective?, under: under.value })
}

fn burn_rates(
    rules: &[At<file::BurnRate>],
    objective: f64,
    check: &mut Check<'_>,
) -> Vec<BurnRule> {
    let mut names = HashMap::new();
    let mut checked = Vec::new();
    for rule in rules {
        if let Some(name) = &rule.name {
            check.named(&mut names, name, "burn rate");
        }
        checked.extend(burn_rate(rule, objective, check));
    }
    checked
}

fn burn_rate(rule: &file::BurnRate, objective: f64, check: &mut Check<'_>) -> Option<BurnRule> {
    let windows = rule.windows.as_ref().and_then(|windows| two(windows, check));
    let above = rule.above.as_ref()?;
    let fastest = 1.0 / (1.0 - objective);
    if above.value <= 0.0 {
        check.error(above.at, "must be above 0").hint("1 spends the budget in exactly its window");
    } else if above.value >= fastest {
        check
            .warning(above.at, "this burn rate can never be exceeded")
            .label(format!("when everything fails it is {:.1}", fastest))
            .hint("lower it, or raise the objective");
    }
    let (long, short) = windows?;
    Some(BurnRule {
        name: rule.name.as_ref()?.value.clone(),
        above: above.value,
        long,
        short,
        action: rule.action(),
        severity: rule.severity(),
    })
}

fn two(windows: &At<Vec<At<Duration>>>, check: &mut Check<'_>) -> Option<(Duration, Duration)> {
    let [long, short] = windows.value.as_slice() else {
        check
            .error(windows.at, format!("two windows are needed, not {}", windows.value.len()))
            .hint("write the long one and the short one: `[1h, 5m]`");
        return None;
    };
    if short.value >= long.value {
        check.error(short.at, "the second window must be shorter than the first").hint(format!(
            "write `[{}, {}]`",
            spoken(short.value),
            spoken(long.value)
        ));
    }
    for window in [long, short] {
        if window.value.is_zero() {
            check.error(window.at, "must be longer than 0s").hint("write a time like `5m`");
        }
        if window.value > LONGEST_BURN {
            check.error(window.at, "longer than 3d").hint("counts are kept for three days");
        }
    }
    Some((long.value, short.value))
}

fn budget(found: &file::BudgetPolicy, check: &mut Check<'_>) -> BudgetPolicy {
    let policy = BudgetPolicy {
        freeze_below: found.freeze_below().0,
        confirm_below: found.confirm_below().0,
    };
    if let Some(at) = found.confirm_below.filter(|_| policy.confirm_below < policy.freeze_below) {
        check
            .warning(at.at, "nothing is ever confirmed: the freeze comes first")
            .hint("`confirmBelow` is the higher of the two");
    }
    policy
}
