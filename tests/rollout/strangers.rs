//! A healthy release and visitors who ask for what fails on every version: they send nothing back.
//! What everybody meets does, wherever they come from.

use crate::test_server::{HOST, Setup, TestServer};
use serin_testkit::{Connection, Fault};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

/// Long enough for anything to happen on a busy machine.
const LONG: Duration = Duration::from_secs(120);
const ROLLOUT: &str = "steps: [ { weight: 20%, hold: 10m }, { weight: 100%, hold: 10m } ], \
    guards: [ { name: errors, errorRate: \"> 2%\", over: 30s } ], harm: { users: 50 }";
const SETUP: Setup<'_> = Setup {
    rollout: ROLLOUT,
    session: "by: cookie, name: shop_version, ttl: 1h",
    more: "",
    tripwire: true,
};
/// Everybody's networks, each with a client of its own.
const NETWORKS: u8 = 40;
/// How long each waits before it asks again.
const OFTEN: Duration = Duration::from_millis(50);
const SELDOM: Duration = Duration::from_millis(800);

/// Clients of many networks, who ask for what is answered well.
struct Public {
    stop: Arc<AtomicBool>,
    failed: Arc<AtomicU64>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Public {
    fn begin(address: SocketAddr, pause: Duration) -> Self {
        let (stop, failed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopping, failing) = (Arc::clone(&stop), Arc::clone(&failed));
        let thread = std::thread::spawn(move || {
            let client = |network: u8| {
                let (stop, failed) = (Arc::clone(&stopping), Arc::clone(&failing));
                visit(address, [127, 0, 100 + network, 1], pause, stop, failed)
            };
            block_on(async {
                let all: Vec<_> = (0..NETWORKS).map(|n| tokio::spawn(client(n))).collect();
                for one in all {
                    one.await.expect("a client");
                }
            });
        });
        Self { stop, failed, thread: Some(thread) }
    }

    fn finish(mut self) -> u64 {
        self.stop.store(true, SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the clients");
        }
        self.failed.load(SeqCst)
    }
}

async fn visit(
    address: SocketAddr,
    from: [u8; 4],
    pause: Duration,
    stop: Arc<AtomicBool>,
    failed: Arc<AtomicU64>,
) {
    let mut connection = connect(address, from).await;
    while !stop.load(SeqCst) {
        // Without a cookie every request is a user of its own.
        let request = connection.request("GET", "/", "");
        match connection.try_send(request).await {
            Ok(answer) if answer.status < 500 => {}
            Ok(_) => _ = failed.fetch_add(1, SeqCst),
            Err(_) => connection = connect(address, from).await,
        }
        tokio::time::sleep(pause).await;
    }
}

async fn connect(address: SocketAddr, from: [u8; 4]) -> Connection {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind((from, 0).into()).expect("an address of the loopback network");
    let stream = socket.connect(address).await.expect("a connection");
    Connection::http1_over(stream, HOST).await
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

/// So many requests that fail on every version, each with no cookie, so as a new user; before them so many
/// that are answered well.
fn attack(address: SocketAddr, networks: u8, well: usize, requests: usize) {
    block_on(async {
        let mut connections = Vec::new();
        for network in 0..networks {
            connections.push(connect(address, [127, 0, 1 + network, 7]).await);
        }
        for n in 0..well + requests {
            let connection = &mut connections[n % usize::from(networks)];
            let request = match n < well {
                true => connection.request("GET", "/", ""),
                false => connection.request("POST", "/status/500", ""),
            };
            let _ = connection.try_send(request).await;
        }
    });
}

/// At its first step, with some healthy requests of the candidate.
fn under_way(pause: Duration, served: u64) -> (TestServer, Public) {
    let bench = TestServer::set_up(SETUP);
    let public = Public::begin(bench.address, pause);
    bench.start();
    let served = |b: &TestServer| b.weight() == 2_000 && b.candidate.requests() >= served;
    bench.until(LONG, served).expect("the candidate at a fifth");
    (bench, public)
}

fn survives(networks: u8) {
    let (bench, public) = under_way(OFTEN, 100);
    attack(bench.address, networks, 0, 1_000);
    let whose = |b: &TestServer| {
        let objections = b.rollout().map(|r| r.objections).unwrap_or_default();
        objections.into_iter().find(|o| o.contains("its failures are those of"))
    };
    bench.until(LONG, |b| whose(b).is_some() || b.weight() == 0);
    let (weight, said) = (bench.weight(), whose(&bench));
    let failures = bench.rollout().and_then(|r| r.failures).expect("failures");
    println!("{networks} networks: {said:?}; {failures:?}");
    assert_eq!(weight, 2_000, "{:?}", bench.rollout());
    assert!(said.is_some(), "{:?}", bench.rollout());
    assert!(failures.concentrated, "{failures:?}");
    assert_eq!(failures.by_method[0].name, "POST");
    assert_eq!(failures.by_endpoint[0].name, bench.candidate.address().to_string());
    assert_eq!(public.finish(), 0);
}

#[test]
fn a_visitor_with_many_cookies_rolls_nothing_back() {
    survives(1);
}

#[test]
fn visitors_of_ten_networks_hold_a_release_and_roll_nothing_back() {
    survives(10);
}

/// Good requests do not buy the right to roll back.
#[test]
fn a_visitor_that_was_answered_well_before_rolls_nothing_back() {
    let (bench, public) = under_way(SELDOM, 20);
    attack(bench.address, 1, 100, 60);
    let held = |b: &TestServer| {
        let reasons = b.rollout().map(|r| r.objections).unwrap_or_default();
        let why = |said: &String| {
            said.contains("its failures are those of") || said.contains("stable is no better")
        };
        reasons.into_iter().find(why)
    };
    bench.until(LONG, |b| held(b).is_some() || b.weight() == 0);
    let (weight, said) = (bench.weight(), held(&bench));
    println!("{said:?}; {:?}", bench.rollout().and_then(|r| r.failures));
    assert_eq!(weight, 2_000, "{:?}", bench.rollout());
    assert!(said.is_some(), "{:?}", bench.rollout());
    assert_eq!(public.finish(), 0);
}

#[test]
fn what_fails_for_everybody_is_gone_within_a_handful_of_requests() {
    let (bench, public) = under_way(OFTEN, 100);
    bench.candidate.break_all(Fault::Status(500));
    bench.until(LONG, |b| b.state() == "rolledBack").expect("a rollback");
    let failed = public.finish();
    let failures = bench.handle().rollout("shop-1").and_then(|r| r.failures).expect("failures");
    println!("{failed} failed: {}", failures.summary);
    assert!((1..=15).contains(&failed), "{failed}: {failures:?}");
    assert!(failures.networks >= 3 && !failures.concentrated, "{failures:?}");
}
