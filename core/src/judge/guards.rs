//! The operator's own rules, each with its window and its proof.
//!
//! A guard is *breached* when the numbers of its window are beyond the threshold, and *proven* when
//! chance alone does not explain it at the plan's false alarm rate. Only both together act, so
//! one error among twenty requests is no verdict. How long a breach must stand (`for`) is
//! the rollout's business.

use super::bets::Bets;
use super::compare::{Batch, factors};
use super::own::{OWN, Own};
use super::rate::RateTest;
use super::recent::Recent;
use super::slow_clients::Countable;
use super::twofold::Twofold;
use crate::measure::Part;
use crate::rollout::{Compared, Guard, GuardReading, MissingReading, Rule, Samples, Value};
use crate::stored::{Reader, StoredError, Writer};
use std::time::Duration;

/// Fewer failures of stable may be chance.
const TELLING: u64 = 3;
/// Of the signal's own margin: how much lower the alternatives are.
const LOWER: [f64; 7] = [0.9, 0.8, 0.65, 0.5, 0.3, 0.1, 0.02];

#[derive(Debug, Clone)]
pub(super) struct Watched {
    pub(super) guard: Guard,
    watch: Twofold<Watch>,
    countable: Countable,
}

/// A guard's proof and its window.
#[derive(Debug, Clone)]
struct Watch {
    test: Test,
    recent: Recent,
    /// Pushes of a signal that still lack their counterpart.
    pending: Batch,
    /// Of guards that stable can breach as well. Not stored.
    own: Option<Own>,
}

#[derive(Debug, Clone)]
enum Test {
    Rate(Box<RateTest>),
    /// The candidate's share of good ones against stable's.
    Ratio {
        margin: f64,
        bets: Bets<7>,
    },
}

/// What one tick adds for one guard.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum More {
    /// Both versions' requests, all at once.
    Requests(Batch),
    /// A push for one version; the other side is empty. `bad` of it are the *good* ones where
    /// the guard compares with stable.
    Push(Batch),
}

impl Watched {
    pub(super) fn new(guard: &Guard) -> Self {
        let rate = |limit| Test::Rate(Box::new(RateTest::new(limit)));
        let test = match &guard.rule {
            Rule::ErrorRate { above }
            | Rule::ShadowMismatch { above }
            | Rule::ShadowErrors { above } => rate(*above),
            Rule::Latency { quantile, .. } => rate(1.0 - quantile),
            Rule::Signal { below, of: Compared::Absolute, .. } => rate(1.0 - below),
            Rule::Signal { below, of: Compared::Baseline, .. } => {
                Test::Ratio { margin: below.max(1e-6), bets: Bets::in_instalments() }
            }
        };
        let own = match &guard.rule {
            Rule::ErrorRate { .. } | Rule::Latency { .. } if !guard.absolute => Some(Own::new()),
            Rule::ErrorRate { .. }
            | Rule::Latency { .. }
            | Rule::Signal { .. }
            | Rule::ShadowMismatch { .. }
            | Rule::ShadowErrors { .. } => None,
        };
        let recent = Recent::new(guard.over);
        let watch = Twofold::new(Watch { test, recent, pending: Batch::default(), own });
        Self { guard: guard.clone(), watch, countable: Countable::default() }
    }

    /// What counts, and all of it.
    pub(super) fn observe(&mut self, counted: More, all: More, at: u64) {
        self.watch.observe(counted, all, |watch, more| watch.observe(more, at));
    }

    /// The same of slow requests, of which `countable` says what share counts. It is asked only where they would
    /// be evidence.
    pub(super) fn observe_slow(&mut self, all: Batch, countable: impl FnOnce() -> f64, at: u64) {
        let mut counted = all;
        if let Test::Rate(test) = &self.watch.counts.test
            && test.gains_by(all.candidate)
        {
            counted.candidate = self.countable.of(all.candidate, countable());
        }
        self.observe(More::Requests(counted), More::Requests(all), at);
    }

    pub(super) fn stage(&mut self) {
        self.watch.each(|watch| watch.recent.stage());
    }

