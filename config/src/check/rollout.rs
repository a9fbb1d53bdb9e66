//! `rollout`: from what an operator intends to a plan with every step spelled out.

use super::{Check, foresight, given, guards, services, windows};
use crate::file;
use crate::model::{Admin, AdminAddress, Role, Timeouts, Version};
use crate::report::shown;
use crate::source::At;
use serin_core::ids::VersionName;
use serin_core::rollout::{Dark, Demand, Gate, GateKind, Harm, Plan, Regression, Step, Strategy};
use serin_core::split::Scope;
use serin_core::weights::{BasisPoints, WHOLE};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
/// A canary that says nothing about its steps: percent and minutes.
const CANARY: &[(u16, u32)] = &[(1, 5), (5, 10), (25, 10), (50, 15), (100, 30)];

pub(super) fn check(
    found: &At<file::Rollout>,
    service: &file::Service,
    versions: &[Version],
    timeouts: &Timeouts,
    check: &mut Check<'_>,
) -> Option<Plan> {
    let to = found.to.as_ref().and_then(|to| services::version(to, service, check));
    already_stable(found, service, check);
    let strategy = found.strategy();
    let candidate = to.as_ref().and_then(|to| versions.iter().find(|v| v.name == *to));
    let endpoints = candidate.map_or(Some(1), |version| version.endpoints.count());
    if strategy == Strategy::Rolling && endpoints.is_none() {
        check
            .error(
                found.strategy.as_ref().map_or(found.at, |at| at.at),
                "`rolling` takes a step for each endpoint, and a source says how many only later",
            )
            .hint("write `strategy: canary`, or list the endpoints");
    }
    let endpoints = endpoints.unwrap_or(1);
    let steps = steps(strategy, found, endpoints, check);
    new_sessions(found, service, check);
    let guards = guards::check(found, service, timeouts, check);
    let plan = Plan {
        release: candidate.map(|version| version.release.clone()).unwrap_or_default(),
        to: to.unwrap_or_else(services::placeholder::<VersionName>),
        strategy,
        start: found.start(),
        on_busy: found.on_busy(),
        baseline: baseline(found, check),
        evidence: evidence(&given(found.evidence.as_ref()), check),
        regression: regression(&given(found.regression.as_ref()), check),
        guards,
        harm: harm(found.harm.as_ref(), service, check),
        rescue: found.rescue(),
        gates: gates(found, &steps, service, check),
        windows: windows::check(found.windows.as_ref(), check),
        on_rollback: given(found.on_rollback.as_ref()).sessions(),
        dark: found.dark.as_ref().map(|dark| self::dark(dark, service, check)),
        steps,
    };
    foresight::rollout(found, &plan, service, check);
    Some(plan)
}

fn already_stable(found: &file::Rollout, service: &file::Service, check: &mut Check<'_>) {
    let (Some(to), Some(stable)) = (&found.to, &service.stable) else { return };
    if to.value == stable.value {
        check
            .warning(to.at, format!("{} is what this file calls stable", shown(&to.value)))
            .also(stable.at, "stable")
            .hint("name the version that comes in, or remove `rollout`");
    }
}

fn steps(
    strategy: Strategy,
    found: &file::Rollout,
    endpoints: usize,
    check: &mut Check<'_>,
) -> Vec<Step> {
    let written = found.steps.as_ref();
    match strategy {
        Strategy::Canary => match written {
            None => {
                CANARY.iter().map(|(percent, minutes)| default_step(*percent, *minutes)).collect()
            }
            Some(written) => canary(written, check),
        },
        Strategy::BlueGreen | Strategy::BigBang => {
            let hold = one_hold(written, strategy, check).unwrap_or(MINUTE * 30);
            vec![Step { weight: BasisPoints::WHOLE, hold, of: scope(written) }]
        }
        Strategy::Rolling => {
            let hold = one_hold(written, strategy, check);
            rolling(endpoints, hold, scope(written))
        }
    }
}

fn default_step(percent: u16, minutes: u32) -> Step {
    let weight = BasisPoints::new(percent * 100).unwrap_or(BasisPoints::WHOLE);
    Step { weight, hold: MINUTE * minutes, of: Scope::All }
}

