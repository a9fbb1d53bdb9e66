//! What a simulation is given, and what it reports.

use super::dice::Dice;
use super::recorded::Recording;
use super::shapes::{Storms, Swing, draw_storms, draw_swing};
use super::traffic::{Behaviour, Totals, Traffic};
use crate::rollout::{
    Answer, Command, Event, HoldReason, Phase, Position, Refusal, Terms, Verdict,
};
use crate::time::Wall;
use crate::weights::BasisPoints;
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct Simulation {
    pub terms: Terms,
    pub position: Position,
    pub source: Source,
    pub starts: Wall,
    pub length: Duration,
    pub tick: Duration,
    pub seed: u64,
    /// In any order.
    pub happenings: Vec<(Duration, Happening)>,
    /// What webhooks answer, and how soon.
    pub webhooks: (Duration, Answer),
}

#[derive(Debug, Clone)]
pub enum Source {
    Made(Box<Made>),
    Recorded(Recording),
}

/// Traffic, and how it is answered.
#[derive(Debug, Clone)]
pub struct Made {
    pub traffic: Traffic,
    pub behaviours: Vec<Behaviour>,
    pub storms: Vec<Storms>,
    pub swing: Option<Swing>,
}

impl Made {
    /// What chance decides before anything is played.
    pub(super) fn draw(&mut self, length: Duration, seed: u64) {
        let mut dice = Dice::new(seed ^ 0x0005_4a9e);
        if let Some(swing) = &self.swing {
            let made = (&mut self.traffic, &mut self.behaviours[..]);
            draw_swing(swing, made, length, &mut dice);
        }
        for storms in &self.storms {
            draw_storms(storms, &mut self.behaviours, length, &mut dice);
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Happening {
    Ask(Command),
    Freeze {
        by: String,
        reason: String,
    },
    Thaw,
    /// Killed, and back after so long.
    Restart {
        downtime: Duration,
    },
    /// The wall clock is set.
    Clock {
        by_ms: i64,
    },
    /// The data plane gives no counts for so long.
    Silence {
        lasts: Duration,
    },
    /// The whole host has no processor time for so long: every version is slow, and so is Serin.
    Starve {
        lasts: Duration,
    },
    /// A reload.
    Reload(Box<Terms>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    pub entries: Vec<Entry>,
    pub totals: Totals,
    pub position: Position,
    /// What stood against going further in the end.
    pub waiting: Vec<HoldReason>,
}

/// One line of the timeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Since the scenario began.
    pub at: Duration,
    pub wall: Wall,
    pub phase: Option<Phase>,
    /// The candidate's.
    pub weight: BasisPoints,
    pub told: Told,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    Event(Event),
    /// The decision that allowed or forced what follows.
    Verdict(Verdict),
    /// Nothing moves, and the weightiest reason is another one than before.
    Waits(HoldReason),
    Refused {
        asked: Command,
        why: Refusal,
    },
    Frozen {
        by: String,
        reason: String,
    },
    Thawed,
    Restarted {
        downtime: Duration,
    },
    ClockSet {
        by_ms: i64,
    },
    Silent {
        lasts: Duration,
    },
    Starved {
        lasts: Duration,
    },
    Reloaded,
}
