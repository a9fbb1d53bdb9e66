//! What can end or stop a rollout, in whatever phase it is: the harm cap, the plan's guards,
//! the burn rules, and the comparison with stable. Looked at before anything that waits.

use super::decision::Event;
use super::evidence::GuardReading;
use super::plan::{Action, Guard};
use super::position::{RolloutState, StandingGuard};
use super::reason::{HoldReason, RollbackReason};
use super::turn::Turn;
use super::{spared, waits};
use crate::slo::{BurnAction, BurnRule, Severity};
use crate::weights::BasisPoints;
use std::time::Duration;

#[derive(Debug)]
pub(super) enum Breach {
    Rollback(RollbackReason),
    Pause { rule: String, why: String },
}

/// The weightiest breach that acts now. Those that stand and do not act yet become hold reasons.
pub(super) fn look(turn: &mut Turn<'_>, rollout: &mut RolloutState) -> Option<Breach> {
    let mut breaches = Vec::new();
    waits::object_to_shared_cause(turn);
    breaches.extend(harm(turn, rollout).map(Breach::Rollback));
    plan_guards(turn, rollout, &mut breaches);
    burn_rules(turn, rollout, &mut breaches);
    breaches.extend(regression(turn).map(Breach::Rollback));
    breaches.extend(worse_than_before(turn).map(Breach::Rollback));
    spared::spare(turn, rollout, &mut breaches);
    warn_of_client_errors(turn, rollout);
    if breaches.is_empty() {
        spared::hold_for_few_clients(turn, rollout);
    }
    let rollback = breaches.iter().position(|b| matches!(b, Breach::Rollback(_)));
    match rollback {
        Some(at) => Some(breaches.swap_remove(at)),
        None => breaches.into_iter().next(),
    }
}

/// The data plane begins to count with the rollout's first weight; before that, what it says is
/// of the one before.
fn harm(turn: &Turn<'_>, rollout: &RolloutState) -> Option<RollbackReason> {
    if rollout.weight == BasisPoints::ZERO {
        return None;
    }
    let cap = turn.plan()?.harm;
    let done = turn.evidence.harm;
    let over = |cap: Option<u64>, done: u64, forgiven: u64| {
        cap.filter(|cap| done >= (*cap).max(1).saturating_add(forgiven))
    };
    let (failed, forgiven) = (done.failed_requests, done.forgiven.requests);
    if let Some(cap) = over(cap.failed_requests, failed, forgiven) {
        return Some(RollbackReason::HarmRequests { failed, cap, forgiven });
    }
    let (users, forgiven) = (done.users, done.forgiven.users);
    let cap = over(cap.users, users, forgiven)?;
    let told_apart = turn.evidence.tells_users_apart();
    Some(RollbackReason::HarmUsers { users, cap, forgiven, told_apart })
}

fn plan_guards(turn: &mut Turn<'_>, rollout: &mut RolloutState, breaches: &mut Vec<Breach>) {
    let Some(plan) = turn.plan() else { return };
    let evidence = turn.evidence;
    for guard in &plan.guards {
        let reading = evidence.guards.iter().find(|reading| reading.name == guard.name);
        let Some(reading) = reading.filter(|r| r.missing.is_none()) else {
            // Nothing can be said: what stood keeps standing, and grows no older.
            if !guard.lasting.is_zero() {
                object_if_standing(turn, rollout, guard);
            }
            continue;
        };
        let lasted = stand(turn, rollout, guard, reading);
        let acts = reading.proven && lasted.is_some_and(|lasted| lasted >= guard.lasting);
        match (acts, guard.action) {
            (true, Action::Rollback) => {
                breaches.push(Breach::Rollback(blame(turn, guard, reading, lasted)));
            }
            (true, Action::Pause) => {
                object_if_standing(turn, rollout, guard);
                if act_once(rollout, &guard.name) {
                    let why = blame(turn, guard, reading, lasted).to_string();
                    breaches.push(Breach::Pause { rule: guard.name.clone(), why });
                }
            }
            (true, Action::Notify) => {
                if act_once(rollout, &guard.name) {
                    let why = blame(turn, guard, reading, lasted).to_string();
                    warn(turn, &guard.name, why, Severity::P3);
                }
            }
            // Without `for` it is a matter of proof, not of time: a doubt, among the evidence.
            (false, Action::Rollback | Action::Pause) if guard.lasting.is_zero() => {}
            (false, Action::Rollback | Action::Pause) => object_if_standing(turn, rollout, guard),
            (false, Action::Notify) => {}
        }
        if lasted.is_none() && guard.action == Action::Pause {
            rollout.acted.retain(|name| *name != guard.name);
        }
    }
    rollout.standing.retain(|s| plan.guards.iter().any(|guard| guard.name == s.guard));
}

