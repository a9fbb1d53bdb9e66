//! How much an endpoint may send of an answer ahead of what its client takes.
//!
//! A client that takes nothing leaves as much in this process as its stream's window. So the more streams
//! a thread has, the smaller each one's window: few streams get wide ones, which long ways need, and
//! thousands that nobody reads hold no more than some megabytes together. A window that has become
//! smaller opens again only when far fewer streams are left, so that no endpoint is told again and again.

use std::cell::Cell;

/// Of each of a few streams.
const WIDEST: u32 = 64 * 1024;
/// So many of them are a few, and so many times the window is halved as often as they double.
const FEW: usize = 8;
const MAX_HALVINGS: u32 = 3;
const NARROWEST: u32 = WIDEST >> MAX_HALVINGS;
/// As large as the windows of all streams together, so that a client that takes nothing shuts its own
/// stream and no other's on the connection.
pub(super) const CONNECTION: u32 = WIDEST * super::MAX_STREAMS as u32;

/// How many streams fit on a connection whose windows are so wide: where they are wide, others get a
/// connection of their own with narrower ones, so that a burst of clients that take nothing leaves little.
pub(super) fn streams_of(window: u32) -> usize {
    super::MAX_STREAMS >> (window / NARROWEST).ilog2()
}

thread_local! {
    static STREAMS: Cell<Streams> = const { Cell::new(Streams { open: 0, halvings: 0 }) };
}

/// Of one thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Streams {
    open: usize,
    halvings: u32,
}

impl Streams {
    fn with(open: usize, before: u32) -> Self {
        let mut halvings = before;
        while halvings < MAX_HALVINGS && open > FEW << halvings {
            halvings += 1;
        }
        while halvings > 0 && open < (FEW / 4) << halvings {
            halvings -= 1;
        }
        Self { open, halvings }
    }
}

/// What each stream of this thread is to have.
pub(super) fn now() -> u32 {
    WIDEST >> STREAMS.get().halvings
}

/// One of this thread's streams, until it is dropped.
#[derive(Debug)]
pub(super) struct Counted;

impl Counted {
    pub(super) fn new() -> Self {
        let Streams { open, halvings } = STREAMS.get();
        STREAMS.set(Streams::with(open + 1, halvings));
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let Streams { open, halvings } = STREAMS.get();
        STREAMS.set(Streams::with(open.saturating_sub(1), halvings));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_streams_have_small_windows_and_get_them_back_when_few_are_left() {
        let windows = |count: usize, before| WIDEST >> Streams::with(count, before).halvings;
        let asked = [1, 8, 9, 17, 33, 10_000].map(|count| windows(count, 0));
        assert_eq!(asked, [65_536, 65_536, 32_768, 16_384, 8_192, 8_192]);
        assert_eq!((windows(16, 3), windows(15, 3), windows(3, 3)), (8_192, 16_384, 65_536));
        let held = (1..10_000).fold((0, 0), |(held, halvings), open| {
            let streams = Streams::with(open, halvings);
            (held + u64::from(WIDEST >> streams.halvings), streams.halvings)
        });
        assert!(held.0 < 80 << 20, "{}", held.0);
    }

    #[test]
    fn what_the_streams_of_a_connection_may_hold_is_the_same_however_wide_their_windows() {
        let fit = [65_536, 32_768, 16_384, 8_192].map(streams_of);
        assert_eq!(fit, [12, 25, 50, 100]);
    }
}
