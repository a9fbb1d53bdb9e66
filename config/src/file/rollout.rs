//! `rollout` of a service.

use super::{AboveShare, AboveTime, AboveZero, Named, Percent, Read, Reader, Share, record, words};
use crate::schema::Defs;
use crate::source::At;
use crate::yaml::{Node, Value};
use serde_json::{Value as Json, json};
use serin_core::rollout::{
    Accept, Action, Compared, OnBusy, OnRollback, OnTooFew, Start, Strategy,
};
use serin_core::split::Scope;
use serin_core::weights::BasisPoints;
use std::time::Duration;

record! {
    /// How a service moves from stable to a candidate.
    Rollout, "a rollout" {
        /// The version that comes in.
        "to" required to: String,
        /// `canary`, `blueGreen` (one step of 100% behind its gates), `rolling` (a step per endpoint of the candidate) or `bigBang` (100% at once, still guarded).
        "strategy" optional strategy: Strategy = "canary",
        /// `manual`, or `onChange`: a new version and release starts by itself.
        "start" optional start: Start = "manual",
        /// What becomes of another `to` while a rollout is under way: `queue` starts it when that has ended, `supersede` gives the share of the one under way to stable and starts at once, `refuse` refuses it.
        "onBusy" optional on_busy: OnBusy = "queue",
        /// Weights of the candidate and how long each is held. A canary's default is 1%, 5%, 25%, 50% and 100%; one whose last step stops below 100% has 100% (30m) as a further step. The other strategies make their own, and take at most one step, for its `hold`.
        "steps" optional steps: Vec<At<Step>>,
        /// The share that stable keeps until the last hold is over, so that the candidate is compared to the end; then the rest follows. `0%` gives it away with the step of 100%. At most 50%.
        "baseline" optional baseline: BasisPoints = "2%",
        /// How sure one must be.
        "evidence" optional evidence: Evidence,
        /// How much worse than stable is worse.
        "regression" optional regression: Regression,
        /// Rules that end or pause the rollout.
        "guards" optional guards: Vec<At<Guard>> = "[]",
        /// A hard cap on damage, over the whole rollout, whatever the statistics say.
        "harm" optional harm: Harm,
        /// A failed idempotent request of the candidate is answered by stable, and still counted as bad.
        "rescue" optional rescue: bool = "false",
        /// What steps wait for.
        "gates" optional gates: Vec<At<Gate>> = "[]",
        /// When the rollout may advance. Rolling back is always allowed.
        "windows" optional windows: Vec<At<Window>> = "[]",
        /// What becomes of the candidate's users after a rollback.
        "onRollback" optional on_rollback: AfterRollback,
        /// A phase before the first step, in which the candidate only gets copies.
        "dark" optional dark: Dark,
    }
}

words!(Strategy, "strategy" {
    "canary" => Strategy::Canary,
    "blueGreen" => Strategy::BlueGreen,
    "rolling" => Strategy::Rolling,
    "bigBang" => Strategy::BigBang,
});

words!(OnBusy, "way to treat another candidate" {
    "queue" => OnBusy::Queue,
    "supersede" => OnBusy::Supersede,
    "refuse" => OnBusy::Refuse,
});

words!(Start, "way to start" {
    "manual" => Start::Manual,
    "onChange" => Start::OnChange,
});

record! {
    /// A weight of the candidate, and how long it is held.
    Step, "a step" {
        /// The candidate's share of traffic.
        "weight" required weight: BasisPoints,
        /// How long it is held before the next step.
        "hold" required hold: Duration,
        /// `all` requests, or only those of `newSessions` (with a session by cookie).
        "of" optional of: Scope = "all",
    }
}

words!(Scope, "scope of a step" {
    "all" => Scope::All,
    "newSessions" => Scope::NewSessions,
});