fn canary(written: &At<Vec<At<file::Step>>>, check: &mut Check<'_>) -> Vec<Step> {
    if written.value.is_empty() {
        check
            .error(written.at, "a canary without steps")
            .hint("remove `steps` for 1%, 5%, 25%, 50% and 100%, or list your own");
    }
    let step = |step: &At<file::Step>| Step {
        weight: step.weight.map_or(BasisPoints::WHOLE, |at| at.value),
        hold: step.hold.map_or(MINUTE, |at| at.value),
        of: step.of(),
    };
    let mut steps: Vec<Step> = written.value.iter().map(step).collect();
    // Elsewhere, too, a canary whose steps are over takes everything.
    if let Some(last) = written.value.last()
        && let Some(weight) = last.weight.filter(|weight| weight.value != BasisPoints::WHOLE)
    {
        let (percent, minutes) = CANARY[CANARY.len() - 1];
        check
            .warning(weight.at, format!("the last step stops at {}", weight.value))
            .label(format!("{percent}% follows by itself, held for {minutes}m"))
            .hint("write that step, to choose its hold: `- { weight: 100%, hold: 30m }`");
        steps.push(default_step(percent, minutes));
    }
    steps
}

fn scope(written: Option<&At<Vec<At<file::Step>>>>) -> Scope {
    let first = written.and_then(|written| written.value.first());
    first.map_or_else(|| file::Step::default().of(), |step| step.of())
}

/// The hold of a strategy that makes its own steps.
fn one_hold(
    written: Option<&At<Vec<At<file::Step>>>>,
    strategy: Strategy,
    check: &mut Check<'_>,
) -> Option<Duration> {
    let written = written?;
    let name = match strategy {
        Strategy::Rolling => "rolling",
        Strategy::BlueGreen => "blueGreen",
        Strategy::BigBang => "bigBang",
        Strategy::Canary => "canary",
    };
    if let Some(second) = written.value.get(1) {
        check
            .error(second.at, format!("`{name}` makes its own steps"))
            .hint("keep one step, for its `hold`; or write `strategy: canary`");
    }
    let first = written.value.first()?;
    if let Some(weight) = first.weight.filter(|weight| weight.value != BasisPoints::WHOLE) {
        check
            .error(weight.at, format!("`{name}` has no step of {}", weight.value))
            .hint("remove `weight`; or write `strategy: canary`");
    }
    first.hold.map(|hold| hold.value)
}

/// A step per endpoint of the candidate.
fn rolling(endpoints: usize, hold: Option<Duration>, of: Scope) -> Vec<Step> {
    let n = u32::try_from(endpoints.clamp(1, usize::from(WHOLE))).unwrap_or(1);
    let weight = |i: u32| u16::try_from(u32::from(WHOLE) * i / n).unwrap_or(WHOLE);
    let step = |i| Step {
        weight: BasisPoints::new(weight(i)).unwrap_or(BasisPoints::WHOLE),
        hold: hold.unwrap_or(if i == n { MINUTE * 30 } else { MINUTE * 2 }),
        of,
    };
    (1..=n).map(step).collect()
}

fn baseline(found: &file::Rollout, check: &mut Check<'_>) -> BasisPoints {
    const MOST: BasisPoints = BasisPoints::HALF;
    if let Some(at) = found.baseline.filter(|at| at.value > MOST) {
        check
            .error(
                at.at,
                format!("{} is over {MOST}, so most would never get the candidate", at.value),
            )
            .hint("write `2%`; the steps say how much the candidate gets");
    }
    found.baseline()
}

fn new_sessions(found: &file::Rollout, service: &file::Service, check: &mut Check<'_>) {
    let by = service.session.as_ref().and_then(|session| session.by);
    if by.is_some_and(|by| by.value == file::SessionKind::Cookie) {
        return;
    }
    let steps = found.steps.as_ref().map(|steps| steps.value.as_slice()).unwrap_or_default();
    let new = steps.iter().filter_map(|step| step.of).find(|of| of.value == Scope::NewSessions);
    if let Some(of) = new {
        let draft = check.error(of.at, "`newSessions` needs a session by cookie");
        if let Some(by) = by {
            draft.also(by.at, "this cannot tell a new session from an old one");
        }
        draft.hint("add to the service: `session: { by: cookie }`");
    }
}

fn evidence(found: &file::Evidence, check: &mut Check<'_>) -> Demand {
    let false_alarm = found.false_alarm().0;
    if let Some(at) = found.false_alarm {
        if false_alarm <= 0.0 {
            check
                .error(at.at, "no test is never wrong")
                .hint("write `0.1%`: one healthy rollout in a thousand is rolled back");
        } else if false_alarm > 0.2 {
            check
                .error(at.at, "over 20%, so healthy rollouts would often be rolled back")
                .hint("write `0.1%`");
        }
    }
    if let Some(at) = found.min_requests.filter(|at| at.value == 0) {
        check
            .warning(at.at, "steps advance without a single request")
            .hint("write what convinces you, like `500`");
    }
    Demand {
        accept: found.accept(),
        false_alarm,
        min_requests: found.min_requests(),
        on_too_few: found.on_too_few(),
        give_up_after: found.give_up_after(),
    }
}

