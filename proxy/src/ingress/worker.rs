//! One thread of the data plane: its runtime, and the
//! listening sockets it accepts from. A connection never leaves the thread that accepted it.

use super::accept::{self, OpenConnection};
use super::listener::ListenerState;
use crate::heartbeat::{self, Heartbeats};
use crate::thread::ThreadId;
use crate::wheel;
use arc_swap::ArcSwap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicUsize,
    Ordering::{Relaxed, SeqCst},
};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, watch};

/// Who gets the connections that a thread accepts.
pub(crate) trait Serve: Sized + Send + Sync + 'static {
    /// Carries a connection to its end.
    fn serve(
        socket: TcpStream,
        peer: SocketAddr,
        open: OpenConnection<Self>,
    ) -> impl Future<Output = ()> + Send + 'static;

    /// From here on each answer tells its client that it is the connection's last.
    fn close(&self);

    /// Gives back what the thread has kept, and not needed since the last sweep.
    fn sweep(&self);
}

/// What the connections of a thread share.
pub(crate) struct Worker<S> {
    pub(crate) serve: Arc<S>,
    /// Each connection ends after its next answer.
    pub(crate) shutdown: watch::Receiver<bool>,
    /// Idle connections end at once.
    pub(crate) leaving: watch::Receiver<bool>,
    open: Arc<OpenCounts>,
    ended: Notify,
    /// What was heard of it, for those who ask with every request.
    left: AtomicBool,
}

/// What a thread has open, tunnels among the connections. Only the thread itself writes it.
#[derive(Debug, Default)]
pub(crate) struct OpenCounts {
    connections: AtomicUsize,
    tunnels: AtomicUsize,
}

impl OpenCounts {
    /// Every connection is one end of a tunnel. Means something once nothing more is accepted.
    pub(crate) fn are_tunnels(&self) -> bool {
        // In this order: a connection becomes a tunnel, and never the other way around.
        let connections = self.connections.load(SeqCst);
        connections == self.tunnels.load(SeqCst)
    }
}

/// A connection is one end of a tunnel for as long as this is there.
pub(crate) struct TunnelOpen(Arc<OpenCounts>);

impl Drop for TunnelOpen {
    fn drop(&mut self) {
        self.0.tunnels.fetch_sub(1, SeqCst);
    }
}

impl<S: Serve> Worker<S> {
    /// No connection is kept without a request.
    pub(crate) fn is_leaving(&self) -> bool {
        self.left.load(Relaxed)
    }

    pub(crate) fn connection_began(&self) {
        self.open.connections.fetch_add(1, SeqCst);
    }

    pub(crate) fn tunnel_began(&self) -> TunnelOpen {
        self.open.tunnels.fetch_add(1, SeqCst);
        TunnelOpen(Arc::clone(&self.open))
    }

    pub(crate) fn connection_ended(&self) {
        self.open.connections.fetch_sub(1, SeqCst);
        self.ended.notify_one();
    }

    async fn drained(&self) {
        while self.open.connections.load(SeqCst) > 0 {
            self.ended.notified().await;
        }
    }
}

/// A socket to accept from, until `stop` says so.
pub(crate) struct Opening {
    pub(crate) socket: std::net::TcpListener,
    pub(crate) state: Arc<ArcSwap<ListenerState>>,
    pub(crate) stop: watch::Receiver<bool>,
}

/// A running thread.
pub(crate) struct WorkerHandle {
    /// Bounded by the number of listeners that a configuration opens.
    pub(crate) openings: mpsc::UnboundedSender<Opening>,
    pub(crate) open: Arc<OpenCounts>,
    thread: JoinHandle<()>,
}

impl WorkerHandle {
    #[cfg(test)]
    pub(crate) fn of(thread: JoinHandle<()>) -> Self {
        Self { openings: mpsc::unbounded_channel().0, open: Arc::default(), thread }
    }

    /// Before it was told to, only a panic ends it.
    pub(crate) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }
}

/// What a thread obeys.
pub(crate) struct Watches {
    /// Some listener may have become stricter.
    pub(crate) tightened: watch::Receiver<()>,
    /// Accept nothing more, and end when nothing is open.
    pub(crate) shutdown: watch::Receiver<bool>,
    /// Close what is idle.
    pub(crate) leaving: watch::Receiver<bool>,
    /// End now.
    pub(crate) abort: watch::Receiver<bool>,
    /// Dropped at the very end.
    pub(crate) living: std::sync::mpsc::Sender<()>,
}

pub(crate) fn start<S: Serve>(
    index: u16,
    serve: S,
    heartbeats: Arc<Heartbeats>,
    watches: Watches,
) -> io::Result<WorkerHandle> {
    let (openings, opened) = mpsc::unbounded_channel();
    let open = Arc::new(OpenCounts::default());
    let opened_here = Arc::clone(&open);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let thread = std::thread::Builder::new().name(format!("serin-{index}")).spawn(move || {
        ThreadId(index).enter();
        let worker = Arc::new(Worker {
            serve: Arc::new(serve),
            shutdown: watches.shutdown,
            leaving: watches.leaving,
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
    Ok(WorkerHandle { openings, open, thread })
}

/// Accepts from what is opened until the shutdown, then waits for what is open to end.
async fn run<S: Serve>(
    worker: Arc<Worker<S>>,
    mut opened: mpsc::UnboundedReceiver<Opening>,
    tightened: watch::Receiver<()>,
) {
    let mut shutdown = worker.shutdown.clone();
    tokio::spawn(wheel::turn());
    tokio::spawn(tidy(Arc::clone(&worker.serve)));
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
    worker.serve.close();
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
async fn tidy<S: Serve>(serve: Arc<S>) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        serve.sweep();
    }
}
