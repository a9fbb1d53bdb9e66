//! What a failing backend does to its clients, and to its version's record.

use crate::edge::{Edge, ROUTE, SHORT, web};
use serin_testkit::{ConfigText, Fault, Origin, RawOrigin, Script, ServiceText, eventually};
use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// An address at which nobody listens.
fn nobody() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn with(origin: SocketAddr, keys: &str) -> Edge {
    Edge::start(&ConfigText::simple(web(origin).with(keys)))
}

#[test]
fn a_refused_connection_is_502_after_one_retry() {
    let edge = with(nobody(), "retries: { attempts: 1, on: [connectFailure] }");
    assert_eq!(edge.get("/").status, 502);
    let tally = edge.counts("v1").judged;
    assert_eq!((tally.bad, tally.good), (1, 0));
    assert_eq!(edge.metric("serin_upstream_attempts_total", ("outcome", "bad")), 2.0);
}

#[test]
fn a_retry_finds_the_endpoint_that_lives() {
    let origin = Origin::start("v1");
    let service = ServiceText::new("web")
        .version("v1", &[nobody(), origin.address()])
        .with("retries: { attempts: 1, on: [connectFailure] }");
    let edge = Edge::start(&ConfigText::simple(service));
    for _ in 0..40 {
        assert_eq!(edge.get("/").status, 200);
    }
}

#[test]
fn no_answer_in_time_is_504() {
    let origin = RawOrigin::always(Script::never_answering());
    let edge = with(origin.address(), "timeouts: { response: 300ms, idle: 60s }");
    assert_eq!(edge.get("/").status, 504);
    assert_eq!(edge.counts("v1").judged.bad, 1);
}

#[test]
fn an_answer_is_due_whatever_comes_before_it() {
    let hint = "HTTP/1.1 103 Early Hints\r\n\r\n";
    let interim = Script::new().read_request().trickle(hint.repeat(40), hint.len(), SHORT / 3);
    let head = Script::new()
        .read_request()
        .write("HTTP/1.1 200 OK\r\n")
        .trickle("X: y\r\n".repeat(40), 6, SHORT / 3)
        .write("Content-Length: 0\r\n\r\n");
    for script in [interim.write(OK), head] {
        let origin = RawOrigin::always(script);
        let edge = with(origin.address(), "timeouts: { response: 300ms, idle: 60s }");
        assert_eq!(edge.get("/").status, 504);
        assert_eq!(edge.counts("v1").judged.bad, 1);
    }
}

/// The statuses of so many requests at once.
fn at_once(edge: &Edge, count: usize) -> Vec<u16> {
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..count).map(|_| scope.spawn(|| edge.get("/").status)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

#[test]
fn an_endpoint_that_answers_everything_too_late_is_given_less_until_it_is_quick_again() {
    let origin = Origin::start("v1");
    let edge = with(origin.address(), "timeouts: { response: 300ms, idle: 60s }");
    origin.break_all(Fault::Hang);
    eventually("some are refused", || at_once(&edge, 20).contains(&503));
    let before = origin.requests();
    let statuses = at_once(&edge, 20);
    assert!(statuses.iter().all(|status| matches!(status, 503 | 504)), "{statuses:?}");
    assert!(origin.requests() - before <= 10, "{} of 20 went on", origin.requests() - before);
    origin.heal();
    eventually("all are answered", || at_once(&edge, 20).iter().all(|status| *status == 200));
}

#[test]
fn an_endpoint_is_given_everything_where_nothing_is_to_be_found_out() {
    let origin = Origin::start("v1");
    let keys = "timeouts: { response: 300ms, idle: 60s }\nadaptiveConcurrency: false";
    let edge = with(origin.address(), keys);
    origin.break_all(Fault::Hang);
    for _ in 0..6 {
        assert!(at_once(&edge, 20).iter().all(|status| *status == 504));
    }
    assert_eq!(origin.requests(), 120);
}

/// The time to the answer begins with the last byte of the request.
#[test]
fn a_body_that_its_backend_takes_slowly_is_not_late() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let edge = with(listener.local_addr().unwrap(), "timeouts: { response: 2s, idle: 60s }");
    // More than the kernel keeps for one who does not read.
    let body = vec![b'x'; 32 << 20];
    let (length, mut client) = (body.len(), edge.client());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let (mut backend, _) = listener.accept().unwrap();
            // Longer than the answer may take.
            std::thread::sleep(Duration::from_secs(3));
            let (mut piece, mut came) = (vec![0; 1 << 20], 0);
            while came < length
                && let Ok(count @ 1..) = backend.read(&mut piece)
            {
                came += count;
            }
            let _gone = backend.write_all(OK.as_bytes());
        });
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"));
        client.send(body);
        assert_eq!(client.response().status, 200);
    });
}