/// For how long a guard has been breached without a break; `None` when it is not.
fn stand(
    turn: &Turn<'_>,
    rollout: &mut RolloutState,
    guard: &Guard,
    reading: &GuardReading,
) -> Option<Duration> {
    // Proof has no window: what proved it may be over, and what is within its limit now is no breach.
    if !reading.breached {
        rollout.standing.retain(|s| s.guard != guard.name);
        return None;
    }
    // While stable breaches the same limit a breach says nothing about the candidate, and grows no older.
    let counts = turn.has_data() && !reading.shared;
    let elapsed = if counts { turn.elapsed } else { Duration::ZERO };
    match rollout.standing.iter_mut().find(|s| s.guard == guard.name) {
        Some(standing) => {
            standing.lasted += elapsed;
            Some(standing.lasted)
        }
        None => {
            // It begins to stand now; what passed before this look is not known to count.
            let lasted = Duration::ZERO;
            rollout.standing.push(StandingGuard { guard: guard.name.clone(), lasted });
            Some(lasted)
        }
    }
}

fn object_if_standing(turn: &mut Turn<'_>, rollout: &RolloutState, guard: &Guard) {
    if guard.action == Action::Notify {
        return;
    }
    if let Some(standing) = rollout.standing.iter().find(|s| s.guard == guard.name) {
        turn.hold_for(HoldReason::GuardStanding {
            guard: guard.name.clone(),
            lasted: standing.lasted,
            acts_after: guard.lasting,
        });
    }
}

fn blame(
    turn: &Turn<'_>,
    guard: &Guard,
    reading: &GuardReading,
    lasted: Option<Duration>,
) -> RollbackReason {
    RollbackReason::Guard {
        guard: guard.name.clone(),
        observed: reading.observed,
        threshold: reading.threshold,
        stable: reading.stable,
        samples: reading.samples.seen,
        // Without `for` a guard acts at once; how long it stood says when it was looked at.
        lasted: lasted.filter(|_| !guard.lasting.is_zero()).unwrap_or_default(),
        shared_cause: turn.evidence.shared_cause,
    }
}

/// A rate of burning is no comparison: when stable burns as well it holds, and blames nobody.
fn burn_rules(turn: &mut Turn<'_>, rollout: &mut RolloutState, breaches: &mut Vec<Breach>) {
    let (terms, evidence) = (turn.terms, turn.evidence);
    for rule in &terms.objectives.burn_rates {
        let acted = acted_name(rule);
        let reading = evidence.burns.iter().find(|r| r.name == rule.name);
        let Some(reading) = reading.filter(|r| r.above && r.proven) else {
            if rule.action == BurnAction::Pause {
                rollout.acted.retain(|name| *name != acted);
            }
            continue;
        };
        let rate = reading.short.or(reading.long).unwrap_or(reading.threshold);
        let stable_burns = reading.stable.is_some_and(|stable| stable > rule.above);
        let alone = evidence.shared_cause.is_none() && !stable_burns && !reading.shared;
        // Beside stable's, of which the slower window is known.
        let slower = || reading.long.zip(reading.short).map(|(long, short)| long.min(short));
        let rate = if alone { rate } else { slower().unwrap_or(rate) };
        let burning = || HoldReason::Burning {
            rule: rule.name.clone(),
            rate,
            threshold: rule.above,
            stable: reading.stable.filter(|_| !alone),
        };
        match rule.action {
            BurnAction::Rollback if alone && reading.proven => {
                breaches.push(Breach::Rollback(RollbackReason::Burn {
                    rule: rule.name.clone(),
                    promise: reading.promise,
                    long: reading.long,
                    short: reading.short,
                    stable: reading.stable,
                    threshold: rule.above,
                    samples: reading.samples,
                }));
            }
            BurnAction::Rollback => {
                turn.hold_for(burning());
                if act_once(rollout, &format!("shared: {acted}")) {
                    warn(turn, &rule.name, burning().to_string(), Severity::P3);
                }
            }
            BurnAction::Pause => {
                turn.hold_for(burning());
                if reading.proven && act_once(rollout, &acted) {
                    let (rule, why) = (rule.name.clone(), burning().to_string());
                    breaches.push(Breach::Pause { rule, why });
                }
            }
            BurnAction::Notify if reading.proven => notify_burn(turn, rollout, rule, &burning()),
            BurnAction::Notify => {}
        }
    }
}

