//! Rollbacks that keep people: nobody's request or open connection is lost by one.

use crate::test_server::{HOST, Setup, TestServer};
use serin_control::Command;
use serin_testkit::{Fault, RawClient, Response};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_hundred_rollbacks_under_load_lose_no_request_and_no_open_connection() {
    let bench = TestServer::open(
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

#[test]
fn revoke_moves_every_cookie_user_at_once_and_finishes_what_is_in_flight() {
    let bench = TestServer::set_up(Setup {
        session: "by: cookie, ttl: 1h",
        ..Setup::of(
            "steps: [ { weight: 50%, hold: 10m }, { weight: 100%, hold: 10m } ], onRollback: { sessions: revoke }",
        )
    });
    let load = bench.load(200);
    bench.start();
    bench.until(LONG, |b| b.weight() == 5_000).expect("half of the traffic");
    let mut users: Vec<User> = (0..40).map(|_| User::new(&bench)).collect();
    let moved = users.iter().filter(|user| user.version == "v2").count();
    assert!(moved > 0, "nobody was on the candidate");
    users.iter_mut().for_each(|user| user.send("/delay/400"));
    // Every one of them is with its origin when the rollback comes.
    bench.until(LONG, |b| asked(b, "/delay/400") == 40).expect("requests in flight");
    let began = Instant::now();
    bench.command(Command::Abort { reason: "a drill".into() }).expect("an abort");
    let took = began.elapsed();
    for user in &mut users {
        let version = user.version.clone();
        let answer = user.receive();
        assert_eq!((answer.status, user.version.clone()), (200, version), "in flight");
        for _ in 0..2 {
            user.send("/");
            let answer = user.receive();
            assert_eq!((answer.status, user.version.as_str()), (200, "v1"), "after the rollback");
        }
    }
    let seen = load.finish();
    println!("{moved} of 40 users moved by an abort of {took:?}; {seen:?}");
    assert_eq!((seen.failed, seen.broken), (0, 0));
}

#[test]
fn blue_green_goes_there_behind_its_gate_and_back_in_one_step_each() {
    let bench = TestServer::open(
        "strategy: blueGreen, baseline: 0%, steps: [ { weight: 100%, hold: 10m } ], gates: [ { before: \"100%\", approval: true } ], guards: [ { name: errors, errorRate: \"> 20%\", over: 30s, for: 0s, action: rollback } ]",
    );
    let load = bench.load(400);
    bench.start();
    let waits = |b: &TestServer| b.rollout().is_some_and(|r| r.waiting_for.is_some());
    bench.until(LONG, waits).expect("the gate");
    assert_eq!((bench.weight(), bench.candidate.requests()), (0, 0), "nothing before its gate");
    bench
        .command(Command::Promote { reason: String::new(), from_step: None })
        .expect("an approval");
    bench.until(LONG, |b| b.candidate.requests() >= 100).expect("the switch");
    let stable = bench.stable.requests();
    bench.until(LONG, |b| b.candidate.requests() >= 300).expect("traffic");
    assert_eq!(bench.stable.requests(), stable, "all of it is the candidate's");
    bench.candidate.break_one_in(2, Fault::Status(503));
    let took = bench.until(LONG, |b| b.state() == "rolledBack").expect("the way back");
    let (there, back) = (bench.candidate.requests(), bench.stable.requests());
    bench.until(LONG, |b| b.stable.requests() >= back + 100).expect("stable serves");
    let seen = load.finish();
    let record = bench.handle().rollout("shop-1").expect("a record");
    println!("blueGreen back after {took:?}: {seen:?}, {}", record.reason);
    assert!(bench.candidate.requests() <= there + 16, "at most what was in flight");
    assert_eq!(bench.weights(), [0, 10_000, 0], "one step each way");
    assert_eq!((seen.ours, seen.broken), (0, 0));
}

fn asked(bench: &TestServer, path: &str) -> u64 {
    bench.stable.requests_to(path) + bench.candidate.requests_to(path)
}

/// Somebody with a cookie, on a connection of its own that stays open.
struct User {
    client: RawClient,
    cookie: String,
    /// Which version answered last.
    version: String,
}

impl User {
    fn new(bench: &TestServer) -> Self {
        let client = RawClient::connect(bench.address);
        let mut user = Self { client, cookie: String::new(), version: String::new() };
        user.send("/");
        user.receive();
        user
    }

    fn send(&mut self, path: &str) {
        let Self { client, cookie, .. } = self;
        client.send(format!("GET {path} HTTP/1.1\r\nhost: {HOST}\r\ncookie: {cookie}\r\n\r\n"));
    }

    fn receive(&mut self) -> Response {
        let answer = self.client.response();
        if let Some(cookie) = answer.header("set-cookie") {
            self.cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        }
        self.version = answer.header("x-version").unwrap_or_default();
        answer
    }
}

/// A WebSocket's handshake, after which the origin echoes bytes.
fn upgraded(bench: &TestServer) -> RawClient {
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
