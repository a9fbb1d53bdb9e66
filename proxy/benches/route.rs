//! What it costs to find a route among one and among ten thousand.
//!
//! The two must be the same: a table that is searched rule by rule would be ten thousand times
//! slower in the second.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use serin_config::model::{HeaderEdits, Match, PathMatch, Route, RouteAction, RouteLimits};
use serin_core::ids::RouteName;
use serin_proxy::route::{self, ClientRates, RequestView, RouteTable};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

fn find(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("route");
    for (shape, of) in [("by host", by_host as fn(usize) -> Route), ("by prefix", by_prefix)] {
        for count in [1, 100, 10_000] {
            let table = table(count, of);
            let asked = of(count / 2);
            let host = asked.hostnames.first().map_or("shop.example.com", String::as_str);
            let path = format!("{}/orders/4711", path_of(&asked));
            let fields = http::HeaderMap::new();
            let request = RequestView {
                listener: "http",
                host,
                path: &path,
                query: Some("lang=fr"),
                method: "GET",
                headers: &fields,
                client_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            };
            assert!(table.find(&request).is_some());
            group.bench_function(BenchmarkId::new(shape, count), |bencher| {
                bencher.iter(|| black_box(table.find(black_box(&request))).is_some());
            });
        }
    }
    group.finish();
}

fn normalise(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("path");
    for path in ["/checkout/orders/4711", "/checkout/../%61dmin//x"] {
        group.bench_function(path, |bencher| {
            bencher.iter(|| black_box(route::path::normalise(black_box(path))).is_ok());
        });
    }
    group.finish();
}

fn table(count: usize, of: fn(usize) -> Route) -> RouteTable {
    let routes: Vec<_> = (0..count).map(of).collect();
    let clients = Arc::new(ClientRates::new(1));
    let compiled = routes.iter().map(|route| {
        match route::Route::new(route, &BTreeMap::new(), &clients, None) {
            Ok(route) => Arc::new(route),
            Err(error) => unreachable!("a fixed answer always compiles: {error}"),
        }
    });
    match RouteTable::new(&routes, compiled.collect()) {
        Ok(table) => table,
        Err(error) => unreachable!("its paths are plain: {error}"),
    }
}

fn by_host(n: usize) -> Route {
    answering(n, vec![format!("shop-{n}.example.com")], "/checkout".to_owned())
}

fn by_prefix(n: usize) -> Route {
    answering(n, Vec::new(), format!("/team-{}/shop-{n}/checkout", n % 100))
}

fn answering(n: usize, hostnames: Vec<String>, prefix: String) -> Route {
    let name = match RouteName::new(&format!("r{n}")) {
        Ok(name) => name,
        Err(error) => unreachable!("{error}"),
    };
    Route {
        name,
        listeners: Vec::new(),
        hostnames,
        matches: vec![Match {
            path: PathMatch::Prefix(prefix),
            methods: Vec::new(),
            headers: Vec::new(),
            query: Vec::new(),
            cookies: Vec::new(),
            client_ip: Vec::new(),
        }],
        action: RouteAction::Respond {
            status: 200,
            content_type: "text/plain".to_owned(),
            body: String::new(),
        },
        request: HeaderEdits::default(),
        response: HeaderEdits::default(),
        rewrite: None,
        limits: RouteLimits::default(),
        expose_version: false,
    }
}

fn path_of(route: &Route) -> &str {
    match &route.matches[0].path {
        PathMatch::Prefix(path) | PathMatch::Exact(path) => path,
        PathMatch::Regex(_) => "",
    }
}

criterion_group!(benches, find, normalise);
criterion_main!(benches);
