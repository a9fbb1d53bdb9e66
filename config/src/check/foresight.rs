//! What is legal and surely a mistake in a rollout. Only what is certain is said: nothing here
//! guesses at traffic that the files do not speak of.

use super::Check;
use crate::file;
use crate::report::shown;
use crate::source::At;
use serin_core::judge::WARM_UP;
use serin_core::rollout::{OnTooFew, Plan, Strategy};
use std::time::Duration;

/// Services that get more requests a second than this know that they do.
const BUSY: f64 = 1_000.0;

pub(super) fn rollout(
    found: &file::Rollout,
    plan: &Plan,
    service: &file::Service,
    check: &mut Check<'_>,
) {
    let steps = found.steps.as_ref().map(|steps| steps.value.as_slice()).unwrap_or_default();
    if plan.strategy == Strategy::Canary {
        falling(steps, check);
    }
    warmed_up_too_late(found, plan, service, check);
    for step in steps {
        shorter_than_guards(step, found, check);
        gives_up_first(step, found, plan, check);
        too_few(step, plan, check);
    }
}

fn falling(steps: &[At<file::Step>], check: &mut Check<'_>) {
    for pair in steps.windows(2) {
        let (Some(before), Some(after)) = (pair[0].weight, pair[1].weight) else { continue };
        if after.value < before.value {
            check
                .warning(
                    after.at,
                    format!("the weight falls from {} to {}", before.value, after.value),
                )
                .also(before.at, "the step before")
                .hint("users who have met the candidate would go back to stable");
        }
    }
}

/// Of a rollout that is over before its candidate has warmed up, latency is never judged. Only an
/// operator who wrote something about latency is told.
fn warmed_up_too_late(
    found: &file::Rollout,
    plan: &Plan,
    service: &file::Service,
    check: &mut Check<'_>,
) {
    let lasts: Duration = plan.steps.iter().map(|step| step.hold).sum();
    let guards = found.guards.as_ref().map(|guards| guards.value.as_slice()).unwrap_or_default();
    let guard = guards.iter().find(|guard| guard.latency.is_some());
    let regression = found.regression.as_ref().and_then(|r| r.latency);
    let objective = service.slo.as_ref().and_then(|slo| slo.latency.as_ref());
    let written = guard
        .map(|guard| guard.at)
        .or(regression.map(|latency| latency.at))
        .or(objective.map(|latency| latency.at));
    let Some(at) = written.filter(|_| lasts <= WARM_UP) else { return };
    check
        .warning(
            at,
            format!(
                "no step is left when latency is first judged: all holds together are {}",
                spoken(lasts)
            ),
        )
        .hint(format!(
            "a candidate's first {} are its warm-up; hold the steps for longer",
            spoken(WARM_UP)
        ));
}

/// A guard whose window is longer than a hold sees that step only in part. Only windows that the
/// operator wrote are spoken of.
fn shorter_than_guards(step: &At<file::Step>, found: &file::Rollout, check: &mut Check<'_>) {
    let Some(hold) = step.hold.filter(|hold| !hold.value.is_zero()) else { return };
    let guards = found.guards.as_ref().map(|guards| guards.value.as_slice()).unwrap_or_default();
    let longest = guards
        .iter()
        .flat_map(|guard| [(guard, guard.over), (guard, guard.lasting)])
        .filter_map(|(guard, at)| Some((guard.name.as_ref()?, at?)))
        .max_by_key(|(_, window)| window.value);
    let Some((name, window)) = longest.filter(|(_, window)| window.value > hold.value) else {
        return;
    };
    check
        .warning(
            hold.at,
            format!(
                "a hold of {} is shorter than the window of the guard {}",
                spoken(hold.value),
                shown(&name.value)
            ),
        )
        .also(window.at, format!("it looks at {}", spoken(window.value)))
        .hint("hold the step at least as long, or shorten the window");
}

fn gives_up_first(
    step: &At<file::Step>,
    found: &file::Rollout,
    plan: &Plan,
    check: &mut Check<'_>,
) {
    let Some(hold) = step.hold else { return };
    let give_up = plan.evidence.give_up_after;
    if hold.value <= give_up {
        return;
    }
    let written = found.evidence.as_ref().and_then(|evidence| evidence.give_up_after);
    let draft = check.warning(
        hold.at,
        format!("this step gives up after {}, before its hold ends", spoken(give_up)),
    );
    if let Some(written) = written {
        draft.also(written.at, "here");
    }
    draft.hint("raise `evidence.giveUpAfter`, or shorten the hold");
}

/// How many requests a step needs can be said, how many come cannot.
fn too_few(step: &At<file::Step>, plan: &Plan, check: &mut Check<'_>) {
    let (Some(weight), Some(hold)) = (step.weight, step.hold) else { return };
    let need = plan.evidence.min_requests;
    if need == 0 {
        return;
    }
    if weight.value.get() == 0 {
        check
            .warning(weight.at, format!("at 0% the candidate never gets its {need} requests"))
            .hint("for copies only, use `dark`; otherwise raise the weight");
        return;
    }
    let (time, until) = match plan.evidence.on_too_few {
        OnTooFew::Hold => (plan.evidence.give_up_after, "the step gives up"),
        OnTooFew::Pause | OnTooFew::Rollback => (hold.value, "the hold ends"),
    };
    if time.is_zero() {
        return;
    }
    let rate = need as f64 / (weight.value.ratio() * time.as_secs_f64());
    if rate > BUSY {
        check
            .warning(
                weight.at,
                format!(
                    "only a service with more than {} requests a second reaches `minRequests` here",
                    rate.ceil()
                ),
            )
            .label(format!(
                "{need} requests at {}, before {until} after {}",
                weight.value,
                spoken(time)
            ))
            .hint("raise the weight, lengthen the time, or lower `minRequests`");
    }
}

/// Warns of a service that no route leads to: its rollout would never see a request.
pub(super) fn unreached(
    services: &[(At<String>, file::Service)],
    routes: &[At<file::Route>],
    check: &mut Check<'_>,
) {
    let mut split = std::collections::HashSet::new();
    let mut forced = std::collections::HashSet::new();
    for route in routes {
        let Some(service) = &route.service else { continue };
        let reached = if route.version.is_some() { &mut forced } else { &mut split };
        reached.insert(service.value.as_str());
    }
    for (name, service) in services {
        if split.contains(name.value.as_str()) {
            continue;
        }
        let message = match (forced.contains(name.value.as_str()), &service.rollout) {
            (true, None) => continue,
            (true, Some(_)) => {
                "every route to this service forces a version, so its rollout sees no request"
            }
            (false, _) => "no route leads to this service",
        };
        check.warning(name.at, message).hint(format!("add a route with `service: {}`", name.value));
    }
}

/// A duration as an operator would write it.
pub(super) fn spoken(time: Duration) -> String {
    const UNITS: &[(&str, u128)] = &[
        ("d", 86_400_000_000_000),
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1_000),
    ];
    let nanos = time.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    // 90m reads better than 1h30m, and 30d than 4w2d.
    let whole = UNITS.iter().find(|(_, unit)| nanos.is_multiple_of(*unit));
    match whole {
        Some((name, unit)) => format!("{}{name}", nanos / unit),
        None => format!("{nanos}ns"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_said_in_its_largest_whole_unit() {
        assert_eq!(spoken(Duration::from_secs(5400)), "90m");
        assert_eq!(spoken(Duration::from_secs(86_400)), "1d");
        assert_eq!(spoken(Duration::from_millis(1500)), "1500ms");
        assert_eq!(spoken(Duration::ZERO), "0s");
    }
}