fn regression(found: &file::Regression, check: &mut Check<'_>) -> Regression {
    if let Some(at) = found.errors.filter(|at| at.value < 1.0 || at.value > 100.0) {
        let message = if at.value < 1.0 { "below 1" } else { "over 100" };
        check
            .error(at.at, format!("{message}, so not a ratio of worse to equal"))
            .hint("1 accepts no more errors than stable has; 1.5 accepts half as many again");
    }
    let ratio = |value: f64| value == 0.0 || (1.0..=100.0).contains(&value);
    if let Some(at) = found.client_errors.filter(|at| !ratio(at.value)) {
        check
            .error(at.at, "neither 0 nor a ratio from 1 to 100")
            .hint("0 compares nothing; 2 accepts twice as many answers of 4xx as stable has");
    }
    Regression {
        errors: found.errors(),
        client_errors: found.client_errors(),
        latency: found.latency().0,
        latency_floor: found.latency_floor(),
    }
}

fn harm(found: Option<&At<file::Harm>>, service: &file::Service, check: &mut Check<'_>) -> Harm {
    let Some(found) = found else { return Harm::default() };
    for at in [found.failed_requests, found.users].into_iter().flatten() {
        if at.value == 0 {
            check
                .error(at.at, "0 would stop every rollout before its first request")
                .hint("write at least 1, or remove it");
        }
    }
    let by = service.session.as_ref().and_then(|session| session.by);
    if let Some(users) =
        found.users.filter(|_| by.is_none_or(|by| by.value == file::SessionKind::None))
    {
        check
            .warning(users.at, "users cannot be told apart without a session")
            .hint("add to the service: `session: { by: cookie }`; or cap `failedRequests`");
    }
    Harm {
        failed_requests: found.failed_requests.map(|at| at.value),
        users: found.users.map(|at| at.value),
    }
}

fn gates(
    found: &file::Rollout,
    steps: &[Step],
    service: &file::Service,
    check: &mut Check<'_>,
) -> Vec<Gate> {
    let listed = found.gates.as_ref().map(|gates| gates.value.as_slice()).unwrap_or_default();
    listed.iter().filter_map(|gate| self::gate(gate, steps, service, check)).collect()
}

fn gate(
    gate: &At<file::Gate>,
    steps: &[Step],
    service: &file::Service,
    check: &mut Check<'_>,
) -> Option<Gate> {
    if let Some(before) = gate.before.filter(|b| steps.iter().all(|step| step.weight != b.value)) {
        let weights: Vec<String> = steps.iter().map(|step| step.weight.to_string()).collect();
        check
            .error(before.at, format!("no step has the weight {}", before.value))
            .hint(format!("the steps are {}", weights.join(", ")));
    }
    let no = |approval: &At<file::GateApproval>| {
        matches!(approval.value, file::GateApproval::Anybody(false))
    };
    let approval = gate.approval.as_ref().filter(|approval| !no(approval));
    let given = [
        approval.is_some(),
        gate.checklist.is_some(),
        gate.webhook.is_some(),
        gate.shadow.is_some(),
    ];
    let count = given.iter().filter(|given| **given).count();
    if count != 1 {
        if count > 1 || !gate.broken {
            check.error(gate.at, "a gate waits for one thing").hint(
                "write one of `approval: true`, `checklist: [items]`, `webhook: { url }` and `shadow: { comparisons }`",
            );
        }
        return None;
    }
    let kind = if let Some(webhook) = &gate.webhook {
        let url = webhook.url.as_ref()?;
        GateKind::Webhook {
            url: super::telemetry::url(url, "http://127.0.0.1:9000/go", check)?,
            timeout: webhook.timeout(),
        }
    } else if let Some(shadow) = &gate.shadow {
        compared(shadow.at, "this gate", found_to(service), service, check);
        GateKind::Shadow {
            comparisons: shadow.comparisons.map_or(1000, |at| at.value),
            mismatch_below: shadow.mismatch_below().0,
        }
    } else if let Some(items) = &gate.checklist {
        GateKind::Checklist { items: checklist(items, check) }
    } else {
        approval_of(&approval?.value, check)
    };
    Some(Gate { before: gate.before?.value, kind })
}

