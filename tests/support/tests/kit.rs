//! The kit tested against itself: a test that cannot fail is worth nothing, so what the origins
//! do wrong must be what the clients see.

use hyper::header::HeaderValue;
use serin_testkit::{
    ConfigText, Connection, End, Fault, Framing, Latch, Origin, RawClient, RawOrigin, Script,
    Serin, ServiceText, body_hash, eventually, finish, get, temp_dir,
};
use std::process::Command;
use std::time::Duration;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn a_raw_origin_answers_exact_bytes_and_records_what_came() {
    let origin = RawOrigin::always(Script::answering(OK));
    let mut client = RawClient::connect(origin.address());
    for path in ["/1", "/2"] {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let answer = client.response();
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
        assert_eq!(answer.framing, Framing::Length(2));
    }
    let expected = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(origin.received(), expected.as_bytes());
    assert_eq!(origin.accepted(), 1);
}

#[test]
fn a_request_is_whole_with_its_body_only() {
    let origin = RawOrigin::always(Script::answering(OK));
    let mut client = RawClient::connect(origin.address());
    client.send("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nbo");
    eventually("half a body arrives", || origin.received().ends_with(b"bo"));
    assert!(!client.has_ended());
    assert_eq!(client.send("dy").response().status, 200);
    client.send("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    assert_eq!(client.response().status, 200);
}

#[test]
fn a_reset_is_seen_as_a_reset_and_a_close_as_a_close() {
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha";
    let origin = RawOrigin::in_turn(vec![
        Script::new().read_request().write(half).reset(),
        Script::new().read_request().write(half).close(),
    ]);
    for (end, why) in [(End::Reset, "reset before"), (End::Closed, "closed before")] {
        let mut client = RawClient::connect(origin.address());
        let broken = client.send("GET / HTTP/1.1\r\n\r\n").try_response().unwrap_err();
        assert!(broken.why.starts_with(why), "{broken:?}");
        assert_eq!(client.ended().0, end);
    }
}

#[test]
fn a_latch_holds_the_answer_back_until_the_test_opens_it() {
    let latch = Latch::new();
    let origin = RawOrigin::always(Script::new().read_request().wait_for(&latch).write(OK));
    let mut client = RawClient::connect(origin.address()).patient(Duration::from_millis(50));
    client.send("GET / HTTP/1.1\r\n\r\n");
    assert!(client.try_response().unwrap_err().read.is_empty());
    latch.open();
    let mut client = client.patient(serin_testkit::PATIENCE);
    assert_eq!(client.response().status, 200);
}

#[test]
fn a_half_closed_origin_still_reads() {
    let script = Script::new().write("HTTP/1.0 200 OK\r\n\r\nall").half_close();
    let origin = RawOrigin::always(script);
    let mut client = RawClient::connect(origin.address());
    assert_eq!(client.response().text(), "all");
    client.send("late");
    eventually("late bytes are recorded", || origin.received() == b"late");
    client.reset();
    eventually("the end is recorded", || origin.records()[0].ended);
}

#[test]
fn the_parser_refuses_what_is_ambiguous() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nbad header: 2\r\n\r\n",
    ] {
        let origin = RawOrigin::always(Script::new().write(answer));
        let broken = RawClient::connect(origin.address()).try_response().unwrap_err();
        assert!(broken.why.starts_with("invalid"), "{answer:?}: {broken:?}");
    }
}

#[test]
fn interim_heads_and_trailers_are_told_apart_from_the_answer() {
    let answer = "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\nx-t: 1\r\n\r\n";
    let origin = RawOrigin::always(Script::new().trickle(answer, 7, Duration::from_millis(1)));
    let answer = RawClient::connect(origin.address()).response();
    assert_eq!((&answer.interim[..], answer.text().as_str()), (&[103][..], "ok"));
    assert_eq!(answer.trailers, [("x-t".to_owned(), "1".to_owned())]);
}