#[test]
fn a_slow_body_outlives_the_time_to_the_head() {
    let origin = Origin::start("v1");
    let edge = with(origin.address(), "timeouts: { response: 300ms, idle: 60s }");
    let answer = edge.get("/stream/3/400");
    assert_eq!(answer.status, 200);
    assert!(!answer.body.is_empty());
}

#[test]
fn a_body_that_stops_coming_is_broken_off() {
    let script =
        Script::new().read_request().write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    let origin = RawOrigin::always(script);
    let edge = with(origin.address(), "timeouts: { response: 10s, idle: 300ms }");
    let mut client = edge.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(client.try_response().is_err());
    eventually("it is truncated, and bad", || edge.counts("v1").judged.bad == 1);
}

#[test]
fn a_reset_in_the_middle_is_truncated_for_the_client_too_and_never_retried() {
    for head in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let body = if head.starts_with('C') { "half" } else { "4\r\nhalf\r\n" };
        let script = Script::new()
            .read_request()
            .write(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}"))
            .wait(SHORT)
            .reset();
        let origin = RawOrigin::always(script);
        let edge = with(origin.address(), "retries: { attempts: 2, on: [reset] }");
        let mut client = edge.client();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let broken = client.try_response().unwrap_err();
        let read = String::from_utf8_lossy(&broken.read).into_owned();
        assert!(!read.ends_with("0\r\n\r\n"), "{read}");
        eventually("it is bad", || edge.counts("v1").judged.bad == 1);
        assert_eq!(origin.accepted(), 1);
    }
}

#[test]
fn an_answer_that_is_not_http_is_502() {
    for answer in [
        "GARBAGE\r\n\r\n",
        "HTTP/1.1 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\n",
    ] {
        let origin = RawOrigin::always(Script::new().read_request().write(answer).close());
        let edge = Edge::to(origin.address());
        assert_eq!(edge.get("/").status, 502, "{answer:?}");
        assert_eq!(edge.counts("v1").judged.bad, 1);
    }
}

#[test]
fn a_post_that_may_have_been_processed_is_never_sent_twice() {
    for body in [
        "Content-Length: 5\r\n\r\nhello",
        "Content-Length: 0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "\r\n",
    ] {
        let origin = RawOrigin::always(Script::new().read_request().close());
        let edge = with(origin.address(), "retries: { attempts: 3, on: [reset, connectFailure] }");
        let mut client = edge.client();
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{body}"));
        assert_eq!(client.response().status, 502, "{body:?}");
        let received = String::from_utf8(origin.received()).unwrap();
        assert_eq!(received.matches("POST").count(), 1, "{body:?}");
    }
}

#[test]
fn a_kept_connection_that_died_is_replaced_for_an_idempotent_request() {
    let dying = Script::new().read_request().write(OK).read_request().close();
    let origin = RawOrigin::in_turn(vec![dying, Script::answering(OK)]);
    let edge = Edge::to(origin.address());
    assert_eq!(edge.get("/1").status, 200);
    for _ in 0..4 {
        assert_eq!(edge.get("/2").status, 200);
    }
    assert_eq!(edge.counts("v1").judged.bad, 0);
}

#[test]
fn a_status_may_be_worth_another_attempt() {
    let origin = Origin::start("v1");
    origin.break_one_in(1_000, Fault::Status(503));
    let edge = with(origin.address(), "retries: { attempts: 1, on: [\"503\"] }");
    assert_eq!(edge.get("/").status, 200);
    assert_eq!(origin.requests(), 2);
    assert_eq!(edge.counts("v1").judged.bad, 1, "the first attempt is what is judged");
}

/// Answers 503 to whoever asks for the first time, and to a second attempt nothing. Counts those.
fn busy_origin() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, held) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&held);
    std::thread::spawn(move || {
        let (mut seen, mut open) = (HashSet::new(), Vec::new());
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                socket.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).unwrap();
            let id = head.lines().find(|line| line.starts_with("x-request-id")).unwrap();
            if seen.insert(id.to_owned()) {
                let answer = b"HTTP/1.1 503 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
                socket.write_all(answer).unwrap();
            } else {
                counted.fetch_add(1, SeqCst);
                open.push(socket);
            }
        }
    });
    (address, held)
}

#[test]
fn a_retry_after_a_status_holds_its_place_in_the_budget_while_it_is_in_flight() {
    let (origin, held) = busy_origin();
    let edge = with(origin, "retries: { attempts: 1, on: [\"503\"], budget: 20% }");
    // So many may always be in flight.
    let mut clients: Vec<_> = (0..3).map(|_| edge.client()).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    eventually("their retries are in flight", || held.load(SeqCst) == 3);
    assert_eq!(edge.get("/").status, 503, "it gets the answer of its one attempt");
    assert_eq!(held.load(SeqCst), 3);
}

