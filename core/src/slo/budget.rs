//! How much of the error budget is left over the objective's window, for the whole service.
//!
//! Thirty days need no second: the window is cut into 120 equal spans, each with what was
//! counted in it and for how long it was watched. A service that has been watched for a day is
//! not charged as if that day were the month: its budget is what a whole window would allow at
//! the traffic seen so far.

use crate::measure::Part;
use crate::stored::{Reader, StoredError, Writer};
use std::time::Duration;

const SPANS: u64 = 120;

#[derive(Debug, Clone, Copy, Default)]
struct Span {
    /// Availability, then latency.
    parts: [Part; 2],
    watched: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Budget {
    spans: Box<[Span]>,
    window: u64,
    /// The last observation, on the owner's line of time.
    at: u64,
}

impl Budget {
    pub(super) fn new(window: Duration, at: u64) -> Self {
        let spans = vec![Span::default(); SPANS as usize].into_boxed_slice();
        Self { spans, window: super::series::millis(window).max(SPANS), at }
    }

    fn length(&self) -> u64 {
        self.window / SPANS
    }

    /// Counts what all versions together gained since the last observation.
    pub(super) fn add(&mut self, at: u64, availability: Part, latency: Part) {
        let watched = at.saturating_sub(self.at);
        self.turn_to(at);
        let span = &mut self.spans[((at / self.length()) % SPANS) as usize];
        span.parts = [span.parts[0].plus(availability), span.parts[1].plus(latency)];
        span.watched += watched;
    }

    /// Moves on without having watched.
    pub(super) fn turn_to(&mut self, at: u64) {
        let (from, to) = (self.at / self.length(), at / self.length());
        for number in (from + 1).max((to + 1).saturating_sub(SPANS))..=to {
            self.spans[(number % SPANS) as usize] = Span::default();
        }
        self.at = self.at.max(at);
    }

    /// The share left of availability's budget and of latency's, 1 when untouched and negative when
    /// overspent; `None` where there was no traffic.
    pub(super) fn left(&self, objectives: [Option<f64>; 2]) -> [Option<f64>; 2] {
        let watched: u64 = self.spans.iter().map(|span| span.watched).sum();
        if watched == 0 {
            return [None, None];
        }
        let share_seen = (watched as f64 / self.window as f64).min(1.0);
        [0, 1].map(|which| {
            let part = self.spans.iter().fold(Part::default(), |sum, s| sum.plus(s.parts[which]));
            Some(1.0 - part.share()? / (1.0 - objectives[which]?) * share_seen)
        })
    }

    pub(super) fn encode(&self, out: &mut Writer) {
        out.u64(self.window);
        out.u64(self.at);
        for span in &self.spans {
            for part in span.parts {
                out.u64(part.bad);
                out.u64(part.of);
            }
            out.u64(span.watched);
        }
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, StoredError> {
        let window = from.u64()?;
        if window < SPANS {
            return Err(StoredError::Nonsense("a budget's window is empty"));
        }
        let mut budget = Self::new(Duration::from_millis(window), from.u64()?);
        for span in &mut budget.spans {
            for part in &mut span.parts {
                *part = Part { bad: from.u64()?, of: from.u64()? };
            }
            span.watched = from.u64()?;
        }
        Ok(budget)
    }

    pub(super) fn is_over(&self, window: Duration) -> bool {
        self.window == super::series::millis(window).max(SPANS)
    }

    pub(super) fn bytes(&self) -> usize {
        std::mem::size_of_val(&*self.spans)
    }
}
