//! The objectives of one service, kept whether or not a rollout is under way.
//!
//! Each version is held to them on its own requests: a candidate with 5% of the traffic that
//! fails one request in five moves the service by only 1%. The budget is the service's.

use super::budget::Budget;
use super::series::{Seen, Series};
use super::{BurnRule, Objectives, Severity};
use crate::ids::VersionName;
use crate::measure::{Part, Running, ServiceCounts, ServiceLatencies, Tally, VersionLatencies};
use crate::stored::{Reader, StoredError, Writer};
use crate::time::Mono;
use std::fmt;
use std::time::Duration;

/// Versions that are remembered; of more, the one that was absent for longest is forgotten.
const VERSIONS: usize = 8;
const TAG: u8 = 1;
/// Standard deviations, and failures, by which a rule must be broken before it is told at rest.
const CHANCE: f64 = 4.0;

/// What the operator promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Promise {
    Availability,
    Latency,
}

impl Promise {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Availability => "availability",
            Self::Latency => "latency",
        }
    }
}

#[derive(Debug, Clone)]
pub struct ServiceSlo {
    objectives: Objectives,
    versions: Vec<Kept>,
    budget: Budget,
    /// Added to the monotonic clock; makes one line of time of many processes.
    offset: i128,
    at: u64,
}

#[derive(Debug, Clone)]
struct Kept {
    version: VersionName,
    availability: Series,
    latency: Option<Series>,
    /// When the data plane last listed it.
    listed: u64,
}

/// One rule's two windows, for one promise of one version.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Burn {
    pub promise: Promise,
    /// Times the rate that would spend the budget exactly by the end of its window. `None` while
    /// too little of the window was watched.
    pub long: Option<f64>,
    pub short: Option<f64>,
    /// Requests in the long window.
    pub samples: u64,
}

impl Burn {
    /// What a rule compares with its threshold: both windows must be above.
    pub fn lower(&self) -> Option<f64> {
        Some(self.long?.min(self.short?))
    }
}

/// An urgent burn rule that a version breaks, whether or not it is in a rollout.
#[derive(Debug, Clone, PartialEq)]
pub struct Missed {
    pub rule: String,
    pub promise: Promise,
    /// Of its two windows the lower one.
    pub rate: f64,
    pub threshold: f64,
    pub severity: Severity,
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, promise, rate, threshold, .. } = self;
        let promise = promise.as_str();
        write!(
            f,
            "burning {rate:.1} times as fast as the {promise} budget allows (rule {rule}, its limit is {threshold})"
        )
    }
}

impl ServiceSlo {
    pub fn new(objectives: &Objectives, now: Mono) -> Self {
        Self {
            objectives: objectives.clone(),
            versions: Vec::new(),
            budget: Budget::new(objectives.window, now.0),
            offset: 0,
            at: now.0,
        }
    }

    /// After a reload. What was counted stays; another latency limit counts anew.
    pub fn set_objectives(&mut self, objectives: &Objectives) {
        let limit = |o: &Objectives| o.latency.as_ref().map(|l| l.under);
        if limit(objectives) != limit(&self.objectives) {
            self.versions.iter_mut().for_each(|kept| kept.latency = None);
        }
        if !self.budget.is_over(objectives.window) {
            self.budget = Budget::new(objectives.window, self.at);
        }
        self.objectives = objectives.clone();
    }

    pub fn objectives(&self) -> &Objectives {
        &self.objectives
    }

    fn line(&self, now: Mono) -> u64 {
        u64::try_from(i128::from(now.0) + self.offset).unwrap_or(0).max(self.at)
    }

    /// With every tick; `latencies` when there are some.
    pub fn observe(
        &mut self,
        counts: &ServiceCounts,
        latencies: Option<&ServiceLatencies>,
        now: Mono,
    ) {
        let at = self.line(now);
        let under = self.objectives.latency.as_ref().map(|l| l.under);
        let (mut all, mut all_slow) = (Part::default(), Part::default());
        for version in &counts.versions {
            let kept = self.kept(&version.version, at);
            let gained = kept.availability.observe(at, own(version.judged, version.rest));
            all = all.plus(gained);
            let slow = latencies
                .and_then(|l| l.versions.iter().find(|l| l.version == version.version))
                .zip(under);
            if let Some((latencies, under)) = slow {
                let series = kept.latency.get_or_insert_with(Series::new);
                all_slow = all_slow.plus(series.observe(at, slower(latencies, under)));
            }
        }
        self.budget.add(at, all, all_slow);
        self.at = at;
    }

