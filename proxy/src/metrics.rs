//! The request path's counts as Prometheus reads them.
//!
//! Nothing is kept twice: each scrape adds up the meters' cells. Every label is a name from the
//! configuration or a status code, so no client can add a series.

use crate::clock;
use crate::exhaustion::Lack;
use crate::ingress::INGRESS;
use crate::plane::Plane;
use crate::service::Service;
use crate::shadow::Mirror;
use crate::upstream::VersionRuntime;
use serin_core::measure::{Population, Tally};
use serin_core::metrics::{Metered, Metric, Samples};
use serin_core::outcome::Outcome;
use serin_core::shadow::ShadowResults;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Edges that every service has, in milliseconds, beside the latencies that its configuration
/// names.
const EDGES: [u64; 14] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000];

serin_core::metrics! {
    /// What the data plane counts of requests, endpoints and copies.
    pub(crate) PLANE {
        REQUESTS_TOTAL: Counter "serin_requests_total" ["service", "version", "outcome"]
            "Requests by the outcome of their first attempt on the version they were assigned to.";
        RESPONSES_TOTAL: Counter "serin_responses_total" ["service", "version", "code"]
            "Answers that clients got, by the version that gave them.";
        REQUEST_DURATION_SECONDS: Histogram "serin_request_duration_seconds" ["service", "version"]
            "Time to the response head of a request's first attempt.";
        UPSTREAM_ATTEMPTS_TOTAL: Counter "serin_upstream_attempts_total" ["service", "version", "outcome"]
            "Attempts on a version's endpoints, retries and rescues among them.";
        REQUESTS_IN_FLIGHT: Gauge "serin_requests_in_flight" ["service", "version"]
            "Requests that are being served.";
        BODY_BYTES_TOTAL: Counter "serin_body_bytes_total" ["service", "version", "direction"]
            "Bytes of request bodies (received) and response bodies (sent).";
        ENDPOINT_READY: Gauge "serin_endpoint_ready" ["service", "version", "endpoint"]
            "Whether an endpoint gets requests: 1 when it is healthy and not ejected.";
        ENDPOINT_EJECTIONS_TOTAL: Counter "serin_endpoint_ejections_total" ["service", "version"]
            "Endpoints that were ejected because they failed requests.";
        HEALTH_CHECKS_OVERRULED: Gauge "serin_health_checks_overruled" ["service"]
            "1 while health checks fail for most endpoints and every endpoint is tried.";
        NAME_RESOLUTION_FAILURES_TOTAL: Counter "serin_name_resolution_failures_total" ["service", "version"]
            "Times that an endpoint's name could not be resolved.";
        ENDPOINT_SOURCE_FAILING: Gauge "serin_endpoint_source_failing" ["service", "version"]
            "1 while a source of endpoints (a name, a file) says nothing and its last set is kept.";
        EXHAUSTED_TOTAL: Counter "serin_exhausted_total" ["lack"]
            "Connections to endpoints that this process could not make, by what it had run out of.";
        RETRIES_IN_FLIGHT: Gauge "serin_retries_in_flight" ["service"]
            "Retries that are being made.";
        SHADOW_REQUESTS_TOTAL: Counter "serin_shadow_requests_total" ["service", "version", "result"]
            "Copies that were sent, by what came of them.";
        SHADOW_DROPPED_TOTAL: Counter "serin_shadow_dropped_total" ["service", "reason"]
            "Copies that brought no answer, by why.";
        SHADOW_IN_FLIGHT: Gauge "serin_shadow_in_flight" ["service"]
            "Copies that are being made, sent or answered.";
        SHADOW_HELD_BYTES: Gauge "serin_shadow_held_bytes" []
            "What copies and their answers hold in memory.";
        TRACED_REQUESTS_TOTAL: Counter "serin_traced_requests_total" ["result"]
            "Sampled requests and copies, by what became of their spans.";
        OWN_LAG_SECONDS: Gauge "serin_own_lag_seconds" []
            "How late this process's own threads are, when so late that nothing they measure is believed; otherwise 0.";
        NOT_OBSERVING_SECONDS_TOTAL: Counter "serin_not_observing_seconds_total" []
            "Time in which own threads were too late for anything that they measured to be believed.";
        WEIGHTS_FROZEN: Gauge "serin_weights_frozen" []
            "1 while control is silent and the weights stay where they are.";
    }
}

/// Every metric of the data plane.
pub fn all() -> impl Iterator<Item = &'static Metric> {
    PLANE.iter().chain(INGRESS).copied()
}

/// Follows the configuration by itself.
#[derive(Debug)]
pub struct PlaneMeters(pub Arc<Plane>);

