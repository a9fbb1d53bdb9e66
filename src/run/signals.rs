//! What the process is told from outside: leave, or read the files again.

use super::parts::{Occasion, Parts};
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and SIGINT end it, SIGHUP reloads.
pub(super) async fn until_told_to_stop(parts: &Arc<Parts>) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            () = received(&mut hang_up) => reload_aside(parts),
        }
    }
}

async fn received(signal: &mut Signal) {
    if signal.recv().await.is_none() {
        std::future::pending().await
    }
}

/// What was refused is told by the reload itself; nobody waits for the answer.
fn reload_aside(parts: &Arc<Parts>) {
    let parts = Arc::clone(parts);
    tokio::task::spawn_blocking(move || {
        let _ = parts.reload(Occasion::Asked);
    });
}
