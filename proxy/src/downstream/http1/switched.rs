//! An exchange whose endpoint has changed the protocol as it was asked to: what follows are the
//! tunnel's bytes, and the exchange ends with the tunnel.
//!
//! It keeps what is known of the request and the bytes of its head, which the access log wants at the end, and
//! gives the exchange's room back.

use crate::buffer::Buffer;
use crate::downstream::forwarder::Forwarder;
use crate::downstream::http1::carry::summary;
use crate::downstream::http1::connection::ClientConnection;
use crate::downstream::http1::late_fields::LateFields;
use crate::exchange::Agreed;
use crate::request::attempts::Attempts;
use crate::tunnel::{Patience, Side, Tunnel};
use crate::wire::head::Head;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

/// What waits beside the client's connection to be carried on.
pub(crate) struct Switched {
    pub(crate) attempts: Attempts,
    pub(crate) head: Head,
    pub(crate) agreed: Box<Agreed>,
}

impl Forwarder {
    /// Carries the tunnel to its end. The client's connection comes back to be closed.
    pub(crate) async fn tunnel(
        self: Arc<Self>,
        mut client: Box<ClientConnection>,
        switched: Switched,
    ) -> Box<ClientConnection> {
        let Switched { mut attempts, head, agreed } = switched;
        let Agreed { attempt, mut upstream, upgrade, idle } = *agreed;
        let early = ahead_of(&mut client, &head);
        let patience = Patience { idle, client: client.info.listener.limits.idle_timeout };
        let said = std::mem::take(&mut upstream.input);
        let mut tunnel = Tunnel::open((client, early), (upstream, said), upgrade, patience);
        poll_fn(|cx| tunnel.poll(cx)).await;
        let (mut client, carried) = tunnel.close();
        client.rested = Instant::now();
        attempts.tunnel_ended(attempt, carried.closed, client.rested);
        let bodies = (carried.received, carried.sent);
        let fields = LateFields::of(client.input.bytes());
        attempts.finish(&self.log, &summary(&head, &fields, bodies, false, client.rested));
        drop(fields);
        client.input.clear();
        client
    }
}

/// What the client has sent behind its request. The request's head stays, in memory of its size.
fn ahead_of(client: &mut ClientConnection, head: &Head) -> Buffer {
    let mut early = Buffer::default();
    let behind = &client.input.bytes()[head.length..];
    if !behind.is_empty() {
        early.push(behind);
        client.input.cut(head.length..client.input.len());
    }
    client.input.fit(0);
    early
}

impl Side for Box<ClientConnection> {
    fn poll_read(&mut self, into: &mut Buffer, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let read = ready!(into.poll_fill(Pin::new(&mut self.transport), usize::MAX, cx))?;
        self.ended |= read == 0;
        Poll::Ready(Ok(read))
    }

    fn poll_write(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        ClientConnection::poll_write(self, [bytes, &[]], cx)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ClientConnection::poll_flush(self, cx)
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ClientConnection::poll_end(self, cx)
    }
}
