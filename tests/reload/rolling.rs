//! A rolling deployment as a series of reloads: an endpoint joins, is found well, starts slowly; an
//! old one gets no new requests, finishes those it has, and goes away.

use crate::bench::Instance;
use crate::load::{Load, Target};
use serin_testkit::{ConfigText, Origin, ServiceText, eventually};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread::JoinHandle;

fn config(endpoints: &[SocketAddr]) -> ConfigText {
    let service = ServiceText::new("web")
        .version("v1", endpoints)
        .with("healthCheck: { path: /readyz, interval: 100ms, timeout: 100ms, healthyAfter: 1, unhealthyAfter: 20 }")
        .with("slowStart: 1s")
        .with("loadBalancing: leastRequest");
    ConfigText::simple(service).with("accessLog: { format: off }")
}

/// Requests that take their time, so that some are under way whenever an endpoint goes away.
struct Slow {
    stop: Arc<AtomicBool>,
    good: Arc<AtomicU64>,
    clients: Vec<JoinHandle<()>>,
}

impl Slow {
    fn start(at: SocketAddr) -> Self {
        let (stop, good) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let client = || {
            let (stop, good) = (Arc::clone(&stop), Arc::clone(&good));
            std::thread::spawn(move || {
                while !stop.load(SeqCst) {
                    assert_eq!(serin_testkit::get(at, "a.example", "/delay/200").status, 200);
                    good.fetch_add(1, SeqCst);
                }
            })
        };
        let clients = (0..4).map(|_| client()).collect();
        Self { stop, good, clients }
    }

    fn finish(self) -> u64 {
        self.stop.store(true, SeqCst);
        self.clients.into_iter().for_each(|client| client.join().unwrap());
        self.good.load(SeqCst)
    }
}

fn reload(instance: &Instance, endpoints: &[SocketAddr]) {
    let before = instance.generation();
    instance.write(&config(endpoints));
    eventually("the reload", || instance.generation() > before);
}

#[test]
fn a_rolling_deployment_by_reloads_fails_nobody() {
    let mut old: Vec<Origin> = (0..3).map(|_| Origin::start("old")).collect();
    let mut endpoints: Vec<SocketAddr> = old.iter().map(Origin::address).collect();
    let instance = Instance::start(&config(&endpoints));
    let load = Load::start(&Target { http: instance.http, https: None });
    let slow = Slow::start(instance.http);
    let mut new = Vec::new();
    while let Some(mut leaves) = old.pop() {
        let joins = Origin::start("new");
        joins.set_ready(false);
        endpoints.push(joins.address());
        reload(&instance, &endpoints);
        assert_eq!(joins.requests(), 0, "nobody asks one that is not ready");
        joins.set_ready(true);
        let ready = format!("{}\"", joins.address());
        eventually("the new endpoint is ready", || {
            let metrics = instance.metrics();
            let mut lines = metrics.lines().filter(|l| l.starts_with("serin_endpoint_ready"));
            lines.any(|line| line.contains(&ready) && line.ends_with(" 1"))
        });
        eventually("it takes its share", || joins.requests() > 0);
        endpoints.retain(|endpoint| *endpoint != leaves.address());
        let under_way = leaves.in_flight();
        reload(&instance, &endpoints);
        let mut before = u64::MAX;
        eventually("the old endpoint has finished what it had", || {
            let now = leaves.requests();
            leaves.in_flight() == 0 && std::mem::replace(&mut before, now) == now
        });
        println!("{under_way} were under way when an endpoint was taken away");
        leaves.stop();
        new.push(joins);
    }
    let (slow, good) = (slow.finish(), load.finish());
    println!("{good} quick and {slow} slow requests over 6 reloads, 0 failed");
    assert!(new.iter().all(|origin| origin.requests() > 0));
}