    fn kept(&mut self, version: &VersionName, at: u64) -> &mut Kept {
        let index = self.versions.iter().position(|kept| kept.version == *version);
        let index = index.unwrap_or_else(|| {
            if self.versions.len() >= VERSIONS {
                let longest = (0..self.versions.len()).min_by_key(|i| self.versions[*i].listed);
                longest.map(|i| self.versions.swap_remove(i));
            }
            self.versions.push(Kept {
                version: version.clone(),
                availability: Series::new(),
                latency: None,
                listed: at,
            });
            self.versions.len() - 1
        });
        let kept = &mut self.versions[index];
        kept.listed = at;
        kept
    }

    /// What `version` answered over a window, as far as it was watched.
    pub fn done(&self, version: &VersionName, window: Duration, now: Mono) -> Option<Part> {
        let kept = self.versions.iter().find(|kept| kept.version == *version)?;
        Some(kept.availability.within(window, self.line(now)).part)
    }

    /// How fast `version` burns against availability over one window.
    pub fn burn_rate(&self, version: &VersionName, window: Duration, now: Mono) -> Option<f64> {
        let kept = self.versions.iter().find(|kept| kept.version == *version)?;
        rate(
            kept.availability.within(window, self.line(now)),
            self.objectives.availability.objective,
        )
    }

    /// One rule on one version: the promise that burns faster. `age` limits how far back is
    /// looked (a rollout is not charged for what the version did before it). A version younger
    /// than a window is judged on its life, and the short window is then 1/12 of it.
    pub fn burn(
        &self,
        rule: &BurnRule,
        version: &VersionName,
        age: Option<Duration>,
        now: Mono,
    ) -> Burn {
        let against = |promise| self.burn_against(promise, rule, version, age, now);
        let (availability, latency) = (against(Promise::Availability), against(Promise::Latency));
        if latency.lower() > availability.lower() { latency } else { availability }
    }

    /// The same for one promise.
    pub fn burn_against(
        &self,
        promise: Promise,
        rule: &BurnRule,
        version: &VersionName,
        age: Option<Duration>,
        now: Mono,
    ) -> Burn {
        let kept = self.versions.iter().find(|kept| kept.version == *version);
        let promised = match promise {
            Promise::Availability => {
                kept.map(|kept| (&kept.availability, self.objectives.availability.objective))
            }
            Promise::Latency => kept.and_then(|kept| {
                let objective = self.objectives.latency.as_ref()?.objective;
                Some((kept.latency.as_ref()?, objective))
            }),
        };
        let nothing = Burn { promise, long: None, short: None, samples: 0 };
        promised.map_or(nothing, |(series, objective)| {
            burn_of(series, promise, objective, rule, age, self.line(now))
        })
    }

    /// The first urgent rule (P1 or P2) that `version` breaks by more than chance, over all that is
    /// known of it. A slow drip is no alarm.
    pub fn missed(&self, version: &VersionName, now: Mono) -> Option<Missed> {
        let urgent = |rule: &&BurnRule| match rule.severity {
            Severity::P1 | Severity::P2 => true,
            Severity::P3 => false,
        };
        self.objectives.burn_rates.iter().filter(urgent).find_map(|rule| {
            let burn = self.burn(rule, version, None, now);
            let rate = burn.lower().filter(|rate| *rate > rule.above)?;
            let objective = match burn.promise {
                Promise::Availability => self.objectives.availability.objective,
                Promise::Latency => self.objectives.latency.as_ref()?.objective,
            };
            let of = burn.samples as f64;
            let bad = burn.long? * (1.0 - objective) * of;
            let expected = rule.above * (1.0 - objective) * of;
            (bad >= expected + CHANCE * expected.sqrt() + CHANCE).then(|| Missed {
                rule: rule.name.clone(),
                promise: burn.promise,
                rate,
                threshold: rule.above,
                severity: rule.severity,
            })
        })
    }

    /// The share of the service's error budget that is left over the objectives' window: the
    /// scarcer promise. Negative when overspent, `None` before any traffic.
    pub fn budget_left(&self) -> Option<f64> {
        let [availability, latency] = self.budgets();
        match (availability, latency) {
            (Some(a), Some(l)) => Some(a.min(l)),
            (a, l) => a.or(l),
        }
    }

