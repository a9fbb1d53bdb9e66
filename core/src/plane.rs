//! What control may ask of a data plane, and the only thing it may tell it.
//!
//! The real one is the proxy; the other one is the simulator. Control holds it as
//! `Arc<dyn DataPlane>`, so the two sides never import each other.

use crate::ids::{ServiceName, VersionName};
use crate::measure::{ServiceCounts, ServiceLatencies};
use crate::shadow::ShadowReport;
use crate::split::Split;
use std::sync::Arc;
use std::time::Duration;

pub trait DataPlane: Send + Sync {
    /// Puts a split in force for its service. Returns once every request that begins later
    /// obeys it. A split for a service that the data plane does not know is ignored, and so is one
    /// of a lower epoch than it has seen. Every publication lifts the service's tripwires, so
    /// control publishes when something changes or a trip is to be lifted, not at every tick.
    fn publish(&self, split: Arc<Split>);

    /// Says that control is alive; after 2 s of silence the data plane reports frozen weights.
    fn heartbeat(&self);

    /// How late the threads of this process are, when so late that nothing they measure is to be
    /// believed. `ticked` is how late control's own tick came; threads that serve tell their own.
    fn own_lag(&self, ticked: Duration) -> Option<Duration> {
        let _ = ticked;
        None
    }

    /// Cumulative counts since each version's meter was made. Cheap: called every 20 ms.
    /// `None` when the service is not known.
    fn counts(&self, service: &ServiceName) -> Option<ServiceCounts>;

    /// Cumulative latency histograms, and the ages of what is still waiting. Called every second.
    fn latencies(&self, service: &ServiceName) -> Option<ServiceLatencies>;

    /// How many endpoints of each version are ready.
    fn readiness(&self, service: &ServiceName) -> Vec<Readiness>;

    /// The latest requests of a version that counted as bad, newest first; at most 16 are kept.
    fn bad_samples(&self, service: &ServiceName, version: &VersionName) -> Vec<BadSample>;

    /// What is known of a service's copies; `None` when it sends none.
    fn shadow(&self, service: &ServiceName) -> Option<ShadowReport>;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    pub version: VersionName,
    pub ready: u32,
    pub total: u32,
    /// What is wrong with which endpoint, where that is known.
    pub troubles: Vec<String>,
}

impl Readiness {
    pub fn new(version: VersionName, ready: u32, total: u32) -> Self {
        Self { version, ready, total, troubles: Vec::new() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadSample {
    /// The `x-request-id` that the backend saw.
    pub request_id: String,
    /// What was bad about it, as the access log says it: `503`, `reset`, `timeout`.
    pub what: String,
    pub at: crate::time::Wall,
}
