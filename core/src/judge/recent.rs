//! What a guard's window saw, on both versions: a ring of 32 cumulative counts, so that a window
//! is one subtraction and overshoots by a thirty-second of itself at most.

use super::compare::Batch;
use super::errors::{decode_batch, encode_batch};
use crate::stored::{Reader, StoredError, Writer};
use std::time::Duration;

const SLOTS: u64 = 33;

#[derive(Debug, Clone)]
pub(super) struct Recent {
    /// Milliseconds a slot; 0 for a window that is the whole stage.
    period: u64,
    /// What the count was when each slot began.
    slots: Vec<Batch>,
    newest: Option<u64>,
    oldest: u64,
    total: Batch,
}

impl Recent {
    /// `over` zero means: since the stage began.
    pub(super) fn new(over: Duration) -> Self {
        let whole = u64::try_from(over.as_millis()).unwrap_or(u64::MAX);
        let period = if whole == 0 { 0 } else { (whole / (SLOTS - 1)).max(1) };
        let slots = if period == 0 { 1 } else { SLOTS as usize };
        Self {
            period,
            slots: vec![Batch::default(); slots],
            newest: None,
            oldest: 0,
            total: Batch::default(),
        }
    }

    pub(super) fn add(&mut self, more: Batch, at: u64) {
        if let Some(number) = at.checked_div(self.period) {
            let newest = *self.newest.get_or_insert_with(|| {
                self.oldest = number;
                number
            });
            for n in (newest + 1).max((number + 1).saturating_sub(SLOTS))..=number {
                self.slots[(n % SLOTS) as usize] = self.total;
            }
            self.newest = Some(number.max(newest));
            self.oldest = self.oldest.max((number + 1).saturating_sub(SLOTS));
        }
        self.total = self.total.plus(more);
    }

    /// Another stage begins.
    pub(super) fn stage(&mut self) {
        if self.period == 0 {
            self.slots[0] = self.total;
        }
    }

    pub(super) fn seen(&self, now: u64) -> Batch {
        let Some(number) = now.checked_div(self.period) else {
            return self.total.since(self.slots[0]);
        };
        let Some(newest) = self.newest else { return Batch::default() };
        let first = (number + 1).saturating_sub(SLOTS).max(self.oldest);
        if first > newest {
            return Batch::default();
        }
        self.total.since(self.slots[(first % SLOTS) as usize])
    }

    /// What came before that.
    pub(super) fn before(&self, now: u64) -> Batch {
        self.total.since(self.seen(now))
    }

    pub(super) fn encode(&self, out: &mut Writer) {
        encode_batch(self.total, out);
        out.u64(self.newest.map_or(0, |newest| newest + 1));
        out.u64(self.oldest);
        self.slots.iter().for_each(|slot| encode_batch(self.total.since(*slot), out));
    }

    pub(super) fn decode(over: Duration, from: &mut Reader<'_>) -> Result<Self, StoredError> {
        let mut recent = Self::new(over);
        recent.total = decode_batch(from)?;
        recent.newest = from.u64()?.checked_sub(1);
        recent.oldest = from.u64()?;
        for slot in &mut recent.slots {
            *slot = recent.total.since(decode_batch(from)?);
        }
        Ok(recent)
    }

    pub(super) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Batch>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Part;

    fn one_bad() -> Batch {
        Batch { candidate: Part { bad: 1, of: 10 }, stable: Part { bad: 0, of: 90 } }
    }

    #[test]
    fn a_window_sees_its_length_and_a_thirty_second_more() {
        let mut recent = Recent::new(Duration::from_secs(32));
        for second in 0..100 {
            recent.add(one_bad(), second * 1_000);
        }
        let seen = recent.seen(99_999).candidate.bad;
        assert!((32..=33).contains(&seen), "{seen}");
        let seen = recent.seen(119_999).candidate.bad;
        assert!((12..=13).contains(&seen), "{seen}");
        assert_eq!(recent.seen(200_000), Batch::default());
    }

    #[test]
    fn a_window_of_nothing_is_the_stage() {
        let mut recent = Recent::new(Duration::ZERO);
        recent.add(one_bad(), 5);
        recent.stage();
        assert_eq!(recent.seen(6), Batch::default());
        recent.add(one_bad(), 1_000_000);
        assert_eq!(recent.seen(2_000_000), one_bad());
    }
}