    /// Whether so many failures in a row would make the guard act; never for a rule that failures
    /// say nothing about, or that does not act at once.
    pub(super) fn acts_after(&self, failures: f64, needed: f64, at: u64) -> bool {
        let watch = &self.watch.counts;
        match (&self.guard.rule, &watch.test) {
            (Rule::ErrorRate { above }, Test::Rate(test)) => {
                let seen = watch.recent.seen(at);
                let candidate = seen.candidate;
                let share = (candidate.bad as f64 + failures) / (candidate.of as f64 + failures);
                let alone = share > *above && !watch.is_shared(share, seen, *above);
                self.guard.lasting.is_zero() && alone && test.value_after(failures) >= needed
            }
            (
                Rule::ErrorRate { .. }
                | Rule::Latency { .. }
                | Rule::Signal { .. }
                | Rule::ShadowMismatch { .. }
                | Rule::ShadowErrors { .. },
                Test::Rate(_) | Test::Ratio { .. },
            ) => false,
        }
    }

    /// Of a latency guard that has proof and is beyond its limit: that limit, the candidate's share beyond it
    /// and the share that is allowed.
    pub(super) fn too_slow(&self, needed: f64, at: u64) -> Option<(Duration, (f64, f64))> {
        let Rule::Latency { quantile, above } = self.guard.rule else { return None };
        let watch = self.watch.all().unwrap_or(&self.watch.counts);
        let share = watch.recent.seen(at).candidate.share()?;
        let allowed = 1.0 - quantile;
        (watch.value() >= needed && share > allowed).then_some((above, (share, allowed)))
    }

    /// `lately` gives the candidate's and stable's value of a quantile.
    pub(super) fn reading(
        &self,
        needed: f64,
        lately: impl Fn(f64) -> (Option<Duration>, Option<Duration>),
        at: u64,
    ) -> GuardReading {
        let counted = self.watch.counts.reading(&self.guard, needed, &lately, at);
        let acts = |reading: &GuardReading| reading.breached && reading.proven;
        let all = self.watch.all().map(|watch| watch.reading(&self.guard, needed, &lately, at));
        match all.filter(|all| acts(all) && !acts(&counted)) {
            Some(all) => {
                let (breached, proven) = (counted.breached, counted.proven);
                GuardReading { breached, proven, of_few_clients: true, ..all }
            }
            None => counted,
        }
    }

    pub(super) fn encode(&self, out: &mut Writer) {
        let watch = &self.watch.counts;
        match &watch.test {
            Test::Rate(test) => test.encode(out),
            Test::Ratio { bets, .. } => bets.encode(out),
        }
        watch.recent.encode(out);
    }

    pub(super) fn decode(guard: &Guard, from: &mut Reader<'_>) -> Result<Self, StoredError> {
        let mut watched = Self::new(guard);
        let watch = &mut watched.watch.counts;
        match &mut watch.test {
            Test::Rate(test) => **test = RateTest::decode(test.limit(), from)?,
            Test::Ratio { bets, .. } => bets.decode(from)?,
        }
        watch.recent = Recent::decode(guard.over, from)?;
        Ok(watched)
    }

    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + size_of::<RateTest>() + self.watch.counts.recent.bytes()
    }
}

impl Watch {
    fn observe(&mut self, more: More, at: u64) {
        let batch = match more {
            More::Requests(batch) | More::Push(batch) => batch,
        };
        self.recent.add(batch, at);
        match &mut self.test {
            Test::Rate(test) => test.observe(batch.candidate),
            Test::Ratio { margin, bets } => {
                self.pending = self.pending.plus(batch);
                if self.pending.candidate.of > 0 && self.pending.stable.of > 0 {
                    let ratios = LOWER.map(|share| share * *margin);
                    bets.play(factors(std::mem::take(&mut self.pending), *margin, &ratios));
                }
            }
        }
        if let Some(own) = &mut self.own {
            own.observe(batch, at);
        }
    }

    fn value(&self) -> f64 {
        match &self.test {
            Test::Rate(test) => test.value(),
            Test::Ratio { bets, .. } => bets.value(),
        }
    }

    /// Whether going back would mend nothing: stable is beyond the same limit, or so near to the candidate that
    /// both decay together, or chance may have made the difference.
    fn is_shared(&self, share: f64, seen: Batch, limit: f64) -> bool {
        let Some(own) = &self.own else { return false };
        let stables = seen.stable.share().filter(|_| seen.stable.bad >= TELLING);
        let near = stables.is_some_and(|stables| stables > limit || share <= OWN * stables);
        near || own.is_proven(seen) == Some(false)
    }

