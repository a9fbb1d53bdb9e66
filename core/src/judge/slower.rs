//! Is the candidate slower than stable?
//!
//! The error test again, on another kind of bad outcome: taking longer than a limit. Limits are
//! stable's own p50, p90, p95 and p99 of the minutes before, and every latency that the
//! configuration names; the candidate may take a margin longer before it counts. Only
//! indicators are compared, so a heavy tail cannot break the test. A request counts as soon as
//! its age passes the limit, or a hang would be invisible until it ends.

use super::bets::Bets;
use super::coarse::Coarse;
use super::compare::{Batch, Ratio, even_factors};
use super::errors::{decode_batch, encode_batch};
use super::slow_clients::{Countable, Origins, Timing, slow_clients};
use super::twofold::Twofold;
use crate::measure::{Part, Tails, VersionLatencies};
use crate::rollout::{Concentration, Regression};
use crate::stored::{Reader, StoredError, Writer};
use std::time::Duration;

pub(super) const RATIOS: [f64; 12] =
    [1.05, 1.1, 1.2, 1.35, 1.5, 1.75, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0];
const QUANTILES: [f64; 4] = [0.5, 0.9, 0.95, 0.99];
/// Limits from the configuration; of more, the first are tested.
pub(super) const NAMED: usize = 4;
/// Stable's answers before its quantiles are believed.
const ENOUGH: u64 = 100;
/// In milliseconds: how often the limits follow stable.
const MINUTE: u64 = 60_000;

#[derive(Debug, Clone)]
pub(super) struct SlownessTest {
    margin: Margin,
    levels: Vec<Level>,
    candidate: Coarse,
    stable: Coarse,
    turned: Option<u64>,
}

/// By how much the candidate's latencies may be longer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Margin {
    /// Of the limit: 0.2 for a fifth.
    share: f64,
    /// At least.
    floor: Duration,
}

impl Margin {
    pub(super) fn of(regression: &Regression) -> Self {
        Self { share: regression.latency.max(0.0), floor: regression.latency_floor }
    }

    pub(super) fn beyond(self, limit: Duration) -> Duration {
        limit.mul_f64(1.0 + self.share).max(limit + self.floor)
    }
}

/// One limit and its stakes.
#[derive(Debug, Clone)]
struct Level {
    /// `None` for a limit from the configuration.
    quantile: Option<f64>,
    /// `None` until stable has had enough answers.
    limit: Option<Duration>,
    bets: Twofold<Bets<12>>,
    countable: Countable,
    seen: Batch,
    pending: Batch,
    /// The cumulative counts at the last look, at this limit.
    read: Option<Batch>,
}

/// The level that says the most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Worst {
    pub(super) quantile: f64,
    pub(super) limit: Duration,
    pub(super) seen: Batch,
}

impl SlownessTest {
    pub(super) fn new(margin: Margin, named: &[Duration]) -> Self {
        let level = |quantile, limit| Level {
            quantile,
            limit,
            bets: Twofold::new(Bets::in_instalments()),
            countable: Countable::default(),
            seen: Batch::default(),
            pending: Batch::default(),
            read: None,
        };
        let own = QUANTILES.iter().map(|q| level(Some(*q), None));
        let named = named.iter().take(NAMED).map(|limit| level(None, Some(*limit)));
        Self {
            margin,
            levels: own.chain(named).collect(),
            candidate: Coarse::new(),
            stable: Coarse::new(),
            turned: None,
        }
    }