fn approval_of(found: &file::GateApproval, check: &mut Check<'_>) -> GateKind {
    let approvers = match found {
        file::GateApproval::Anybody(_) => return GateKind::Approval,
        file::GateApproval::Of(approvers) => approvers,
    };
    let mut by: Vec<String> = Vec::new();
    for name in approvers.by.iter().flat_map(|by| &by.value) {
        if by.contains(&name.value) {
            check
                .error(name.at, format!("{} is named twice", shown(&name.value)))
                .hint("each of them approves once");
        }
        by.push(name.value.clone());
    }
    let count = super::whole(approvers.count());
    if !by.is_empty() && by.len() < count as usize {
        let at = approvers.count.as_ref().map_or(approvers.at, |count| count.at);
        check
            .error(at, format!("{count} have to approve, and {} may", by.len()))
            .hint("name more in `by`, or write a smaller `count`");
    }
    GateKind::Approvals { count, by }
}

fn checklist(found: &At<Vec<At<String>>>, check: &mut Check<'_>) -> Vec<String> {
    if found.value.is_empty() {
        check.error(found.at, "a checklist without items").hint("write what has to be done");
    }
    let mut seen = std::collections::HashMap::new();
    for item in &found.value {
        check.named(&mut seen, item, "checklist item");
    }
    found.value.iter().map(|item| item.value.clone()).collect()
}

/// Whoever is named must be able to come: as a token that may change something, or as the peer of a unix
/// socket.
pub(super) fn approvers(
    services: &[(At<String>, file::Service)],
    admin: &Admin,
    check: &mut Check<'_>,
) {
    let tokens = || admin.tokens.iter().filter(|token| token.role >= Role::Operator);
    let is_known = |name: &str| tokens().any(|token| token.name == name);
    let gates = |service: &file::Service| {
        let gates = service.rollout.as_ref().and_then(|rollout| rollout.value.gates.clone());
        gates.map(|gates| gates.value).unwrap_or_default()
    };
    for gate in services.iter().flat_map(|(_, service)| gates(service)) {
        let Some(At { value: file::GateApproval::Of(approvers), at }) = &gate.approval else {
            continue;
        };
        let named = approvers.by.iter().flat_map(|by| &by.value);
        for name in named.filter(|name| !name.value.starts_with("uid ")) {
            if !is_known(&name.value) {
                let known: Vec<&str> = tokens().map(|token| token.name.as_str()).collect();
                let hint = match known.is_empty() {
                    true => "only tokens have names: add `admin.tokens`".to_owned(),
                    false => format!("they are named {}", known.join(", ")),
                };
                check
                    .error(name.at, format!("no operator's token is named {}", shown(&name.value)))
                    .hint(hint);
            }
        }
        let alone = admin.tokens.is_empty() && matches!(admin.address, AdminAddress::Tcp(_));
        if alone && approvers.count() > 1 {
            check
                .error(*at, "without tokens everybody is `loopback`, and approves once")
                .hint("add `admin.tokens`, one for each person or team");
        }
    }
}

fn dark(found: &At<file::Dark>, service: &file::Service, check: &mut Check<'_>) -> Dark {
    compared(found.at, "the dark phase", found_to(service), service, check);
    Dark {
        hold: found.hold(),
        comparisons: found.comparisons(),
        mismatch_below: found.mismatch_below().0,
    }
}

fn found_to(service: &file::Service) -> Option<&At<String>> {
    service.rollout.as_ref().and_then(|rollout| rollout.to.as_ref())
}

/// What waits for comparisons needs copies to the candidate, and answers that are compared.
pub(super) fn compared(
    at: crate::source::Place,
    what: &str,
    candidate: Option<&At<String>>,
    service: &file::Service,
    check: &mut Check<'_>,
) {
    let Some(shadow) = &service.shadow else {
        check
            .error(at, format!("{what} needs the service's `shadow`"))
            .hint("add `shadow: { to: …, compare: { status: true } }` to the service");
        return;
    };
    if shadow.compare.is_none() {
        check
            .error(at, format!("{what} needs answers that are compared"))
            .also(shadow.at, "these copies are not compared")
            .hint("add `compare: { status: true, body: json }` to `shadow`");
    }
    if let (Some(candidate), Some(to)) = (candidate, &shadow.to)
        && candidate.value != to.value
    {
        check
            .error(at, format!("{what} would look at another version than the candidate"))
            .also(to.at, "copies go here")
            .hint(format!("copy to {}", shown(&candidate.value)));
    }
}
