//! A stream whose endpoint has changed the protocol as it was asked to: what follows are the tunnel's bytes,
//! and the exchange ends with the tunnel.

use crate::buffer::Buffer;
use crate::downstream::forwarder::Forwarder;
use crate::downstream::http2::carry::{self, Boarded};
use crate::downstream::http2::stream::Stream;
use crate::exchange::Agreed;
use crate::request::attempts::Attempts;
use crate::tunnel::{Patience, Side, Tunnel};
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

impl Forwarder {
    /// Carries the tunnel to its end.
    pub(super) async fn stream_tunnel(
        self: Arc<Self>,
        boarded: Boarded,
        (mut attempts, agreed): (Attempts, Box<Agreed>),
    ) {
        let Boarded { head, stream, mut open, .. } = boarded;
        let Agreed { attempt, mut upstream, upgrade, idle } = *agreed;
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
        let bodies = (carried.received, carried.sent);
        let summary = carry::summary(&head, bodies, false);
        attempts.tunnel_ended(attempt, carried.closed, summary.at);
        attempts.finish(&self.log, &summary);
    }
}

impl Side for Stream {
    fn poll_read(&mut self, into: &mut Buffer, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            match ready!(self.poll_data(cx)).transpose()? {
                None => return Poll::Ready(Ok(0)),
                Some(piece) if piece.is_empty() => {}
                Some(piece) => {
                    into.push(&piece);
                    return Poll::Ready(Ok(piece.len()));
                }
            }
        }
    }

    fn poll_write(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        Stream::poll_write(self, bytes, cx)
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_end(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.finish())
    }
}
