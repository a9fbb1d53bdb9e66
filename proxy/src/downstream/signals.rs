//! What a lane and the client's stream under it tell each other about the request in hand.
//!
//! The stream is polled for as long as a request lives, so it is the one that keeps time: it
//! notices a body that comes too slowly, an answer that is overdue, a tunnel that went silent. The
//! lane says what to wait for, and reads here what the stream's error meant.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Why the stream broke off, when it was the stream's own doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamFault {
    /// The request body came slower than the listener's floor.
    BodyTooSlow,
    /// The request body's framing is broken.
    BodyInvalid,
    /// The version's answer is overdue.
    ResponseOverdue,
    /// Nothing moved in either direction for too long.
    Idle,
    /// The client does not read.
    WriteStalled,
}

#[derive(Debug, Default)]
pub(crate) struct Signals {
    tunnel: AtomicBool,
    /// Attempt in the upper half, milliseconds in the lower; 0 for nothing to wait for.
    response: AtomicU64,
    idle_ms: AtomicU64,
    fault: AtomicU8,
}

impl Signals {
    /// Before each request.
    pub(crate) fn reset(&self) {
        self.tunnel.store(false, Relaxed);
        self.response.store(0, Relaxed);
        self.idle_ms.store(0, Relaxed);
        self.fault.store(0, Relaxed);
    }

    /// The answer to attempt `attempt` is due this long after the request's last byte.
    pub(crate) fn await_response(&self, attempt: u32, within: Duration) {
        self.fault.store(0, Relaxed);
        self.response.store(u64::from(attempt + 1) << 40 | millis(within), Relaxed);
    }

    /// The answer's head has come; from now on something must move at least this often.
    pub(crate) fn response_came(&self, idle: Duration) {
        self.response.store(0, Relaxed);
        self.idle_ms.store(millis(idle), Relaxed);
    }

    /// The version agreed to change the protocol: what follows are the tunnel's bytes.
    pub(crate) fn open_tunnel(&self) {
        self.tunnel.store(true, Relaxed);
    }

    pub(crate) fn fault(&self) -> Option<StreamFault> {
        match self.fault.load(Relaxed) {
            1 => Some(StreamFault::BodyTooSlow),
            2 => Some(StreamFault::BodyInvalid),
            3 => Some(StreamFault::ResponseOverdue),
            4 => Some(StreamFault::Idle),
            5 => Some(StreamFault::WriteStalled),
            _ => None,
        }
    }

    pub(crate) fn is_tunnel(&self) -> bool {
        self.tunnel.load(Relaxed)
    }

    /// Which attempt is awaited, and for how long.
    pub(crate) fn awaited(&self) -> Option<(u64, Duration)> {
        match self.response.load(Relaxed) {
            0 => None,
            packed => Some((packed >> 40, Duration::from_millis(packed & ((1 << 40) - 1)))),
        }
    }

    pub(crate) fn idle(&self) -> Option<Duration> {
        match self.idle_ms.load(Relaxed) {
            0 => None,
            ms => Some(Duration::from_millis(ms)),
        }
    }

    pub(crate) fn set_fault(&self, fault: StreamFault) {
        let code = match fault {
            StreamFault::BodyTooSlow => 1,
            StreamFault::BodyInvalid => 2,
            StreamFault::ResponseOverdue => 3,
            StreamFault::Idle => 4,
            StreamFault::WriteStalled => 5,
        };
        self.fault.store(code, Relaxed);
    }
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX).clamp(1, (1 << 40) - 1)
}
