//! What becomes of a stream whose answer did not wait for the request's body.
//!
//! Giving it up resets it, and with the reset some clients lose an answer that they have not read
//! yet. So what still comes is read and forgotten for a moment; never for long, and never much.

use crate::downstream::http2::stream::Stream;
use crate::request::reply::{FAREWELL, MOST_FORGOTTEN};
use std::future::poll_fn;
use std::task::Poll;
use std::time::Instant;

pub(crate) async fn forget_body(stream: &mut Stream) {
    let due = Instant::now() + FAREWELL;
    let mut left = MOST_FORGOTTEN;
    poll_fn(|cx| {
        while left > 0 {
            match stream.poll_data(cx) {
                Poll::Ready(Some(Ok(data))) => left = left.saturating_sub(data.len()),
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        match stream.deadline.has_come(due, cx) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
}
