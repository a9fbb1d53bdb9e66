//! `rollout.guards`: each with one rule, and none that can never act.

use super::{Check, foresight::spoken, rollout};
use crate::file;
use crate::model::Timeouts;
use crate::report::shown;
use crate::source::{At, Place};
use crate::suggest::{every, nearest};
use serin_core::rollout::{Action, Compared, Guard, Rule};
use std::collections::HashMap;
use std::time::Duration;

pub(super) fn check(
    rollout: &file::Rollout,
    service: &file::Service,
    timeouts: &Timeouts,
    check: &mut Check<'_>,
) -> Vec<Guard> {
    let listed = rollout.guards.as_ref().map(|guards| guards.value.as_slice()).unwrap_or_default();
    let mut names = HashMap::new();
    let mut guards: Vec<(Guard, Place)> = Vec::new();
    for found in listed {
        if let Some(name) = &found.name {
            check.named(&mut names, name, "guard");
        }
        let Some(rule) = rule(found, rollout, service, timeouts, check) else { continue };
        let Some(name) = &found.name else { continue };
        let guard = Guard {
            name: name.value.clone(),
            rule,
            over: found.over(),
            absolute: absolute(found),
            lasting: found.lasting(),
            action: found.action(),
        };
        guards.push((guard, name.at));
    }
    outrun(&guards, check);
    guards.into_iter().map(|(guard, _)| guard).collect()
}

fn rule(
    found: &At<file::Guard>,
    rollout: &file::Rollout,
    service: &file::Service,
    timeouts: &Timeouts,
    check: &mut Check<'_>,
) -> Option<Rule> {
    let given = [
        found.error_rate.is_some(),
        found.latency.is_some(),
        found.signal.is_some(),
        found.shadow_mismatch.is_some(),
        found.shadow_errors.is_some(),
    ];
    let count = given.iter().filter(|given| **given).count();
    if count == 0 && found.broken {
        return None;
    }
    if count != 1 {
        let message =
            if count == 0 { "a guard without a rule" } else { "a guard with several rules" };
        check.error(found.at, message).hint(
            "give it one of `errorRate`, `latency`, `signal`, `shadowMismatch` and `shadowErrors`",
        );
        return None;
    }
    signal_only(found, check);
    let share = |at: At<file::AboveShare>, check: &mut Check<'_>| {
        if at.value.0 >= 1.0 {
            check.error(at.at, "no share is above 100%").hint("write a lower one, like `\"> 1%\"`");
        }
        at.value.0
    };
    if let Some(at) = found.error_rate {
        Some(Rule::ErrorRate { above: share(at, check) })
    } else if let Some(latency) = &found.latency {
        quantile(latency, timeouts, check)
    } else if let Some(signal) = &found.signal {
        pushed(signal, found, service, check)
    } else if let Some(at) = found.shadow_mismatch {
        rollout::compared(at.at, "this guard", rollout.to.as_ref(), service, check);
        Some(Rule::ShadowMismatch { above: share(at, check) })
    } else {
        let at = found.shadow_errors?;
        if service.shadow.is_none() {
            check
                .error(at.at, "this guard needs the service's `shadow`")
                .hint("add `shadow: { to: … }` to the service");
        }
        Some(Rule::ShadowErrors { above: share(at, check) })
    }
}

/// A limit that holds whatever stable does. A signal has its own way of being compared.
fn absolute(found: &file::Guard) -> bool {
    let of_requests = found.error_rate.is_some() || found.latency.is_some();
    of_requests && found.of.is_some_and(|of| of.value == Compared::Absolute)
}

/// `below` says how a signal is compared, and `of` how a signal, errors or latency are; both mean nothing
/// beside another rule.
fn signal_only(found: &file::Guard, check: &mut Check<'_>) {
    if found.signal.is_some() {
        return;
    }
    let below = found.below.as_ref().map(|at| ("below", at.at));
    let compared = found.error_rate.is_some() || found.latency.is_some();
    let of = found.of.as_ref().filter(|_| !compared).map(|at| ("of", at.at));
    for (key, at) in [below, of].into_iter().flatten() {
        check.error(at, format!("`{key}` without `signal`")).hint("remove it, or name a signal");
    }
}

