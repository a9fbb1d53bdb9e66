//! The request path's counts as Prometheus reads them.
//!
//! Nothing is kept twice: each scrape adds up the meters' cells. Every label is a name from the
//! configuration or a status code, so no client can add a series.

use crate::clock;
use crate::exhaustion::Lack;
use crate::plane::Plane;
use crate::service::Service;
use crate::shadow::Mirror;
use crate::upstream::VersionRuntime;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};
use serin_core::measure::{Population, Tally};
use serin_core::outcome::Outcome;
use serin_core::shadow::ShadowResults;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Edges that every service has, in milliseconds, beside the latencies that its configuration
/// names.
const EDGES: [u64; 14] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000];

/// All names and labels; a metric that is not here is not collected.
const FAMILIES: [(&str, &str, MetricType, &[&str]); 21] = [
    (
        "serin_requests_total",
        "Requests by the outcome of their first attempt on the version they were assigned to.",
        MetricType::COUNTER,
        &["service", "version", "outcome"],
    ),
    (
        "serin_responses_total",
        "Answers that clients got, by the version that gave them.",
        MetricType::COUNTER,
        &["service", "version", "code"],
    ),
    (
        "serin_request_duration_seconds",
        "Time to the response head of a request's first attempt.",
        MetricType::HISTOGRAM,
        &["service", "version"],
    ),
    (
        "serin_upstream_attempts_total",
        "Attempts on a version's endpoints, retries and rescues among them.",
        MetricType::COUNTER,
        &["service", "version", "outcome"],
    ),
    (
        "serin_requests_in_flight",
        "Requests that are being served.",
        MetricType::GAUGE,
        &["service", "version"],
    ),
    (
        "serin_body_bytes_total",
        "Bytes of request bodies (received) and response bodies (sent).",
        MetricType::COUNTER,
        &["service", "version", "direction"],
    ),
    (
        "serin_endpoint_ready",
        "Whether an endpoint gets requests: 1 when it is healthy and not ejected.",
        MetricType::GAUGE,
        &["service", "version", "endpoint"],
    ),
    (
        "serin_endpoint_ejections_total",
        "Endpoints that were ejected because they failed requests.",
        MetricType::COUNTER,
        &["service", "version"],
    ),
    (
        "serin_health_checks_overruled",
        "1 while health checks fail for most endpoints and every endpoint is tried.",
        MetricType::GAUGE,
        &["service"],
    ),
    (
        "serin_name_resolution_failures_total",
        "Times that an endpoint's name could not be resolved.",
        MetricType::COUNTER,
        &["service", "version"],
    ),
    (
        "serin_endpoint_source_failing",
        "1 while a source of endpoints (a name, a file) says nothing and its last set is kept.",
        MetricType::GAUGE,
        &["service", "version"],
    ),
    (
        "serin_exhausted_total",
        "Connections to endpoints that this process could not make, by what it had run out of.",
        MetricType::COUNTER,
        &["lack"],
    ),
    ("serin_retries_in_flight", "Retries that are being made.", MetricType::GAUGE, &["service"]),
    (
        "serin_shadow_requests_total",
        "Copies that were sent, by what came of them.",
        MetricType::COUNTER,
        &["service", "version", "result"],
    ),
    (
        "serin_shadow_dropped_total",
        "Copies that brought no answer, by why.",
        MetricType::COUNTER,
        &["service", "reason"],
    ),
    (
        "serin_shadow_in_flight",
        "Copies that are being made, sent or answered.",
        MetricType::GAUGE,
        &["service"],
    ),
    (
        "serin_shadow_held_bytes",
        "What copies and their answers hold in memory.",
        MetricType::GAUGE,
        &[],
    ),
    (
        "serin_traced_requests_total",
        "Sampled requests and copies, by what became of their spans.",
        MetricType::COUNTER,
        &["result"],
    ),
    (
        "serin_own_lag_seconds",
        "How late this process's own threads are, when so late that nothing they measure is believed; otherwise 0.",
        MetricType::GAUGE,
        &[],
    ),
    (
        "serin_not_observing_seconds_total",
        "Time in which own threads were too late for anything that they measured to be believed.",
        MetricType::COUNTER,
        &[],
    ),
    (
        "serin_weights_frozen",
        "1 while control is silent and the weights stay where they are.",
        MetricType::GAUGE,
        &[],
    ),
];

