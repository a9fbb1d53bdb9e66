//! What is counted: everything that runs once a request or once a tick and can be called alone.

#[path = "../made/mod.rs"]
mod routes;
#[path = "../../../core/benches/made/mod.rs"]
mod service;

use crate::measured_stretch;
use serin_core::assign::{Client, Slots, Splitter, choose};
use serin_core::ids::{Epoch, RolloutId, ServiceName, VersionName};
use serin_core::measure::Cells;
use serin_core::split::{HarmCeiling, InForce, Scope, Sessions, Split};
use serin_core::weights::{BasisPoints, Weights};
use serin_proxy::route::{RequestView, path};
use serin_proxy::wire::head::{self, HeadLimits};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

pub(crate) const NAMES: &[&str] = &[
    "head parsed",
    "histogram record",
    "judge tick",
    "judge tick with latencies",
    "path normalised",
    "route among 1",
    "route among 10000",
    "split",
    "sticky split",
];

pub(crate) fn run(case: &str, calls: u64) -> Result<(), String> {
    match case {
        "head parsed" => parse(calls),
        "histogram record" => record(calls),
        "judge tick" => return tick(calls, false),
        "judge tick with latencies" => return tick(calls, true),
        "path normalised" => measured_stretch(calls, &mut || {
            black_box(path::normalise(black_box("/checkout/../%61dmin//x"))).ok();
        }),
        "route among 1" => route(calls, 1),
        "route among 10000" => route(calls, 10_000),
        "split" => return split(calls, false),
        "sticky split" => return split(calls, true),
        other => return Err(format!("{other:?} is no case")),
    }
    Ok(())
}

/// As a browser sends it.
const HEAD: &[u8] = b"GET /checkout/orders/4711?lang=fr HTTP/1.1\r\n\
Host: shop.example.com\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
Accept-Language: fr,en;q=0.5\r\n\
Accept-Encoding: gzip, deflate, br\r\n\
Connection: keep-alive\r\n\
Cookie: serin_checkout=AbCdEf0123456789; theme=dark\r\n\
Upgrade-Insecure-Requests: 1\r\n\
\r\n";

fn parse(calls: u64) {
    let (limits, mut fields) = (HeadLimits::default(), Vec::with_capacity(32));
    measured_stretch(calls, &mut || {
        black_box(head::parse(black_box(HEAD), &limits, &mut fields));
    });
}

fn record(calls: u64) {
    let cells = Cells::default();
    let mut micros = 1u64;
    measured_stretch(calls, &mut || {
        micros = (micros * 5 + 1) & 0xf_ffff;
        cells.record(Duration::from_micros(black_box(micros)));
    });
}

fn tick(calls: u64, with_latencies: bool) -> Result<(), String> {
    let mut service = service::service().ok_or("no service")?;
    let mut now = 0;
    // A minute first, so that every test and window has something in it.
    while now < 60_000 {
        now += 20;
        service.serve(now);
        service.tick(now, now % 1_000 == 0);
    }
    let apart = if with_latencies { 1_000 } else { 20 };
    measured_stretch(calls, &mut || {
        now += apart;
        service.serve(now);
        service.tick(now, with_latencies);
    });
    Ok(())
}

fn route(calls: u64, count: usize) {
    let table = routes::table(count, routes::by_prefix);
    let asked = routes::by_prefix(count / 2);
    let path = format!("{}/orders/4711", routes::path_of(&asked));
    let fields = http::HeaderMap::new();
    let request = RequestView {
        listener: "http",
        host: "shop.example.com",
        path: &path,
        query: Some("lang=fr"),
        method: "GET",
        headers: &fields,
        client_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    measured_stretch(calls, &mut || {
        black_box(table.find(black_box(&request)).is_some());
    });
}

fn split(calls: u64, sticky: bool) -> Result<(), String> {
    let split = split_of(1_000).ok_or("no split")?;
    let slots = Slots::new(&split.weights);
    let (mut splitter, mut random) = (Splitter::new(7), 1u32);
    measured_stretch(calls, &mut || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let client = match sticky {
            true => Client::Keyed { key: u64::from(random) },
            false => Client::Unkeyed { splitter: &mut splitter, slots: &slots, random },
        };
        black_box(choose(black_box(&split), client));
    });
    Ok(())
}

pub(crate) fn split_of(weight: u16) -> Option<Split> {
    let (stable, candidate) = (VersionName::new("v41").ok()?, VersionName::new("v42").ok()?);
    let (service, epoch) = (ServiceName::new("checkout").ok()?, Epoch(17));
    let weight = BasisPoints::new(weight)?;
    let in_force = InForce {
        id: RolloutId::new(&service, epoch),
        epoch,
        salt: 0x5e81,
        candidate: candidate.clone(),
        weight,
        of: Scope::All,
        sessions: Sessions::Honour,
        tripwire: None,
        harm_ceiling: HarmCeiling::default(),
        rescue: false,
    };
    let weights = Weights::two(stable.clone(), candidate, weight);
    Some(Split { service, stable, weights, rollout: Some(in_force) })
}
