//! The connections of HTTP/2 that a thread has, and who makes the next one.
//!
//! A request takes the first connection that has room for a stream. Where none has, one request makes
//! another while all others that need it wait for that one, and share its failure: a burst opens as many
//! connections as its streams need, and an endpoint that is down is asked once for all who wait.
//!
//! A connection leaves this place when its endpoint says that it takes no more, when it breaks, when a
//! stream has waited in vain and nothing was heard in that time, and when it was idle for long. What is
//! under way on it goes on.

use super::owed;
use super::stream::Stream;
use super::windows::{self, Counted};
use crate::clock;
use crate::upstream::Endpoint;
use crate::upstream::conn::purpose::{ByKey, Kept, Key, Purpose};
use crate::wire::sieve::Malformed;
use bytes::Bytes;
use h2::client::SendRequest;
use serin_core::outcome::Failure;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Until its first answer says for how long it may idle.
const FIRST_IDLE: Duration = Duration::from_secs(10);

thread_local! {
    static PLACES: RefCell<ByKey<Place>> = RefCell::default();
}

/// What a thread has of one endpoint for one purpose.
struct Place {
    kept: Kept,
    connections: Vec<Arc<Shared>>,
    /// Somebody makes another.
    making: Option<watch::Receiver<Option<Failure>>>,
}

/// What its driver knows of a connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard(Arc<Known>);

#[derive(Debug, Default)]
struct Known {
    /// How often something came.
    count: AtomicU64,
    /// The endpoint has said how many streams it takes, or is not waited for any longer.
    settled: AtomicBool,
    /// How many of our settings it has acknowledged.
    acknowledged: AtomicU32,
    /// The widest window that it may hold a stream to have.
    window: AtomicU32,
}

impl Heard {
    pub(super) fn again(&self) {
        self.0.count.fetch_add(1, Relaxed);
    }

    pub(super) fn count(&self) -> u64 {
        self.0.count.load(Relaxed)
    }

    pub(super) fn settle(&self) {
        self.0.settled.store(true, Relaxed);
    }

    pub(super) fn acknowledged(&self, settings: u32) {
        self.0.acknowledged.store(settings, Relaxed);
    }

    pub(super) fn acknowledgements(&self) -> u32 {
        self.0.acknowledged.load(Relaxed)
    }

    pub(super) fn grants(&self, window: u32) {
        self.0.window.store(window, Relaxed);
    }

    fn window(&self) -> u32 {
        self.0.window.load(Relaxed)
    }

    fn is_settled(&self) -> bool {
        self.0.settled.load(Relaxed)
    }
}

/// One connection.
#[derive(Debug)]
pub(in super::super) struct Shared {
    client: SendRequest<Bytes>,
    pub(super) heard: Heard,
    pub(super) malformed: Malformed,
    pub(super) tls: bool,
    /// Streams under way.
    open: AtomicUsize,
    /// What their answers are still to bring.
    owed: AtomicU64,
    /// It has carried an answer.
    carried: AtomicBool,
    /// Nothing more is asked over it.
    retired: AtomicBool,
    /// Without streams it stays until then, in milliseconds.
    until: AtomicU64,
}

impl Shared {
    pub(super) fn new(
        client: SendRequest<Bytes>,
        heard: Heard,
        malformed: Malformed,
        tls: bool,
    ) -> Self {
        let until = clock::mono(Instant::now() + FIRST_IDLE).0;
        Self {
            client,
            heard,
            malformed,
            tls,
            open: AtomicUsize::new(0),
            owed: AtomicU64::new(0),
            carried: AtomicBool::new(false),
            retired: AtomicBool::new(false),
            until: AtomicU64::new(until),
        }
    }

    /// Nothing more is asked over it.
    pub(super) fn retire(&self) {
        self.retired.store(true, Relaxed);
    }

    /// What one of its answers is still to bring has changed.
    pub(super) fn owes(&self, now: u64, before: u64) {
        self.owed.fetch_add(now.wrapping_sub(before), Relaxed);
    }

    /// An answer came whole.
    pub(in super::super) fn carried(&self, until: Instant) {
        self.carried.store(true, Relaxed);
        self.until.store(clock::mono(until).0, Relaxed);
    }

    fn is_alive(&self) -> bool {
        let mut nobody = Context::from_waker(Waker::noop());
        // A handle that has asked nothing yet waits for nothing.
        let ready = self.client.clone().poll_ready(&mut nobody);
        !self.retired.load(Relaxed) && matches!(ready, Poll::Ready(Ok(())))
    }

