//! What control says to a scraper: gauges, read from the snapshot when somebody looks, and counters that
//! only ever rise. Label sets are bounded by the configuration.
//!
//! The data plane's own meters are added from outside; nothing here counts a request.

mod counted;

use crate::view::{RolloutState, ServiceView, Snapshot};
use counted::Counted;
use serin_core::metrics::{Metered, Samples};
use serin_core::weights::WHOLE;
use std::sync::{PoisonError, RwLock};

serin_core::metrics! {
    /// What control says.
    pub(crate) CONTROL {
        WEIGHT: Gauge "serin_weight_ratio" ["service", "version"]
            "Share of new traffic now in force.";
        STATE: Gauge "serin_rollout_state" ["service", "state"]
            "1 for the state that the service's latest rollout is in.";
        BURN: Gauge "serin_slo_burn_rate" ["service", "version", "window"]
            "Error budget burnt, in times the rate that would just spend it; absent while too little of the window was watched.";
        BUDGET: Gauge "serin_slo_budget_remaining_ratio" ["service"]
            "Share of the error budget that is left; below 0 when overspent.";
        GENERATION: Gauge "serin_config_generation" []
            "Configurations put in force since the start.";
        CANARY_SHARE: Gauge "serin_config_canary_share_ratio" []
            "Share of requests that a configuration on trial serves; 0 when there is none.";
        CANARY_REQUESTS: Gauge "serin_config_canary_requests" ["configuration", "outcome"]
            "Requests since the configuration's canary began, by what served them; absent when there is none.";
        RELOAD_GOOD: Gauge "serin_config_last_reload_success" []
            "0 while the files hold something that was refused; what was in force before still is.";
        JOURNAL_FAILING: Gauge "serin_journal_failing" []
            "1 while the journal cannot be written; weights can then only go down.";
        JOURNAL_NOT_DURABLE: Gauge "serin_journal_not_durable" []
            "Services whose weight was lowered and is not written yet; a crash would bring the higher one back.";
        ROLLBACKS: Counter "serin_rollbacks_total" ["reason", "service"]
            "Rollbacks by the guard or rule that caused them.";
        RELOADS: Counter "serin_config_reloads_total" ["result"]
            "Attempts to load a configuration.";
        NOTIFICATIONS: Counter "serin_notifications_total" ["receiver", "result"]
            "Notifications by receiver and what became of them.";
        NOTIFICATIONS_LOST: Counter "serin_notifications_lost_total" []
            "Notifications that were given up or found their queue full.";
        COMMANDS: Counter "serin_commands_total" ["result"]
            "Commands by what came of them.";
        ADMIN_CLOSED: Counter "serin_admin_connections_closed_total" ["reason"]
            "Connections to the admin address that were closed to make room, or found none.";
        ADMIN_REFUSED: Counter "serin_admin_logins_refused_total" ["reason"]
            "Requests to the admin API without a token that is known.";
    }
}

/// What has happened, and whoever else counts.
pub(crate) struct Tallies {
    counted: Counted,
    others: RwLock<Vec<Box<dyn Metered>>>,
}

impl std::fmt::Debug for Tallies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tallies").field("counted", &self.counted).finish_non_exhaustive()
    }
}

impl Tallies {
    pub(crate) fn new() -> Self {
        let tallies = Self { counted: Counted::default(), others: RwLock::default() };
        // A series that begins at its first event hides that event from `increase`.
        for (metric, values) in [
            (&RELOADS, &["success", "failure"][..]),
            (&COMMANDS, &["done", "refused"]),
            (&ADMIN_CLOSED, &["silent", "idle", "addressFull", "full"]),
            (&ADMIN_REFUSED, &["missing", "unknown"]),
        ] {
            values.iter().for_each(|value| tallies.counted.add(metric, &[value], 0));
        }
        tallies.counted.add(&NOTIFICATIONS_LOST, &[], 0);
        tallies
    }

    pub(crate) fn add(&self, other: Box<dyn Metered>) {
        self.others.write().unwrap_or_else(PoisonError::into_inner).push(other);
    }

