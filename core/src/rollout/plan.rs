//! What an operator intends, checked and resolved: the file's `rollout` as values.

use super::position::{Answer, GateAnswer, GateRef, GateRefKind, RolloutState};
use crate::ids::VersionName;
use crate::split::Scope;
use crate::weights::BasisPoints;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub to: VersionName,
    /// Of `to`. With the version it is the candidate's identity.
    pub release: String,
    pub strategy: Strategy,
    pub start: Start,
    pub on_busy: OnBusy,
    /// Never empty; the last weight is the whole. `blueGreen` and `bigBang` have one step, `rolling`
    /// has one per endpoint of the candidate.
    pub steps: Vec<Step>,
    /// Stable keeps this share until the last hold is over, so that there is something to compare with.
    pub baseline: BasisPoints,
    pub evidence: Demand,
    pub regression: Regression,
    pub guards: Vec<Guard>,
    pub harm: Harm,
    pub rescue: bool,
    pub gates: Vec<Gate>,
    pub windows: Vec<Window>,
    pub on_rollback: OnRollback,
    /// The phase before the first step, in which the candidate only gets copies.
    pub dark: Option<Dark>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    Canary,
    BlueGreen,
    /// A step is open while the share of the candidate's endpoints that are ready reaches its weight.
    Rolling,
    BigBang,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    Manual,
    /// A version and release that this service has not seen starts by itself.
    OnChange,
}

/// What becomes of a new candidate while another one's rollout is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnBusy {
    /// It waits until the other one's rollout has ended.
    #[default]
    Queue,
    /// The other one's share goes back to stable, and the new one starts from its first step.
    Supersede,
    Refuse,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub weight: BasisPoints,
    pub hold: Duration,
    pub of: Scope,
}

/// How sure one must be, and what happens when one cannot be.
#[derive(Debug, Clone, PartialEq)]
pub struct Demand {
    pub accept: Accept,
    /// The share of healthy rollouts that the comparison with stable may roll back by mistake, errors
    /// and latency together. Each guard and each burn rule asks a question of its own and has the
    /// same share for itself.
    pub false_alarm: f64,
    pub min_requests: u64,
    pub on_too_few: OnTooFew,
    pub give_up_after: Duration,
}

/// What a step is taken on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Accept {
    /// That the candidate is as good as stable, or as its objective asks.
    #[default]
    Proof,
    /// Proof where the traffic gives it; otherwise that the harm of going on is bounded.
    BoundedHarm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnTooFew {
    /// Wait, and past `giveUpAfter` be inconclusive.
    Hold,
    /// Give up at once when the hold ends: inconclusive.
    Pause,
    /// Go back to stable when the hold ends, without blaming the release.
    Rollback,
}

/// How much worse than stable is worse.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Regression {
    /// The odds ratio that errors may reach.
    pub errors: f64,
    /// The odds ratio that answers of 4xx may reach; below 1 they are not compared.
    pub client_errors: f64,
    /// By how much the baseline's quantiles may shift: 0.2 for 20%.
    pub latency: f64,
    /// A shift smaller than this is none: between fractions of a millisecond no user chooses.
    pub latency_floor: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Guard {
    pub name: String,
    pub rule: Rule,
    /// The window that is looked at. Zero: the whole step.
    pub over: Duration,
    /// It rolls back although stable is beyond the same limit.
    pub absolute: bool,
    /// How long the rule must stand before it acts. Zero: at once, as soon as it is proven.
    pub lasting: Duration,
    pub action: Action,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// The candidate's error rate is above this share.
    ErrorRate {
        above: f64,
    },
    /// More than `1 - quantile` of the candidate's requests are slower than `above`.
    Latency {
        quantile: f64,
        above: Duration,
    },
    /// A pushed signal's good / total is below `below` of what it is compared with.
    Signal {
        name: String,
        below: f64,
        of: Compared,
    },
    ShadowMismatch {
        above: f64,
    },
    ShadowErrors {
        above: f64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// Stable's concurrent value.
    Baseline,
    /// The number itself.
    Absolute,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Rollback,
    Pause,
    Notify,
}

impl Plan {
    /// What a step gives the candidate: its weight, but for what stable keeps.
    pub fn weight_of(&self, step: &Step) -> BasisPoints {
        step.weight.min(self.baseline.rest())
    }

    /// Whether copies of requests have a say: they go to one version only, the one in `to`.
    pub fn asks_copies(&self) -> bool {
        let gate = |gate: &Gate| match gate.kind {
            GateKind::Shadow { .. } => true,
            GateKind::Approval
            | GateKind::Approvals { .. }
            | GateKind::Checklist { .. }
            | GateKind::Webhook { .. } => false,
        };
        let guard = |guard: &Guard| match guard.rule {
            Rule::ShadowMismatch { .. } | Rule::ShadowErrors { .. } => true,
            Rule::ErrorRate { .. } | Rule::Latency { .. } | Rule::Signal { .. } => false,
        };
        self.dark.is_some() || self.gates.iter().any(gate) || self.guards.iter().any(guard)
    }
}

/// A hard cap on damage, whatever the statistics say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Harm {
    pub failed_requests: Option<u64>,
    pub users: Option<u64>,
}