impl Metered for PlaneMeters {
    fn read(&self, samples: &mut Samples) {
        let (plane, now) = (&self.0, Instant::now());
        samples.switch(&WEIGHTS_FROZEN, &[], plane.weights_frozen(now));
        let generation = plane.world_full();
        let heartbeats = &generation.heartbeats;
        let lag = heartbeats.lag(clock::micros(now)).unwrap_or_default();
        samples.gauge(&OWN_LAG_SECONDS, &[], lag.as_secs_f64());
        samples.total(&NOT_OBSERVING_SECONDS_TOTAL, &[], heartbeats.lost().as_secs_f64());
        for (result, count) in generation.spans.counts() {
            samples.counter(&TRACED_REQUESTS_TOTAL, &[result], count);
        }
        for lack in Lack::ALL {
            samples.counter(&EXHAUSTED_TOTAL, &[lack.as_str()], lack.count());
        }
        samples.gauge(&SHADOW_HELD_BYTES, &[], generation.shadows.held() as f64);
        for service in generation.services() {
            let edges = edges(service);
            let (name, overruled) = (service.name.as_str(), service.overrules_checks());
            let retries = f64::from(service.retry_budget().in_flight());
            samples.gauge(&RETRIES_IN_FLIGHT, &[name], retries);
            samples.switch(&HEALTH_CHECKS_OVERRULED, &[name], overruled);
            if let Some(shadow) = service.shadow() {
                copies(samples, name, shadow);
            }
            for version in service.versions() {
                requests(samples, version);
                latency(samples, version, &edges);
                endpoints(samples, version, now);
            }
        }
    }
}

fn edges(service: &Service) -> Vec<Duration> {
    let fixed = EDGES.iter().map(|millis| Duration::from_millis(*millis));
    let mut edges: Vec<_> = fixed.chain(service.config.latency_edges()).collect();
    edges.sort_unstable();
    edges.dedup();
    edges
}

fn requests(samples: &mut Samples, version: &VersionRuntime) {
    let of = [version.service.as_str(), version.name.as_str()];
    let meter = &version.meter;
    let counts = meter.counts(version.name.clone(), false);
    let Tally { good, bad, excluded, .. } = counts.judged.plus(counts.rest);
    for (outcome, count) in
        [(Outcome::Good, good), (Outcome::Bad, bad), (Outcome::Excluded, excluded)]
    {
        let labels = [of[0], of[1], outcome.as_str()];
        samples.counter(&REQUESTS_TOTAL, &labels, count);
        samples.counter(&UPSTREAM_ATTEMPTS_TOTAL, &labels, meter.attempts(outcome));
    }
    for (status, count) in meter.statuses() {
        let code = status.map_or_else(|| "other".to_owned(), |status| status.to_string());
        samples.counter(&RESPONSES_TOTAL, &[of[0], of[1], &code], count);
    }
    let (received, sent) = meter.bytes();
    samples.counter(&BODY_BYTES_TOTAL, &[of[0], of[1], "received"], received);
    samples.counter(&BODY_BYTES_TOTAL, &[of[0], of[1], "sent"], sent);
    samples.gauge(&REQUESTS_IN_FLIGHT, &of, counts.in_flight as f64);
}

fn copies(samples: &mut Samples, service: &str, shadow: &Mirror) {
    let ShadowResults { same, different, answered, failed } = shadow.results();
    let results =
        [("same", same), ("different", different), ("answered", answered), ("failed", failed)];
    for (result, count) in results {
        let labels = [service, shadow.to().name.as_str(), result];
        samples.counter(&SHADOW_REQUESTS_TOTAL, &labels, count);
    }
    for (reason, count) in shadow.dropped() {
        samples.counter(&SHADOW_DROPPED_TOTAL, &[service, reason], count);
    }
    samples.gauge(&SHADOW_IN_FLIGHT, &[service], f64::from(shadow.in_flight()));
}

fn latency(samples: &mut Samples, version: &VersionRuntime, edges: &[Duration]) {
    let mut all = version.meter.latency_of(Population::Judged);
    all.add(&version.meter.latency_of(Population::Rest));
    let total = all.total();
    let bucket = |edge: &Duration| (edge.as_secs_f64(), total - all.above(*edge));
    let buckets = edges.iter().map(bucket).collect();
    let of = [version.service.as_str(), version.name.as_str()];
    let sum = version.meter.latency_sum().as_secs_f64();
    samples.histogram(&REQUEST_DURATION_SECONDS, &of, buckets, sum, total);
}

fn endpoints(samples: &mut Samples, version: &VersionRuntime, now: Instant) {
    let (service, name) = (version.service.as_str(), version.name.as_str());
    for (endpoint, ready) in version.endpoints_ready(clock::mono(now)) {
        let labels = [service, name, &endpoint];
        samples.switch(&ENDPOINT_READY, &labels, ready);
    }
    let ejections = version.group().ejections();
    samples.counter(&ENDPOINT_EJECTIONS_TOTAL, &[service, name], ejections);
    if let Some(failing) = version.is_source_failing() {
        samples.switch(&ENDPOINT_SOURCE_FAILING, &[service, name], failing);
    }
    let failures = version.resolve_failures();
    samples.counter(&NAME_RESOLUTION_FAILURES_TOTAL, &[service, name], failures);
}
