//! The rules that are not about objectives: rollouts that want somebody, and an instance that is
//! not well. They are the same for every service, except where the configuration names a limit.

use super::rules::{Alert, Group, Rule, Scrape, quoted};
use serin_config::model::{Config, Listener};
use serin_core::slo::Severity;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

pub(super) fn groups(config: &Config, scrape: &Scrape) -> [Group; 2] {
    let mut instance = vec![
        down(scrape),
        no_endpoint(scrape),
        frozen(scrape),
        not_observing(scrape),
        journal(scrape),
        reload(scrape),
        notifications(scrape),
    ];
    if config.listeners.iter().any(|listener| listener.tls.is_some()) {
        instance.extend(certificates(scrape));
    }
    instance.extend(config.listeners.iter().map(|listener| connections(listener, scrape)));
    [
        Group {
            name: "serin-rollouts".to_owned(),
            rules: vec![rolled_back(scrape), waits(scrape)],
        },
        Group { name: "serin-instance".to_owned(), rules: instance },
    ]
}

/// The state stays until the next rollout, so what fires is its change.
fn rolled_back(scrape: &Scrape) -> Rule {
    let state = scrape.select("serin_rollout_state", "state=\"rolledBack\"");
    Rule::Alert(Alert {
        name: "SerinRolledBack",
        expr: format!(
            "max by (job, service) (\n  {state} == 1\n  and\n  changes({state}[1h]) > 0\n)"
        ),
        lasting: Duration::ZERO,
        severity: Severity::P3,
        labels: Vec::new(),
        summary: "{{ $labels.service }} was rolled back".to_owned(),
        description:
            "Traffic is back on the stable version. `serin why {{ $labels.service }}` says why."
                .to_owned(),
    })
}

fn waits(scrape: &Scrape) -> Rule {
    let state = scrape.select("serin_rollout_state", "state=~\"paused|inconclusive\"");
    Rule::Alert(Alert {
        name: "SerinRolloutWaits",
        expr: format!("max by (job, service, state) ({state}) == 1"),
        lasting: 30 * MINUTE,
        severity: Severity::P3,
        labels: Vec::new(),
        summary: "the rollout of {{ $labels.service }} is {{ $labels.state }}".to_owned(),
        description: "It stays where it is until somebody promotes, resumes or aborts it."
            .to_owned(),
    })
}

fn down(scrape: &Scrape) -> Rule {
    let up = scrape.select("up", "");
    Rule::Alert(Alert {
        name: "SerinDown",
        expr: format!("{up} == 0\nor\nabsent({up})"),
        lasting: MINUTE,
        severity: Severity::P1,
        labels: Vec::new(),
        summary: "Serin is not there".to_owned(),
        description: "{{ $labels.instance }} has not answered a scrape for a minute.".to_owned(),
    })
}

fn no_endpoint(scrape: &Scrape) -> Rule {
    let ready = scrape.select("serin_endpoint_ready", "");
    let weight = scrape.select("serin_weight_ratio", "");
    let by = "(job, instance, service, version)";
    Rule::Alert(Alert {
        name: "SerinNoReadyEndpoint",
        expr: format!("sum by {by} ({ready}) == 0\nand on {by}\nmax by {by} ({weight}) > 0"),
        lasting: MINUTE,
        severity: Severity::P1,
        labels: Vec::new(),
        summary: "{{ $labels.service }} {{ $labels.version }} has no ready endpoint".to_owned(),
        description:
            "It has a share of the traffic, which is answered 503 unless `failover: stable` is set."
                .to_owned(),
    })
}

fn frozen(scrape: &Scrape) -> Rule {
    Rule::Alert(Alert {
        name: "SerinWeightsFrozen",
        expr: format!("{} == 1", scrape.select("serin_weights_frozen", "")),
        lasting: MINUTE,
        severity: Severity::P2,
        labels: Vec::new(),
        summary: "the controller of {{ $labels.instance }} is silent".to_owned(),
        description: "Requests are served, and the weights stay where they are: nothing is judged and nothing would be rolled back.".to_owned(),
    })
}

fn not_observing(scrape: &Scrape) -> Rule {
    let lost = scrape.select("serin_not_observing_seconds_total", "");
    Rule::Alert(Alert {
        name: "SerinNotObserving",
        expr: format!("rate({lost}[5m]) > 0.2"),
        lasting: MINUTE,
        severity: Severity::P2,
        labels: Vec::new(),
        summary: "the threads of {{ $labels.instance }} are late themselves".to_owned(),
        description: "The host or the limit on its processor time starves it. Latencies, timeouts and health checks count for nobody, and holds stand still."
            .to_owned(),
    })
}

fn journal(scrape: &Scrape) -> Rule {
    Rule::Alert(Alert {
        name: "SerinJournalFailing",
        expr: format!("{} == 1", scrape.select("serin_journal_failing", "")),
        lasting: MINUTE,
        severity: Severity::P2,
        labels: Vec::new(),
        summary: "{{ $labels.instance }} cannot write its journal".to_owned(),
        description: "Rollouts can still be rolled back; none can start or advance.".to_owned(),
    })
}

fn reload(scrape: &Scrape) -> Rule {
    Rule::Alert(Alert {
        name: "SerinConfigRefused",
        expr: format!("{} == 0", scrape.select("serin_config_last_reload_success", "")),
        lasting: 5 * MINUTE,
        severity: Severity::P3,
        labels: Vec::new(),
        summary: "{{ $labels.instance }} refused its configuration".to_owned(),
        description: "The one before it is in force; a restart would not start.".to_owned(),
    })
}

fn notifications(scrape: &Scrape) -> Rule {
    let lost = scrape.select("serin_notifications_lost_total", "");
    Rule::Alert(Alert {
        name: "SerinNotificationsLost",
        expr: format!("increase({lost}[15m]) > 0"),
        lasting: Duration::ZERO,
        severity: Severity::P3,
        labels: Vec::new(),
        summary: "{{ $labels.instance }} could not deliver notifications".to_owned(),
        description: "A receiver was not reachable or refused them; the events are in the journal."
            .to_owned(),
    })
}

fn certificates(scrape: &Scrape) -> [Rule; 2] {
    let left =
        format!("{} - time()", scrape.select("serin_tls_certificate_expiry_timestamp_seconds", ""));
    let rule = |name, days: u32, severity| {
        Rule::Alert(Alert {
            name,
            expr: format!("{left} < {days} * 86400"),
            lasting: 5 * MINUTE,
            severity,
            labels: Vec::new(),
            summary: "the certificate of {{ $labels.subject }} expires".to_owned(),
            description:
                "{{ $value | humanizeDuration }} are left on listener {{ $labels.listener }}."
                    .to_owned(),
        })
    };
    [
        rule("SerinCertificateExpires", 14, Severity::P3),
        rule("SerinCertificateExpiresNow", 2, Severity::P1),
    ]
}

fn connections(listener: &Listener, scrape: &Scrape) -> Rule {
    let matchers = format!("listener={}", quoted(&listener.name));
    let open = scrape.select("serin_connections_open", &matchers);
    let most = listener.limits.max_connections;
    Rule::Alert(Alert {
        name: "SerinConnectionsNearLimit",
        expr: format!("{open} > 0.9 * {most}"),
        lasting: 5 * MINUTE,
        severity: Severity::P2,
        labels: vec![("listener", listener.name.clone())],
        summary: format!("listener {} is nearly full", listener.name),
        description: format!(
            "{{{{ $value }}}} of {most} connections are open on {{{{ $labels.instance }}}}; the next ones will wait."
        ),
    })
}
