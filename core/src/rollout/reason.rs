//! Why something happened, and why nothing more did: values with their numbers. `sentences.rs`
//! says them to operators.

use super::evidence::{
    Bet, BoundedHarm, Concentration, Data, Evidence, MissingReading, Outlook, Ready, Samples,
    SharedCause, Value,
};
use super::plan::{Accept, Action, Harm, OnTooFew, Plan, WindowEffect};
use super::position::{GateRef, Identity};
use crate::measure::Part;
use crate::slo::{BurnAction, Objectives, Promise};
use crate::time::Wall;
use crate::weights::BasisPoints;
use std::time::Duration;

/// Something that stands against moving further. All that apply are listed, the weightiest first.
#[derive(Debug, Clone, PartialEq)]
pub enum HoldReason {
    /// No rollout is under way, and why none begins by itself.
    Idle(Idle),
    Paused {
        by: String,
        why: String,
    },
    /// `giveUpAfter` has passed.
    GaveUp {
        after: Duration,
        seen: u64,
        needed: u64,
    },
    /// The numbers are old or absent: nothing is concluded from them.
    NoData(Data),
    /// The first look after a start or restart changes nothing.
    JustStarted,
    /// The wall clock moved by itself; for so long it must agree with the other one again.
    ClockJumped {
        settles_in: Duration,
    },
    /// A guard that would roll back or pause is breached, and not yet for long enough or not yet proven.
    GuardStanding {
        guard: String,
        lasted: Duration,
        acts_after: Duration,
    },
    /// A guard without `for` reads beyond its limit, and chance could explain it.
    GuardDoubtful {
        guard: String,
        observed: Option<Value>,
        threshold: Value,
        samples: u64,
    },
    /// A burn rule that does not roll back because stable burns as well, or that paused.
    Burning {
        rule: String,
        rate: f64,
        threshold: f64,
        /// Of stable, where that is why.
        stable: Option<f64>,
    },
    /// The comparison had proof once: the candidate is away, or back on probation.
    Aside {
        rule: String,
        away: Duration,
        probation: Duration,
        /// Of the candidate since it is back.
        requests: Samples,
    },
    /// A guard that would roll back, and stable is beyond the same limit or nearly as bad.
    StableAsWell {
        guard: String,
        observed: Option<Value>,
        threshold: Value,
        stable: Option<Value>,
    },
    /// A rule would act, and the failures behind it are those of a few clients.
    FewClients {
        rule: String,
        failures: Concentration,
    },
    /// The candidate answers 4xx more often than stable.
    ClientErrors {
        candidate: Part,
        stable: Part,
    },
    /// A rule would send everybody back to a stable that is provably worse.
    StableWorse {
        rule: String,
        shares: SharedCause,
    },
    /// Of a signal that a guard reads nothing has come yet, for the candidate or for stable.
    NoReading {
        guard: String,
        missing: MissingReading,
    },
    /// Both versions are bad together.
    SharedCause(SharedCause),
    /// A thread's tripwire holds the candidate back until the tests have looked.
    Tripped,
    NotReady(Ready),
    /// A `rolling` step needs this share of the candidate's endpoints.
    TooFewReady {
        ready: Ready,
        share: BasisPoints,
    },
    Frozen {
        by: String,
        reason: String,
    },
    BudgetFrozen {
        left: f64,
        below: f64,
    },
    Window {
        effect: WindowEffect,
        reason: Option<String>,
        opens: Option<Wall>,
    },
    HoldRunning {
        left: Duration,
    },
    TooFewSamples(Samples),
    /// Not yet sure that the candidate is good enough.
    NotProven {
        value: f64,
        needed: f64,
        /// How much more it takes.
        outlook: Option<Outlook>,
    },
    /// `before` the step of this weight.
    Gate {
        gate: GateRef,
        refused: Option<String>,
    },
    /// So many people have to let the step of this weight pass, of those in `by` where somebody is named.
    Approvals {
        before: BasisPoints,
        given: Vec<String>,
        needed: u32,
        by: Vec<String>,
    },
    /// What nobody has ticked yet before the step of this weight.
    Checklist {
        before: BasisPoints,
        missing: Vec<String>,
    },
    /// Too few shadow comparisons, or too many differences among them.
    Shadow {
        compared: Samples,
        mismatched: f64,
        below: f64,
    },
    Quarantined {
        identity: Identity,
        why: String,
    },
    /// A guard that rolls back is breached: the next decision does.
    Breached(RollbackReason),
    /// Asked for by a person; the next decision looks at it.
    Accepted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idle {
    NoPlan,
    /// `start: manual`.
    Manual,
    /// What the plan brings in is stable already.
    UpToDate,
    /// `onChange`, and this release had its rollout.
    Seen,
    /// Weights were set by hand.
    ByHand,
}

/// Why the candidate lost its traffic.
#[derive(Debug, Clone, PartialEq)]
pub enum RollbackReason {
    Guard {
        guard: String,
        observed: Option<Value>,
        threshold: Value,
        stable: Option<Value>,
        samples: u64,
        lasted: Duration,
        shared_cause: Option<SharedCause>,
    },
    Burn {
        rule: String,
        promise: Promise,
        long: Option<f64>,
        short: Option<f64>,
        stable: Option<f64>,
        threshold: f64,
        samples: u64,
    },
    /// Worse than stable at the same time.
    Errors {
        candidate: Part,
        stable: Part,
        value: f64,
        needed: f64,
    },
    Slower {
        quantile: f64,
        baseline: Duration,
        candidate: Part,
        stable: Part,
        value: f64,
        needed: f64,
    },
    /// Where hardly anything of stable runs beside it: worse than a multiple of stable's share before.
    WorseThanBefore {
        candidate: Part,
        stable: Part,
        limit: f64,
        value: f64,
        needed: f64,
    },
    HarmRequests {
        failed: u64,
        cap: u64,
        /// Beyond the cap, because stable fails as well.
        forgiven: u64,
    },
    HarmUsers {
        users: u64,
        cap: u64,
        forgiven: u64,
        /// Where users cannot be told apart each failed request counts as one.
        told_apart: bool,
    },
    /// `onTooFew: rollback`.
    TooFew(Samples),
    Aborted {
        by: String,
        reason: String,
    },
    /// It had completed, and somebody takes it back.
    Undone {
        by: String,
        reason: String,
        /// What is stable again.
        to: Identity,
    },
    /// The file that Serin was started with has no place for this candidate.
    Unlisted {
        wanted: Option<Identity>,
    },
}

impl RollbackReason {
    /// Bounded by the configuration: the metric's label.
    pub fn label(&self) -> String {
        let fixed = match self {
            Self::Guard { guard, .. } => guard,
            Self::Burn { rule, .. } => return format!("burn.{rule}"),
            Self::Errors { .. } => "regression.errors",
            Self::Slower { .. } => "regression.latency",
            Self::WorseThanBefore { .. } => "regression.before",
            Self::HarmRequests { .. } => "harm.failedRequests",
            Self::HarmUsers { .. } => "harm.users",
            Self::TooFew(_) => "tooFew",
            Self::Aborted { .. } => "aborted",
            Self::Undone { .. } => "undone",
            Self::Unlisted { .. } => "unlisted",
        };
        fixed.to_owned()
    }