record! {
    /// How sure one must be, and what happens when one cannot be.
    Evidence, "`evidence`" {
        /// The share of healthy rollouts that the comparison with stable may roll back by mistake. Every guard and burn rule may as often, of those just at its own limit.
        "falseAlarm" optional false_alarm: Share = "0.1%",
        /// What a step is taken on. `proof`: that the candidate is as good as stable, or as its objective asks. `boundedHarm`: proof where the traffic gives it before the hold ends, otherwise that going on does little harm: that the candidate fails less than the share at which the next step (after the last one: the next six hours) would have more than `harm.failedRequests` failures beyond stable's.
        "accept" optional accept: Accept = "boundedHarm",
        /// Requests of the candidate without which no step advances.
        "minRequests" optional min_requests: u64 = "30",
        /// When a hold ends with fewer: `hold` waits, `pause` is inconclusive at once, `rollback` goes back.
        "onTooFew" optional on_too_few: OnTooFew = "hold",
        /// A step that is undecided for so long is inconclusive.
        "giveUpAfter" optional give_up_after: Duration = "24h" where AboveZero,
    }
}

words!(Accept, "kind of evidence" {
    "proof" => Accept::Proof,
    "boundedHarm" => Accept::BoundedHarm,
});

words!(OnTooFew, "way to deal with too few requests" {
    "hold" => OnTooFew::Hold,
    "pause" => OnTooFew::Pause,
    "rollback" => OnTooFew::Rollback,
});

record! {
    /// How much worse than stable is worse.
    Regression, "`regression`" {
        /// The odds ratio of errors that is still accepted; 1 accepts none beyond stable's.
        "errors" optional errors: f64 = "1.5",
        /// The same for answers of 4xx, by the first of each user. Beyond it the step holds and is told of; nothing is rolled back. 0 compares nothing.
        "clientErrors" optional client_errors: f64 = "2",
        /// By how much stable's latencies may shift.
        "latency" optional latency: Percent = "20%",
        /// A shift smaller than this is none, whatever share it is.
        "latencyFloor" optional latency_floor: Duration = "10ms",
    }
}

record! {
    /// A rule that can end a rollout: one of `errorRate`, `latency`, `signal`, `shadowMismatch` and `shadowErrors`.
    Guard, "a guard" {
        /// Names the guard in decisions and messages.
        "name" required name: String,
        /// The candidate's share of bad requests, `\"> 1%\"`.
        "errorRate" optional error_rate: AboveShare,
        /// One quantile and its limit, `{ p95: \"> 2s\" }`.
        "latency" optional latency: Named<AboveTime>,
        /// The name of a signal that is pushed to the admin API.
        "signal" optional signal: String,
        /// With `signal`: its smallest good share.
        "below" optional below: Share,
        /// With `signal`: `baseline` measures `below` against stable's concurrent value, `absolute` against nothing. With `errorRate` and `latency`: `baseline` holds instead of rolling back while stable is beyond the limit as well or nearly as bad, `absolute` rolls back all the same.
        "of" optional of: Compared = "baseline",
        /// The share of compared copies that differ, `\"> 0.5%\"`.
        "shadowMismatch" optional shadow_mismatch: AboveShare,
        /// The share of copies that fail, `\"> 1%\"`.
        "shadowErrors" optional shadow_errors: AboveShare,
        /// The time that is looked at; `0s` looks at the whole step.
        "over" optional over: Duration = "1m",
        /// How long the rule must stand before it acts; `0s` acts as soon as it is proven.
        "for" optional lasting: Duration = "0s",
        /// `rollback`, `pause` or `notify`.
        "action" optional action: Action = "rollback",
    }
}

words!(Compared, "comparison" {
    "baseline" => Compared::Baseline,
    "absolute" => Compared::Absolute,
});

words!(Action, "action" {
    "rollback" => Action::Rollback,
    "pause" => Action::Pause,
    "notify" => Action::Notify,
});