#[test]
fn a_version_without_a_ready_endpoint_is_503_and_its_share_goes_nowhere_else() {
    let origin = Origin::start("v1");
    origin.set_ready(false);
    let edge = with(
        origin.address(),
        "healthCheck: { path: /readyz, interval: 50ms, timeout: 1s, unhealthyAfter: 1, healthyAfter: 1, panicBelow: 0% }",
    );
    eventually("the endpoint is found unhealthy", || edge.proxy.not_ready().is_some());
    assert_eq!(edge.get("/").status, 503);
    origin.set_ready(true);
    eventually("it is back", || edge.get("/").status == 200);
}

#[test]
fn checks_that_fail_everywhere_are_overruled_and_believed_again_afterwards() {
    let origins = [Origin::start("v1"), Origin::start("v1")];
    let addresses: Vec<SocketAddr> = origins.iter().map(Origin::address).collect();
    let service = ServiceText::new("web").version("v1", &addresses).with(
        "healthCheck: { path: /readyz, interval: 50ms, timeout: 1s, unhealthyAfter: 1, healthyAfter: 1 }",
    );
    let edge = Edge::start(&ConfigText::simple(service));
    let name = serin_core::ids::ServiceName::new("web").unwrap();
    let overruled = || edge.plane().counts(&name).unwrap().checks_overruled;
    let metric = || edge.metric("serin_health_checks_overruled", ("service", "web"));
    assert!(!overruled());
    origins.iter().for_each(|origin| origin.set_ready(false));
    eventually("checks are overruled", overruled);
    assert_eq!(metric(), 1.0);
    for _ in 0..20 {
        assert_eq!(edge.get("/").status, 200);
    }
    assert!(edge.proxy.not_ready().is_none(), "its balancer goes on sending requests here");
    origins[0].set_ready(true);
    eventually("half of them is enough", || !overruled());
    let before = origins[1].requests_to("/");
    for _ in 0..20 {
        assert_eq!(edge.get("/").status, 200);
    }
    assert_eq!(origins[1].requests_to("/"), before, "the check decides again");
    assert_eq!(metric(), 0.0);
}

#[test]
fn endpoints_are_not_ejected_for_timeouts_while_own_threads_are_late() {
    let origins = [Origin::start("v1"), Origin::start("v1")];
    let addresses: Vec<SocketAddr> = origins.iter().map(Origin::address).collect();
    let service = ServiceText::new("web")
        .version("v1", &addresses)
        .with("timeouts: { response: 100ms }")
        .with("outliers: { consecutiveFailures: 3, ejectFor: 30s, maxEjected: 50% }");
    let edge = Edge::start(&ConfigText::simple(service));
    let ejections = || edge.metric("serin_endpoint_ejections_total", ("service", "web"));
    let on_time = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !on_time.load(SeqCst) {
                // Control ticks late.
                assert!(edge.plane().own_lag(Duration::from_secs(5)).is_some());
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        for _ in 0..8 {
            assert_eq!(edge.get("/hang").status, 504);
        }
        on_time.store(true, SeqCst);
    });
    eventually("all are counted", || edge.counts("v1").judged.excluded == 8);
    assert_eq!((edge.counts("v1").judged.bad, ejections()), (0, 0.0));
    eventually("one is ejected when threads are on time", || {
        edge.get("/hang");
        ejections() == 1.0
    });
}

#[test]
fn a_client_that_leaves_is_no_mark_against_the_version() {
    let origin = Origin::start("v1");
    let edge = Edge::to(origin.address());
    let mut client = edge.client();
    client.send("GET /hang HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the request is with the backend", || origin.in_flight() == 1);
    client.reset();
    eventually("it is excluded", || edge.counts("v1").judged.excluded == 1);
    assert_eq!(edge.counts("v1").judged.bad, 0);
}

#[test]
fn an_endpoint_killed_under_load_costs_no_client_an_error() {
    let living = Origin::start("v1");
    let mut dying = Origin::start("v1");
    let service = ServiceText::new("web")
        .version("v1", &[living.address(), dying.address()])
        .with("retries: { attempts: 2, on: [connectFailure, reset], budget: 100% }")
        .with("outliers: { consecutiveFailures: 3, ejectFor: 30s, maxEjected: 50% }");
    let edge = Edge::start(&ConfigText::new().http_listener("http").service(service).route(ROUTE));
    let (stop, served, failed) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut client = edge.client();
                while !stop.load(SeqCst) {
                    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
                    let answer = client.response();
                    if answer.status != 200 {
                        failed.fetch_add(1, SeqCst);
                        client = edge.client();
                    }
                    served.fetch_add(1, SeqCst);
                }
            });
        }
        eventually("both endpoints serve", || dying.requests() > 50 && living.requests() > 50);
        dying.stop();
        let at = served.load(SeqCst);
        eventually("load goes on", || served.load(SeqCst) > at + 500);
        stop.store(true, SeqCst);
    });
    assert_eq!(failed.load(SeqCst), 0, "of {}", served.load(SeqCst));
}
