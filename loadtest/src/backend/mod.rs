//! Versions that misbehave on command: what scenarios and the demo put behind a proxy.
//!
//! One backend is one version on one address, with a thread and a runtime of its own. What it
//! does is a value, [`Behaviour`], that can be replaced while it serves. Every answer says its
//! version in the header `x-version` and in the JSON body. Over a WebSocket each message is a
//! request of its own, and misbehaves as one.

mod behaviour;
mod messages;
mod serve;

pub use behaviour::{Behaviour, Share};

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

#[derive(Debug)]
pub struct Backend {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<watch::Sender<bool>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    version: String,
    behaviour: Mutex<Behaviour>,
    requests: AtomicU64,
    failed: AtomicU64,
}

impl Shared {
    fn behaviour(&self) -> Behaviour {
        self.behaviour.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Backend {
    /// Serves at once; port 0 finds a free one.
    pub fn start(version: &str, address: SocketAddr, behaviour: Behaviour) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            version: version.to_owned(),
            behaviour: Mutex::new(behaviour),
            requests: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        });
        let (stop, stopped) = watch::channel(false);
        let (address, thread) = serve::start(address, Arc::clone(&shared), stopped)?;
        Ok(Self { address, shared, stop: Some(stop), thread: Some(thread) })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn version(&self) -> &str {
        &self.shared.version
    }

    pub fn behave(&self, behaviour: Behaviour) {
        *self.shared.behaviour.lock().unwrap_or_else(PoisonError::into_inner) = behaviour;
    }

    pub fn behaviour(&self) -> Behaviour {
        self.shared.behaviour()
    }

    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Relaxed)
    }

    /// Of them, those that suffered a fault.
    pub fn failed(&self) -> u64 {
        self.shared.failed.load(Relaxed)
    }

    /// Ends the listener and every connection at once, as a crash does.
    pub fn crash(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop.send_replace(true);
        }
        if let Some(thread) = self.thread.take() {
            // A panic in it was printed by then.
            let _panicked = thread.join();
        }
    }

    /// Serves again at the same address after a crash.
    pub fn revive(&mut self) -> io::Result<()> {
        if self.thread.is_some() {
            return Ok(());
        }
        let (stop, stopped) = watch::channel(false);
        let (_, thread) = serve::start(self.address, Arc::clone(&self.shared), stopped)?;
        (self.stop, self.thread) = (Some(stop), Some(thread));
        Ok(())
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.crash();
    }
}
