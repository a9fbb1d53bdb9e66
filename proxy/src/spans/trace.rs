//! What a sampled request notes while it lives: who asked for it, and when each attempt was made.

use serin_config::model::Tracing;
use serin_core::weights::WHOLE;
use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Instant;

/// A request makes no more attempts than these; of a bug that made more, the rest has no spans.
const MOST: usize = 8;

/// A valid `traceparent`, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parent {
    pub(crate) trace: u128,
    pub(crate) span: u64,
    pub(crate) sampled: bool,
}

#[derive(Debug)]
pub(crate) struct Trace {
    pub(super) trace: u128,
    /// The span of whoever asked.
    pub(super) parent: Option<u64>,
    pub(super) span: u64,
    pub(super) attempts: Vec<Attempt>,
}

#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) span: u64,
    pub(super) version: String,
    pub(super) endpoint: SocketAddr,
    pub(super) began: Instant,
    pub(super) ended: Option<Instant>,
    pub(super) status: Option<u16>,
    pub(super) failure: Option<&'static str>,
}

impl Trace {
    /// A peer that is trusted decides; from anybody else `sample` does, so that nobody outside can
    /// have all of their requests traced. The trace that a request came with is kept either way.
    pub(crate) fn sample(
        tracing: &Tracing,
        parent: Option<Parent>,
        trusted: bool,
        mut random: impl FnMut() -> u64,
    ) -> Option<Self> {
        let sampled = match parent.filter(|_| trusted) {
            Some(parent) => parent.sampled,
            None => random() % u64::from(WHOLE) < u64::from(tracing.sample.get()),
        };
        sampled.then(|| Self {
            trace: parent.map_or_else(
                || u128::from(random() | 1) << 64 | u128::from(random()),
                |parent| parent.trace,
            ),
            parent: parent.map(|parent| parent.span),
            span: random() | 1,
            attempts: Vec::new(),
        })
    }

    pub(crate) fn attempt(&mut self, version: &str, endpoint: SocketAddr, span: u64, now: Instant) {
        // One that nobody ended met a connection that was dead already.
        self.attempt_ended(None, Some("reset"), now);
        if self.attempts.len() < MOST {
            self.attempts.push(Attempt {
                span: span | 1,
                version: version.to_owned(),
                endpoint,
                began: now,
                ended: None,
                status: None,
                failure: None,
            });
        }
    }

    pub(crate) fn attempt_ended(
        &mut self,
        status: Option<u16>,
        failure: Option<&'static str>,
        now: Instant,
    ) {
        if let Some(attempt) = self.attempts.last_mut().filter(|a| a.ended.is_none()) {
            attempt.ended = Some(now);
            attempt.status = status;
            attempt.failure = failure;
        }
    }

    /// The `traceparent` that the backend is told: the attempt is the parent of what it does.
    pub(crate) fn tell(&self, traceparent: &mut String) {
        let span = self.attempts.last().map_or(self.span, |attempt| attempt.span);
        traceparent.clear();
        let _infallible = write!(traceparent, "00-{:032x}-{span:016x}-01", self.trace);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serin_core::weights::BasisPoints;

    fn tracing(percent: u16) -> Tracing {
        let sample = BasisPoints::new(percent * 100).unwrap();
        Tracing { otlp: "http://127.0.0.1:4317".into(), sample }
    }

    #[test]
    fn a_trusted_peer_decides_and_a_stranger_does_not() {
        let parent = |sampled| Some(Parent { trace: 7, span: 8, sampled });
        let sampled = |percent, parent, trusted| {
            Trace::sample(&tracing(percent), parent, trusted, || 3).is_some()
        };
        assert!(sampled(0, parent(true), true) && !sampled(100, parent(false), true));
        assert!(!sampled(0, parent(true), false) && sampled(100, parent(false), false));
        assert!(!sampled(0, None, true) && sampled(100, None, true));
    }

    #[test]
    fn the_share_is_the_share() {
        let tracing = tracing(1);
        let sampled = (0..10_000).filter(|n| Trace::sample(&tracing, None, false, || *n).is_some());
        assert_eq!(sampled.count(), 100);
    }

    #[test]
    fn each_attempt_is_a_parent_of_its_own_in_the_trace_that_came() {
        let parent = Some(Parent { trace: 0xabc, span: 0xdef, sampled: true });
        let mut trace = Trace::sample(&tracing(100), parent, false, || 5).unwrap();
        let (now, endpoint) = (Instant::now(), SocketAddr::from(([127, 0, 0, 1], 80)));
        let mut told = String::new();
        trace.attempt("v2", endpoint, 0x11, now);
        trace.tell(&mut told);
        assert_eq!(told, "00-00000000000000000000000000000abc-0000000000000011-01");
        trace.attempt_ended(Some(503), None, now);
        trace.attempt("v1", endpoint, 0x21, now);
        trace.tell(&mut told);
        assert!(told.ends_with("-0000000000000021-01"));
        assert_eq!((trace.parent, trace.attempts[0].status), (Some(0xdef), Some(503)));
    }
}