fn quantile(
    latency: &At<file::Named<file::AboveTime>>,
    timeouts: &Timeouts,
    check: &mut Check<'_>,
) -> Option<Rule> {
    let [(name, above)] = latency.value.0.as_slice() else {
        if latency.value.0.is_empty() {
            check.error(latency.at, "no quantile").hint("write `latency: { p95: \"> 2s\" }`");
        } else {
            check
                .error(latency.at, "several quantiles in one guard")
                .hint("make a guard of each, so that a decision can name the one that acted");
        }
        return None;
    };
    let percent = name.value.strip_prefix('p').and_then(|n| n.parse::<f64>().ok());
    let quantile = percent.filter(|p| (1.0..100.0).contains(p)).map(|p| p / 100.0);
    let Some(quantile) = quantile else {
        check
            .error(name.at, format!("{} is not a quantile", shown(&name.value)))
            .hint("write `p50`, `p95`, `p99` or `p99.9`");
        return None;
    };
    if above.0 >= timeouts.response {
        check
            .warning(latency.at, "this guard can never act")
            .label(format!("requests are given up after {}", spoken(timeouts.response)))
            .hint("lower it, or raise `timeouts.response`");
    }
    Some(Rule::Latency { quantile, above: above.0 })
}

fn pushed(
    signal: &At<String>,
    found: &At<file::Guard>,
    service: &file::Service,
    check: &mut Check<'_>,
) -> Option<Rule> {
    super::listeners::label(signal, "signal", check);
    declared(signal, service, check);
    let Some(below) = found.below else {
        check
            .error(signal.at, "a signal without `below`")
            .hint("add `below: 50%, of: baseline` or `below: 2%, of: absolute`");
        return None;
    };
    if below.value.0 <= 0.0 {
        check.error(below.at, "nothing is below 0%").hint("raise it");
    }
    Some(Rule::Signal { name: signal.value.clone(), below: below.value.0, of: found.of() })
}

/// A guard on a signal that nobody pushes would hold every rollout until it is given up.
fn declared(signal: &At<String>, service: &file::Service, check: &mut Check<'_>) {
    let Some(listed) = service.signals.as_ref().filter(|listed| !listed.value.is_empty()) else {
        return;
    };
    let names: Vec<&str> = listed.value.iter().map(|at| at.value.as_str()).collect();
    if names.contains(&signal.value.as_str()) {
        return;
    }
    let hint = match nearest(&signal.value, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("`signals` lists {}", every(&names)),
    };
    check
        .error(signal.at, format!("the service lists no signal {}", shown(&signal.value)))
        .hint(hint);
}

/// Warns of a guard that another one always beats.
fn outrun(guards: &[(Guard, Place)], check: &mut Check<'_>) {
    for (i, (guard, at)) in guards.iter().enumerate() {
        let first = guards.iter().enumerate().find(|(j, (other, _))| {
            *j != i && beats(other, guard) && (*j < i || !beats(guard, other))
        });
        if let Some((_, (other, other_at))) = first {
            check
                .warning(
                    *at,
                    format!(
                        "the guard {} never acts before {}",
                        shown(&guard.name),
                        shown(&other.name)
                    ),
                )
                .also(*other_at, "this one acts at the same moment or earlier")
                .hint("make it stricter or quicker, or remove it");
        }
    }
}

/// Whether `a` has ended the rollout whenever `b` could act.
fn beats(a: &Guard, b: &Guard) -> bool {
    let ends =
        a.action == Action::Rollback || (a.action == Action::Pause && b.action != Action::Rollback);
    // A rate that is exceeded over a long window was exceeded over some shorter one before.
    let window = |guard: &Guard| if guard.over.is_zero() { Duration::MAX } else { guard.over };
    ends && a.lasting <= b.lasting && window(a) <= window(b) && stricter(&a.rule, &b.rule)
}

fn stricter(a: &Rule, b: &Rule) -> bool {
    match (a, b) {
        (Rule::ErrorRate { above: a }, Rule::ErrorRate { above: b })
        | (Rule::ShadowMismatch { above: a }, Rule::ShadowMismatch { above: b })
        | (Rule::ShadowErrors { above: a }, Rule::ShadowErrors { above: b }) => a <= b,
        (Rule::Latency { quantile: q, above: a }, Rule::Latency { quantile: r, above: b }) => {
            q >= r && a <= b
        }
        (Rule::Signal { name: n, below: a, of: o }, Rule::Signal { name: m, below: b, of: p }) => {
            n == m && o == p && a >= b
        }
        (
            Rule::ErrorRate { .. }
            | Rule::Latency { .. }
            | Rule::Signal { .. }
            | Rule::ShadowMismatch { .. }
            | Rule::ShadowErrors { .. },
            _,
        ) => false,
    }
}
