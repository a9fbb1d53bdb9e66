//! A connection of HTTP/2 begins, and has a task of its own on its thread until it ends.

use super::super::Io;
use super::shared::{Heard, Making, Shared};
use super::{MAX_STREAMS, MAX_UNSENT, windows};
use crate::wire::answer::MAX_HEAD;
use crate::wire::sieve::Sieve;
use h2::client::{Builder, Connection};
use serin_core::outcome::Failure;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// How long an endpoint is waited for that has not said how many streams it takes. One that is busy takes
/// them later.
const MAX_UNSETTLED: Duration = Duration::from_millis(100);

/// Does not wait for what the endpoint says: it is asked at once. Whoever else wants a stream waits until
/// it has said how many it takes, for a moment: `making` is taken, and ends then.
pub(in super::super) async fn shake(
    io: Io,
    tls: bool,
    making: &mut Option<Making>,
) -> Result<Arc<Shared>, Failure> {
    let (heard, sieve) = (Heard::default(), Sieve::default());
    let malformed = sieve.malformed().clone();
    let wire = Listening { io, heard: heard.clone(), sieve };
    let window = windows::now();
    heard.grants(window);
    let shaken = Builder::new()
        .initial_window_size(window)
        .initial_connection_window_size(windows::CONNECTION)
        .initial_max_send_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD as u32)
        .max_send_buffer_size(MAX_UNSENT)
        .enable_push(false)
        .handshake(wire);
    let (client, connection) = shaken.await.map_err(|_| Failure::Connect)?;
    // Its streams are told how it ended.
    let making = making.take();
    let unsettled = Some(Box::pin(tokio::time::sleep(MAX_UNSETTLED)));
    let said = 1;
    tokio::spawn(Driving { connection, window, said, heard: heard.clone(), making, unsettled });
    Ok(Arc::new(Shared::new(client, heard, malformed, tls)))
}

/// A connection under way. Its streams' windows are as wide as they are to be now.
struct Driving {
    connection: Connection<Listening>,
    window: u32,
    /// How often settings were sent.
    said: u32,
    heard: Heard,
    making: Option<Making>,
    /// Until it is known how many streams the endpoint takes, and not for long.
    unsettled: Option<Pin<Box<Sleep>>>,
}

impl Future for Driving {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let window = windows::now();
        // While the endpoint has not acknowledged the last one, no other can be said.
        if window != self.window && self.connection.set_initial_window_size(window).is_ok() {
            if window > self.window {
                self.heard.grants(window);
            }
            (self.window, self.said) = (window, self.said + 1);
        }
        let polled = Pin::new(&mut self.connection).poll(cx);
        if self.heard.acknowledgements() == self.said {
            self.heard.grants(self.window);
        }
        let told = self.heard.count() > 0;
        if let Some(patience) = &mut self.unsettled
            && (told || patience.as_mut().poll(cx).is_ready())
        {
            self.heard.settle();
            (self.making, self.unsettled) = (None, None);
        }
        polled.map(|_ended| ())
    }
}

/// The connection's bytes. Notes that something was heard.
///
/// An endpoint that leaves says with its last bytes which requests it has not looked at, and then may take
/// no more. The library would give up at the first write that fails, with those bytes unread; so no write
/// fails here, and whatever ends the connection is found by reading to its end.
struct Listening {
    io: Io,
    heard: Heard,
    sieve: Sieve,
}

impl AsyncRead for Listening {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let me = &mut *self;
        while !me.sieve.give(buf) {
            let before = buf.filled().len();
            ready!(Pin::new(&mut me.io).poll_read(cx, buf))?;
            me.heard.again();
            let ended = buf.filled().len() == before;
            let some = ended || me.sieve.sift(buf, before);
            me.heard.acknowledged(me.sieve.acknowledged());
            if some {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Listening {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        written.map(|written| Ok(written.unwrap_or(buf.len())))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        let all = || bufs.iter().map(|buf| buf.len()).sum();
        written.map(|written| Ok(written.unwrap_or_else(|_| all())))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx).map(|_| Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