/// Registered once; follows the configuration by itself.
pub struct PlaneCollector {
    plane: Arc<Plane>,
    descriptions: Vec<Desc>,
}

impl std::fmt::Debug for PlaneCollector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PlaneCollector")
    }
}

impl PlaneCollector {
    pub fn new(plane: Arc<Plane>) -> Result<Self, prometheus::Error> {
        let describe = |(name, help, _, labels): &(&str, &str, MetricType, &[&str])| {
            let labels = labels.iter().map(|label| (*label).to_owned()).collect();
            Desc::new((*name).to_owned(), (*help).to_owned(), labels, HashMap::new())
        };
        let descriptions = FAMILIES.iter().map(describe).collect::<Result<_, _>>()?;
        Ok(Self { plane, descriptions })
    }
}

impl Collector for PlaneCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let now = Instant::now();
        let mut gathered = Gathered::default();
        let frozen = self.plane.weights_frozen(now);
        gathered.gauge("serin_weights_frozen", &[], f64::from(u8::from(frozen)));
        let heartbeats = &self.plane.world_full().heartbeats;
        let lag = heartbeats.lag(clock::micros(now)).unwrap_or_default();
        gathered.gauge("serin_own_lag_seconds", &[], lag.as_secs_f64());
        let lost = heartbeats.lost().as_secs_f64();
        gathered.counter_of("serin_not_observing_seconds_total", &[], lost);
        for (result, count) in self.plane.world_full().spans.counts() {
            gathered.counter("serin_traced_requests_total", &[result], count);
        }
        for lack in Lack::ALL {
            gathered.counter("serin_exhausted_total", &[lack.as_str()], lack.count());
        }
        let held = self.plane.world_full().shadows.held();
        gathered.gauge("serin_shadow_held_bytes", &[], held as f64);
        for service in self.plane.generation().services() {
            let edges = edges(service);
            let retries = f64::from(service.retry_budget().in_flight());
            gathered.gauge("serin_retries_in_flight", &[service.name.as_str()], retries);
            let overruled = f64::from(u8::from(service.overrules_checks()));
            gathered.gauge("serin_health_checks_overruled", &[service.name.as_str()], overruled);
            if let Some(shadow) = service.shadow() {
                copies(&mut gathered, service.name.as_str(), shadow);
            }
            for version in service.versions() {
                requests(&mut gathered, version);
                latency(&mut gathered, version, &edges);
                endpoints(&mut gathered, version, now);
            }
        }
        gathered.families()
    }
}

fn edges(service: &Service) -> Vec<Duration> {
    let fixed = EDGES.iter().map(|millis| Duration::from_millis(*millis));
    let mut edges: Vec<_> = fixed.chain(service.config.latency_edges()).collect();
    edges.sort_unstable();
    edges.dedup();
    edges
}

fn requests(gathered: &mut Gathered, version: &VersionRuntime) {
    let of = [version.service.as_str(), version.name.as_str()];
    let meter = &version.meter;
    let counts = meter.counts(version.name.clone(), false);
    let Tally { good, bad, excluded, .. } = counts.judged.plus(counts.rest);
    for (outcome, count) in
        [(Outcome::Good, good), (Outcome::Bad, bad), (Outcome::Excluded, excluded)]
    {
        let labels = [of[0], of[1], outcome.as_str()];
        gathered.counter("serin_requests_total", &labels, count);
        gathered.counter("serin_upstream_attempts_total", &labels, meter.attempts(outcome));
    }
    for (status, count) in meter.statuses() {
        let code = status.map_or_else(|| "other".to_owned(), |status| status.to_string());
        gathered.counter("serin_responses_total", &[of[0], of[1], &code], count);
    }
    let (received, sent) = meter.bytes();
    gathered.counter("serin_body_bytes_total", &[of[0], of[1], "received"], received);
    gathered.counter("serin_body_bytes_total", &[of[0], of[1], "sent"], sent);
    gathered.gauge("serin_requests_in_flight", &of, counts.in_flight as f64);
}

