//! Which version gets the requests, over real connections and several threads.

use crate::edge::{Edge, ROUTE};
use serin_core::ids::{Epoch, RolloutId, ServiceName, VersionName};
use serin_core::split::{HarmCeiling, InForce, Scope, Sessions, Split};
use serin_core::weights::{BasisPoints, Weights};
use serin_testkit::{ConfigText, Fault, Origin, ServiceText, eventually};
use std::sync::Arc;

fn split(weight: u16, rescue: bool) -> Arc<Split> {
    let (service, epoch) = (ServiceName::new("web").unwrap(), Epoch(1));
    let (stable, candidate) = (VersionName::new("v1").unwrap(), VersionName::new("v2").unwrap());
    let weight = BasisPoints::new(weight).unwrap();
    Arc::new(Split {
        weights: Weights::two(stable.clone(), candidate.clone(), weight),
        rollout: Some(InForce {
            id: RolloutId::new(&service, epoch),
            epoch,
            salt: 7,
            candidate,
            weight,
            of: Scope::All,
            sessions: Sessions::Honour,
            tripwire: None,
            harm_ceiling: HarmCeiling::default(),
            rescue,
        }),
        service,
        stable,
    })
}

fn two(v1: &Origin, v2: &Origin, keys: &str) -> ConfigText {
    let service =
        ServiceText::new("web").version("v1", &[v1.address()]).version("v2", &[v2.address()]);
    ConfigText::simple(service.with(keys))
}

#[test]
fn ninety_to_ten_is_exact_over_many_connections_and_threads() {
    const CONNECTIONS: u64 = 64;
    // A hundred thousand when there is time for it.
    let each = if std::env::var_os("SERIN_LONG").is_some() { 1_563 } else { 150 };
    let (v1, v2) = (Origin::start("v1"), Origin::start("v2"));
    let edge = Edge::start(&two(&v1, &v2, ""));
    edge.plane().publish(split(1_000, false));
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let mut client = edge.client();
                for _ in 0..each {
                    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
                    assert_eq!(client.response().status, 200);
                }
            });
        }
    });
    let all = CONNECTIONS * each;
    let off = (v2.requests() as i64 - (all / 10) as i64).unsigned_abs();
    println!("{} of {all} went to the tenth, {off} off", v2.requests());
    // At most one per thread, and one for the phase in which each began.
    assert!(off <= 4, "{} of {all}", v2.requests());
    assert_eq!(v1.requests() + v2.requests(), all);
}

#[test]
fn a_user_with_a_cookie_stays_with_the_version() {
    let (v1, v2) = (Origin::start("v1"), Origin::start("v2"));
    let edge = Edge::start(&two(&v1, &v2, "session: { by: cookie, name: s, ttl: 1h }"));
    edge.plane().publish(split(5_000, false));
    let mut versions = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let first = edge.get("/");
        let cookie = first.header("set-cookie").unwrap();
        let cookie = cookie.split(';').next().unwrap();
        let version = first.header("x-version").unwrap();
        for _ in 0..5 {
            let mut client = edge.client();
            client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\n\r\n"));
            assert_eq!(client.response().header("x-version").unwrap(), version);
        }
        versions.insert(version);
    }
    assert_eq!(versions.len(), 2);
}

#[test]
fn a_cookie_is_secure_when_a_trusted_balancer_says_that_the_client_came_by_https() {
    let (v1, v2) = (Origin::start("v1"), Origin::start("v2"));
    let cookie = |trusted: &str| {
        let service = ServiceText::new("web")
            .version("v1", &[v1.address()])
            .version("v2", &[v2.address()])
            .with("session: { by: cookie, name: s, ttl: 1h }");
        let listener = format!(
            "{{ name: http, address: \"127.0.0.1:0\", protocol: HTTP, trusted: [{trusted}] }}"
        );
        let edge =
            Edge::start(&ConfigText::new().listener(&listener).service(service).route(ROUTE));
        edge.plane().publish(split(5_000, false));
        let mut client = edge.client();
        client.send("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: HTTPS\r\n\r\n");
        client.response().header("set-cookie").unwrap()
    };
    assert!(cookie("127.0.0.1").ends_with("; Secure"));
    assert!(!cookie("").contains("Secure"), "a stranger's word is none");
}

#[test]
fn a_failed_candidate_is_rescued_by_stable_and_still_counted_as_bad() {
    let (v1, v2) = (Origin::start("v1"), Origin::start("v2"));
    v2.break_all(Fault::Status(500));
    let edge = Edge::start(&two(&v1, &v2, "retries: { attempts: 0, on: [] }"));
    edge.plane().publish(split(10_000, true));
    for fault in [Fault::Status(500), Fault::Drop] {
        v2.break_all(fault);
        let answer = edge.get("/");
        assert_eq!((answer.status, answer.header("x-version").unwrap().as_str()), (200, "v1"));
    }
    eventually("both are bad", || edge.counts("v2").judged.bad == 2);
    assert_eq!(edge.counts("v1").judged.exposures(), 0);
    let mut client = edge.client();
    client.send("POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    assert_ne!(client.response().status, 200, "a POST may have been processed");
}

#[test]
fn a_cohort_goes_to_its_version_and_is_left_out_of_the_verdict() {
    let (v1, v2) = (Origin::start("v1"), Origin::start("v2"));
    let service =
        ServiceText::new("web").version("v1", &[v1.address()]).version("v2", &[v2.address()]);
    let config = ConfigText::new()
        .http_listener("http")
        .service(service)
        .route("{ name: testers, matches: [{ path: { prefix: / }, headers: { x-canary: always } }], service: web, version: v2, exposeVersion: true }")
        .route("{ name: all, matches: [{ path: { prefix: / } }], service: web }");
    let edge = Edge::start(&config);
    let mut client = edge.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nX-Canary: always\r\n\r\n");
    let answer = client.response();
    assert_eq!(answer.header("x-serin-version").as_deref(), Some("v2"));
    assert_eq!(edge.get("/").header("x-serin-version"), None);
    eventually("both are counted", || {
        edge.counts("v2").judged.exposures() == 0 && edge.counts("v1").judged.good == 1
    });
}
