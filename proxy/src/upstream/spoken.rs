//! Which protocol the endpoints of a version chose when they were last given the choice.
//!
//! A version whose protocol is `auto` says with each TLS handshake what it speaks, and which lane can
//! carry a request is to be known before. What was chosen last is taken for what will be chosen, and
//! whoever finds it changed says so.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spoken {
    Http1,
    Http2,
}

/// Unknown at first.
#[derive(Debug, Default)]
pub(super) struct LastSpoken(AtomicU8);

impl LastSpoken {
    /// Writes only when it is news.
    pub(super) fn note(&self, spoken: Spoken) {
        if self.0.load(Relaxed) != code(spoken) {
            self.0.store(code(spoken), Relaxed);
        }
    }

    pub(super) fn is(&self, spoken: Spoken) -> bool {
        self.0.load(Relaxed) == code(spoken)
    }
}

fn code(spoken: Spoken) -> u8 {
    match spoken {
        Spoken::Http1 => 1,
        Spoken::Http2 => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_known_until_it_was_said_and_the_last_word_counts() {
        let last = LastSpoken::default();
        assert!(!last.is(Spoken::Http1) && !last.is(Spoken::Http2));
        last.note(Spoken::Http1);
        assert!(last.is(Spoken::Http1));
        last.note(Spoken::Http2);
        assert!(last.is(Spoken::Http2) && !last.is(Spoken::Http1));
    }
}
