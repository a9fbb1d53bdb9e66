//! What the ingress counts, in Prometheus' terms. The label sets are the listeners' names and
//! their certificates, never anything that a client says.

use super::listener::{Counters, ListenerState};
use super::listeners::Ingress;
use crate::accesslog::AccessLog;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, IntCounter, IntCounterVec, IntGaugeVec, Opts};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

pub(crate) struct IngressCollector {
    ingress: Arc<Ingress>,
    log: AccessLog,
    families: Families,
}

struct Families {
    open: IntGaugeVec,
    connections: IntCounterVec,
    refused: IntCounterVec,
    dropped: IntCounterVec,
    expiry: GaugeVec,
    log_dropped: IntCounter,
}

impl Families {
    fn new() -> Result<Self, prometheus::Error> {
        let opts = |name, help| Opts::new(name, help);
        Ok(Self {
            open: IntGaugeVec::new(
                opts("serin_connections_open", "Client connections that are open."),
                &["listener"],
            )?,
            connections: IntCounterVec::new(
                opts("serin_connections_total", "Client connections, by what became of them."),
                &["listener", "result"],
            )?,
            refused: IntCounterVec::new(
                opts("serin_refused_heads_total", "Requests turned away before they were routed."),
                &["listener", "reason"],
            )?,
            dropped: IntCounterVec::new(
                opts(
                    "serin_dropped_headers_total",
                    "Headers of requests that no route and no backend got to see.",
                ),
                &["listener", "reason"],
            )?,
            expiry: GaugeVec::new(
                opts(
                    "serin_tls_certificate_expiry_timestamp_seconds",
                    "When a certificate expires, in seconds since the epoch.",
                ),
                &["listener", "subject"],
            )?,
            log_dropped: IntCounter::new(
                "serin_access_log_dropped_total",
                "Access log records dropped because writing them was too slow.",
            )?,
        })
    }

    fn add(&self, listener: &ListenerState) {
        let Counters {
            open,
            accepted,
            accept_errors,
            turned_away,
            handshake_failures,
            invalid_proxy_headers,
            refused_heads,
            slow_heads,
            underscored,
            proxy_headers,
            shadow_marks,
            floods,
        } = &*listener.counters;
        let name = listener.name.as_str();
        self.open.with_label_values(&[name]).set(open.load(Relaxed));
        for (result, count) in [
            ("accepted", accepted),
            ("acceptError", accept_errors),
            ("turnedAway", turned_away),
            ("handshakeFailed", handshake_failures),
            ("invalidProxyHeader", invalid_proxy_headers),
            ("flooded", floods),
        ] {
            self.connections.with_label_values(&[name, result]).inc_by(count.get());
        }
        let (slow, all) = (slow_heads.get(), refused_heads.get());
        self.refused.with_label_values(&[name, "tooSlow"]).inc_by(slow);
        self.refused.with_label_values(&[name, "invalid"]).inc_by(all.saturating_sub(slow));
        for (reason, count) in
            [("underscore", underscored), ("proxy", proxy_headers), ("shadowMark", shadow_marks)]
        {
            self.dropped.with_label_values(&[name, reason]).inc_by(count.get());
        }
        for certificate in listener.tls.iter().flat_map(|tls| tls.certificates().expiries()) {
            let (subject, expires) = certificate;
            self.expiry.with_label_values(&[name, subject.as_str()]).set(expires as f64);
        }
    }

    fn parts(&self) -> [&dyn Collector; 6] {
        let Self { open, connections, refused, dropped, expiry, log_dropped } = self;
        [open, connections, refused, dropped, expiry, log_dropped]
    }
}

impl IngressCollector {
    pub(crate) fn new(ingress: Arc<Ingress>, log: AccessLog) -> Result<Self, prometheus::Error> {
        Ok(Self { ingress, log, families: Families::new()? })
    }
}

impl Collector for IngressCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.families.parts().into_iter().flat_map(Collector::desc).collect()
    }

    /// Gathered anew each time, so that a listener that is gone leaves no series behind.
    fn collect(&self) -> Vec<MetricFamily> {
        let Ok(families) = Families::new() else { return Vec::new() };
        for running in self.ingress.running().values() {
            families.add(&running.state.load());
        }
        families.log_dropped.inc_by(self.log.dropped());
        families.parts().into_iter().flat_map(Collector::collect).collect()
    }
}
