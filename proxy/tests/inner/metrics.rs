use super::support::*;
use http::HeaderMap;
use prometheus::core::Collector;
use prometheus::{Encoder, Registry, TextEncoder};
use serin_core::slo::LatencyObjective;
use serin_proxy::meter::{Answered, RequestMeter};
use serin_proxy::metrics::PlaneCollector;
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

fn scrape(plane: &Arc<Plane>) -> String {
    let registry = Registry::new();
    registry.register(Box::new(PlaneCollector::new(Arc::clone(plane)).unwrap())).unwrap();
    let mut text = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut text).unwrap();
    String::from_utf8(text).unwrap()
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
    let count = || {
        let collected = PlaneCollector::new(Arc::clone(&plane)).unwrap().collect();
        collected.iter().map(|family| family.get_metric().len()).sum::<usize>()
    };
    let before = count();
    for n in 0..100_000u32 {
        serve(&plane, (n % 1_000) as u16, Duration::ZERO);
    }
    assert_eq!(count() - before, 501, "100 to 599, and all others together");
}