    /// Until it is settled how many streams the endpoint takes there is room for one. It may take none any
    /// more.
    fn has_room(&self) -> bool {
        let settled = self.heard.is_settled();
        let most = if settled { self.client.current_max_send_streams() } else { 1 };
        self.open.load(Relaxed) < most.min(windows::streams_of(self.heard.window()))
            && self.owed.load(Relaxed) < owed::MAX
    }

    fn is_idle(&self) -> bool {
        self.open.load(Relaxed) == 0
    }

    fn is_needed(&self, now: Instant) -> bool {
        !self.is_idle() || clock::mono(now).0 < self.until.load(Relaxed)
    }
}

/// A stream's share of its connection.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) shared: Arc<Shared>,
    pub(super) client: SendRequest<Bytes>,
    /// The connection had carried an answer and rested: its end may have been on its way.
    pub(super) rested: bool,
    _counted: Option<Counted>,
}

impl Share {
    fn of(shared: &Arc<Shared>) -> Self {
        let others = shared.open.fetch_add(1, Relaxed);
        let rested = others == 0 && shared.carried.load(Relaxed);
        Self {
            client: shared.client.clone(),
            shared: Arc::clone(shared),
            rested,
            _counted: Some(Counted::new()),
        }
    }

    /// Of a connection of its own, which no thread counts: it may end on another one.
    pub(super) fn alone(shared: &Arc<Shared>) -> Self {
        shared.open.fetch_add(1, Relaxed);
        let (client, shared) = (shared.client.clone(), Arc::clone(shared));
        Self { client, shared, rested: false, _counted: None }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shared.open.fetch_sub(1, Relaxed);
    }
}

/// A stream on a connection that has room for one.
pub(in super::super) fn lend(key: Key) -> Option<Stream> {
    PLACES.with_borrow_mut(|places| {
        let connections = &mut places.get_mut(&key)?.connections;
        connections.retain(|shared| shared.is_alive());
        let shared = connections.iter().find(|shared| shared.has_room())?;
        Some(Stream::new(Share::of(shared)))
    })
}

/// A new connection is everybody's, and its maker has the first stream.
pub(in super::super) fn share(
    endpoint: &Arc<Endpoint>,
    purpose: Purpose<'_>,
    shared: Arc<Shared>,
) -> Stream {
    let stream = Stream::new(Share::of(&shared));
    with_place(endpoint, purpose, |place| place.connections.push(shared));
    stream
}

fn with_place<T>(
    endpoint: &Arc<Endpoint>,
    purpose: Purpose<'_>,
    change: impl FnOnce(&mut Place) -> T,
) -> T {
    PLACES.with_borrow_mut(|places| {
        let place = places.entry(purpose.key(endpoint)).or_insert_with(|| Place {
            kept: purpose.kept(endpoint),
            connections: Vec::new(),
            making: None,
        });
        change(place)
    })
}

/// Whose turn it is to make a connection.
pub(in super::super) enum Turn {
    Own(Making),
    /// Waits for whoever makes one: `None` when that one gave up or was done, and it is to be looked
    /// again.
    Others(watch::Receiver<Option<Failure>>),
}

/// Makes a connection for all who wait. It ends when they may look.
pub(in super::super) struct Making(watch::Sender<Option<Failure>>);

impl Making {
    pub(in super::super) fn failed(&self, failure: Failure) {
        self.0.send_replace(Some(failure));
    }
}

pub(in super::super) fn turn(endpoint: &Arc<Endpoint>, purpose: Purpose<'_>) -> Turn {
    with_place(endpoint, purpose, |place| {
        // Whoever made the last one is gone.
        if let Some(making) = place.making.clone().filter(|making| making.has_changed().is_ok()) {
            return Turn::Others(making);
        }
        let (tell, told) = watch::channel(None);
        place.making = Some(told);
        Turn::Own(Making(tell))
    })
}

/// Closes what has been idle for too long, and forgets what has ended.
pub(in super::super) fn sweep(now: Instant) {
    PLACES.with_borrow_mut(|places| {
        places.retain(|_, place| {
            let orphaned = place.kept.is_orphaned();
            place.connections.retain(|shared| {
                shared.is_alive() && shared.is_needed(now) && !(orphaned && shared.is_idle())
            });
            let made = place.making.as_ref().is_none_or(|making| making.has_changed().is_err());
            !(place.connections.is_empty() && made)
        });
    });
}
