//! The exposition: control's own gauges, set from the snapshot when somebody looks, and the
//! counters that only ever rise. Label sets are bounded by the configuration.
//!
//! The data plane's collectors are registered from outside; nothing here counts a request.

use crate::view::{RolloutState, Snapshot};
use prometheus::core::Collector;
use prometheus::{
    Encoder, Gauge, GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

/// Control's metrics.
#[derive(Debug)]
pub(crate) struct Tallies {
    registry: Registry,
    weight: GaugeVec,
    state: GaugeVec,
    burn: GaugeVec,
    budget: GaugeVec,
    generation: IntGauge,
    canary_share: Gauge,
    canary_requests: IntGaugeVec,
    reload_good: IntGauge,
    journal_failing: IntGauge,
    journal_not_durable: IntGauge,
    rollbacks: IntCounterVec,
    reloads: IntCounterVec,
    notifications: IntCounterVec,
    notifications_lost: IntCounter,
    commands: IntCounterVec,
    admin_closed: IntCounterVec,
    admin_refused: IntCounterVec,
}

impl Tallies {
    pub(crate) fn new(collectors: Vec<Box<dyn Collector>>) -> Result<Self, prometheus::Error> {
        let gauges = |name, help, labels: &[&str]| GaugeVec::new(Opts::new(name, help), labels);
        let counters =
            |name, help, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let tallies = Self {
            registry: Registry::new(),
            weight: gauges(
                "serin_weight_ratio",
                "Share of new traffic now in force.",
                &["service", "version"],
            )?,
            state: gauges(
                "serin_rollout_state",
                "1 for the state that the service's latest rollout is in.",
                &["service", "state"],
            )?,
            burn: gauges(
                "serin_slo_burn_rate",
                "Error budget burnt, in times the rate that would just spend it; absent while too little of the window was watched.",
                &["service", "version", "window"],
            )?,
            budget: gauges(
                "serin_slo_budget_remaining_ratio",
                "Share of the error budget that is left; below 0 when overspent.",
                &["service"],
            )?,
            generation: IntGauge::new(
                "serin_config_generation",
                "Configurations put in force since the start.",
            )?,
            canary_share: Gauge::new(
                "serin_config_canary_share_ratio",
                "Share of requests that a configuration on trial serves; 0 when there is none.",
            )?,
            canary_requests: IntGaugeVec::new(
                Opts::new(
                    "serin_config_canary_requests",
                    "Requests since the configuration's canary began, by what served them; absent when there is none.",
                ),
                &["configuration", "outcome"],
            )?,
            reload_good: IntGauge::new(
                "serin_config_last_reload_success",
                "0 while the files hold something that was refused; what was in force before still is.",
            )?,
            journal_failing: IntGauge::new(
                "serin_journal_failing",
                "1 while the journal cannot be written; weights can then only go down.",
            )?,
            journal_not_durable: IntGauge::new(
                "serin_journal_not_durable",
                "Services whose weight was lowered and is not written yet; a crash would bring the higher one back.",
            )?,
            rollbacks: counters(
                "serin_rollbacks_total",
                "Rollbacks by the guard or rule that caused them.",
                &["service", "reason"],
            )?,
            reloads: counters(
                "serin_config_reloads_total",
                "Attempts to load a configuration.",
                &["result"],
            )?,
            notifications: counters(
                "serin_notifications_total",
                "Notifications by receiver and what became of them.",
                &["receiver", "result"],
            )?,
            notifications_lost: IntCounter::new(
                "serin_notifications_lost_total",
                "Notifications that were given up or found their queue full.",
            )?,
            commands: counters(
                "serin_commands_total",
                "Commands by what came of them.",
                &["result"],
            )?,
            admin_closed: counters(
                "serin_admin_connections_closed_total",
                "Connections to the admin address that were closed to make room, or found none.",
                &["reason"],
            )?,
            admin_refused: counters(
                "serin_admin_logins_refused_total",
                "Requests to the admin API without a token that is known.",
                &["reason"],
            )?,
        };
        // A series that begins at its first event hides that event from `increase`.
        for result in ["success", "failure"] {
            tallies.reloads.with_label_values(&[result]);
        }
        for result in ["done", "refused"] {
            tallies.commands.with_label_values(&[result]);
        }
        for reason in ["silent", "idle", "addressFull", "full"] {
            tallies.admin_closed.with_label_values(&[reason]);
        }
        for reason in ["missing", "unknown"] {
            tallies.admin_refused.with_label_values(&[reason]);
        }
        tallies.register(collectors)?;
        Ok(tallies)
    }

    fn register(&self, collectors: Vec<Box<dyn Collector>>) -> Result<(), prometheus::Error> {
        let own: [Box<dyn Collector>; 17] = [
            Box::new(self.weight.clone()),
            Box::new(self.state.clone()),
            Box::new(self.burn.clone()),
            Box::new(self.budget.clone()),
            Box::new(self.generation.clone()),
            Box::new(self.canary_share.clone()),
            Box::new(self.canary_requests.clone()),
            Box::new(self.reload_good.clone()),
            Box::new(self.journal_failing.clone()),
            Box::new(self.journal_not_durable.clone()),
            Box::new(self.rollbacks.clone()),
            Box::new(self.reloads.clone()),
            Box::new(self.notifications.clone()),
            Box::new(self.notifications_lost.clone()),
            Box::new(self.commands.clone()),
            Box::new(self.admin_closed.clone()),
            Box::new(self.admin_refused.clone()),
        ];
        own.into_iter().chain(collectors).try_for_each(|c| self.registry.register(c))
    }

    pub(crate) fn add(&self, collector: Box<dyn Collector>) -> Result<(), prometheus::Error> {
        self.registry.register(collector)
    }

    /// Zero, until it happens.
    pub(crate) fn may_roll_back(&self, service: &str, reasons: &[String]) {
        for reason in reasons {
            self.rollbacks.with_label_values(&[service, reason]);
        }
    }

    pub(crate) fn rolled_back(&self, service: &str, reason: &str) {
        self.rollbacks.with_label_values(&[service, reason]).inc();
    }

    pub(crate) fn reloaded(&self, good: bool) {
        self.reloads.with_label_values(&[if good { "success" } else { "failure" }]).inc();
    }

    pub(crate) fn commanded(&self, good: bool) {
        self.commands.with_label_values(&[if good { "done" } else { "refused" }]).inc();
    }

    pub(crate) fn admin_closed(&self, reason: &str) {
        self.admin_closed.with_label_values(&[reason]).inc();
    }

    pub(crate) fn login_refused(&self, reason: &str) {
        self.admin_refused.with_label_values(&[reason]).inc();
    }

    pub(crate) fn notified(&self, receiver: &str, sent: bool) {
        let result = if sent { "sent" } else { "lost" };
        self.notifications.with_label_values(&[receiver, result]).inc();
        if !sent {
            self.notifications_lost.inc();
        }
    }

    pub(crate) fn notifications_lost(&self) -> u64 {
        self.notifications_lost.get()
    }

    /// Prometheus' text format. Series of services and versions that are gone are not written.
    pub(crate) fn exposition(&self, snapshot: &Snapshot) -> String {
        self.draw(snapshot);
        let mut text = Vec::new();
        match TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            Ok(()) => String::from_utf8(text).unwrap_or_default(),
            Err(fault) => {
                tracing::error!(%fault, "metrics cannot be written");
                String::new()
            }
        }
    }

    fn draw(&self, snapshot: &Snapshot) {
        [&self.weight, &self.state, &self.burn, &self.budget].into_iter().for_each(GaugeVec::reset);
        for service in &snapshot.services {
            let name = service.name.as_str();
            for version in &service.versions {
                let points = service.weights.get(&version.name).copied().unwrap_or_default();
                let weight = self.weight.with_label_values(&[name, &version.name]);
                weight.set(f64::from(points) / f64::from(serin_core::weights::WHOLE));
            }
            for state in RolloutState::ALL {
                let is = service.rollout.as_ref().is_some_and(|r| r.state == state);
                let gauge = self.state.with_label_values(&[name, state.as_str()]);
                gauge.set(if is { 1.0 } else { 0.0 });
            }
            for burn in &service.slo.burn_rates {
                let windows =
                    [(burn.long_seconds, burn.long_rate), (burn.short_seconds, burn.short_rate)];
                for (seconds, rate) in windows {
                    if let Some(rate) = rate {
                        let labels = [name, burn.version.as_str(), &window(seconds)];
                        self.burn.with_label_values(&labels).set(rate);
                    }
                }
            }
            if let Some(left) = service.slo.budget_remaining {
                self.budget.with_label_values(&[name]).set(left);
            }
        }
        self.generation.set(i64::try_from(snapshot.config.generation).unwrap_or(i64::MAX));
        self.canary_requests.reset();
        let canary = snapshot.config.canary.as_ref();
        let share = canary.map_or(0.0, |c| f64::from(c.share));
        self.canary_share.set(share / f64::from(serin_core::weights::WHOLE));
        for (of, side) in canary.into_iter().flat_map(|c| [("old", c.old), ("new", c.new)]) {
            let good = side.requests.saturating_sub(side.errors);
            for (outcome, count) in [("good", good), ("bad", side.errors)] {
                let gauge = self.canary_requests.with_label_values(&[of, outcome]);
                gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
            }
        }
        self.reload_good.set(i64::from(snapshot.config.failed.is_none()));
        self.journal_failing.set(i64::from(snapshot.health.journal.is_some()));
        let behind = snapshot.health.not_durable.len();
        self.journal_not_durable.set(i64::try_from(behind).unwrap_or(i64::MAX));
    }
}

/// `5m`, `1h`, `90s`: as the configuration says it.
fn window(seconds: u64) -> String {
    match seconds {
        s if s > 0 && s % 3600 == 0 => format!("{}h", s / 3600),
        s if s > 0 && s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}
