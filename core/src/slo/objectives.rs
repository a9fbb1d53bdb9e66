//! What the operator promised, as read from `slo`.

use crate::outcome::BadStatuses;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq)]
pub struct Objectives {
    /// The window over which the budget is counted, 30 d by default.
    pub window: Duration,
    pub availability: Availability,
    pub latency: Option<LatencyObjective>,
    pub burn_rates: Vec<BurnRule>,
    pub budget: BudgetPolicy,
    /// Somebody wrote them. Otherwise nothing was promised: no budget can be overspent, and a rollout goes by
    /// what stable did before it.
    pub promised: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Availability {
    /// 0.999 for 99.9%; always within (0, 1).
    pub objective: f64,
    pub bad: BadStatuses,
}

#[derive(Debug, Clone, PartialEq)]
pub struct LatencyObjective {
    pub objective: f64,
    pub under: Duration,
}

/// Both windows must burn faster than `above`.
#[derive(Debug, Clone, PartialEq)]
pub struct BurnRule {
    pub name: String,
    pub above: f64,
    pub long: Duration,
    pub short: Duration,
    pub action: BurnAction,
    pub severity: Severity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BurnAction {
    Rollback,
    Pause,
    Notify,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    P1,
    P2,
    P3,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::P1 => "P1",
            Self::P2 => "P2",
            Self::P3 => "P3",
        }
    }
}

/// What the budget left permits, as shares of the whole budget.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BudgetPolicy {
    /// Below this no rollout starts or advances without a person.
    pub freeze_below: f64,
    /// Below this every step waits for a confirmation.
    pub confirm_below: f64,
}

const MINUTE: Duration = Duration::from_secs(60);

impl Default for Objectives {
    fn default() -> Self {
        Self {
            window: MINUTE * 60 * 24 * 30,
            availability: Availability { objective: 0.999, bad: BadStatuses::server_errors() },
            latency: None,
            burn_rates: BurnRule::defaults(),
            budget: BudgetPolicy::default(),
            promised: false,
        }
    }
}

impl Objectives {
    /// For a rollout before which stable usually failed this share of its requests.
    #[must_use]
    pub fn learnt_from(&self, usual: f64) -> Self {
        let mut objectives = self.clone();
        if !self.promised {
            let objective = &mut objectives.availability.objective;
            *objective = objective.min(1.0 - usual).max(0.5);
        }
        objectives
    }
}

impl BurnRule {
    /// Fast, slow and drip.
    pub fn defaults() -> Vec<Self> {
        let rule = |name: &str, above, long, short, action, severity| Self {
            name: name.to_owned(),
            above,
            long,
            short,
            action,
            severity,
        };
        vec![
            rule("fast", 14.4, MINUTE * 60, MINUTE * 5, BurnAction::Rollback, Severity::P1),
            rule("slow", 6.0, MINUTE * 360, MINUTE * 30, BurnAction::Rollback, Severity::P2),
            rule("drip", 1.0, MINUTE * 1440, MINUTE * 360, BurnAction::Notify, Severity::P3),
        ]
    }
}

impl Default for BudgetPolicy {
    fn default() -> Self {
        Self { freeze_below: 0.1, confirm_below: 0.5 }
    }
}

/// What the budget left allows a rollout to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// Go on by itself. Also while nothing is known.
    Free,
    /// Every step waits for a person's confirmation.
    Confirm,
    /// Nothing starts or advances.
    Frozen,
}

impl BudgetPolicy {
    pub fn permit(self, left: Option<f64>) -> Permit {
        match left {
            Some(left) if left < self.freeze_below => Permit::Frozen,
            Some(left) if left < self.confirm_below => Permit::Confirm,
            Some(_) | None => Permit::Free,
        }
    }
}
