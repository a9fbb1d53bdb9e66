//! Exchanges under way, in memory that their thread uses again and again.
//!
//! What an exchange keeps while it waits is many times what its connection keeps between requests,
//! and most connections are between requests. So it has that memory only for as long as it lasts. A pooled one
//! is made once and never moves: it carries one exchange after the other, which it finds on the
//! thread's `NEXT` and whose outcome it leaves there.

use crate::downstream::forwarder::Forwarder;
use crate::downstream::http1::carry::{AdmittedRequest, After};
use crate::downstream::http1::connection::ClientConnection;
use crate::free_list::FreeList;
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// As many as a thread keeps.
const KEPT: usize = 256;

type PooledExchange = Pin<Box<dyn Future<Output = Infallible> + Send>>;

thread_local! {
    static FREE: RefCell<FreeList<PooledExchange>> = const { RefCell::new(FreeList::NEW) };
    /// For the one that is polled next.
    static NEXT: Cell<Option<Job>> = const { Cell::new(None) };
    /// Of the one that was polled last.
    static OVER: Cell<Option<Outcome>> = const { Cell::new(None) };
}

/// Gives back what the thread has not needed since the last sweep.
pub(crate) fn sweep() {
    drop(FREE.with_borrow_mut(FreeList::sweep));
}

struct Job {
    forwarder: Arc<Forwarder>,
    client: Box<ClientConnection>,
    request: AdmittedRequest,
}

/// The connection comes back with what is to become of it.
type Outcome = (Box<ClientConnection>, After);

/// One exchange. Its memory is free for the next when it is over; one that is given up in the middle
/// takes its memory with it.
pub(crate) struct ExchangeFuture(Option<PooledExchange>);

impl ExchangeFuture {
    pub(crate) fn begin(
        forwarder: Arc<Forwarder>,
        client: Box<ClientConnection>,
        request: AdmittedRequest,
    ) -> Self {
        let free = FREE.with_borrow_mut(FreeList::pop);
        let mut pooled = free.unwrap_or_else(|| Box::pin(work()));
        NEXT.set(Some(Job { forwarder, client, request }));
        // It takes what is for it, and waits to be polled by whoever waits for the outcome.
        let _ = pooled.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        Self(Some(pooled))
    }
}

async fn work() -> Infallible {
    loop {
        let Some(job) = NEXT.take() else {
            pause().await;
            continue;
        };
        pause().await;
        let over = job.forwarder.exchange(job.client, job.request).await;
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

impl Future for ExchangeFuture {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let Some(pooled) = &mut self.0 else { return Poll::Pending };
        let Poll::Pending = pooled.as_mut().poll(cx);
        let Some(over) = OVER.take() else { return Poll::Pending };
        if let Some(pooled) = self.0.take() {
            FREE.with_borrow_mut(|free| {
                if free.len() < KEPT {
                    free.push(pooled);
                }
            });
        }
        Poll::Ready(over)
    }
}
