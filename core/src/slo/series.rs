//! What one version did against one promise, over every window, across restarts.
//!
//! A [`Series`] turns the data plane's counters, which begin at zero with each process, into
//! one line that does not. Its time is monotonic: a wall clock that jumps neither ages nor
//! revives anything. A downtime is a gap; a window of which less than half was watched says
//! nothing.

use super::ring::Ring;
use crate::measure::{Part, Running};
use crate::stored::{Reader, StoredError, Writer};
use std::time::Duration;

/// Gaps that are remembered one by one; more are joined, the oldest first.
const GAPS: usize = 16;

#[derive(Debug, Clone)]
pub(super) struct Series {
    /// `None` until the first request: an idle version does not grow old.
    ring: Option<Ring>,
    /// The counter as it was read last. `None` at first and after a restart.
    read: Option<Running>,
    /// Times when nobody watched, oldest first.
    gaps: Vec<(u64, u64)>,
}

/// What a window saw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Seen {
    pub(super) part: Part,
    /// How much of the window lies after the version's first request.
    pub(super) length: Duration,
    /// At least half of it was watched.
    pub(super) covered: bool,
}

impl Seen {
    pub(super) const NOTHING: Self =
        Self { part: Part { bad: 0, of: 0 }, length: Duration::ZERO, covered: false };
}

impl Series {
    pub(super) fn new() -> Self {
        Self { ring: None, read: None, gaps: Vec::new() }
    }

    /// `counter` is cumulative. The first reading is where counting begins.
    pub(super) fn observe(&mut self, at: u64, counter: impl Into<Running>) -> Part {
        let counter = counter.into();
        let gained = self.read.map_or(Part::default(), |read| counter.gained(read));
        self.read = Some(counter);
        match &mut self.ring {
            Some(ring) => ring.add(at, gained),
            None if gained.of > 0 => {
                let mut ring = Ring::new(at.saturating_sub(1));
                ring.add(at, gained);
                self.ring = Some(ring);
            }
            None => {}
        }
        gained
    }

    pub(super) fn within(&self, window: Duration, now: u64) -> Seen {
        let Some(ring) = &self.ring else { return Seen::NOTHING };
        let asked = millis(window);
        let length = asked.min(now.saturating_sub(ring.born)).max(1);
        let unwatched: u64 = self
            .gaps
            .iter()
            .map(|(from, to)| to.min(&now).saturating_sub(*from.max(&(now.saturating_sub(length)))))
            .sum();
        Seen {
            part: ring.within(length, now),
            length: Duration::from_millis(length),
            covered: unwatched * 2 <= length,
        }
    }

    /// How long ago the first request was.
    pub(super) fn life(&self, now: u64) -> Duration {
        let born = self.ring.as_ref().map_or(now, |ring| ring.born);
        Duration::from_millis(now.saturating_sub(born))
    }

    /// Nobody watched between `from` and `to`, and the counters begin anew.
    pub(super) fn gap(&mut self, from: u64, to: u64) {
        self.read = None;
        if to <= from {
            return;
        }
        if let Some(ring) = &mut self.ring {
            ring.add(to, Part::default());
        }
        if self.gaps.len() == GAPS {
            let (first, _) = self.gaps.remove(0);
            self.gaps[0].0 = first;
        }
        self.gaps.push((from, to));
    }

    pub(super) fn encode(&self, out: &mut Writer) {
        out.bool(self.ring.is_some());
        if let Some(ring) = &self.ring {
            ring.encode(out);
        }
        out.u64(self.gaps.len() as u64);
        for (from, to) in &self.gaps {
            out.u64(*from);
            out.u64(to - from);
        }
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, StoredError> {
        let ring = if from.bool()? { Some(Ring::decode(from)?) } else { None };
        let mut gaps = Vec::new();
        for _ in 0..from.count(GAPS)? {
            let (start, length) = (from.u64()?, from.u64()?);
            gaps.push((start, start.saturating_add(length)));
        }
        Ok(Self { ring, read: None, gaps })
    }

    pub(super) fn bytes(&self) -> usize {
        self.ring.as_ref().map_or(0, Ring::bytes) + self.gaps.capacity() * 16
    }
}

pub(super) fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}
