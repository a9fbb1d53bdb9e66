//! More connections than the process has descriptors for.

use crate::binary::BINARY;
use crate::edge::web;
use serin_testkit::{ConfigText, Origin, RawClient, Serin, eventually, temp_dir};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

const DESCRIPTORS: u32 = 80;
const CONNECTIONS: usize = 200;
/// A clock tick of `/proc`, which is the same on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// The time that the process has spent on a processor.
fn busy(serin: &Serin) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", serin.pid())).unwrap();
    // The name, in brackets, may hold spaces.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    TICK * (fields[11].parse::<u32>().unwrap() + fields[12].parse::<u32>().unwrap())
}

/// Serin on one thread, with few descriptors.
fn start(config: &std::path::Path, descriptors: u32) -> Serin {
    let mut command = Command::new("sh");
    let script = format!("ulimit -n {descriptors} && exec \"$0\" run --threads 1 --config \"$1\"");
    command.arg("-c").arg(script).arg(BINARY).arg(config);
    Serin::start(&mut command)
}

#[test]
fn idle_clients_take_no_descriptor_that_backends_and_their_checks_need() {
    let origin = Origin::start("v1");
    let folder = temp_dir();
    let service = web(origin.address()).with(
        "healthCheck: { path: /readyz, interval: 50ms, timeout: 10s, unhealthyAfter: 1, healthyAfter: 1, panicBelow: 0% }",
    );
    let config = ConfigText::simple(service).write_to(folder.path());
    let mut serin = start(&config, 120);
    let address = serin.address("http");
    assert!(serin.log().contains("maxConnections is lowered from 20000 to"), "{}", serin.log());

    let mut present: Vec<RawClient> = (0..8).map(|_| RawClient::connect(address)).collect();
    let _crowd: Vec<TcpStream> =
        (0..CONNECTIONS).map(|_| TcpStream::connect(address).unwrap()).collect();
    eventually("no more are let in", || serin.log().contains("cannot accept; pausing"));
    let checked = origin.health_checks();
    eventually("checks go on", || origin.health_checks() > checked + 10);
    for client in &mut present {
        client.send("GET /delay/300 HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    for client in &mut present {
        assert_eq!(client.response().status, 200, "each over a connection of its own");
    }
    assert!(!serin.log().contains("healthy=false"), "{}", serin.log());
}

#[test]
fn without_descriptors_the_present_are_served_and_the_others_wait() {
    let origin = Origin::start("v1");
    let folder = temp_dir();
    let config = ConfigText::simple(web(origin.address())).write_to(folder.path());
    let mut serin = start(&config, DESCRIPTORS);
    let address = serin.address("http");

    let mut present = RawClient::connect(address);
    let mut serve = || {
        present.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(present.response().status, 200);
    };
    serve();
    let crowd: Vec<TcpStream> =
        (0..CONNECTIONS).map(|_| TcpStream::connect(address).unwrap()).collect();
    let pauses = |serin: &Serin| serin.log().matches("cannot accept; pausing").count();
    eventually("it has run out of descriptors", || pauses(&serin) > 0);
    let (begun, before) = (Instant::now(), busy(&serin));
    serve();
    eventually("it waits longer and longer", || serin.log().contains("pause=1s"));
    let (passed, used) = (begun.elapsed(), busy(&serin) - before);
    let pauses = pauses(&serin);
    println!("{used:?} of a processor in {passed:?}, {pauses} pauses");
    assert!(used < passed / 2, "{used:?} of a processor in {passed:?}");
    assert!(pauses as u128 <= 10 + passed.as_millis() / 100, "{pauses} pauses in {passed:?}");
    serve();

    drop(crowd);
    let mut late = RawClient::connect(address);
    late.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(late.response().status, 200);
    serve();
}
