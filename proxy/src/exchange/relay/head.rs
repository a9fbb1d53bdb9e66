//! A request's head on its way to the endpoint, and the answer's from there.

use super::{Came, Relay, RelayError, Reset};
use crate::exchange::ClientError;
use crate::exchange::downstream::Downstream;
use crate::pieces::rest_of;
use crate::upstream::conn::Refused;
use crate::wire::answer::{self as wire, Body, Read, ResponseHead};
use crate::wire::view::View;
use std::future::poll_fn;
use std::task::Poll;

impl<D: Downstream> Relay<'_, D> {
    /// Sends the head, and what is there of the body with it. `trailers`: the client reads them.
    pub(crate) async fn send(&mut self, head: &[u8], trailers: bool) -> Result<(), RelayError> {
        if let Some(stream) = self.upstream.stream() {
            return stream.ask(head, trailers, self.body.is_done()).map_err(
                |refused| match refused {
                    Refused::Closed => RelayError::Closed,
                    Refused::Unsayable => RelayError::Client(ClientError::Unsayable),
                },
            );
        }
        let mut sent = 0;
        poll_fn(|cx| {
            while sent < head.len() {
                let both = rest_of([head, self.body.pending(&*self.client)], sent);
                match self.upstream.poll_write(both, false, cx) {
                    Poll::Ready(Ok(count @ 1..)) => sent += count,
                    Poll::Ready(Ok(0) | Err(_)) => {
                        return Poll::Ready(Err(Reset::http1(true)));
                    }
                    Poll::Pending => {
                        return self.late(self.moved + self.idle, RelayError::Stalled, cx);
                    }
                }
            }
            Poll::Ready(Ok(()))
        })
        .await?;
        self.body.left(sent - head.len(), self.client);
        Ok(())
    }

    /// Waits for the final head, or for one that changes the protocol. Interim answers go to the
    /// client at once.
    pub(crate) async fn head(&mut self, asked_head: bool) -> Result<ResponseHead, RelayError> {
        let mut judged = 0;
        loop {
            let bytes = self.upstream.input.bytes();
            if bytes.len() > judged {
                judged = bytes.len();
                match wire::parse(bytes, asked_head, self.fields) {
                    Read::Whole(head) if head.status < 200 && head.status != 101 => {
                        let view = View::of(bytes, self.fields);
                        if head.status == 100 {
                            self.body.may_come(self.client.limits());
                        }
                        let reason = head.reason.of(bytes);
                        self.client.interim(head.status, reason, &view, self.down);
                        self.upstream.input.advance(head.length);
                        judged = 0;
                        self.flush().await?;
                        continue;
                    }
                    Read::Whole(mut head) => {
                        self.note_end(asked_head, &mut head);
                        return Ok(head);
                    }
                    Read::Invalid => return Err(RelayError::Invalid),
                    Read::Partial => {}
                }
            }
            match self.more(true).await? {
                Came::Bytes => {}
                Came::End => return Err(Reset::http1(self.upstream.input.is_empty())),
            }
        }
    }

    /// HTTP/2 says with the head whether anything follows it, and trailers may follow an empty body.
    fn note_end(&mut self, asked_head: bool, head: &mut ResponseHead) {
        let Some(stream) = self.upstream.stream() else { return };
        let bodiless = asked_head || matches!(head.status, 204 | 304);
        match head.body {
            Body::UntilEnd if stream.has_ended() => {
                head.body = Body::None;
                // Where no protocol says it an answer without a length is one without an end.
                head.length_once = (!D::FRAMES_ITSELF).then_some(0);
            }
            Body::None if D::FRAMES_ITSELF && !bodiless && !stream.has_ended() => {
                head.body = Body::UntilEnd;
            }
            Body::None | Body::Length(_) | Body::Chunked | Body::UntilEnd => {}
        }
    }
}
