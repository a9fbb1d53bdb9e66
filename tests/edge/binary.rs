//! The binary itself: how it leaves when it is told to.

use crate::edge::{ROUTE, web};
use serin_testkit::{ConfigText, Latch, RawClient, RawOrigin, Script, Serin, eventually, temp_dir};
use std::net::SocketAddr;
use std::process::Command;
use tempfile::TempDir;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_serin");

/// The binary with this configuration, and the address of its listener `http`.
pub(crate) fn started(folder: &TempDir, config: &ConfigText) -> (Serin, SocketAddr) {
    let mut command = Command::new(BINARY);
    // Longer than any test's patience: what ends has ended for another reason.
    command.args(["run", "--grace", "3600", "--config"]).arg(config.write_to(folder.path()));
    let mut serin = Serin::start(&mut command);
    let address = serin.address("http");
    (serin, address)
}

#[test]
fn told_to_leave_with_nothing_in_flight_it_leaves() {
    let origin = serin_testkit::Origin::start("v1");
    let folder = temp_dir();
    let (mut serin, address) = started(&folder, &ConfigText::simple(web(origin.address())));
    let mut idle = RawClient::connect(address);
    idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(idle.response().status, 200);
    serin.signal("TERM");
    assert!(serin.ended().success());
    idle.ended();
}

#[test]
fn told_to_leave_with_a_request_in_flight_it_finishes_that_first() {
    let latch = Latch::new();
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone";
    let script = Script::new().read_request().wait_for(&latch).write(answer);
    let origin = RawOrigin::always(script);
    let folder = temp_dir();
    let (mut serin, address) = started(&folder, &ConfigText::simple(web(origin.address())));
    let mut client = RawClient::connect(address);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the request is with the backend", || !origin.received().is_empty());
    serin.signal("TERM");
    eventually("nobody new is let in", || std::net::TcpStream::connect(address).is_err());
    latch.open();
    let response = client.response();
    assert_eq!((response.status, response.body.as_slice()), (200, &b"done"[..]));
    assert!(serin.ended().success());
}

/// The process that was told to leave keeps its tunnels, and nothing that another one needs to begin.
#[test]
fn told_to_leave_with_nothing_but_tunnels_it_makes_room_for_the_next() {
    let origin = serin_testkit::Origin::start("v1");
    let folder = temp_dir();
    let config = ConfigText::new().service(web(origin.address())).route(ROUTE);
    let (mut old, address) = started(&folder, &config.clone().http_listener("http"));
    let admin = format!("{{ address: \"{}\" }}", old.address("admin"));
    let mut tunnel = RawClient::connect(address);
    tunnel.send("GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: own\r\n\r\n");
    tunnel.read_past(b"\r\n\r\n");
    old.signal("TERM");
    let same = format!("{{ name: http, address: \"{address}\", protocol: HTTP }}");
    eventually("nobody new is let in", || std::net::TcpStream::connect(address).is_err());
    let (_new, again) = started(&folder, &config.admin(&admin).listener(&same));
    assert_eq!(again, address);
    assert_eq!(serin_testkit::get(address, "a", "/").status, 200);
    tunnel.send("still here?");
    assert_eq!(tunnel.read_exactly(11), b"still here?");
    drop(tunnel);
    assert!(old.ended().success());
    assert_eq!(serin_testkit::get(address, "a", "/").status, 200);
}
