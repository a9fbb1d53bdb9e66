//! What Serin says about itself goes to stderr; stdout belongs to answers and the access log.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// `SERIN_LOG` filters as `RUST_LOG` does; `info` when nothing is said.
pub(crate) fn start() {
    let filter = EnvFilter::try_from_env("SERIN_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,pingora_core=error,pingora_proxy=error"));
    let terminal = std::io::stderr().is_terminal();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(terminal);
    // A second start, in a test, keeps the first.
    let _ = subscriber.try_init();
}
