//! What it costs to find a route among one and among ten thousand.
//!
//! The two must be the same: a table that is searched rule by rule would be ten thousand times
//! slower in the second.

mod made;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use made::{answering, by_prefix, path_of, table};
use serin_config::model::Route;
use serin_proxy::route::{self, RequestView};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

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

fn by_host(n: usize) -> Route {
    answering(n, vec![format!("shop-{n}.example.com")], "/checkout".to_owned())
}

criterion_group!(benches, find, normalise);
criterion_main!(benches);
