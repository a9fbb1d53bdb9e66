//! A configuration that serves a share of the requests beside the one in force.
//!
//! A request draws once, before anything about it is decided, and sees that configuration from its
//! head to its end. What came of it is counted under the configuration that it drew. As with a
//! split, the share is exact, each thread draws for itself, and only that thread writes what it
//! counts.

use crate::config_generation::ConfigGeneration;
use crate::thread::{ThreadId, random};
use serin_core::assign::{Slots, Splitter};
use serin_core::ids::VersionName;
use serin_core::judge::Beside;
use serin_core::measure::Part;
use serin_core::weights::{BasisPoints, Weights};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

#[derive(Debug)]
pub(crate) struct Trial {
    pub(crate) generation: Arc<ConfigGeneration>,
    slots: Slots,
    cells: Box<[Cells]>,
}

/// What a request has drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Old = 0,
    New = 1,
}

/// What came of a request, as far as its configuration may have to do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Well,
    Badly,
    /// It says nothing: its client left, or no configuration would have taken it.
    Untold,
}

/// One thread's, on cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
struct Cells {
    splitter: AtomicU64,
    given_back: [AtomicU64; 2],
    requests: [AtomicU64; 2],
    errors: [AtomicU64; 2],
}

impl Trial {
    pub(crate) fn new(
        generation: Arc<ConfigGeneration>,
        share: BasisPoints,
        threads: usize,
    ) -> Self {
        let side = |name| VersionName::new(name).unwrap_or_else(|_| unreachable!("a plain word"));
        let weights = Weights::two(side("old"), side("new"), share);
        let cells = || Cells {
            splitter: AtomicU64::new(Splitter::new(random()).to_bits()),
            given_back: Default::default(),
            requests: Default::default(),
            errors: Default::default(),
        };
        let cells = (0..threads.max(1)).map(|_| cells()).collect();
        Self { generation, slots: Slots::new(&weights), cells }
    }

    pub(crate) fn draw(self: Arc<Self>) -> Ticket {
        let thread = ThreadId::current();
        let side = self.next(thread);
        Ticket { trial: self, thread, side, told: false }
    }

    fn next(&self, thread: ThreadId) -> Side {
        let cells = self.cells(thread);
        for side in [Side::New, Side::Old] {
            let back = &cells.given_back[side as usize];
            let owed = back.load(Relaxed);
            if owed > 0 {
                back.store(owed - 1, Relaxed);
                return side;
            }
        }
        let mut splitter = Splitter::from_bits(cells.splitter.load(Relaxed));
        let part = splitter.next(&self.slots, random() as u32);
        cells.splitter.store(splitter.to_bits(), Relaxed);
        if part == 1 { Side::New } else { Side::Old }
    }

    /// Errors are read first, so that there are never more of them than requests.
    pub(crate) fn counts(&self) -> Beside {
        let sum = |of: fn(&Cells) -> &[AtomicU64; 2], side: Side| {
            self.cells.iter().map(|cells| of(cells)[side as usize].load(Relaxed)).sum()
        };
        let part = |side| {
            let bad: u64 = sum(|cells| &cells.errors, side);
            let of: u64 = sum(|cells| &cells.requests, side);
            Part { bad: bad.min(of), of }
        };
        Beside { old: part(Side::Old), new: part(Side::New) }
    }

    fn cells(&self, thread: ThreadId) -> &Cells {
        self.cells.get(thread.index()).unwrap_or(&self.cells[0])
    }
}

/// A request's place in the trial.
#[derive(Debug)]
pub(crate) struct Ticket {
    trial: Arc<Trial>,
    thread: ThreadId,
    side: Side,
    told: bool,
}

impl Ticket {
    pub(crate) fn side(&self) -> Side {
        self.side
    }

    pub(crate) fn generation(&self) -> &Arc<ConfigGeneration> {
        &self.trial.generation
    }

    /// What came of the request.
    pub(crate) fn tell(mut self, ended: Ended) {
        self.told = true;
        let cells = self.trial.cells(self.thread);
        let side = self.side as usize;
        let add = |cell: &AtomicU64| cell.store(cell.load(Relaxed) + 1, Relaxed);
        match ended {
            Ended::Well => add(&cells.requests[side]),
            Ended::Badly => {
                add(&cells.requests[side]);
                add(&cells.errors[side]);
            }
            Ended::Untold => {}
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.told {
            let back = &self.trial.cells(self.thread).given_back[self.side as usize];
            back.store(back.load(Relaxed) + 1, Relaxed);
        }
    }
}
