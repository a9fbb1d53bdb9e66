//! Objectives and plans, as the files write them.

use super::mask::url;
use super::quantity::{decimal, duration, over, percent};
use crate::file::Word;
use serde_json::{Value, json};
use serin_core::outcome::{ASKED_FOR_BY_CLIENTS, BadStatuses, GRPC_LAST};
use serin_core::rollout::{
    Gate, GateKind, Guard, Plan, Rule, Step, TimeOfDay, Window, WindowEffect, WindowSpan,
};
use serin_core::slo::{BurnRule, Objectives};

pub(super) fn slo(o: &Objectives) -> Value {
    json!({
        "window": duration(o.window),
        "availability": {
            "objective": percent(o.availability.objective),
            "bad": bad(&o.availability.bad),
        },
        "latency": o.latency.as_ref().map(|l| json!({
            "objective": percent(l.objective), "under": duration(l.under),
        })),
        "burnRates": o.burn_rates.iter().map(burn_rate).collect::<Vec<_>>(),
        "budgetPolicy": {
            "freezeBelow": percent(o.budget.freeze_below),
            "confirmBelow": percent(o.budget.confirm_below),
        },
    })
}

fn bad(bad: &BadStatuses) -> Value {
    // As the file writes it: a class is all of it that no client can choose.
    let whole = |class: &u16| {
        let mut of = (class * 100..class * 100 + 100).filter(|s| !ASKED_FOR_BY_CLIENTS.contains(s));
        of.all(|status| bad.contains(status))
    };
    let classes: Vec<u16> = (1..=5).filter(whole).collect();
    let said =
        |status: &u16| classes.contains(&(status / 100)) && !ASKED_FOR_BY_CLIENTS.contains(status);
    let alone = (100..600).filter(|status| bad.contains(*status) && !said(status));
    let alone = alone.map(|status| status.to_string());
    let http = classes.iter().map(|class| format!("{class}xx")).chain(alone);
    let grpc = (1..=GRPC_LAST).filter(|status| bad.names_grpc(*status));
    let grpc = grpc.map(|status| json!(format!("grpc:{status}")));
    json!(http.map(Value::from).chain(grpc).collect::<Vec<_>>())
}

fn burn_rate(rule: &BurnRule) -> Value {
    json!({
        "name": rule.name,
        "above": rule.above,
        "windows": [duration(rule.long), duration(rule.short)],
        "action": rule.action.word(),
        "severity": rule.severity.as_str(),
    })
}

pub(super) fn plan(p: &Plan) -> Value {
    json!({
        "to": p.to.as_str(),
        "strategy": p.strategy.word(),
        "start": p.start.word(),
        "onBusy": p.on_busy.word(),
        "baseline": p.baseline.to_string(),
        "steps": p.steps.iter().map(step).collect::<Vec<_>>(),
        "evidence": {
            "accept": p.evidence.accept.word(),
            "falseAlarm": percent(p.evidence.false_alarm),
            "minRequests": p.evidence.min_requests,
            "onTooFew": p.evidence.on_too_few.word(),
            "giveUpAfter": duration(p.evidence.give_up_after),
        },
        "regression": {
            "errors": p.regression.errors, "clientErrors": p.regression.client_errors, "latency": percent(p.regression.latency),
            "latencyFloor": duration(p.regression.latency_floor),
        },
        "guards": p.guards.iter().map(guard).collect::<Vec<_>>(),
        "harm": { "failedRequests": p.harm.failed_requests, "users": p.harm.users },
        "rescue": p.rescue,
        "gates": p.gates.iter().map(gate).collect::<Vec<_>>(),
        "windows": p.windows.iter().map(window).collect::<Vec<_>>(),
        "onRollback": { "sessions": p.on_rollback.word() },
        "dark": p.dark.as_ref().map(|dark| json!({
            "hold": duration(dark.hold),
            "comparisons": dark.comparisons,
            "mismatchBelow": percent(dark.mismatch_below),
        })),
    })
}

fn step(step: &Step) -> Value {
    json!({
        "weight": step.weight.to_string(),
        "hold": duration(step.hold),
        "of": step.of.word(),
    })
}

fn guard(guard: &Guard) -> Value {
    let (key, rule) = match &guard.rule {
        Rule::ErrorRate { above } => ("errorRate", json!(over(*above))),
        Rule::Latency { quantile, above } => {
            let quantile = format!("p{}", decimal(quantile * 100.0));
            ("latency", json!({ quantile: format!("> {}", duration(*above)) }))
        }
        Rule::Signal { name, below, of } => {
            let of = of.word();
            ("signal", json!({ "name": name, "below": percent(*below), "of": of }))
        }
        Rule::ShadowMismatch { above } => ("shadowMismatch", json!(over(*above))),
        Rule::ShadowErrors { above } => ("shadowErrors", json!(over(*above))),
    };
    json!({
        "name": guard.name,
        key: rule,
        "of": match (&guard.rule, guard.absolute) {
            (Rule::ErrorRate { .. } | Rule::Latency { .. }, true) => Some("absolute"),
            (Rule::ErrorRate { .. } | Rule::Latency { .. }, false) => Some("baseline"),
            (Rule::Signal { .. } | Rule::ShadowMismatch { .. } | Rule::ShadowErrors { .. }, _) => None,
        },
        "over": duration(guard.over),
        "for": duration(guard.lasting),
        "action": guard.action.word(),
    })
}

fn gate(gate: &Gate) -> Value {
    let what = match &gate.kind {
        GateKind::Approval => json!(true),
        GateKind::Approvals { count, by } => json!({ "count": count, "by": by }),
        GateKind::Checklist { items } => json!(items),
        GateKind::Webhook { url: to, timeout } => {
            json!({ "url": url(to), "timeout": duration(*timeout) })
        }
        GateKind::Shadow { comparisons, mismatch_below } => {
            json!({ "comparisons": comparisons, "mismatchBelow": percent(*mismatch_below) })
        }
    };
    json!({ "before": gate.before.to_string(), gate.kind.as_str(): what })
}

fn window(window: &Window) -> Value {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let day = |day: u8| DAYS[usize::from(day.saturating_sub(1)) % 7];
    let time = |TimeOfDay(minutes): TimeOfDay| format!("{:02}:{:02}", minutes / 60, minutes % 60);
    let span = match window.span {
        WindowSpan::Daily { first, last, from, to } => {
            format!("{}-{} {}-{}", day(first), day(last), time(from), time(to))
        }
        WindowSpan::Weekly { first, from, last, to } => {
            format!("{} {} - {} {}", day(first), time(from), day(last), time(to))
        }
    };
    let effect = match window.effect {
        WindowEffect::Allow => "allow",
        WindowEffect::Deny => "deny",
    };
    json!({ effect: span, "timeZone": window.time_zone, "reason": window.reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_statuses_are_written_as_the_files_write_them() {
        let mut statuses = BadStatuses::server_errors();
        assert_eq!(bad(&statuses), json!(["5xx"]));
        statuses.insert(429);
        statuses.insert(501);
        statuses.insert_grpc(4);
        assert_eq!(bad(&statuses), json!(["5xx", "429", "501", "grpc:4"]));
    }
}
