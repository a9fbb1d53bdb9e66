//! Two pieces that are written one after the other, in one call where that can be.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;

/// Writes once, of two pieces as much as is taken.
pub(crate) fn poll_write(
    io: Pin<&mut impl AsyncWrite>,
    pieces: [&[u8]; 2],
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    match pieces {
        [one, []] | [[], one] => io.poll_write(cx, one),
        both => io.poll_write_vectored(cx, &both.map(IoSlice::new)),
    }
}

/// Two pieces without their first `count` bytes.
pub(crate) fn rest_of([first, second]: [&[u8]; 2], count: usize) -> [&[u8]; 2] {
    let of_first = count.min(first.len());
    let of_second = (count - of_first).min(second.len());
    [&first[of_first..], &second[of_second..]]
}
