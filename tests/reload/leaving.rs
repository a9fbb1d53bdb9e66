//! SIGTERM: nobody is cut off, and nothing is waited for without a reason.

use crate::bench::Instance;
use serin_testkit::{ConfigText, Origin, RawClient, ServiceText, eventually};
use std::net::TcpStream;
use std::time::{Duration, Instant};

fn web(origin: &Origin) -> ConfigText {
    ConfigText::simple(ServiceText::new("web").version("v1", &[origin.address()]))
        .with("accessLog: { format: off }")
}

/// Idle connections of every kind hold nothing up: silent ones, kept ones, the admin's.
#[test]
fn with_nothing_in_flight_it_is_gone_at_once() {
    let origin = Origin::start("v1");
    let mut slowest = Duration::ZERO;
    for _ in 0..5 {
        let mut instance = Instance::start(&web(&origin));
        assert_eq!(instance.answer(), "v1");
        let _silent = TcpStream::connect(instance.http).unwrap();
        let _admin = TcpStream::connect(instance.admin).unwrap();
        let mut kept = RawClient::connect(instance.http);
        kept.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(kept.response().status, 200);
        let told = Instant::now();
        instance.serin.signal("TERM");
        assert!(instance.serin.ended().success());
        slowest = slowest.max(told.elapsed());
    }
    println!("SIGTERM with nothing in flight, the slowest of 5: {slowest:?}");
    // The last thing that it does is to write the windows down: a busy disk shows here.
    let quiet = std::env::var_os("SERIN_BARS").is_some();
    assert!(!quiet || slowest < Duration::from_millis(200), "{slowest:?}");
}

/// Not ready, then no new connections, then the last answer, which says that it is the last.
#[test]
fn what_is_in_flight_gets_its_answer_and_is_told_that_it_is_the_last() {
    let origin = Origin::start("v1");
    let mut instance = Instance::start(&web(&origin));
    let mut client = RawClient::connect(instance.http);
    client.send("GET /delay/1500 HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the request is with the backend", || origin.in_flight() == 1);
    instance.serin.signal("TERM");
    eventually("nobody new is let in", || TcpStream::connect(instance.http).is_err());
    let ready = instance.admin("/readyz");
    assert_eq!(ready["ready"], false, "the admin API tells so until the end");
    assert!(ready.to_string().contains("shutting down"), "{ready}");
    let response = client.response();
    assert_eq!(response.status, 200);
    assert_eq!(response.header("connection").as_deref(), Some("close"));
    assert!(instance.serin.ended().success());
}