    /// About once a second. During the warm-up only stable's quantiles are learnt.
    pub(super) fn observe(
        &mut self,
        candidate: &Answers<'_>,
        stable: &Answers<'_>,
        origins: Origins<'_>,
        warm: bool,
        at: u64,
    ) {
        self.candidate.observe(&candidate.latencies.judged);
        self.stable.observe(&stable.latencies.judged);
        let ratios = RATIOS.map(Ratio::new);
        let Self { margin, levels, candidate: candidates, stable: stables, .. } = self;
        for level in levels {
            let batch = level.look(*margin, candidate, stable, warm);
            let Some(all) = batch.filter(|b| b.candidate.bad + b.stable.bad > 0) else { continue };
            let mut counted = all;
            if let (Some(limit), true) = (level.limit, level.gains_by(all, &ratios)) {
                let limit = margin.beyond(limit);
                let candidate = Timing { latencies: candidate.latencies, answered: candidates };
                let stable = Timing { latencies: stable.latencies, answered: stables };
                let share = countable_share(slow_clients(candidate, stable, origins, limit));
                counted.candidate = level.countable.of(all.candidate, share);
            }
            let play = |bets: &mut Bets<12>, batch| bets.play(even_factors(batch, &ratios));
            level.bets.observe(counted, all, play);
        }
        let turned = *self.turned.get_or_insert(at);
        let unlimited = self.levels.iter().any(|level| level.limit.is_none());
        if at.saturating_sub(turned) >= MINUTE || (unlimited && self.stable.total() >= ENOUGH) {
            self.set_limits(candidate, stable);
        }
        if at.saturating_sub(turned) >= MINUTE {
            self.candidate.turn();
            self.stable.turn();
            // What has waited a minute for its counterpart is not concurrent with it.
            self.levels.iter_mut().for_each(|level| level.pending = Batch::default());
            self.turned = Some(at);
        }
    }

    /// From what was seen until now, for what comes next.
    fn set_limits(&mut self, candidate: &Answers<'_>, stable: &Answers<'_>) {
        if self.stable.total() < ENOUGH {
            return;
        }
        for level in &mut self.levels {
            if let Some(q) = level.quantile {
                level.limit = self.stable.quantile(q);
                level.read = level.counts(self.margin, candidate, stable);
            }
        }
    }

    /// The average over all limits: one evidence.
    pub(super) fn value(&self) -> f64 {
        let sum: f64 = self.levels.iter().map(|level| level.bets.counts.value()).sum();
        sum / self.levels.len() as f64
    }

    /// The same of everybody's requests, also those that do not count.
    pub(super) fn value_of_all(&self) -> f64 {
        let value = |level: &Level| level.bets.all().unwrap_or(&level.bets.counts).value();
        self.levels.iter().map(value).sum::<f64>() / self.levels.len() as f64
    }

    pub(super) fn worst(&self) -> Option<Worst> {
        let known = self.levels.iter().filter(|level| level.limit.is_some());
        let value = |level: &Level| level.bets.counts.value();
        let worst = known.max_by(|a, b| value(a).total_cmp(&value(b)))?;
        let limit = worst.limit?;
        let share = worst.seen.stable.share();
        Some(Worst {
            // A limit from the configuration stands at whatever quantile it is for stable.
            quantile: worst.quantile.or(share.map(|share| 1.0 - share)).unwrap_or(1.0),
            limit,
            seen: worst.seen,
        })
    }

    /// Whose requests the candidate's slow ones of the last minute or two are.
    pub(super) fn slow_clients(
        &self,
        candidate: &Answers<'_>,
        stable: &Answers<'_>,
        origins: Origins<'_>,
        limit: Duration,
    ) -> Option<Concentration> {
        let candidate = Timing { latencies: candidate.latencies, answered: &self.candidate };
        let stable = Timing { latencies: stable.latencies, answered: &self.stable };
        slow_clients(candidate, stable, origins, limit)
    }

    /// The share of the candidate's slow requests that counts: 1 where nobody knows whose they are.
    pub(super) fn countable(
        &self,
        candidate: &Answers<'_>,
        stable: &Answers<'_>,
        origins: Origins<'_>,
        limit: Duration,
    ) -> f64 {
        countable_share(self.slow_clients(candidate, stable, origins, limit))
    }

    /// Of the last minute or two: candidate, stable.
    pub(super) fn lately(&self, quantile: f64) -> (Option<Duration>, Option<Duration>) {
        (self.candidate.quantile(quantile), self.stable.quantile(quantile))
    }