    /// Availability's share and latency's.
    pub fn budgets(&self) -> [Option<f64>; 2] {
        self.budget.left([
            Some(self.objectives.availability.objective),
            self.objectives.latency.as_ref().map(|l| l.objective),
        ])
    }

    /// What to store every few seconds and on shutdown: at most 34 KB a version and promise,
    /// usually a few.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::tagged(TAG);
        out.u64(self.at);
        out.u64(self.objectives.latency.as_ref().map_or(0, |l| micros(l.under)));
        self.budget.encode(&mut out);
        out.u64(self.versions.len() as u64);
        for kept in &self.versions {
            out.text(kept.version.as_str());
            out.u64(kept.listed);
            kept.availability.encode(&mut out);
            out.bool(kept.latency.is_some());
            if let Some(latency) = &kept.latency {
                latency.encode(&mut out);
            }
        }
        out.finish()
    }

    /// Goes on after `downtime`, as far as it is known (a wall clock that went back counts as none).
    pub fn decode(
        objectives: &Objectives,
        bytes: &[u8],
        downtime: Duration,
        now: Mono,
    ) -> Result<Self, StoredError> {
        let mut from = Reader::tagged(bytes, TAG)?;
        let stopped = from.u64()?;
        let resumed = stopped.saturating_add(super::series::millis(downtime));
        if resumed > u64::MAX / 4 {
            return Err(StoredError::Nonsense("a time is too far away"));
        }
        let same_limit = from.u64()? == objectives.latency.as_ref().map_or(0, |l| micros(l.under));
        let mut budget = Budget::decode(&mut from)?;
        budget.turn_to(resumed);
        if !budget.is_over(objectives.window) {
            budget = Budget::new(objectives.window, resumed);
        }
        let mut versions = Vec::new();
        for _ in 0..from.count(VERSIONS)? {
            let version = VersionName::new(from.text()?)
                .map_err(|_| StoredError::Nonsense("a version's name is none"))?;
            let listed = from.u64()?;
            let mut availability = Series::decode(&mut from)?;
            let mut latency = if from.bool()? { Some(Series::decode(&mut from)?) } else { None };
            availability.gap(stopped, resumed);
            latency.iter_mut().for_each(|series| series.gap(stopped, resumed));
            let latency = latency.filter(|_| same_limit);
            versions.push(Kept { version, availability, latency, listed });
        }
        from.finish()?;
        let offset = i128::from(resumed) - i128::from(now.0);
        Ok(Self { objectives: objectives.clone(), versions, budget, offset, at: resumed })
    }

    /// Roughly how much memory it holds.
    pub fn bytes(&self) -> usize {
        let series = |kept: &Kept| {
            kept.availability.bytes() + kept.latency.as_ref().map_or(0, Series::bytes)
        };
        size_of::<Self>()
            + self.versions.capacity() * size_of::<Kept>()
            + self.versions.iter().map(series).sum::<usize>()
            + self.budget.bytes()
    }
}

/// Everything a version answered for itself, judged or not; forced cohorts and aborts are
/// excluded already.
fn own(judged: Tally, rest: Tally) -> Part {
    let all = judged.plus(rest);
    Part { bad: all.bad, of: all.exposures() }
}

/// A hang is slow as soon as its age passes the limit, and not only when it ends.
fn slower(latencies: &VersionLatencies, under: Duration) -> Running {
    let (judged, rest) = (latencies.judged.above_of(under), latencies.rest.above_of(under));
    Running {
        ended: Part { bad: judged.0 + rest.0, of: judged.1 + rest.1 },
        waiting: latencies.waiting.above_of(under).0,
    }
}

fn burn_of(
    series: &Series,
    promise: Promise,
    objective: f64,
    rule: &BurnRule,
    age: Option<Duration>,
    at: u64,
) -> Burn {
    let life = series.life(at).min(age.unwrap_or(Duration::MAX));
    let (long, short) =
        if life < rule.long { (life, rule.short.min(life / 12)) } else { (rule.long, rule.short) };
    let seen = series.within(long, at);
    Burn {
        promise,
        long: rate(seen, objective),
        short: rate(series.within(short, at), objective),
        samples: seen.part.of,
    }
}

fn rate(seen: Seen, objective: f64) -> Option<f64> {
    seen.covered.then(|| seen.part.share().unwrap_or(0.0) / (1.0 - objective))
}

fn micros(d: Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX)
}
