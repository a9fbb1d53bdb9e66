//! The same program started twice: the second takes nothing from the first, and says who is there.

use crate::bench::{self, Instance, command};
use crate::load::{Load, Target};
use serin_testkit::{ConfigText, Origin, Serin, ServiceText, eventually, finish, temp_dir};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

/// A port that nobody has now: both processes have to be told the same one.
/// None of those that the system gives to clients, so that no other test's takes it meanwhile.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + (std::process::id() % 20_000) as u16;
    loop {
        let port = first + NEXT.fetch_add(1, Relaxed) % 2_000;
        if TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
}

fn config(origin: &Origin, address: &str) -> ConfigText {
    let service = ServiceText::new("web").version("v1", &[origin.address()]);
    let listener = format!("{{ name: http, address: \"{address}\", protocol: HTTP }}");
    let route = "{ name: all, matches: [{ path: { prefix: / } }], service: web, \
        request: { setHeaders: { x-generation: \"1\" } }, response: { setHeaders: { x-generation: \"1\" } } }";
    let config = ConfigText::new().listener(&listener).service(service).route(route);
    config.with("accessLog: { format: off }")
}

#[test]
fn a_second_process_with_the_same_configuration_takes_no_client_from_the_first() {
    let origin = Origin::start("v1");
    let instance = Instance::start(&config(&origin, &format!("127.0.0.1:{}", free_port())));
    let load = Load::start(&Target { http: instance.http, https: None });
    for _ in 0..3 {
        let second = Serin::start(command().args(["run", "--config"]).arg(instance.path()));
        let waits = format!("is in use by process {}; waiting", instance.serin.pid());
        eventually("it waits for the first", || second.log().contains(&waits));
        let before = load.good();
        eventually("the load goes on", || load.good() > before + 200);
    }
    load.finish();
}

#[test]
fn an_address_that_another_process_serves_is_refused_with_its_name() {
    let origin = Origin::start("v1");
    let port = free_port();
    let instance = Instance::start(&config(&origin, &format!("127.0.0.1:{port}")));
    let load = Load::start(&Target { http: instance.http, https: None });
    for overlapping in [format!("127.0.0.1:{port}"), format!("0.0.0.0:{port}")] {
        let folder = temp_dir();
        let path = config(&origin, &overlapping).write_to(folder.path());
        let second = finish(bench::BINARY, &["run", "--config", &path.to_string_lossy()]);
        assert_eq!(second.code, Some(1), "{overlapping}: {}", second.stderr);
        let named = format!("process {} (serin) listens there", instance.serin.pid());
        assert!(second.stderr.contains(&named), "{overlapping}: {}", second.stderr);
        let before = load.good();
        eventually("the load goes on", || load.good() > before + 200);
    }
    load.finish();
}

#[test]
fn a_process_that_is_started_before_the_one_before_has_ended_serves_after_it() {
    let origin = Origin::start("v1");
    let mut first = Instance::start(&config(&origin, &format!("127.0.0.1:{}", free_port())));
    let mut second = Serin::start(command().args(["run", "--config"]).arg(first.path()));
    eventually("it waits", || second.log().contains("waiting for it to end"));
    first.serin.signal("TERM");
    assert!(first.serin.ended().success());
    let http: SocketAddr = second.address("http");
    assert_eq!(serin_testkit::get(http, "a.example", "/").status, 200);
}

#[test]
fn a_reload_onto_an_address_that_overlaps_with_an_own_one_is_no_conflict() {
    let origin = Origin::start("v1");
    let port = free_port();
    let instance = Instance::start(&config(&origin, &format!("0.0.0.0:{port}")));
    instance.write(&config(&origin, &format!("127.0.0.1:{port}")));
    eventually("it is in force", || instance.generation() == 2);
    assert_eq!(instance.refused(), "");
    let here = SocketAddr::from(([127, 0, 0, 1], port));
    assert_eq!(serin_testkit::get(here, "a.example", "/").status, 200);
}