    pub(super) fn asks(&self, margin: Margin, named: &[Duration]) -> bool {
        let limits: Vec<_> = self
            .levels
            .iter()
            .filter(|level| level.quantile.is_none())
            .filter_map(|level| level.limit)
            .collect();
        self.margin == margin && limits[..] == named[..named.len().min(NAMED)]
    }

    pub(super) fn encode(&self, out: &mut Writer) {
        for level in &self.levels {
            level.bets.counts.encode(out);
            encode_batch(level.seen, out);
            let limit = level.limit.map_or(0, |limit| limit.as_micros() as u64);
            out.u64(limit);
        }
    }

    pub(super) fn decode(
        margin: Margin,
        named: &[Duration],
        from: &mut Reader<'_>,
    ) -> Result<Self, StoredError> {
        let mut test = Self::new(margin, named);
        for level in &mut test.levels {
            level.bets.counts.decode(from)?;
            level.seen = decode_batch(from)?;
            let limit = from.u64()?;
            level.limit = (limit > 0).then(|| Duration::from_micros(limit));
        }
        Ok(test)
    }

    pub(super) fn bytes(&self) -> usize {
        self.levels.capacity() * size_of::<Level>() + 2 * Coarse::bytes()
    }
}

fn countable_share(found: Option<Concentration>) -> f64 {
    found.map_or(1.0, |found| found.spread as f64 / found.of.max(1) as f64)
}

impl Level {
    /// Whether these would make the evidence greater, and more than none.
    fn gains_by(&self, batch: Batch, ratios: &[Ratio; 12]) -> bool {
        let bets = &self.bets.counts;
        batch.candidate.bad > 0
            && bets.value_after(even_factors(batch, ratios)) > bets.value().max(1.0)
    }

    fn look(
        &mut self,
        margin: Margin,
        candidate: &Answers<'_>,
        stable: &Answers<'_>,
        warm: bool,
    ) -> Option<Batch> {
        let now = self.counts(margin, candidate, stable);
        let before = std::mem::replace(&mut self.read, now);
        let (Some(now), Some(before), true) = (now, before, warm) else { return None };
        self.pending = self.pending.plus(Batch {
            candidate: whole(now.candidate.since(before.candidate)),
            stable: whole(now.stable.since(before.stable)),
        });
        if self.pending.candidate.of == 0 || self.pending.stable.of == 0 {
            return None;
        }
        let batch = std::mem::take(&mut self.pending);
        self.seen = self.seen.plus(batch);
        Some(batch)
    }

    /// What has passed its limit or is known to stay within it.
    fn counts(
        &self,
        margin: Margin,
        candidate: &Answers<'_>,
        stable: &Answers<'_>,
    ) -> Option<Batch> {
        let limit = self.limit?;
        Some(Batch {
            candidate: candidate.passed(margin.beyond(limit)),
            stable: stable.passed(limit),
        })
    }
}

/// One version's latencies with their sums, which every limit needs.
pub(super) struct Answers<'a> {
    pub(super) latencies: &'a VersionLatencies,
    pub(super) answered: Tails,
    /// `None` when nobody waits.
    waiting: Option<Tails>,
}

impl<'a> Answers<'a> {
    pub(super) fn new(latencies: &'a VersionLatencies) -> Self {
        let waiting = (latencies.waiting.total() > 0).then(|| latencies.waiting.tails());
        Self { latencies, answered: latencies.judged.tails(), waiting }
    }

    pub(super) fn waiting_above(&self, limit: Duration) -> u64 {
        self.waiting.as_ref().map_or(0, |waiting| waiting.above(limit))
    }

    /// Answers and waiting requests that took longer than `limit`, of those whose fate is known. A
    /// waiting one that leaves without an answer takes its count back, which [`Part::since`]
    /// ignores.
    pub(super) fn passed(&self, limit: Duration) -> Part {
        let waiting = self.waiting_above(limit);
        Part { bad: self.answered.above(limit) + waiting, of: self.answered.total() + waiting }
    }
}

/// An exceedance of a request that was counted before can come without its request.
pub(super) fn whole(part: Part) -> Part {
    Part { of: part.of.max(part.bad), ..part }
}
