//! What a tick costs: a thousand services with two versions each, all in a rollout at once, with
//! guards, burn rules and a latency objective. The bar is 20 ms a tick and 128 KB a service.

mod made;

use criterion::{Criterion, criterion_group, criterion_main};
use made::{Service, service};
use std::time::Duration;

const SERVICES: usize = 1_000;

/// How long this thread has run, which does not grow while others do. Linux only; elsewhere the
/// bench has nothing to say.
fn on_processor() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = stat.split(' ').next().and_then(|field| field.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

fn ticks(c: &mut Criterion) {
    let mut services: Vec<Service> = (0..SERVICES).filter_map(|_| service()).collect();
    let mut now = 0;
    // Two minutes first, so that every test and window has something in it.
    while now < 120_000 {
        now += 20;
        for service in &mut services {
            service.serve(now);
            if now % 1_000 == 0 {
                service.tick(now, true);
            }
        }
    }
    let bytes = services.iter().map(|s| s.judge.bytes() + s.slo.bytes()).max().unwrap_or(0);
    println!("memory of a service in a rollout: {} KB (bar 128 KB)", bytes.div_ceil(1024));
    let stored =
        services.first().map_or((0, 0), |s| (s.judge.encode().len(), s.slo.encode().len()));
    println!("stored after two minutes: {} bytes of judge, {} of objectives", stored.0, stored.1);
    let mut group = c.benchmark_group("judge");
    group.sample_size(20);
    // As the controller does it: every service at every tick, and a fiftieth of them, whose second it
    // is, with their latencies.
    group.bench_function("tick of 1,000 services (bar 20 ms)", |b| {
        b.iter_custom(|ticks| {
            let mut spent = Duration::ZERO;
            for _ in 0..ticks {
                now += 20;
                services.iter_mut().for_each(|service| service.serve(now));
                let turn = (now / 20) as usize % 50;
                let begun = on_processor();
                for (place, service) in services.iter_mut().enumerate() {
                    service.tick(now, place % 50 == turn);
                }
                spent += on_processor().saturating_sub(begun);
            }
            spent
        });
    });
    group.finish();
}

criterion_group!(benches, ticks);
criterion_main!(benches);
