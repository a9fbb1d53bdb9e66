//! A stream whose endpoint has changed the protocol as it was asked to: what follows are the tunnel's bytes,
//! and the exchange ends with the tunnel.

use crate::buffer::Buffer;
use crate::downstream::forwarder::Forwarder;
use crate::downstream::http2::carry::Boarded;
use crate::exchange::Agreed;
use crate::tunnel::{Patience, Tunnel};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

impl Forwarder {
    /// Carries the tunnel to its end.
    pub(super) async fn stream_tunnel(self: Arc<Self>, boarded: Boarded, agreed: Agreed) {
        let Boarded { head, stream, mut admitted, mut open } = boarded;
        let Agreed { mut upstream, upgrade, idle } = agreed;
        open.became_tunnel();
        let patience = Patience { idle, client: stream.info.listener.limits.idle_timeout };
        let said = std::mem::take(&mut upstream.input);
        let client = (stream, Buffer::default());
        let mut tunnel = Tunnel::open(client, (upstream, said), upgrade, patience);
        poll_fn(|cx| match tunnel.poll(cx) {
            // One that has said its last byte may still reset the stream.
            Poll::Pending if tunnel.client.watch(cx).is_ok() => Poll::Pending,
            Poll::Pending | Poll::Ready(()) => Poll::Ready(()),
        })
        .await;
        let (mut stream, carried) = tunnel.close();
        stream.hang_up();
        let context = &mut *admitted.context;
        if let Some(attempt) = &mut context.attempt {
            attempt.closed = carried.closed;
        }
        self.end_stream(&head, context, (carried.received, carried.sent), false);
    }
}