fn notify_burn(turn: &mut Turn<'_>, rollout: &mut RolloutState, rule: &BurnRule, why: &HoldReason) {
    if act_once(rollout, &acted_name(rule)) {
        warn(turn, &rule.name, why.to_string(), rule.severity);
    }
}

fn regression(turn: &Turn<'_>) -> Option<RollbackReason> {
    if let Some(test) = turn.evidence.errors.filter(|test| test.worse) {
        let (candidate, stable) = (test.candidate, test.stable);
        let (value, needed) = (test.value, test.needed);
        return Some(RollbackReason::Errors { candidate, stable, value, needed });
    }
    let test = turn.evidence.latency.filter(|test| test.worse)?;
    Some(RollbackReason::Slower {
        quantile: test.quantile,
        baseline: test.baseline,
        candidate: test.candidate,
        stable: test.stable,
        value: test.value,
        needed: test.needed,
    })
}

fn worse_than_before(turn: &Turn<'_>) -> Option<RollbackReason> {
    let test = turn.evidence.before.filter(|test| test.worse)?;
    let (candidate, stable) = (test.candidate, test.stable);
    let (limit, value, needed) = (test.limit, test.value, test.needed);
    Some(RollbackReason::WorseThanBefore { candidate, stable, limit, value, needed })
}

/// A guard and a burn rule may have the same name.
fn acted_name(rule: &BurnRule) -> String {
    format!("burn rule {}", rule.name)
}

/// Whether this breach is new: what flickers is told of once a stage, and a pause that was
/// lifted comes again only after its breach has cleared.
pub(super) fn act_once(rollout: &mut RolloutState, rule: &str) -> bool {
    let new = !rollout.acted.iter().any(|name| name == rule);
    if new {
        rollout.acted.push(rule.to_owned());
    }
    new
}

pub(super) fn warn(turn: &mut Turn<'_>, rule: &str, why: String, severity: Severity) {
    turn.events.push(Event::Warned { rule: rule.to_owned(), why, severity });
}

/// How urgent a rollback is for whoever is on call.
pub(super) fn severity(turn: &Turn<'_>, why: &RollbackReason) -> Severity {
    match why {
        RollbackReason::Burn { rule, .. } => {
            let rules = &turn.terms.objectives.burn_rates;
            rules.iter().find(|r| r.name == *rule).map_or(Severity::P2, |r| r.severity)
        }
        RollbackReason::Guard { .. }
        | RollbackReason::Errors { .. }
        | RollbackReason::WorseThanBefore { .. }
        | RollbackReason::HarmRequests { .. }
        | RollbackReason::HarmUsers { .. } => Severity::P1,
        RollbackReason::Slower { .. } | RollbackReason::Undone { .. } => Severity::P2,
        RollbackReason::TooFew(_)
        | RollbackReason::Aborted { .. }
        | RollbackReason::Unlisted { .. } => Severity::P3,
    }
}

/// Told once a stage; the step holds as long as it lasts.
fn warn_of_client_errors(turn: &mut Turn<'_>, rollout: &mut RolloutState) {
    const NAME: &str = "client errors";
    let Some(test) = turn.evidence.client_errors.filter(|test| test.worse) else { return };
    if act_once(rollout, NAME) {
        let (candidate, stable) = (test.candidate, test.stable);
        let why = HoldReason::ClientErrors { candidate, stable }.to_string();
        warn(turn, "regression.clientErrors", why, Severity::P3);
    }
}

/// The budget's event is told once as well, under a name no rule can have.
pub(super) fn warn_of_low_budget(turn: &mut Turn<'_>, rollout: &mut RolloutState) {
    const NAME: &str = "budget low";
    let below = turn.terms.objectives.budget.confirm_below;
    let Some(left) = turn.evidence.budget_left else { return };
    if left < below && act_once(rollout, NAME) {
        turn.events.push(Event::BudgetLow { left });
    }
}
