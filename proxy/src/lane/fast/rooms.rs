//! Exchanges under way, in rooms that their thread uses again and again.
//!
//! What an exchange keeps while it waits is many times what its connection keeps between requests,
//! and most connections are between requests. So it has a room only for as long as it lasts. A room
//! is made once and never moves: it carries one exchange after the other, which it finds on the
//! thread's desk and whose outcome it leaves there.

use super::{After, FastLane, Taken};
use crate::ingress::Link;
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// As many as a thread keeps.
const KEPT: usize = 256;

type Room = Pin<Box<dyn Future<Output = Infallible> + Send>>;

thread_local! {
    static FREE: RefCell<Vec<Room>> = const { RefCell::new(Vec::new()) };
    /// For the room that is polled next.
    static NEXT: Cell<Option<Job>> = const { Cell::new(None) };
    /// Of the room that was polled last.
    static OVER: Cell<Option<Over>> = const { Cell::new(None) };
}

struct Job {
    lane: Arc<FastLane>,
    link: Box<Link>,
    taken: Taken,
}

/// The connection comes back with what is to become of it.
type Over = (Box<Link>, After);

/// One exchange. Its room is free for the next when it is over; one that is given up in the middle
/// takes its room with it.
pub(crate) struct Carrying(Option<Room>);

impl Carrying {
    pub(super) fn begin(lane: Arc<FastLane>, link: Box<Link>, taken: Taken) -> Self {
        let free = FREE.with_borrow_mut(Vec::pop);
        let mut room = free.unwrap_or_else(|| Box::pin(work()));
        NEXT.set(Some(Job { lane, link, taken }));
        // It takes what is for it, and waits to be polled by whoever waits for the outcome.
        let _ = room.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        Self(Some(room))
    }
}

async fn work() -> Infallible {
    loop {
        let Some(job) = NEXT.take() else {
            pause().await;
            continue;
        };
        pause().await;
        let over = job.lane.exchange(job.link, job.taken).await;
        OVER.set(Some(over));
        pause().await;
    }
}

/// Until it is polled again.
async fn pause() {
    let mut polled = false;
    poll_fn(|_| if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending })
        .await;
}

impl Future for Carrying {
    type Output = Over;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Over> {
        let Some(room) = &mut self.0 else { return Poll::Pending };
        let Poll::Pending = room.as_mut().poll(cx);
        let Some(over) = OVER.take() else { return Poll::Pending };
        if let Some(room) = self.0.take() {
            FREE.with_borrow_mut(|free| {
                if free.len() < KEPT {
                    free.push(room);
                }
            });
        }
        Poll::Ready(over)
    }
}
