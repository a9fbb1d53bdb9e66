//! An answer's body, from the endpoint to the client, however either frames it.

use super::{Came, Relay, RelayError, Reset};
use crate::exchange::downstream::Downstream;
use crate::exchange::framing::{push_chunk, push_end};
use crate::request::answer::Following;
use crate::wire::answer::Body;
use crate::wire::chunks::{Chunks, Piece};
use crate::wire::http2::trailers as trailers_of;
use http::HeaderMap;

/// A body that is longer gets more room to come in.
const LONG: usize = 16 * 1024;
const CHUNKS_AT_ONCE: usize = 32 * 1024;

impl<D: Downstream> Relay<'_, D> {
    /// Passes the body on, and gives what stands after it. `sent` counts what the client got of it.
    pub(crate) async fn body(
        &mut self,
        body: Body,
        sent: &mut u64,
        following: &mut Following<'_>,
    ) -> Result<Option<HeaderMap>, RelayError> {
        match body {
            Body::None => self.flush().await.map(|()| None),
            Body::Length(length) if !self.upstream.frames_itself() => {
                self.length(length, sent).await.map(|()| None)
            }
            Body::Chunked => self.chunks(sent, following).await,
            Body::Length(_) | Body::UntilEnd => {
                let framed = body == Body::UntilEnd && self.client.takes_chunks();
                self.until_end(framed, sent, following).await
            }
        }
    }

    async fn length(&mut self, mut left: u64, sent: &mut u64) -> Result<(), RelayError> {
        loop {
            let here = self.upstream.input.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            self.body.tap.answer_piece(&self.upstream.input.bytes()[..here]);
            self.pass(here).await?;
            *sent += here as u64;
            left -= here as u64;
            if left == 0 {
                return Ok(());
            }
            if left > LONG as u64 {
                self.upstream.input.enlarge();
            }
            if let Came::End = self.more(false).await? {
                return Err(Reset::http1(false));
            }
        }
    }

    /// Where no length is named a client of HTTP/1 gets it in chunks, so that it can tell the end from an
    /// accident.
    async fn until_end(
        &mut self,
        framed: bool,
        sent: &mut u64,
        following: &mut Following<'_>,
    ) -> Result<Option<HeaderMap>, RelayError> {
        loop {
            let here = self.upstream.input.len();
            self.body.tap.answer_piece(self.upstream.input.bytes());
            // Then no trailers follow either.
            let last = here > 0 && self.upstream.stream().is_some_and(|stream| stream.has_ended());
            if last {
                self.client.ends_after(here);
            }
            if framed && here > 0 {
                push_chunk(self.down, self.upstream.input.bytes());
                self.upstream.input.clear();
                if last {
                    push_end(self.down, None);
                }
                self.flush().await?;
            } else {
                self.pass(here).await?;
            }
            *sent += here as u64;
            // A client that has all of it has no room for more, and must not be taken for gone.
            if last {
                return Ok(None);
            }
            if let Came::End = self.more(false).await? {
                let came = self.upstream.stream().and_then(|stream| stream.take_trailers());
                let passing = following.pass(came);
                if framed {
                    push_end(self.down, passing.as_ref());
                }
                return self.flush().await.map(|()| passing);
            }
        }
    }

    async fn chunks(
        &mut self,
        sent: &mut u64,
        following: &mut Following<'_>,
    ) -> Result<Option<HeaderMap>, RelayError> {
        let mut chunks = Chunks::default();
        loop {
            while !self.upstream.input.is_empty() && self.down.len() < CHUNKS_AT_ONCE {
                let input = &mut self.upstream.input;
                match chunks.step(input.bytes()).map_err(|_| Reset::http1(false))? {
                    Piece::Framing(count) => input.advance(count),
                    Piece::Data(count) => {
                        self.body.tap.answer_piece(&input.bytes()[..count]);
                        match self.client.takes_chunks() {
                            true => push_chunk(self.down, &input.bytes()[..count]),
                            false => self.down.push(&input.bytes()[..count]),
                        }
                        input.advance(count);
                        *sent += count as u64;
                    }
                    Piece::End(count) => {
                        input.advance(count);
                        let lines = chunks.trailers();
                        let came = if lines.is_empty() { None } else { trailers_of(lines) };
                        let passing = following.pass(came);
                        if self.client.takes_chunks() {
                            push_end(self.down, passing.as_ref());
                        }
                        return self.flush().await.map(|()| passing);
                    }
                }
            }
            self.flush().await?;
            if self.upstream.input.is_empty()
                && let Came::End = self.more(false).await?
            {
                return Err(Reset::http1(false));
            }
        }
    }
}