fn copies(gathered: &mut Gathered, service: &str, shadow: &Mirror) {
    let ShadowResults { same, different, answered, failed } = shadow.results();
    let results =
        [("same", same), ("different", different), ("answered", answered), ("failed", failed)];
    for (result, count) in results {
        let labels = [service, shadow.to().name.as_str(), result];
        gathered.counter("serin_shadow_requests_total", &labels, count);
    }
    for (reason, count) in shadow.dropped() {
        gathered.counter("serin_shadow_dropped_total", &[service, reason], count);
    }
    gathered.gauge("serin_shadow_in_flight", &[service], f64::from(shadow.in_flight()));
}

fn latency(gathered: &mut Gathered, version: &VersionRuntime, edges: &[Duration]) {
    let mut all = version.meter.latency_of(Population::Judged);
    all.add(&version.meter.latency_of(Population::Rest));
    let total = all.total();
    let bucket = |edge: &Duration| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(edge.as_secs_f64());
        bucket.set_cumulative_count(total - all.above(*edge));
        bucket
    };
    let mut histogram = Histogram::default();
    histogram.set_bucket(edges.iter().map(bucket).collect());
    histogram.set_sample_count(total);
    histogram.set_sample_sum(version.meter.latency_sum().as_secs_f64());
    let of = [version.service.as_str(), version.name.as_str()];
    gathered.add("serin_request_duration_seconds", &of, |m| m.set_histogram(histogram));
}

fn endpoints(gathered: &mut Gathered, version: &VersionRuntime, now: Instant) {
    let (service, name) = (version.service.as_str(), version.name.as_str());
    for (endpoint, ready) in version.endpoints_ready(clock::mono(now)) {
        let labels = [service, name, &endpoint];
        gathered.gauge("serin_endpoint_ready", &labels, f64::from(u8::from(ready)));
    }
    let ejections = version.group().ejections();
    gathered.counter("serin_endpoint_ejections_total", &[service, name], ejections);
    if let Some(failing) = version.is_source_failing() {
        let failing = f64::from(u8::from(failing));
        gathered.gauge("serin_endpoint_source_failing", &[service, name], failing);
    }
    let failures = version.resolve_failures();
    gathered.counter("serin_name_resolution_failures_total", &[service, name], failures);
}

/// Samples by the name of their metric.
#[derive(Default)]
struct Gathered(BTreeMap<&'static str, Vec<Metric>>);

impl Gathered {
    fn counter(&mut self, name: &'static str, labels: &[&str], value: u64) {
        self.counter_of(name, labels, value as f64);
    }

    fn counter_of(&mut self, name: &'static str, labels: &[&str], value: f64) {
        let mut counter = Counter::default();
        counter.set_value(value);
        self.add(name, labels, |metric| metric.set_counter(counter));
    }

    fn gauge(&mut self, name: &'static str, labels: &[&str], value: f64) {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        self.add(name, labels, |metric| metric.set_gauge(gauge));
    }

    fn add(&mut self, name: &'static str, labels: &[&str], set: impl FnOnce(&mut Metric)) {
        let described = FAMILIES.iter().find(|(described, ..)| *described == name);
        debug_assert!(described.is_some(), "{name} is not described");
        let names = described.map_or(&[][..], |(_, _, _, names)| names);
        debug_assert_eq!(names.len(), labels.len(), "labels of {name}");
        let pair = |(name, value): (&&str, &&str)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        };
        let mut metric = Metric::default();
        metric.set_label(names.iter().zip(labels).map(pair).collect());
        set(&mut metric);
        self.0.entry(name).or_default().push(metric);
    }

    fn families(mut self) -> Vec<MetricFamily> {
        let family = |(name, help, kind, _): &(&'static str, &str, MetricType, _)| {
            let mut family = MetricFamily::default();
            family.set_name((*name).to_owned());
            family.set_help((*help).to_owned());
            family.set_field_type(*kind);
            family.set_metric(self.0.remove(name)?);
            Some(family)
        };
        FAMILIES.iter().filter_map(family).collect()
    }
}
