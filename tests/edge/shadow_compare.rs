//! Answers beside answers: what differs is found, and what differs by itself is not taken for it.

use crate::edge::Edge;
use crate::shadow::{dropped, mirrored, results, settled};
use serin_core::ids::ServiceName;
use serin_core::shadow::ShadowReport;
use serin_testkit::{RawOrigin, Script, eventually, get};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// Answers each request with what `body` makes of a number that never comes twice.
fn answering(body: impl Fn(u64) -> String + Send + Sync + Clone + 'static) -> SocketAddr {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let body = body.clone();
            std::thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let mut out = stream;
                // Only GET comes here: an empty line ends a request.
                while lines.by_ref().map_while(Result::ok).any(|line| line.is_empty()) {
                    let body = body(NEXT.fetch_add(1, SeqCst));
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    if out.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn report(edge: &Edge) -> ShadowReport {
    edge.plane().shadow(&ServiceName::new("web").unwrap()).unwrap()
}

fn ask(edge: &Edge, times: u64) {
    // A machine that is busy elsewhere may leave no room for some.
    let counted = || {
        let all = ["same", "different", "answered", "failed"];
        all.iter().map(|result| results(edge, result)).sum::<f64>() + dropped(edge, "full")
    };
    let before = counted();
    let mut client = edge.client();
    for n in 0..times {
        client.send(format!("GET /items/{n}?key=hidden HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(client.response().status, 200);
    }
    settled(edge);
    eventually("all copies are counted", || counted() - before == times as f64);
}

/// Until so many copies came to this: before stable has shown what it does by itself, a copy that
/// differs is answered and no more.
fn ask_until(edge: &Edge, result: &str, many: f64) {
    for _ in 0..40 {
        if results(edge, result) >= many {
            return;
        }
        ask(edge, 50);
    }
    panic!("{:#?}", report(edge));
}

fn noisy(id: u64, price: u64) -> String {
    format!(
        r#"{{"id":"{id:x}","at":{id},"items":[{{"ref":"{id:o}","price":{price}}},{{"ref":"x{id}","price":1}}],"name":"a","trace":{{"span":{id}}}}}"#
    )
}

#[test]
fn a_planted_field_is_found_among_random_ids_and_timestamps_and_nothing_else_is() {
    let stable = answering(|id| noisy(id, 10));
    let shadow = answering(|id| noisy(id, 11));
    let keys = ", compare: { headers: [content-type], body: json, noise: true }";
    let edge = Edge::start(&mirrored(stable, shadow, keys));
    ask_until(&edge, "different", 100.0);
    let report = report(&edge);
    let places: Vec<_> = report.differences.iter().map(|d| d.place.path.as_str()).collect();
    assert_eq!(places, ["$.items[*].price"], "{report:#?}");
    let found = &report.differences[0];
    assert!(found.count >= 100, "{found:?}");
    assert_eq!((found.samples[0].stable.as_str(), found.samples[0].shadow.as_str()), ("10", "11"));
    assert!(found.samples[0].request.starts_with("GET /items/"), "{found:?}");
    assert!(!found.samples[0].request.contains("hidden"), "a query may say what nobody should");
    let noise: Vec<_> = report.noise.iter().map(|place| place.path.as_str()).collect();
    assert_eq!(noise, ["$.at", "$.id", "$.items[*].ref", "$.trace.span"]);
    assert_eq!(results(&edge, "different"), found.count as f64);
    assert_eq!(results(&edge, "same"), 0.0);
    assert!(report.latency.is_some_and(|beside| beside.samples >= 100), "{:?}", report.latency);
    let counts = edge.counts("v2");
    assert_eq!(counts.shadow_mismatched, found.count, "for guards and gates");
}

#[test]
fn versions_that_differ_only_by_themselves_are_the_same() {
    let same = || answering(|id| noisy(id, 10));
    let keys = ", compare: { body: json, noise: true }";
    let edge = Edge::start(&mirrored(same(), same(), keys));
    ask_until(&edge, "same", 100.0);
    assert_eq!(report(&edge).differences, []);
    assert_eq!(results(&edge, "different"), 0.0);
}

/// A value that changed between the two questions looks like noise, once.
#[test]
fn a_difference_that_stable_showed_by_chance_is_found_all_the_same() {
    let asked = Arc::new(AtomicU64::new(0));
    let stable = answering(move |_| match asked.fetch_add(1, SeqCst) {
        1 => r#"{"price":99}"#.to_owned(),
        _ => r#"{"price":10}"#.to_owned(),
    });
    let shadow = answering(|_| r#"{"price":11}"#.to_owned());
    let edge = Edge::start(&mirrored(stable, shadow, ", compare: { body: json, noise: true }"));
    let mut asked = 0;
    while report(&edge).differences.is_empty() {
        assert_eq!(edge.get("/").status, 200);
        asked += 1;
        settled(&edge);
        assert!(asked < 100, "{:#?}", report(&edge));
    }
    assert_eq!(report(&edge).noise, []);
}

/// By length, in chunks and to the end of the connection.
#[test]
fn however_an_answer_is_framed_its_body_is_compared() {
    let framed = |framing: usize, body: &str| match framing {
        0 => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
        1 => {
            let (one, other) = body.split_at(7);
            let chunk = |part: &str| format!("{:x};x=y\r\n{part}\r\n", part.len());
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            format!("{head}{}{}0\r\n\r\n", chunk(one), chunk(other))
        }
        _ => format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{body}"),
    };
    let body = "x".repeat(5_000);
    let other = format!("{}y", &body[1..]);
    for framing in 0..3 {
        for (answer, result) in [(&body, "same"), (&other, "different")] {
            let script = Script::new().read_request().write(framed(framing, &body)).close();
            let stable = RawOrigin::always(script);
            let script = Script::new().read_request().write(framed(2 - framing, answer)).close();
            let shadow = RawOrigin::always(script);
            let keys = ", compare: { body: bytes }";
            let config = mirrored(stable.address(), shadow.address(), keys);
            let edge = Edge::start(&config);
            assert_eq!(edge.get("/").text(), body);
            eventually(&format!("{result}, framing {framing}"), || results(&edge, result) == 1.0);
        }
    }
}

#[test]
fn what_is_ignored_does_not_differ_and_what_is_secret_is_not_shown() {
    let stable =
        answering(|id| format!(r#"{{"at":{id},"card":{{"number":1}},"apiKey":"k1","n":1}}"#));
    let shadow =
        answering(|id| format!(r#"{{"at":{id},"card":{{"number":2}},"apiKey":"k2","n":1}}"#));
    let keys = ", redact: { json: [\"$.card\"] }, compare: { body: json, ignore: [\"$.at\"] }";
    let edge = Edge::start(&mirrored(stable, shadow, keys));
    ask(&edge, 5);
    let report = report(&edge);
    let mut places: Vec<_> = report.differences.iter().map(|d| d.place.path.as_str()).collect();
    places.sort_unstable();
    assert_eq!(places, ["$.apiKey", "$.card.number"]);
    for difference in &report.differences {
        assert_eq!(difference.count, 5);
        assert!(difference.samples.len() <= 4, "a few of them");
        let sample = &difference.samples[0];
        assert_eq!((sample.stable.as_str(), sample.shadow.as_str()), ("[redacted]", "[redacted]"));
    }
}

#[test]
fn a_new_measure_begins_a_new_report_and_another_percentage_does_not() {
    let stable = answering(|_| r#"{"a":1}"#.to_owned());
    let shadow = answering(|_| r#"{"a":2}"#.to_owned());
    let keys = ", compare: { body: json }";
    let edge = Edge::start(&mirrored(stable, shadow, keys));
    ask(&edge, 3);
    edge.apply(&mirrored(stable, shadow, ", percent: 50%, compare: { body: json }"));
    assert_eq!(report(&edge).differences.len(), 1);
    edge.apply(&mirrored(stable, shadow, ", compare: { body: json, ignore: [\"$.a\"] }"));
    assert_eq!(report(&edge).differences, []);
    assert_eq!(get(edge.address(), "a", "/").status, 200);
    eventually("it is the same now", || results(&edge, "same") == 1.0);
}