/// Something the step of a weight waits for. `before` is the weight of that step.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    pub before: BasisPoints,
    pub kind: GateKind,
}

impl Gate {
    /// How answers name it. Of a checklist each item is answered by itself.
    pub fn answered_as(&self) -> Vec<GateRef> {
        let named = |kind| GateRef { before: self.before, kind };
        match &self.kind {
            GateKind::Approval | GateKind::Approvals { .. } => vec![named(GateRefKind::Approval)],
            GateKind::Checklist { items } => {
                let item = |item: &String| named(GateRefKind::Item { item: item.clone() });
                items.iter().map(item).collect()
            }
            GateKind::Webhook { url, .. } => vec![named(GateRefKind::Webhook { url: url.clone() })],
            GateKind::Shadow { .. } => vec![named(GateRefKind::Shadow)],
        }
    }

    /// Who has let it pass so far.
    pub fn granted_by<'a>(&self, rollout: &'a RolloutState) -> Vec<&'a GateAnswer> {
        let named = self.answered_as();
        let granted = |a: &&GateAnswer| named.contains(&a.gate) && a.answer == Answer::Granted;
        let counts = |a: &&GateAnswer| match &self.kind {
            GateKind::Approvals { by, .. } => by.is_empty() || by.contains(&a.by),
            GateKind::Approval
            | GateKind::Checklist { .. }
            | GateKind::Webhook { .. }
            | GateKind::Shadow { .. } => true,
        };
        rollout.answers.iter().filter(granted).filter(counts).collect()
    }

    /// Whether people and webhooks have let it pass; the evidence answers for comparisons.
    pub fn is_granted(&self, rollout: &RolloutState) -> bool {
        let granted = self.granted_by(rollout).len();
        match &self.kind {
            GateKind::Approvals { count, .. } => granted >= *count as usize,
            GateKind::Checklist { items } => granted >= items.len(),
            GateKind::Approval | GateKind::Webhook { .. } | GateKind::Shadow { .. } => granted > 0,
        }
    }
}

impl GateKind {
    /// One word, as the configuration and the API have it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Approval | Self::Approvals { .. } => "approval",
            Self::Checklist { .. } => "checklist",
            Self::Webhook { .. } => "webhook",
            Self::Shadow { .. } => "shadow",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum GateKind {
    /// Of anybody who may change something; a promotion is one.
    Approval,
    /// So many different people, of those who are named, or of anybody. A promotion is one of them, and
    /// skips none of the others.
    Approvals {
        count: u32,
        by: Vec<String>,
    },
    /// What people have to say that they have done, each item of it. No promotion skips it.
    Checklist {
        items: Vec<String>,
    },
    Webhook {
        url: String,
        timeout: Duration,
    },
    /// So many comparisons of shadow copies, with at most this share of differences.
    Shadow {
        comparisons: u64,
        mismatch_below: f64,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    pub effect: WindowEffect,
    pub span: WindowSpan,
    /// An IANA name that the bundled database knows.
    pub time_zone: String,
    pub reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowEffect {
    /// Advancing is possible only inside such windows (any of them).
    Allow,
    /// Advancing is impossible inside.
    Deny,
}

/// Days count from Monday = 1 to Sunday = 7.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowSpan {
    /// `Tue-Thu 14:00-17:00`: on each of these days, between these times. `to` may be earlier than
    /// `from`; the window then ends on the next day. Days may wrap around the week's end.
    Daily { first: u8, last: u8, from: TimeOfDay, to: TimeOfDay },
    /// `Fri 14:00 - Mon 10:00`: from one moment of the week to another.
    Weekly { first: u8, from: TimeOfDay, last: u8, to: TimeOfDay },
}

/// Minutes since midnight; 1,440 is the day's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(pub u16);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnRollback {
    /// Everyone leaves now.
    Revoke,
    /// Open sessions finish, for at most ten minutes.
    Drain,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Dark {
    pub hold: Duration,
    pub comparisons: u64,
    pub mismatch_below: f64,
}
