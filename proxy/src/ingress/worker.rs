//! One thread of the data plane: its runtime, its proxy with its own pools of connections, and
//! the listening sockets it accepts from. A connection never leaves the thread that accepted it.

use super::accept;
use super::client_info::ClientInfo;
use super::listener::ListenerState;
use crate::accesslog::AccessLog;
use crate::buffer;
use crate::heartbeat;
use crate::lane::{FastLane, FullLane};
use crate::thread::ThreadId;
use crate::upstream::conn::sweep;
use crate::wheel;
use crate::wire::refusal::Refusal;
use arc_swap::ArcSwap;
use pingora_core::server::configuration::ServerConf;
use pingora_proxy::{HttpProxy, http_proxy};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU64, AtomicUsize,
    Ordering::{Relaxed, SeqCst},
};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, watch};

/// Idle upstream connections that one thread keeps, over all endpoints.
const UPSTREAM_POOL: usize = 1024;
/// Attempts that pingora may make; how many a request really gets is the lane's decision.
const MAX_ATTEMPTS: usize = 16;

/// What the connections of a thread share.
pub(super) struct Worker {
    pub(super) proxy: Arc<HttpProxy<FullLane>>,
    pub(super) fast: Arc<FastLane>,
    pub(super) lanes: Arc<LaneCounts>,
    /// Each connection ends after its next answer.
    pub(super) shutdown: watch::Receiver<bool>,
    /// Idle connections end at once.
    pub(super) leaving: watch::Receiver<bool>,
    log: AccessLog,
    open: Arc<OpenCounts>,
    ended: Notify,
    /// What was heard of it, for those who ask with every request.
    left: AtomicBool,
}

/// Requests that each lane carried. Only their thread writes them.
#[derive(Debug, Default)]
pub(super) struct LaneCounts {
    fast: AtomicU64,
    full: AtomicU64,
}

/// What a thread has open, tunnels among the connections. Only the thread itself writes it.
#[derive(Debug, Default)]
pub(super) struct OpenCounts {
    connections: AtomicUsize,
    tunnels: AtomicUsize,
}

impl OpenCounts {
    /// Every connection is one end of a tunnel. Means something once nothing more is accepted.
    pub(super) fn are_tunnels(&self) -> bool {
        // In this order: a connection becomes a tunnel, and never the other way around.
        let connections = self.connections.load(SeqCst);
        connections == self.tunnels.load(SeqCst)
    }
}

/// A connection is one end of a tunnel for as long as this is there.
pub(super) struct TunnelOpen(Arc<OpenCounts>);

impl Drop for TunnelOpen {
    fn drop(&mut self) {
        self.0.tunnels.fetch_sub(1, SeqCst);
    }
}

impl LaneCounts {
    pub(super) fn fast(&self) {
        self.fast.store(self.fast.load(Relaxed) + 1, Relaxed);
    }

    pub(super) fn full(&self) {
        self.full.store(self.full.load(Relaxed) + 1, Relaxed);
    }

    pub(super) fn get(&self) -> (u64, u64) {
        (self.fast.load(Relaxed), self.full.load(Relaxed))
    }
}

impl Worker {
    /// No connection is kept without a request.
    pub(super) fn is_leaving(&self) -> bool {
        self.left.load(Relaxed)
    }

    pub(super) fn connection_began(&self) {
        self.open.connections.fetch_add(1, SeqCst);
    }

    pub(super) fn tunnel_began(&self) -> TunnelOpen {
        self.open.tunnels.fetch_add(1, SeqCst);
        TunnelOpen(Arc::clone(&self.open))
    }

    pub(super) fn connection_ended(&self) {
        self.open.connections.fetch_sub(1, SeqCst);
        self.ended.notify_one();
    }

    /// A request that no lane ever sees still leaves a line in the access log.
    pub(super) fn note_refusal(&self, info: &ClientInfo, refusal: Refusal, head: &[u8]) {
        self.log.refused(info.ip(), refusal, head);
    }

    async fn drained(&self) {
        while self.open.connections.load(SeqCst) > 0 {
            self.ended.notified().await;
        }
    }
}

/// A socket to accept from, until `stop` says so.
pub(super) struct Opening {
    pub(super) socket: std::net::TcpListener,
    pub(super) state: Arc<ArcSwap<ListenerState>>,
    pub(super) stop: watch::Receiver<bool>,
}

