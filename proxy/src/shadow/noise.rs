//! What differs between two answers of stable itself: timestamps, random ids, the order of a set.
//!
//! Stable is asked a second time only when a comparison has found something that is not understood
//! yet, so that it has next to nothing more to do. A path where stable was seen to disagree with
//! itself is noise, as long as that happens often enough that it explains what the shadow does. Once
//! may be chance (a value that changed between the two questions), so that a path that is new to be
//! noise is asked about until it is known how often.

use serin_core::shadow::Place;
use std::collections::HashMap;

/// Paths that are known, over all routes of a service.
const MOST_KNOWN: usize = 1024;
/// Stable disagrees with itself at least once in so often, where it is noise.
const RARELY: u64 = 20;
/// The first so many questions are free; later ones are a share of the comparisons.
const FREE: u64 = 200;
const SHARE: u64 = 10;
pub(super) const ASKED_AT_ONCE: u32 = 16;

#[derive(Debug, Default)]
pub(super) struct Noise {
    known: HashMap<Place, Seen>,
    compared: u64,
    asked: u64,
    asking: u32,
}

#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    asked: u64,
    disagreed: u64,
}

impl Noise {
    pub(super) fn compared(&mut self) {
        self.compared += 1;
    }

    pub(super) fn is_noise(&self, place: &Place) -> bool {
        self.known
            .get(place)
            .is_some_and(|seen| seen.disagreed > 0 && seen.disagreed * RARELY >= seen.asked)
    }

    /// It is noise by too few questions to be sure of it.
    pub(super) fn is_young(&self, place: &Place) -> bool {
        self.is_noise(place) && self.known.get(place).is_some_and(|seen| seen.asked <= RARELY)
    }

    /// Stable was asked, and agreed with itself there.
    pub(super) fn is_cleared(&self, place: &Place) -> bool {
        self.known.get(place).is_some_and(|seen| seen.asked > seen.disagreed)
            && !self.is_noise(place)
    }

    /// Whether stable may be asked now. Each yes is followed by [`Noise::answered`].
    pub(super) fn may_ask(&mut self) -> bool {
        let within = self.asked < FREE + self.compared / SHARE;
        let may = within && self.asking < ASKED_AT_ONCE;
        if may {
            self.asked += 1;
            self.asking += 1;
        }
        may
    }

    /// Stable was asked about these differences, or did not answer.
    pub(super) fn answered(&mut self) {
        self.asking = self.asking.saturating_sub(1);
    }

    pub(super) fn learn(&mut self, place: &Place, disagreed: bool) {
        if self.known.len() >= MOST_KNOWN && !self.known.contains_key(place) {
            return;
        }
        let seen = self.known.entry(place.clone()).or_default();
        seen.asked += 1;
        seen.disagreed += u64::from(disagreed);
    }

    pub(super) fn places(&self) -> Vec<Place> {
        let mut places: Vec<_> = self.known.keys().filter(|p| self.is_noise(p)).cloned().collect();
        places.sort();
        places
    }
}
