use super::support::*;
use http::HeaderMap;
use prometheus::{Encoder, Registry, TextEncoder};
use proptest::prelude::*;
use serin_core::metrics::{Metered, Samples};
use serin_core::slo::LatencyObjective;
use serin_proxy::meter::{Answered, RequestMeter};
use serin_proxy::metrics::PlaneMeters;
use serin_proxy::plane::Plane;
use serin_proxy::thread::{ThreadId, random};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn shop_plane() -> Arc<Plane> {
    let mut shop = shop();
    let under = Duration::from_millis(333);
    shop.objectives.latency = Some(LatencyObjective { objective: 0.95, under });
    Arc::new(plane_of(shop).0)
}

fn read(plane: &Arc<Plane>) -> Samples {
    let mut samples = Samples::default();
    PlaneMeters(Arc::clone(plane)).read(&mut samples);
    samples
}

fn scrape(plane: &Arc<Plane>) -> String {
    read(plane).text()
}

fn serve(plane: &Plane, status: u16, latency: Duration) {
    let service = Arc::clone(plane.generation().service(&service_name("shop")).unwrap());
    let headers = HeaderMap::new();
    let began = Instant::now();
    let assigned = service.assign(ThreadId(0), &who(&headers), random());
    let version = Arc::clone(&assigned.version);
    let mut exchange = RequestMeter::start(assigned, CLIENT, began);
    exchange.head(status, about("r"), began + latency);
    let ending = serin_core::outcome::Ending::Answered { status, grpc: None };
    exchange.attempt_ended(&version, ending, about("r"), began + latency);
    exchange.answered(Answered { by: &version, status, received: 1, sent: 2 });
    drop(exchange);
}

#[test]
fn a_scrape_says_what_was_counted() {
    let plane = shop_plane();
    for (status, millis) in [(200, 3), (200, 300), (404, 340), (500, 4_000)] {
        serve(&plane, status, Duration::from_millis(millis));
    }
    let text = scrape(&plane);
    let of = "service=\"shop\",version=\"v1\"";
    for line in [
        "serin_requests_total{outcome=\"good\",service=\"shop\",version=\"v1\"} 3".to_owned(),
        "serin_requests_total{outcome=\"bad\",service=\"shop\",version=\"v1\"} 1".to_owned(),
        "serin_responses_total{code=\"404\",service=\"shop\",version=\"v1\"} 1".to_owned(),
        format!("serin_request_duration_seconds_bucket{{{of},le=\"0.333\"}} 2"),
        format!("serin_request_duration_seconds_bucket{{{of},le=\"0.005\"}} 1"),
        format!("serin_request_duration_seconds_bucket{{{of},le=\"+Inf\"}} 4"),
        format!("serin_request_duration_seconds_count{{{of}}} 4"),
        format!("serin_requests_in_flight{{{of}}} 0"),
        "serin_endpoint_ready{endpoint=\"127.0.0.1:1001\",service=\"shop\",version=\"v1\"} 1"
            .to_owned(),
        "serin_weights_frozen 0".to_owned(),
        "serin_own_lag_seconds 0".to_owned(),
        "serin_not_observing_seconds_total 0".to_owned(),
    ] {
        let found = text.lines().any(|l| sorted(l) == sorted(&line));
        assert!(found, "{line}\nis not in\n{text}");
    }
}

/// A line with its labels in order.
fn sorted(line: &str) -> String {
    match (line.split_once('{'), line.rsplit_once('}')) {
        (Some((name, rest)), Some((_, value))) => {
            let labels = rest.rsplit_once('}').map_or("", |(labels, _)| labels);
            let mut labels: Vec<_> = labels.split(',').collect();
            labels.sort_unstable();
            format!("{name} {labels:?}{value}")
        }
        _ => line.to_owned(),
    }
}

#[test]
fn no_status_and_no_amount_of_traffic_adds_more_series_than_there_are_statuses() {
    let plane = shop_plane();
    let count = || read(&plane).series();
    let before = count();
    for n in 0..100_000u32 {
        serve(&plane, (n % 1_000) as u16, Duration::ZERO);
    }
    assert_eq!(count() - before, 501, "100 to 599, and all others together");
}

serin_core::metrics! {
    MADE_UP {
        COUNTED: Counter "made_up_total" ["one", "other"] "Counts \\ and\nsays \"so\".";
        MEASURED: Gauge "made_up" [] "A number.";
        SPREAD: Histogram "made_up_seconds" ["one"] "Seconds.";
    }
}

proptest! {
    /// Our text is what the crate of the field would write of the same. Labels are such that it does not
    /// take two series for one: it hashes their values without a mark between them.
    #[test]
    fn the_text_is_that_of_the_prometheus_crate(
        counts in proptest::collection::btree_map(("[ -~\n]{0,6}", "\\PC"), 0u64..1 << 53, 0..6),
        measured in proptest::num::f64::NORMAL,
        spread in proptest::collection::vec(0u32..50, 0..20),
    ) {
        prop_assert_eq!(MADE_UP.len(), 3);
        let registry = Registry::new();
        let [counted, gauge, histogram] = MADE_UP else { unreachable!() };
        let theirs = prometheus::CounterVec::new(
            prometheus::Opts::new(counted.name, counted.help),
            counted.labels,
        ).unwrap();
        let number = prometheus::Gauge::new(gauge.name, gauge.help).unwrap();
        let edges = vec![0.5, 5.0, 1e9];
        let options = prometheus::HistogramOpts::new(histogram.name, histogram.help);
        let times = prometheus::HistogramVec::new(options.buckets(edges.clone()), histogram.labels).unwrap();
        registry.register(Box::new(theirs.clone())).unwrap();
        registry.register(Box::new(number.clone())).unwrap();
        registry.register(Box::new(times.clone())).unwrap();
        let mut ours = Samples::default();
        for ((one, other), count) in &counts {
            theirs.with_label_values(&[one, other]).inc_by(*count as f64);
            ours.counter(&COUNTED, &[one, other], *count);
        }
        number.set(measured);
        ours.gauge(&MEASURED, &[], measured);
        let all = times.with_label_values(&["x"]);
        spread.iter().for_each(|seconds| all.observe(f64::from(*seconds)));
        let below = |edge: f64| spread.iter().filter(|s| f64::from(**s) <= edge).count() as u64;
        let buckets = edges.iter().map(|edge| (*edge, below(*edge))).collect();
        let sum = f64::from(spread.iter().sum::<u32>());
        ours.histogram(&SPREAD, &["x"], buckets, sum, spread.len() as u64);
        let mut text = Vec::new();
        TextEncoder::new().encode(&registry.gather(), &mut text).unwrap();
        prop_assert_eq!(ours.text(), String::from_utf8(text).unwrap());
    }
}
