//! Taking connections off a listening socket.
//!
//! When descriptors run out, those that are kept for backends aside, accepting pauses a little longer
//! each time, and says so once per pause; when the listener is full, the connection in hand waits for a place, and those behind
//! it in the kernel's queue.

use super::listener::ListenerState;
use super::worker::{Serve, Worker};
use crate::exhaustion::Descriptors;
use arc_swap::ArcSwap;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{sleep, timeout};

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Accepts until `stop` says so, then what waits already; connections live on.
pub(crate) async fn accept<S: Serve>(
    socket: TcpListener,
    state: Arc<ArcSwap<ListenerState>>,
    worker: Arc<Worker<S>>,
    mut stop: watch::Receiver<bool>,
) {
    // Counts as open, so that a thread does not end before the queue is empty.
    worker.connection_began();
    accept_until(&socket, &state, &worker, &mut stop).await;
    accept_rest(socket, &state, &worker);
    worker.connection_ended();
}

async fn accept_until<S: Serve>(
    socket: &TcpListener,
    state: &ArcSwap<ListenerState>,
    worker: &Arc<Worker<S>>,
    stop: &mut watch::Receiver<bool>,
) {
    let mut pause = FIRST_PAUSE;
    let mut stopped = pin!(stop.wait_for(|stop| *stop));
    loop {
        // Stopping is asked for once nothing waits to be accepted, or when others have their turn.
        let accepted = poll_fn(|cx| match socket.poll_accept(cx) {
            Poll::Ready(accepted) => Poll::Ready(Some(accepted)),
            Poll::Pending => stopped.as_mut().poll(cx).map(|_| None),
        });
        match accepted.await {
            None => return,
            Some(Ok((client, peer))) => {
                let listener = state.load_full();
                let patience = listener.limits.header_timeout;
                let client = tokio::select! {
                    biased;
                    client = timeout(patience, on_a_clients_descriptor(client, &mut pause)) => client,
                    _ = &mut stopped => return,
                };
                let Ok(Ok(client)) = client else {
                    listener.counters.turned_away.add();
                    continue;
                };
                pause = FIRST_PAUSE;
                let slot = match listener.slots.clone().try_acquire_owned() {
                    Ok(slot) => Some(slot),
                    Err(_) => tokio::select! {
                        biased;
                        slot = place(&listener) => slot,
                        _ = &mut stopped => return,
                    },
                };
                match slot {
                    Some(slot) => admit(client, peer, listener, worker, slot),
                    None => listener.counters.turned_away.add(),
                }
            }
            Some(Err(e)) if is_exhaustion(&e) => {
                state.load().counters.accept_errors.add();
                tracing::warn!(error = %e, ?pause, "cannot accept; pausing");
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            // The client was gone before it was accepted.
            Some(Err(_)) => state.load().counters.accept_errors.add(),
        }
    }
}

/// The connection, on a descriptor that a client may have; waits until there is one, since those that
/// are left are for endpoints and for this process itself.
async fn on_a_clients_descriptor(
    mut client: TcpStream,
    pause: &mut Duration,
) -> io::Result<TcpStream> {
    let descriptors = Descriptors::of_this_process();
    while !descriptors.may_be_a_clients(client.as_raw_fd()) {
        tracing::warn!(
            ?pause,
            "cannot accept; pausing: the descriptors that are left are kept for backends"
        );
        sleep(*pause).await;
        *pause = (*pause * 2).min(LONGEST_PAUSE);
        // A copy gets the lowest number that is free now.
        let held = client.into_std()?;
        client = TcpStream::from_std(held.try_clone()?)?;
    }
    Ok(client)
}

/// The next place in a listener that is full, unless none is left for as long as a client may be
/// silent.
async fn place(listener: &ListenerState) -> Option<OwnedSemaphorePermit> {
    let slot = listener.slots.clone().acquire_owned();
    timeout(listener.limits.header_timeout, slot).await.ok()?.ok()
}

/// Closing a socket resets the connections in its queue.
fn accept_rest<S: Serve>(
    socket: TcpListener,
    state: &ArcSwap<ListenerState>,
    worker: &Arc<Worker<S>>,
) {
    let Ok(socket) = socket.into_std() else { return };
    while let Ok((client, peer)) = socket.accept() {
        let listener = state.load_full();
        let slot = listener.slots.clone().try_acquire_owned();
        let client = client.set_nonblocking(true).and_then(|()| TcpStream::from_std(client));
        match (client, slot) {
            (Ok(client), Ok(slot)) => admit(client, peer, listener, worker, slot),
            (Ok(_), Err(_)) => listener.counters.turned_away.add(),
            (Err(_), _) => listener.counters.accept_errors.add(),
        }
    }
}

/// A connection that is open: its place in the listener, counted out when it is dropped.
pub(crate) struct OpenConnection<S: Serve> {
    pub(crate) listener: Arc<ListenerState>,
    pub(crate) worker: Arc<Worker<S>>,
    _slot: OwnedSemaphorePermit,
}

impl<S: Serve> Drop for OpenConnection<S> {
    fn drop(&mut self) {
        self.listener.counters.open.fetch_sub(1, Relaxed);
        self.worker.connection_ended();
    }
}

fn admit<S: Serve>(
    client: TcpStream,
    peer: SocketAddr,
    listener: Arc<ListenerState>,
    worker: &Arc<Worker<S>>,
    slot: OwnedSemaphorePermit,
) {
    listener.counters.accepted.add();
    listener.counters.open.fetch_add(1, Relaxed);
    worker.connection_began();
    let admitted = OpenConnection { listener, worker: Arc::clone(worker), _slot: slot };
    tokio::spawn(S::serve(client, peer, admitted));
}

/// Out of descriptors or memory, in this process or on the machine: no use in trying at once.
fn is_exhaustion(e: &io::Error) -> bool {
    const EMFILE: i32 = 24;
    const ENFILE: i32 = 23;
    const ENOBUFS: i32 = 105;
    const ENOMEM: i32 = 12;
    matches!(e.raw_os_error(), Some(EMFILE | ENFILE | ENOBUFS | ENOMEM))
}
