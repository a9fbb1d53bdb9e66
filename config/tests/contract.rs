//! The configuration contract, word for word, and what becomes of every value in it.

mod support;

use serin_config::model::*;
use serin_config::{Loaded, Options, Style, load, render_all};
use serin_core::rollout::*;
use serin_core::slo::{BurnAction, BurnRule, Severity};
use serin_core::split::Scope;
use serin_core::weights::BasisPoints;
use std::time::Duration;
use support::Ground;

fn loaded(ground: &Ground) -> Loaded {
    let secrets = ground.path().join("secrets").display().to_string();
    let text = include_str!("contract/contract.yaml").replace("/run/secrets", &secrets);
    let path = ground.write("serin.yaml", text);
    load(&path, &Options::default()).unwrap_or_else(|faults| panic!("{faults}"))
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn minutes(n: u64) -> Duration {
    seconds(n * 60)
}

fn percent(n: u16) -> BasisPoints {
    BasisPoints::new(n * 100).expect("a share")
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

#[test]
fn the_contract_loads_without_a_warning_and_names_all_it_read() {
    let ground = Ground::new();
    let loaded = loaded(&ground);
    assert_eq!(render_all(&loaded.warnings, Style::Plain), "");
    for file in [
        "serin.yaml",
        "tls/shop.pem",
        "tls/shop.key",
        "tls/clients.pem",
        "secrets/serin-operator",
        "secrets/cookie-key",
        "secrets/slack",
        "secrets/pd",
    ] {
        assert!(loaded.files.contains(&ground.path().join(file)), "{file}");
    }
    assert_eq!(loaded.config.summary(), "1 service, 2 routes, 1 rollout");
    assert_eq!(loaded.config.hash.len(), 32);
}

#[test]
fn listeners_admin_and_state() {
    let ground = Ground::new();
    let config = loaded(&ground).config;
    let [http, https] = config.listeners.as_slice() else { panic!("two listeners") };
    assert_eq!((http.name.as_str(), http.address.to_string().as_str()), ("http", "0.0.0.0:8080"));
    assert_eq!((&http.tls, &http.limits), (&None, &ListenerLimits::default()));
    assert_eq!(
        (https.name.as_str(), https.address.to_string().as_str()),
        ("https", "0.0.0.0:8443")
    );
    let tls = ground.path().join("tls");
    assert_eq!(
        https.tls,
        Some(Tls {
            certificates: vec![Certificate {
                cert_file: tls.join("shop.pem"),
                key_file: tls.join("shop.key")
            }],
            min_version: TlsVersion::V1_2,
            client_auth: ClientAuth::Required { ca_file: tls.join("clients.pem") },
        })
    );
    assert_eq!(https.proxy_protocol, ProxyProtocol::Off);
    assert_eq!(https.trusted, []);
    assert_eq!((https.limits.max_connections, https.limits.max_headers), (20_000, 100));
    assert_eq!(
        (https.limits.header_timeout, https.limits.idle_timeout),
        (seconds(10), seconds(60))
    );
    assert_eq!(https.limits.max_header_bytes, 32 << 10);
    assert_eq!(config.admin.address, AdminAddress::Tcp(([127, 0, 0, 1], 9901).into()));
    assert_eq!(config.admin.tokens[0].role, Role::Operator);
    assert_eq!(config.admin.tokens[0].secret.expose(), "0123456789abcdef0123456789abcdef");
    assert_eq!(config.state_dir.to_str(), Some("/var/lib/serin"));
}

#[test]
fn the_service() {
    let ground = Ground::new();
    let config = loaded(&ground).config;
    let service = &config.services["checkout"];
    assert_eq!(service.stable.as_str(), "v41");
    let [v41, v42] = service.versions.as_slice() else { panic!("two versions") };
    let named: Vec<String> = v41.endpoints.listed().iter().map(ToString::to_string).collect();
    assert_eq!(named, ["10.0.1.11:8080", "10.0.1.12:8080"]);
    assert_eq!((v41.release.as_str(), v41.protocol), ("2026.11.02", UpstreamProtocol::Auto));
    assert_eq!((v42.release.as_str(), v42.protocol), ("2026.11.20", UpstreamProtocol::Http1));
    assert_eq!(
        (v42.endpoints.listed()[0].to_string().as_str(), v42.endpoints.listed()[0].tls),
        ("10.0.2.21:8080", false)
    );
    assert_eq!(service.load_balancing, LoadBalancing::LeastRequest);
    assert_eq!(
        service.health_check,
        Some(HealthCheck {
            kind: HealthKind::Http { path: "/readyz".to_owned(), host: None },
            interval: seconds(2),
            timeout: seconds(1),
            unhealthy_after: 2,
            healthy_after: 2,
            panic_below: 0.5,
        })
    );
    assert_eq!(
        service.outliers,
        Outliers { consecutive_failures: 5, eject_for: seconds(30), max_ejected: 0.5 }
    );
    assert_eq!(
        service.timeouts,
        Timeouts { connect: seconds(1), response: seconds(30), idle: seconds(60) }
    );
    let on = vec![RetryOn::ConnectFailure, RetryOn::Reset, RetryOn::Status(503)];
    assert_eq!(service.retries, Retries { attempts: 1, on, budget: 0.2 });
    let SessionBy::Cookie { name, ttl, keys } = &service.session else { panic!("a cookie") };
    let [key] = keys.as_slice() else { panic!("one key") };
    assert_eq!((name.as_str(), *ttl), ("serin_checkout", minutes(60)));
    assert_eq!(key.expose(), "fedcba9876543210fedcba9876543210");
    assert_eq!(
        (service.failover, service.slow_start, service.max_in_flight),
        (Failover::None, Duration::ZERO, 0)
    );
    let shadow = service.shadow.as_ref().expect("a shadow");
    assert_eq!((shadow.to.as_str(), shadow.share, shadow.max_body), ("v42", percent(5), 256 << 10));
    assert_eq!(
        (shadow.methods.as_slice(), shadow.timeout, shadow.max_in_flight),
        (["GET".to_owned(), "HEAD".to_owned()].as_slice(), seconds(5), 256)
    );
    assert_eq!(shadow.redact_headers, ["authorization", "cookie", "proxy-authorization"]);
    assert_eq!(
        shadow.compare,
        Some(Compare {
            status: true,
            headers: vec!["content-type".to_owned()],
            body: CompareBody::Json,
            ignore: vec![JsonPath::parse("$.generatedAt").expect("a path")],
            noise: true,
        })
    );
}

#[test]
fn the_objectives() {
    let ground = Ground::new();
    let config = loaded(&ground).config;
    let slo = &config.services["checkout"].objectives;
    assert_eq!((slo.window, slo.availability.objective), (minutes(30 * 24 * 60), 0.999));
    assert!(slo.availability.bad.contains(500) && slo.availability.bad.contains(599));
    assert!(!slo.availability.bad.contains(499));
    let latency = slo.latency.as_ref().expect("an objective");
    assert_eq!((latency.objective, latency.under), (0.95, Duration::from_millis(500)));
    assert_eq!(slo.burn_rates, BurnRule::defaults());
    let drip = &slo.burn_rates[2];
    assert_eq!((drip.action, drip.severity), (BurnAction::Notify, Severity::P3));
    assert_eq!((slo.budget.freeze_below, slo.budget.confirm_below), (0.1, 0.5));
}

#[test]
fn the_rollout() {
    let ground = Ground::new();
    let config = loaded(&ground).config;
    let plan = config.services["checkout"].rollout.as_ref().expect("a rollout");
    assert_eq!((plan.to.as_str(), plan.release.as_str()), ("v42", "2026.11.20"));
    assert_eq!((plan.strategy, plan.start), (Strategy::Canary, Start::Manual));
    let step = |weight, hold, of| Step { weight: percent(weight), hold: minutes(hold), of };
    assert_eq!(
        plan.steps,
        [step(10, 15, Scope::NewSessions), step(50, 30, Scope::All), step(100, 60, Scope::All),]
    );
    assert_eq!(
        plan.evidence,
        Demand {
            accept: Accept::BoundedHarm,
            false_alarm: 0.001,
            min_requests: 500,
            on_too_few: OnTooFew::Hold,
            give_up_after: minutes(24 * 60),
        }
    );
    assert_eq!(
        plan.regression,
        Regression {
            errors: 1.5,
            client_errors: 2.0,
            latency: 0.2,
            latency_floor: Duration::from_millis(10)
        }
    );
    let guard = |name: &str, rule, over, lasting, action| Guard {
        name: name.to_owned(),
        rule,
        over: seconds(over),
        absolute: false,
        lasting: seconds(lasting),
        action,
    };
    let signal =
        Rule::Signal { name: "trialActivation".to_owned(), below: 0.5, of: Compared::Baseline };
    assert_eq!(
        plan.guards,
        [
            guard("errors", Rule::ErrorRate { above: 0.01 }, 30, 0, Action::Rollback),
            guard(
                "slow",
                Rule::Latency { quantile: 0.95, above: seconds(2) },
                60,
                300,
                Action::Rollback
            ),
            guard("conversion", signal, 60, 0, Action::Rollback),
            guard("shadowDiffs", Rule::ShadowMismatch { above: 0.005 }, 60, 0, Action::Pause),
        ]
    );
    assert_eq!(plan.harm, Harm { failed_requests: Some(200), users: Some(50) });
    assert!(plan.rescue);
    let webhook =
        GateKind::Webhook { url: "http://ci.internal/go".to_owned(), timeout: seconds(10) };
    assert_eq!(
        plan.gates,
        [
            Gate { before: percent(50), kind: GateKind::Approval },
            Gate { before: percent(100), kind: webhook },
        ]
    );
    let at = |hour: u16| TimeOfDay(hour * 60);
    let paris = || "Europe/Paris".to_owned();
    assert_eq!(
        plan.windows,
        [
            Window {
                effect: WindowEffect::Allow,
                time_zone: paris(),
                reason: None,
                span: WindowSpan::Daily { first: 2, last: 4, from: at(14), to: at(17) },
            },
            Window {
                effect: WindowEffect::Deny,
                time_zone: paris(),
                reason: Some("no Friday deploys".to_owned()),
                span: WindowSpan::Weekly { first: 5, from: at(14), last: 1, to: at(10) },
            },
        ]
    );
    assert_eq!((plan.on_rollback, &plan.dark), (OnRollback::Revoke, &None));
}

#[test]
fn routes_and_telemetry() {
    let ground = Ground::new();
    let config = loaded(&ground).config;
    let [testers, checkout] = config.routes.as_slice() else { panic!("two routes") };
    let RouteAction::Forward { service, version } = &testers.action else { panic!("a service") };
    assert_eq!((service.as_str(), version.as_ref().map(|v| v.as_str())), ("checkout", Some("v42")));
    assert_eq!(
        testers.matches[0].headers,
        [("x-canary".to_owned(), ValueMatch::Exact("always".to_owned()))]
    );
    assert_eq!(checkout.hostnames, ["shop.example.com"]);
    let only = &checkout.matches[0];
    assert_eq!(only.path, PathMatch::Prefix("/checkout".to_owned()));
    assert_eq!(only.methods, ["GET", "POST"]);
    assert_eq!(only.query, [("lang".to_owned(), ValueMatch::Exact("fr".to_owned()))]);
    assert_eq!((only.cookies.len(), only.client_ip.len()), (0, 0));
    let edits = |set: &[(&str, &str)], remove: &str| HeaderEdits {
        set: pairs(set),
        add: Vec::new(),
        remove: vec![remove.to_owned()],
    };
    assert_eq!(checkout.request, edits(&[("x-edge", "serin")], "x-debug"));
    assert_eq!(checkout.response, edits(&[], "server"));
    assert_eq!(checkout.rewrite, Some(Rewrite::Prefix("/api/checkout".to_owned())));
    let rate = Some(RateLimit { per_second: 500, per: RatePer::ClientIp });
    assert_eq!(checkout.limits, RouteLimits { max_body: Some(10 << 20), rate });
    assert_eq!(
        config.access_log,
        AccessLog {
            format: AccessLogFormat::Json,
            to: AccessLogTo::Stdout,
            sample: BasisPoints::WHOLE,
        }
    );
    let tracing = config.tracing.as_ref().expect("tracing");
    assert_eq!((tracing.otlp.as_str(), tracing.sample), ("http://127.0.0.1:4317", percent(1)));
    let [team, oncall, hook] = config.notifications.as_slice() else {
        panic!("three notifications")
    };
    let NotifyTo::Slack { webhook_url } = &team.to else { panic!("Slack") };
    assert_eq!(webhook_url.expose(), "https://hooks.slack.example/services/T/B/x");
    assert_eq!(
        team.on,
        [
            NotifyOn::Started,
            NotifyOn::Advanced,
            NotifyOn::Paused,
            NotifyOn::RolledBack,
            NotifyOn::Completed
        ]
    );
    let NotifyTo::PagerDuty { routing_key, url } = &oncall.to else { panic!("PagerDuty") };
    assert_eq!(
        (routing_key.expose(), url.as_str()),
        ("R0UTINGKEY", "https://events.pagerduty.com/v2/enqueue")
    );
    assert_eq!(
        (oncall.on.as_slice(), oncall.severity.as_slice()),
        ([NotifyOn::RolledBack].as_slice(), [Severity::P1, Severity::P2].as_slice())
    );
    assert_eq!(
        hook.to,
        NotifyTo::Webhook { url: "http://127.0.0.1:9/".to_owned(), headers: Vec::new() }
    );
}
