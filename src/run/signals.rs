//! What the process is told from outside.

use super::parts::{Occasion, Parts};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and SIGINT end it, SIGHUP reloads, SIGUSR2 hands over to a new process.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    upgrade: Signal,
}

/// Why it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    Told,
    HandedOver,
}

impl Signals {
    /// Within a runtime.
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            upgrade: signal(SignalKind::user_defined2())?,
        })
    }

    pub(super) async fn until_over(&mut self, parts: &Arc<Parts>) -> Over {
        let mut handed_over = parts.handed_over();
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return Over::Told,
                _ = self.interrupt.recv() => return Over::Told,
                _ = handed_over.wait_for(|done| *done) => return Over::HandedOver,
                Some(()) = self.hang_up.recv() => aside(parts, |parts| {
                    // What was refused is told by the reload itself.
                    let _ = parts.reload(Occasion::Asked, &[]);
                }),
                Some(()) = self.upgrade.recv() => aside(parts, |parts| {
                    let _ = parts.upgrade();
                }),
            }
        }
    }

    /// Whether it is told to end within so long.
    pub(super) async fn told_within(&mut self, time: Duration) -> bool {
        tokio::select! {
            _ = self.terminate.recv() => true,
            _ = self.interrupt.recv() => true,
            () = tokio::time::sleep(time) => false,
        }
    }
}

/// Nobody waits for the answer.
fn aside(parts: &Arc<Parts>, what: impl FnOnce(&Parts) + Send + 'static) {
    let parts = Arc::clone(parts);
    tokio::task::spawn_blocking(move || what(&parts));
}
