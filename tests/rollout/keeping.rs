//! Rollbacks that keep people: nobody's request or open connection is lost by one.

use crate::bench::{Bench, HOST};
use serin_control::Command;
use serin_testkit::RawClient;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_hundred_rollbacks_under_load_lose_no_request_and_no_open_connection() {
    let bench = Bench::open(
        "steps: [ { weight: 50%, hold: 10m }, { weight: 100%, hold: 10m } ], onRollback: { sessions: drain }",
    );
    let load = bench.load(400);
    bench.start();
    let mut sockets: Vec<RawClient> = (0..8).map(|_| upgraded(&bench)).collect();
    let mut slowest = Duration::ZERO;
    for round in 0..100 {
        bench.until(LONG, |b| b.weight() > 0).expect("weight");
        if round % 10 == 0 {
            sockets.push(upgraded(&bench));
        }
        let began = Instant::now();
        bench.command(Command::Abort { reason: "a drill".into() }).expect("an abort");
        slowest = slowest.max(began.elapsed());
        assert_eq!(bench.weight(), 0, "round {round}");
        if round < 99 {
            bench.command(Command::Retry { reason: "again".into() }).expect("a retry");
        }
    }
    for socket in &mut sockets {
        echo(socket);
    }
    let seen = load.finish();
    let open = sockets.len();
    println!(
        "100 rollbacks, slowest command {slowest:?}; {seen:?}; {open} upgraded connections open"
    );
    assert_eq!((seen.failed, seen.broken), (0, 0));
    assert!(seen.good > 0);
}

/// A WebSocket's handshake, after which the origin echoes bytes.
fn upgraded(bench: &Bench) -> RawClient {
    let mut client = RawClient::connect(bench.address);
    client.send(format!(
        "GET /upgrade HTTP/1.1\r\nhost: {HOST}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ));
    let answer = client.response_to_head();
    assert_eq!(answer.status, 101, "{answer:?}");
    echo(&mut client);
    client
}

fn echo(client: &mut RawClient) {
    client.send("still there?");
    assert_eq!(client.read_exactly(12), b"still there?");
}