#[tokio::test]
async fn both_protocols_reach_the_origin_on_one_port() {
    let origin = Origin::start("v41");
    let mut one = Connection::http1(origin.address(), "shop.example").await;
    let mut two = Connection::http2(origin.address(), "shop.example").await;
    for client in [&mut one, &mut two] {
        let echo = client.request("POST", "/echo?a=b", "body");
        let said = client.send(echo).await.json();
        assert_eq!(said["method"], "POST");
        assert_eq!(said["path"], "/echo?a=b");
        assert_eq!(said["length"], 4);
        assert_eq!(said["hash"], body_hash(b"body").as_str());
        let answer = client.get("/trailers").await;
        assert_eq!(answer.header("x-version"), Some("v41"));
        let grpc = client.get("/grpc/13").await.trailers;
        assert!(answer.text().starts_with("before") && grpc.is_some() == answer.trailers.is_some());
    }
    let trailers = two.get("/grpc/13").await.trailers;
    let status = trailers.as_ref().and_then(|t| t.get("grpc-status"));
    assert_eq!(status, Some(&HeaderValue::from_static("13")));
    let protocols: Vec<_> = origin.seen().iter().map(|seen| seen.http2).collect();
    assert_eq!(protocols, [false, false, false, true, true, true, true]);
    assert_eq!((origin.requests_to("/echo"), origin.connections()), (2, 2));
}

#[tokio::test]
async fn a_fault_strikes_its_share_and_heals() {
    let origin = Origin::start("v42");
    let mut client = Connection::http1(origin.address(), "a").await;
    origin.break_one_in(4, Fault::Status(503));
    let mut bad = 0;
    for _ in 0..40 {
        bad += u32::from(client.get("/").await.status == 503);
    }
    assert_eq!(bad, 10);
    origin.heal();
    assert_eq!(client.get("/").await.status, 200);
    origin.set_ready(false);
    assert_eq!(client.get("/readyz").await.status, 503);
    assert_eq!((origin.requests(), origin.health_checks(), origin.in_flight()), (41, 1, 0));
}

#[test]
fn broken_answers_are_seen_broken() {
    let origin = Origin::start("v42");
    let mut client = RawClient::connect(origin.address());
    let broken = client.send("GET /truncate HTTP/1.1\r\nHost: a\r\n\r\n").try_response();
    assert!(broken.unwrap_err().read.ends_with(b"\nse"), "half of it was read");
    origin.break_all(Fault::Drop);
    let mut client = RawClient::connect(origin.address());
    let broken = client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").try_response();
    assert!(broken.unwrap_err().read.is_empty());
}

#[test]
fn an_upgraded_connection_echoes() {
    let origin = Origin::start("v1");
    let mut client = RawClient::connect(origin.address());
    client.send("GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    assert_eq!(client.response().status, 101);
    assert_eq!(client.send("hello").read_exactly(5), b"hello");
}

#[test]
fn a_stopped_origin_refuses_and_comes_back_at_its_address() {
    let mut origin = Origin::start("v1");
    let address = origin.address();
    let mut held = RawClient::connect(address);
    held.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").response();
    origin.stop();
    held.ended();
    assert!(std::net::TcpStream::connect(address).is_err());
    let _back = Origin::start_at("v2", address);
    assert_eq!(get(address, "a", "/").text(), "v2\n");
}

#[test]
fn configuration_text_reads_as_an_operator_would_write_it() {
    let folder = temp_dir();
    let service = ServiceText::new("checkout")
        .version("v41", &["127.0.0.1:1".parse().unwrap()])
        .with("rollout:\n  to: v42");
    let path =
        ConfigText::simple(service).with("accessLog: { format: off }").write_to(folder.path());
    let expected = r#"version: 1
listeners:
  - { name: http, address: "127.0.0.1:0", protocol: HTTP }
admin: { address: "127.0.0.1:0" }
services:
  checkout:
    stable: v41
    versions:
      v41: { release: v41, endpoints: ["127.0.0.1:1"] }
    rollout:
      to: v42
routes:
  - { name: all, matches: [{ path: { prefix: / } }], service: checkout }
accessLog: { format: off }
state: { dir: state }
"#;
    assert_eq!(std::fs::read_to_string(path).unwrap(), expected);
}

#[test]
fn a_process_is_followed_by_what_it_says_and_ends_as_told() {
    let listening = "echo 'INFO listening listener=http address=127.0.0.1:81'; exec sleep 60";
    let mut process = Serin::start(Command::new("sh").arg("-c").arg(listening));
    assert_eq!(process.address("http"), "127.0.0.1:81".parse().unwrap());
    process.signal("TERM");
    assert!(!process.ended().success());
    let finished = finish("sh", &["-c", "echo out; echo err >&2; exit 3"]);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(3), "out\n"));
    assert_eq!(finished.stderr, "err\n");
}
