//! When a file that has changed is read: once it rests, or when it has been changing for long.

use std::time::{Duration, Instant};

/// Editors and copies take several steps; between them a file may be missing or half written.
const QUIET: Duration = Duration::from_millis(100);
/// Nobody waits longer than this for a file that never rests.
const LONGEST: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Patience(Option<Restless>);

#[derive(Debug)]
struct Restless {
    first: Instant,
    last: Instant,
}

impl Patience {
    pub(super) fn changed(&mut self, now: Instant) {
        let restless = self.0.get_or_insert(Restless { first: now, last: now });
        restless.last = now;
    }

    /// When to read; `None` when nothing has changed.
    pub(super) fn due(&self) -> Option<Instant> {
        let restless = self.0.as_ref()?;
        Some((restless.last + QUIET).min(restless.first + LONGEST))
    }

    /// It is read now. One that did not rest before is read once more: a later change within the
    /// same tick of the disk's clock would look like no change.
    pub(super) fn read(&mut self, now: Instant) {
        let rested = self.0.as_ref().is_none_or(|restless| now >= restless.last + QUIET);
        self.0 = (!rested).then_some(Restless { first: now, last: now });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(10);

    #[test]
    fn a_file_is_read_once_it_rests() {
        let (mut patience, begun) = (Patience::default(), Instant::now());
        assert_eq!(patience.due(), None);
        patience.changed(begun);
        patience.changed(begun + STEP);
        assert_eq!(patience.due(), Some(begun + STEP + QUIET));
        patience.read(begun + STEP + QUIET);
        assert_eq!(patience.due(), None);
    }

    #[test]
    fn a_file_that_never_rests_is_read_every_second_and_once_more_at_the_end() {
        let (mut patience, begun) = (Patience::default(), Instant::now());
        let (mut now, mut reads) = (begun, 0);
        while now < begun + Duration::from_secs(10) {
            patience.changed(now);
            if patience.due().is_some_and(|due| now >= due) {
                patience.read(now);
                reads += 1;
            }
            now += STEP;
        }
        assert_eq!(reads, 9);
        let due = patience.due().expect("the last change is not read yet");
        assert!(due <= now + QUIET);
        patience.read(now + QUIET);
        assert_eq!(patience.due(), None);
    }
}
