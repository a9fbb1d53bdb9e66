//! Starting and stopping.

use crate::handle::{Handle, Inner};
use crate::view::{
    ConfigView, Health, ServiceView, SloView, Snapshot, Timestamp, VersionRole, VersionView,
};
use arc_swap::ArcSwap;
use serin_config::model::{Config, Service};
use serin_core::plane::DataPlane;
use serin_core::split::Split;
use serin_core::time::Wall;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::broadcast;

/// Control while it runs. Dropping it stops it; [`Control::shutdown`] does so and waits.
#[derive(Debug)]
pub struct Control {
    handle: Handle,
}

/// What is not in the configuration.
#[derive(Default)]
pub struct Options {
    /// How long to wait for another process, which is handing over, to let go of the journal.
    pub lock_wait: Duration,
    /// The data plane's own metrics, exposed beside control's.
    pub collectors: Vec<Box<dyn prometheus::core::Collector>>,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("lock_wait", &self.lock_wait).finish_non_exhaustive()
    }
}

#[derive(Debug, Error)]
pub enum StartError {
    #[error("cannot read the clock")]
    Clock,
}

impl Control {
    /// Opens the journal, resumes what was running, and publishes the first splits.
    pub fn start(
        config: Arc<Config>,
        plane: Arc<dyn DataPlane>,
        options: Options,
    ) -> Result<Self, StartError> {
        let _ = options;
        let at = Timestamp(wall_now()?);
        for service in config.services.values() {
            plane.publish(Arc::new(Split::at_rest(service.name.clone(), service.stable.clone())));
        }
        let snapshot = Snapshot {
            generation: 1,
            at,
            services: config.services.values().map(at_rest).collect(),
            freeze: None,
            config: ConfigView {
                generation: 1,
                hash: config.hash.clone(),
                loaded_at: at,
                failed: None,
            },
            health: Health::default(),
        };
        let inner = Inner {
            snapshot: ArcSwap::from_pointee(snapshot),
            config: ArcSwap::new(config),
            events: broadcast::channel(1024).0,
        };
        Ok(Self { handle: Handle { inner: Arc::new(inner) } })
    }

    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Persists what is only persisted now and then, and stops. The weights stay as they are.
    pub fn shutdown(self) {}
}

fn wall_now() -> Result<Wall, StartError> {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_err(|_| StartError::Clock)?;
    i64::try_from(since.as_millis()).map(Wall).map_err(|_| StartError::Clock)
}

fn at_rest(service: &Service) -> ServiceView {
    let version = |v: &serin_config::model::Version| VersionView {
        name: v.name.to_string(),
        release: v.release.clone(),
        role: if v.name == service.stable { VersionRole::Stable } else { VersionRole::Idle },
        ready: 0,
        endpoints: u32::try_from(v.endpoints.len()).unwrap_or(u32::MAX),
        requests: 0,
        bad: 0,
        in_flight: 0,
        last_minute: crate::view::Figures::default(),
        tripped: false,
        quarantined: None,
    };
    ServiceView {
        name: service.name.to_string(),
        revision: 1,
        stable: service.stable.to_string(),
        weights: [(service.stable.to_string(), serin_core::weights::WHOLE)].into(),
        versions: service.versions.iter().map(version).collect(),
        slo: SloView {
            objective: service.objectives.availability.objective,
            window_seconds: service.objectives.window.as_secs(),
            budget_remaining: None,
            burn_rates: Vec::new(),
        },
        rollout: None,
    }
}