    /// Every label that a rollback under this plan can have.
    pub fn labels(plan: &Plan, objectives: &Objectives) -> Vec<String> {
        let guards = plan.guards.iter().filter(|guard| guard.action == Action::Rollback);
        let rules = objectives.burn_rates.iter();
        let rules = rules.filter(|rule| rule.action == BurnAction::Rollback);
        let Harm { failed_requests, users } = plan.harm;
        let fixed = [
            ("regression.errors", true),
            ("regression.latency", true),
            ("regression.before", true),
            ("harm.failedRequests", failed_requests.is_some()),
            ("harm.users", users.is_some()),
            ("tooFew", plan.evidence.on_too_few == OnTooFew::Rollback),
            ("aborted", true),
            ("undone", true),
            ("unlisted", true),
        ];
        let fixed = fixed.into_iter().filter(|(_, can)| *can).map(|(label, _)| label.to_owned());
        let guards = guards.map(|guard| guard.name.clone());
        guards.chain(rules.map(|rule| format!("burn.{}", rule.name))).chain(fixed).collect()
    }

    /// Whether the release itself was found to be bad, and may not start again by itself.
    pub fn blames(&self) -> bool {
        match self {
            Self::Guard { shared_cause, .. } => shared_cause.is_none(),
            Self::Burn { .. }
            | Self::Errors { .. }
            | Self::Slower { .. }
            | Self::WorseThanBefore { .. }
            | Self::HarmRequests { .. }
            | Self::HarmUsers { .. }
            | Self::Undone { .. } => true,
            Self::TooFew(_) | Self::Aborted { .. } | Self::Unlisted { .. } => false,
        }
    }
}

/// What allowed a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Grounds {
    pub from: BasisPoints,
    pub to: BasisPoints,
    pub held: Duration,
    pub samples: Samples,
    /// What was shown of the candidate.
    pub shown: Option<GoodEnough>,
    /// A person skipped the hold and the evidence.
    pub promoted: bool,
}

/// What a step was taken on, with its evidence and how much had to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum GoodEnough {
    /// As good as stable, or as its objective asks.
    Proof { value: f64, needed: f64 },
    /// It fails less than `limit`, of which no more harm comes than is accepted.
    BoundedHarm { value: f64, needed: f64, limit: f64 },
}

impl GoodEnough {
    /// What has been shown by now, as far as a plan accepts it.
    pub fn shown(evidence: &Evidence, accept: Accept) -> Option<Self> {
        // An evidence that is no number proves nothing.
        let proof = evidence.promotion.filter(|bet| bet.value >= bet.needed);
        if let Some(Bet { value, needed }) = proof {
            return Some(Self::Proof { value, needed });
        }
        let bounded = evidence.bounded.filter(|_| accept == Accept::BoundedHarm);
        let BoundedHarm { value, needed, limit } = bounded.filter(|b| b.value >= b.needed)?;
        Some(Self::BoundedHarm { value, needed, limit })
    }

    /// As in `evidence.accept`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proof { .. } => "proof",
            Self::BoundedHarm { .. } => "boundedHarm",
        }
    }

    /// Its evidence, and how much had to be.
    pub fn evidence(self) -> (f64, f64) {
        match self {
            Self::Proof { value, needed } | Self::BoundedHarm { value, needed, .. } => {
                (value, needed)
            }
        }
    }
}
