//! The shadow of one service in one configuration: which requests are copied, and what of a copy is
//! allowed. What lasts longer than a configuration is its [`MirrorState`].

use super::board::Board;
use super::compare::Rules;
use super::counts::{Dropped, Drops};
use super::head::Omitted;
use super::mirror_worker::Shadows;
use crate::meter::Shadowed;
use crate::upstream::VersionRuntime;
use arc_swap::ArcSwapOption;
use serin_config::model;
use serin_core::ids::{RouteName, ServiceName};
use serin_core::shadow::{ShadowReport, ShadowResults};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
pub(crate) struct Mirror {
    pub(super) service: ServiceName,
    pub(super) config: Arc<model::Shadow>,
    pub(super) to: Arc<VersionRuntime>,
    pub(super) rules: Option<Rules>,
    /// Of a copy, and of what stable is asked a second time.
    pub(super) omitted: Omitted,
    pub(super) omitted_again: Omitted,
    pub(super) standing: Arc<MirrorState>,
    pub(super) shadows: Shadows,
}

/// What reloads do not touch.
#[derive(Debug, Default)]
pub(super) struct MirrorState {
    /// The configuration in force. A copy that was made under another is held against this one
    /// before it is sent.
    in_force: ArcSwapOption<model::Shadow>,
    pub(super) in_flight: AtomicU32,
    pub(super) drops: Drops,
    board: Mutex<Board>,
}

impl Mirror {
    /// `previous` is the service's shadow in the configuration before.
    pub(crate) fn new(
        service: &model::Service,
        to: &Arc<VersionRuntime>,
        previous: Option<&Self>,
        shadows: &Shadows,
    ) -> Option<Self> {
        let config = Arc::new(service.shadow.clone()?);
        let standing = previous.map_or_else(Arc::default, |p| Arc::clone(&p.standing));
        if previous.is_some_and(|p| p.tells_something_else(&config, to)) {
            *standing.board() = Board::default();
        }
        Some(Self {
            service: service.name.clone(),
            rules: config.compare.as_ref().map(|compare| Rules::new(compare, &config)),
            omitted: Omitted::new(&config.redact_headers),
            omitted_again: Omitted::new(&[]),
            config,
            to: Arc::clone(to),
            standing,
            shadows: shadows.clone(),
        })
    }

    /// Differences of another version, or by another measure, are not these.
    fn tells_something_else(&self, config: &model::Shadow, to: &VersionRuntime) -> bool {
        self.to.name != to.name
            || self.to.release != to.release
            || self.config.compare != config.compare
            || self.config.redact_json != config.redact_json
    }

    /// From here on copies are held against this configuration.
    pub(crate) fn enforce(&self) {
        self.standing.in_force.store(Some(Arc::clone(&self.config)));
    }

    /// The service has no shadow any more, unless the successor's is the same.
    pub(crate) fn retire(&self, successor: Option<&Self>) {
        if !successor.is_some_and(|other| Arc::ptr_eq(&other.standing, &self.standing)) {
            self.standing.in_force.store(None);
        }
    }

    /// Whether this one is. The percentage is asked for last.
    pub(super) fn copies(&self, method: &str, route: &RouteName, random: u64) -> bool {
        lists(&self.config, method, route) && random % 10_000 < u64::from(self.config.share.get())
    }

    /// Whether a copy made under this configuration may still be sent.
    pub(super) fn still_allows(&self, method: &str, route: &RouteName) -> bool {
        let now = self.standing.in_force.load();
        now.as_ref().is_some_and(|now| {
            Arc::ptr_eq(now, &self.config)
                || (now.to == self.config.to
                    && now.redact_headers == self.config.redact_headers
                    && now.redact_json == self.config.redact_json
                    && lists(now, method, route))
        })
    }

    /// Whether the bodies of answers have to be shown to the tap.
    pub(super) fn wants_bodies(&self) -> bool {
        self.rules.as_ref().is_some_and(|rules| rules.wants_body())
    }

    pub(super) fn asks_for_noise(&self) -> bool {
        self.config.compare.as_ref().is_some_and(|compare| compare.noise)
    }

    pub(super) fn drop_one(&self, why: Dropped) {
        self.standing.drops.add(why);
    }

    /// On the mirror worker's thread alone, which is the only one that writes these counts.
    pub(super) fn count(&self, what: Shadowed) {
        self.to.meter.shadowed(what);
    }

    pub(super) fn board(&self) -> MutexGuard<'_, Board> {
        self.standing.board()
    }
}

fn lists(config: &model::Shadow, method: &str, route: &RouteName) -> bool {
    config.methods.iter().any(|allowed| allowed == method)
        && (config.routes.is_empty() || config.routes.contains(route))
}

/// What readers ask.
impl Mirror {
    pub(crate) fn to(&self) -> &VersionRuntime {
        &self.to
    }

    pub(crate) fn dropped(&self) -> Vec<(&'static str, u64)> {
        self.standing.drops.all()
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.standing.in_flight.load(Relaxed)
    }

    pub(crate) fn results(&self) -> ShadowResults {
        self.to.meter.shadow_results()
    }

    pub(crate) fn report(&self) -> ShadowReport {
        self.board().report(ShadowReport {
            to: self.config.to.clone(),
            share: self.config.share,
            results: self.results(),
            dropped: self.dropped(),
            in_flight: self.in_flight(),
            differences: Vec::new(),
            not_kept: 0,
            noise: Vec::new(),
            latency: None,
        })
    }
}

impl MirrorState {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
