//! What the ingress counts. The label sets are the listeners' names and their certificates, never
//! anything that a client says.

use super::listener::{Counters, ListenerState};
use super::listeners::Ingress;
use crate::accesslog::AccessLog;
use serin_core::metrics::{Metered, Samples};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

serin_core::metrics! {
    /// What listeners and the access log count.
    pub(crate) INGRESS {
        CONNECTIONS_OPEN: Gauge "serin_connections_open" ["listener"]
            "Client connections that are open.";
        CONNECTIONS_TOTAL: Counter "serin_connections_total" ["listener", "result"]
            "Client connections, by what became of them.";
        REFUSED_HEADS_TOTAL: Counter "serin_refused_heads_total" ["listener", "reason"]
            "Requests turned away before they were routed.";
        DROPPED_HEADERS_TOTAL: Counter "serin_dropped_headers_total" ["listener", "reason"]
            "Headers of requests that no route and no backend got to see.";
        CERTIFICATE_EXPIRY: Gauge "serin_tls_certificate_expiry_timestamp_seconds" ["listener", "subject"]
            "When a certificate expires, in seconds since the epoch.";
        ACCESS_LOG_DROPPED_TOTAL: Counter "serin_access_log_dropped_total" []
            "Access log records dropped because writing them was too slow.";
    }
}

pub(crate) struct IngressMeters {
    pub(crate) ingress: Arc<Ingress>,
    pub(crate) log: AccessLog,
}

impl Metered for IngressMeters {
    /// Read anew each time, so that a listener that is gone leaves no series behind.
    fn read(&self, samples: &mut Samples) {
        for running in self.ingress.running().values() {
            of_listener(&running.state.load(), samples);
        }
        samples.counter(&ACCESS_LOG_DROPPED_TOTAL, &[], self.log.dropped());
    }
}

fn of_listener(listener: &ListenerState, samples: &mut Samples) {
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
    samples.gauge(&CONNECTIONS_OPEN, &[name], open.load(Relaxed) as f64);
    for (result, count) in [
        ("accepted", accepted),
        ("acceptError", accept_errors),
        ("turnedAway", turned_away),
        ("handshakeFailed", handshake_failures),
        ("invalidProxyHeader", invalid_proxy_headers),
        ("flooded", floods),
    ] {
        samples.counter(&CONNECTIONS_TOTAL, &[name, result], count.get());
    }
    let (slow, all) = (slow_heads.get(), refused_heads.get());
    samples.counter(&REFUSED_HEADS_TOTAL, &[name, "tooSlow"], slow);
    samples.counter(&REFUSED_HEADS_TOTAL, &[name, "invalid"], all.saturating_sub(slow));
    for (reason, count) in
        [("underscore", underscored), ("proxy", proxy_headers), ("shadowMark", shadow_marks)]
    {
        samples.counter(&DROPPED_HEADERS_TOTAL, &[name, reason], count.get());
    }
    for certificate in listener.tls.iter().flat_map(|tls| tls.certificates().expiries()) {
        let (subject, expires) = certificate;
        samples.gauge(&CERTIFICATE_EXPIRY, &[name, subject.as_str()], expires as f64);
    }
}
