//! Exchanges under way, in room that their thread uses again and again.
//!
//! What an exchange keeps while it waits is many times what its connection keeps between requests,
//! and most connections are between requests. So it has its room only for as long as it lasts.

use super::After;
use crate::ingress::Link;
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio_util::sync::ReusableBoxFuture;

/// As many as a thread keeps.
const KEPT: usize = 256;

/// The connection comes back with what is to become of it.
type Room = ReusableBoxFuture<'static, (Box<Link>, After)>;

thread_local! {
    static FREE: RefCell<Vec<Room>> = const { RefCell::new(Vec::new()) };
}

/// One exchange. Its room goes back to its thread when it is over.
#[derive(Debug)]
pub(crate) struct Carrying(Option<Room>);

impl Carrying {
    pub(super) fn begin(
        exchange: impl Future<Output = (Box<Link>, After)> + Send + 'static,
    ) -> Self {
        Self(Some(match FREE.with_borrow_mut(Vec::pop) {
            Some(mut room) => {
                room.set(exchange);
                room
            }
            None => Room::new(exchange),
        }))
    }
}

impl Future for Carrying {
    type Output = (Box<Link>, After);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(room) = &mut self.0 else { return Poll::Pending };
        let over = ready!(room.poll(cx));
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