    fn reading(
        &self,
        guard: &Guard,
        needed: f64,
        lately: &impl Fn(f64) -> (Option<Duration>, Option<Duration>),
        at: u64,
    ) -> GuardReading {
        let seen = self.recent.seen(at);
        let mut reading = GuardReading {
            name: guard.name.clone(),
            observed: None,
            threshold: Value::Share(0.0),
            stable: None,
            samples: Samples { seen: seen.candidate.of, needed: 0 },
            breached: false,
            proven: self.value() >= needed,
            shared: false,
            of_few_clients: false,
            missing: None,
        };
        let shared = |limit: f64| {
            let share = seen.candidate.share();
            share.is_some_and(|share| self.is_shared(share, seen, limit))
        };
        match &guard.rule {
            Rule::ErrorRate { above } => {
                read_rate(&mut reading, seen, *above);
                reading.shared = reading.breached && shared(*above);
                reading.missing = reading.observed.is_none().then_some(MissingReading::TooFew);
            }
            Rule::ShadowMismatch { above } | Rule::ShadowErrors { above } => {
                read_rate(&mut reading, seen, *above);
                reading.missing = reading.observed.is_none().then_some(MissingReading::NoShadow);
            }
            Rule::Latency { quantile, above } => {
                read_quantile(&mut reading, seen, *quantile, *above, lately(*quantile));
                reading.shared = reading.breached && shared(1.0 - quantile);
            }
            Rule::Signal { below, of: Compared::Absolute, .. } => {
                read_signal(&mut reading, seen, *below);
            }
            Rule::Signal { below, of: Compared::Baseline, .. } => {
                read_ratio(&mut reading, seen, *below);
            }
        }
        if let (Test::Rate(test), Some(share), true) =
            (&self.test, seen.candidate.share(), reading.breached)
        {
            reading.samples.needed = match reading.proven {
                true => seen.candidate.of,
                false => test.samples_needed(share, needed).max(seen.candidate.of + 1),
            };
        }
        reading
    }
}

fn read_rate(reading: &mut GuardReading, seen: Batch, above: f64) {
    reading.threshold = Value::Share(above);
    reading.observed = seen.candidate.share().map(Value::Share);
    reading.stable = seen.stable.share().map(Value::Share);
    reading.breached = seen.candidate.share().is_some_and(|share| share > above);
}

/// `p95 > 2s` is exactly "more than 5% slower than 2 s". The quantile itself is shown for the eye,
/// of the last minute or two, and never on the other side of the threshold than the count.
fn read_quantile(
    reading: &mut GuardReading,
    seen: Batch,
    quantile: f64,
    above: Duration,
    (candidate, stable): (Option<Duration>, Option<Duration>),
) {
    reading.threshold = Value::Time(above);
    let shown = |beyond: bool, lately: Duration| {
        Value::Time(if beyond { lately.max(above) } else { lately.min(above) })
    };
    let beyond = |part: Part| part.share().map(|share| share > 1.0 - quantile);
    reading.stable = stable.map(|lately| match beyond(seen.stable) {
        Some(beyond) => shown(beyond, lately),
        None => Value::Time(lately),
    });
    let Some(breached) = beyond(seen.candidate) else {
        reading.missing = Some(MissingReading::TooFew);
        return;
    };
    reading.breached = breached;
    reading.observed = Some(shown(breached, candidate.unwrap_or(above)));
}

/// `bad` are those that were not good.
fn read_signal(reading: &mut GuardReading, seen: Batch, below: f64) {
    let good = |part: Part| part.share().map(|share| 1.0 - share);
    reading.threshold = Value::Share(below);
    reading.observed = good(seen.candidate).map(Value::Share);
    reading.stable = good(seen.stable).map(Value::Share);
    reading.breached = good(seen.candidate).is_some_and(|share| share < below);
    reading.missing = reading.observed.is_none().then_some(MissingReading::NoSignal);
}

/// `bad` are the good ones: what is compared is how often they come.
fn read_ratio(reading: &mut GuardReading, seen: Batch, below: f64) {
    reading.threshold = Value::Ratio(below);
    reading.stable = seen.stable.share().map(Value::Share);
    match (seen.candidate.share(), seen.stable.share()) {
        (None, _) => reading.missing = Some(MissingReading::NoSignal),
        (Some(_), None) => reading.missing = Some(MissingReading::NoBaseline),
        (Some(_), Some(0.0)) => reading.missing = Some(MissingReading::NoBaseline),
        (Some(candidate), Some(stable)) => {
            let ratio = candidate / stable;
            reading.observed = Some(Value::Ratio(ratio));
            reading.breached = ratio < below;
            reading.samples.needed = seen.candidate.of;
        }
    }
}