/// A running thread.
pub(super) struct WorkerHandle {
    /// Bounded by the number of listeners that a configuration opens.
    pub(super) openings: mpsc::UnboundedSender<Opening>,
    pub(super) lanes: Arc<LaneCounts>,
    pub(super) open: Arc<OpenCounts>,
    thread: JoinHandle<()>,
}

impl WorkerHandle {
    #[cfg(test)]
    pub(super) fn of(thread: JoinHandle<()>) -> Self {
        let (lanes, open) = (Arc::default(), Arc::default());
        Self { openings: mpsc::unbounded_channel().0, lanes, open, thread }
    }

    /// Before it was told to, only a panic ends it.
    pub(super) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }
}

/// What a thread obeys.
pub(super) struct Watches {
    /// Some listener may have become stricter.
    pub(super) tightened: watch::Receiver<()>,
    /// Accept nothing more, and end when nothing is open.
    pub(super) shutdown: watch::Receiver<bool>,
    /// Close what is idle.
    pub(super) leaving: watch::Receiver<bool>,
    /// End now.
    pub(super) abort: watch::Receiver<bool>,
    /// Dropped at the very end.
    pub(super) living: std::sync::mpsc::Sender<()>,
}

pub(super) fn start(
    index: u16,
    lane: FullLane,
    log: AccessLog,
    watches: Watches,
) -> io::Result<WorkerHandle> {
    let (openings, opened) = mpsc::unbounded_channel();
    let (lanes, open) = (Arc::new(LaneCounts::default()), Arc::new(OpenCounts::default()));
    let (counts, opened_here) = (Arc::clone(&lanes), Arc::clone(&open));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let thread = std::thread::Builder::new().name(format!("serin-{index}")).spawn(move || {
        ThreadId(index).enter();
        let conf = ServerConf {
            threads: 1,
            upstream_keepalive_pool_size: UPSTREAM_POOL,
            max_retries: MAX_ATTEMPTS,
            ..ServerConf::default()
        };
        let heartbeats = Arc::clone(&lane.plane.generation().heartbeats);
        let fast = Arc::new(FastLane::new(lane.plane.clone(), log.clone()));
        let worker = Arc::new(Worker {
            fast,
            lanes: counts,
            proxy: Arc::new(http_proxy(&Arc::new(conf), lane)),
            shutdown: watches.shutdown,
            leaving: watches.leaving,
            log,
            open: opened_here,
            ended: Notify::new(),
            left: AtomicBool::new(false),
        });
        let (mut abort, tightened) = (watches.abort, watches.tightened);
        runtime.block_on(async {
            tokio::spawn(heartbeat::of_serving(heartbeats, ThreadId(index)));
            tokio::select! {
                biased;
                _ = abort.wait_for(|abort| *abort) => {}
                () = run(worker, opened, tightened) => {}
            }
        });
        drop(runtime);
        drop(watches.living);
    })?;
    Ok(WorkerHandle { openings, lanes, open, thread })
}

/// Accepts from what is opened until the shutdown, then waits for what is open to end.
async fn run(
    worker: Arc<Worker>,
    mut opened: mpsc::UnboundedReceiver<Opening>,
    tightened: watch::Receiver<()>,
) {
    let mut shutdown = worker.shutdown.clone();
    tokio::spawn(wheel::turn());
    tokio::spawn(tidy());
    tokio::spawn(look_again(tightened));
    loop {
        let opening = tokio::select! {
            biased;
            _ = shutdown.wait_for(|down| *down) => break,
            opening = opened.recv() => opening,
        };
        let Some(opening) = opening else { break };
        match TcpListener::from_std(opening.socket) {
            Ok(socket) => {
                let accepting = accept::accept(socket, opening.state, worker.clone(), opening.stop);
                tokio::spawn(accepting);
            }
            Err(e) => tracing::error!(error = %e, "cannot listen"),
        }
    }
    let _ = shutdown.wait_for(|down| *down).await;
    worker.fast.close();
    let mut leaving = worker.leaving.clone();
    tokio::select! {
        biased;
        () = worker.drained() => return,
        _ = leaving.wait_for(|leaving| *leaving) => {}
    }
    worker.left.store(true, Relaxed);
    // Whoever waits for a request sees it now.
    wheel::wake_all();
    worker.drained().await;
}

/// Connections that wait for a request look whether they still may. Ends with its thread.
async fn look_again(mut tightened: watch::Receiver<()>) {
    while tightened.changed().await.is_ok() {
        wheel::wake_all();
    }
}

/// Closes connections that nobody has needed for long, and gives memory back. Ends with its thread.
async fn tidy() {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        sweep(Instant::now());
        buffer::sweep();
    }
}