record! {
    /// A hard cap on damage.
    Harm, "`harm`" {
        /// Failures of the candidate beyond what stable's share of failures explains (times `regression.errors`). Left out, there is no cap, and `evidence.accept: boundedHarm` reckons with 200.
        "failedRequests" optional failed_requests: u64,
        /// Users who met a failure of the candidate, counted in the same way. Left out, there is no cap.
        "users" optional users: u64,
    }
}

record! {
    /// Something a step waits for: one of `approval`, `checklist`, `webhook` and `shadow`.
    Gate, "a gate" {
        /// The weight of the step that waits.
        "before" required before: BasisPoints,
        /// `true`: a person has to approve or promote. A mapping says how many, and who: then a promotion is the approval of one of them.
        "approval" optional approval: GateApproval,
        /// What people have to tick, item by item. A promotion does not skip it.
        "checklist" optional checklist: Vec<At<String>>,
        /// An address that has to answer 200.
        "webhook" optional webhook: GateWebhook,
        /// Comparisons of copies that have to be good.
        "shadow" optional shadow: GateShadow,
    }
}

/// Anybody's, or that of several.
#[derive(Debug, Clone)]
pub(crate) enum GateApproval {
    Anybody(bool),
    Of(Box<Approvers>),
}

impl Read for GateApproval {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        match node.value {
            Value::Map(_) => Approvers::read(node, reader).map(Box::new).map(Self::Of),
            Value::Null | Value::Scalar { .. } | Value::List(_) | Value::Broken => {
                bool::read(node, reader).map(Self::Anybody)
            }
        }
    }

    fn schema(defs: &mut Defs) -> Json {
        json!({ "anyOf": [bool::schema(defs), Approvers::schema(defs)] })
    }
}

record! {
    /// Who has to approve a step.
    Approvers, "`approval` of a gate" {
        /// So many different ones.
        "count" optional count: u64 = "1" where 1..=16,
        /// Names of tokens (or `uid N` of a unix socket's peers). Left out: whoever may change something.
        "by" optional by: Vec<At<String>> = "[]",
    }
}

record! {
    /// An address that has to answer 200 before a step.
    GateWebhook, "`webhook` of a gate" {
        /// `http://` or `https://`.
        "url" required url: String,
        /// An answer that takes longer is a no; it is asked again.
        "timeout" optional timeout: Duration = "10s" where AboveZero,
    }
}

record! {
    /// Comparisons of copies that have to be good before a step.
    GateShadow, "`shadow` of a gate" {
        /// How many.
        "comparisons" required comparisons: u64,
        /// The share that may differ or fail.
        "mismatchBelow" optional mismatch_below: Share = "0.5%",
    }
}

record! {
    /// When a rollout may advance: one of `allow` and `deny`.
    Window, "a window" {
        /// Advance only inside: `Tue-Thu 14:00-17:00` or `Mon 09:00 - Fri 12:00`.
        "allow" optional allow: String,
        /// Do not advance inside.
        "deny" optional deny: String,
        /// An IANA name like `Europe/Paris`.
        "timeZone" optional time_zone: String = "UTC",
        /// Said in messages while the window holds a rollout back.
        "reason" optional reason: String,
    }
}

record! {
    /// What becomes of the candidate's users after a rollback.
    AfterRollback, "`onRollback`" {
        /// `revoke` (everyone leaves now) or `drain` (open sessions finish, at most ten minutes).
        "sessions" optional sessions: OnRollback = "revoke",
    }
}

words!(OnRollback, "way to treat sessions" {
    "revoke" => OnRollback::Revoke,
    "drain" => OnRollback::Drain,
});

record! {
    /// A phase before the first step, in which the candidate only gets copies. Needs `shadow`.
    Dark, "`dark`" {
        /// How long, at least.
        "hold" optional hold: Duration = "15m",
        /// How many comparisons, at least.
        "comparisons" optional comparisons: u64 = "1000",
        /// The share that may differ or fail.
        "mismatchBelow" optional mismatch_below: Share = "0.5%",
    }
}
