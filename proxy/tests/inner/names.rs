//! Endpoints with names: resolved again and again, beside the requests.

use super::support::*;
use serin_proxy::clock;
use serin_proxy::config_generation::{ConfigGeneration, Environment};
use serin_proxy::upstream::{Unavailable, Upstreams, VersionRuntime};
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

type Answer = Arc<Mutex<Option<Vec<IpAddr>>>>;

fn say(answer: &Answer, addresses: Option<&[&str]>) {
    let parsed = addresses.map(|all| all.iter().map(|a| a.parse().unwrap()).collect());
    *answer.lock().unwrap() = parsed;
}

/// A service at `backend.test:80`, whose addresses the test says.
fn named(answer: &Answer) -> (ConfigGeneration, Arc<VersionRuntime>) {
    let answer = Arc::clone(answer);
    let resolver = Arc::new(move |name: &str| {
        assert_eq!(name, "backend.test");
        answer.lock().unwrap().clone().ok_or_else(|| io::Error::other("no such name"))
    });
    let runtime = Some(tokio::runtime::Handle::current());
    let mut upstreams = Upstreams::new(runtime, resolver);
    upstreams.resolve_every = Duration::from_millis(10);
    let mut environment = Environment::new(1, None);
    environment.upstreams = upstreams;
    let mut shop = shop();
    shop.versions[0].endpoints = [endpoint("backend.test:80")].into_iter().collect();
    let generation =
        ConfigGeneration::build(Arc::new(config(vec![shop], Vec::new())), None, &environment)
            .unwrap();
    let version = generation.service(&service_name("shop")).unwrap().stable();
    (generation, version)
}

fn addresses(version: &VersionRuntime) -> BTreeSet<String> {
    version.group().members().iter().map(|member| member.address.to_string()).collect()
}

fn set(of: &[&str]) -> BTreeSet<String> {
    of.iter().map(|address| (*address).to_owned()).collect()
}

#[tokio::test]
async fn addresses_come_and_go_and_those_that_stay_keep_what_is_known_of_them() {
    let answer = Answer::default();
    say(&answer, Some(&["10.0.0.1", "10.0.0.2"]));
    let (_world, version) = named(&answer);
    eventually(|| version.is_settled()).await;
    assert_eq!(addresses(&version), set(&["10.0.0.1:80", "10.0.0.2:80"]));
    let stays = Arc::clone(&version.group().members()[0]);
    say(&answer, Some(&["10.0.0.3", "10.0.0.1", "10.0.0.1"]));
    eventually(|| addresses(&version) == set(&["10.0.0.1:80", "10.0.0.3:80"])).await;
    assert!(version.group().members().iter().any(|member| Arc::ptr_eq(member, &stays)));
}

#[tokio::test]
async fn a_failure_keeps_the_last_addresses_and_is_counted() {
    let answer = Answer::default();
    say(&answer, Some(&["10.0.0.1"]));
    let (_world, version) = named(&answer);
    eventually(|| version.is_settled()).await;
    say(&answer, None);
    eventually(|| version.resolve_failures() > 2).await;
    assert_eq!(addresses(&version), set(&["10.0.0.1:80"]));
}

#[tokio::test]
async fn a_name_that_never_resolved_has_nobody_and_says_why() {
    let answer = Answer::default();
    let (_world, version) = named(&answer);
    let now = || clock::mono(Instant::now());
    assert_eq!(version.pick(1, None, now()).unwrap_err(), Unavailable::Unresolved);
    assert_eq!(version.group().readiness(now()), (0, 1));
    say(&answer, Some(&["10.0.0.9"]));
    eventually(|| version.pick(1, None, now()).is_ok()).await;
}

#[tokio::test]
async fn ipv4_is_taken_where_a_name_has_both() {
    let answer = Answer::default();
    say(&answer, Some(&["::1", "127.0.0.1"]));
    let (_world, version) = named(&answer);
    eventually(|| version.is_settled()).await;
    assert_eq!(addresses(&version), set(&["127.0.0.1:80"]));
    say(&answer, Some(&["::1"]));
    // Where nobody listens there, the one before stays beside it.
    eventually(|| addresses(&version).contains("[::1]:80")).await;
}