    /// Zero, until it happens.
    pub(crate) fn may_roll_back(&self, service: &str, reasons: &[String]) {
        reasons.iter().for_each(|reason| self.counted.add(&ROLLBACKS, &[reason, service], 0));
    }

    pub(crate) fn rolled_back(&self, service: &str, reason: &str) {
        self.counted.add(&ROLLBACKS, &[reason, service], 1);
    }

    pub(crate) fn reloaded(&self, good: bool) {
        self.counted.add(&RELOADS, &[if good { "success" } else { "failure" }], 1);
    }

    pub(crate) fn commanded(&self, good: bool) {
        self.counted.add(&COMMANDS, &[if good { "done" } else { "refused" }], 1);
    }

    pub(crate) fn admin_closed(&self, reason: &str) {
        self.counted.add(&ADMIN_CLOSED, &[reason], 1);
    }

    pub(crate) fn login_refused(&self, reason: &str) {
        self.counted.add(&ADMIN_REFUSED, &[reason], 1);
    }

    pub(crate) fn notified(&self, receiver: &str, sent: bool) {
        let result = if sent { "sent" } else { "lost" };
        self.counted.add(&NOTIFICATIONS, &[receiver, result], 1);
        if !sent {
            self.counted.add(&NOTIFICATIONS_LOST, &[], 1);
        }
    }

    pub(crate) fn notifications_lost(&self) -> u64 {
        self.counted.get(&NOTIFICATIONS_LOST, &[])
    }

    /// Prometheus' text format. Series of services and versions that are gone are not written.
    pub(crate) fn exposition(&self, snapshot: &Snapshot) -> String {
        let mut samples = Samples::default();
        snapshot.services.iter().for_each(|service| of_service(service, &mut samples));
        of_instance(snapshot, &mut samples);
        self.counted.read(&mut samples);
        let others = self.others.read().unwrap_or_else(PoisonError::into_inner);
        others.iter().for_each(|other| other.read(&mut samples));
        samples.text()
    }
}

fn of_service(service: &ServiceView, samples: &mut Samples) {
    let name = service.name.as_str();
    for version in &service.versions {
        let points = service.weights.get(&version.name).copied().unwrap_or_default();
        samples.gauge(&WEIGHT, &[name, &version.name], f64::from(points) / f64::from(WHOLE));
    }
    for state in RolloutState::ALL {
        let is = service.rollout.as_ref().is_some_and(|r| r.state == state);
        samples.switch(&STATE, &[name, state.as_str()], is);
    }
    for burn in &service.slo.burn_rates {
        let windows = [(burn.long_seconds, burn.long_rate), (burn.short_seconds, burn.short_rate)];
        for (seconds, rate) in windows {
            if let Some(rate) = rate {
                samples.gauge(&BURN, &[name, burn.version.as_str(), &window(seconds)], rate);
            }
        }
    }
    if let Some(left) = service.slo.budget_remaining {
        samples.gauge(&BUDGET, &[name], left);
    }
}

fn of_instance(snapshot: &Snapshot, samples: &mut Samples) {
    samples.gauge(&GENERATION, &[], snapshot.config.generation as f64);
    let canary = snapshot.config.canary.as_ref();
    let share = canary.map_or(0.0, |c| f64::from(c.share));
    samples.gauge(&CANARY_SHARE, &[], share / f64::from(WHOLE));
    for (of, side) in canary.into_iter().flat_map(|c| [("old", c.old), ("new", c.new)]) {
        let good = side.requests.saturating_sub(side.errors);
        for (outcome, count) in [("good", good), ("bad", side.errors)] {
            samples.gauge(&CANARY_REQUESTS, &[of, outcome], count as f64);
        }
    }
    samples.switch(&RELOAD_GOOD, &[], snapshot.config.failed.is_none());
    samples.switch(&JOURNAL_FAILING, &[], snapshot.health.journal.is_some());
    samples.gauge(&JOURNAL_NOT_DURABLE, &[], snapshot.health.not_durable.len() as f64);
}

/// `5m`, `1h`, `90s`: as the configuration says it.
fn window(seconds: u64) -> String {
    match seconds {
        s if s > 0 && s % 3600 == 0 => format!("{}h", s / 3600),
        s if s > 0 && s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}
