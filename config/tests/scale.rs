//! A configuration of ten thousand routes and a thousand services. It must load; how fast is
//! printed, not asserted, because machines differ:
//! `cargo test --release -p serin-config --test scale -- --nocapture`.

use std::fmt::Write as _;
use std::time::Instant;

const SERVICES: usize = 1_000;
const ROUTES: usize = 10_000;

#[test]
fn ten_thousand_routes_and_a_thousand_services_load() {
    let text = large();
    let begun = Instant::now();
    let loaded = serin_config::from_str("large.yaml", &text);
    let taken = begun.elapsed();
    let loaded = loaded.unwrap_or_else(|faults| panic!("{faults}"));
    println!("{} KiB in {taken:?}: {}", text.len() >> 10, loaded.config.summary());
    assert_eq!(loaded.warnings, Vec::new());
    assert_eq!(loaded.config.services.len(), SERVICES);
    assert_eq!(loaded.config.routes.len(), ROUTES);
}

fn large() -> String {
    let mut text =
        String::from("version: 1\nlisteners:\n  - { name: http, address: \"0.0.0.0:8080\" }\n");
    text.push_str("services:\n");
    for n in 0..SERVICES {
        let (a, b) = (n / 250, n % 250);
        let _ = write!(
            text,
            "  service-{n}:
    stable: v1
    versions:
      v1: {{ release: \"2026.11.{n}\", endpoints: [\"10.1.{a}.{b}:8080\", \"10.2.{a}.{b}:8080\"] }}
      v2: {{ endpoints: [\"10.3.{a}.{b}:8080\"] }}
    healthCheck: {{ path: /readyz }}
    session: {{ by: cookie, ttl: 1h }}
    rollout:
      to: v2
      steps: [ {{ weight: 10%, hold: 15m }}, {{ weight: 50%, hold: 30m }}, {{ weight: 100%, hold: 60m }} ]
      guards: [ {{ name: errors, errorRate: \"> 1%\", over: 30s }} ]
"
        );
    }
    text.push_str("routes:\n");
    for n in 0..ROUTES {
        let _ = write!(
            text,
            "  - name: route-{n}
    hostnames: [host-{}.example.com]
    matches:
      - path: {{ prefix: /area/{n} }}
        methods: [GET, POST]
        headers: {{ x-tenant: t{n} }}
      - path: {{ {} }}
    service: service-{}
    response: {{ removeHeaders: [server] }}
",
            n % 500,
            if n % 10 == 0 {
                format!("regex: \"/items/{n}/[0-9]+\"")
            } else {
                format!("exact: /items/{n}")
            },
            n % SERVICES,
        );
    }
    text
}
