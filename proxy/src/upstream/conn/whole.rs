//! Requests that are whole before they are sent, by those who have no client to wait for: copies and health
//! checks. Whoever asks limits the time.

use super::{Conn, Refused};
use bytes::Bytes;
use std::future::poll_fn;
use std::io;

impl Conn {
    /// Sends a request. `head` is text, whatever the connection speaks; `trailers` says that what stands
    /// after the answer's body is read.
    pub(crate) async fn ask(
        &mut self,
        head: &[u8],
        mut body: &[Bytes],
        trailers: bool,
    ) -> io::Result<()> {
        while let [before @ .., last] = body
            && last.is_empty()
        {
            body = before;
        }
        match self.stream() {
            Some(stream) => {
                let whole = body.is_empty();
                stream.ask(head, trailers, whole).map_err(|refused| match refused {
                    Refused::Unsayable => io::Error::from(io::ErrorKind::InvalidInput),
                    Refused::Closed => io::ErrorKind::ConnectionReset.into(),
                })?;
            }
            None => self.write_all(head, false).await?,
        }
        while let [piece, rest @ ..] = body {
            self.write_all(piece, rest.is_empty()).await?;
            body = rest;
        }
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    async fn write_all(&mut self, piece: &[u8], last: bool) -> io::Result<()> {
        let mut written = 0;
        while written < piece.len() {
            let rest = &piece[written..];
            match poll_fn(|cx| self.poll_write([rest, &[]], last, cx)).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => written += count,
            }
        }
        Ok(())
    }

    /// Reads some more into `input`. 0 is the end.
    pub(crate) async fn read(&mut self) -> io::Result<usize> {
        poll_fn(|cx| self.poll_fill(usize::MAX, cx)).await
    }
}
