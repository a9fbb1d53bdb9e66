//! The judge's state as bytes, for a process that may be killed at any moment.
//!
//! Each test is stored with the question that it asks. When the configuration changed while
//! nobody ran, tests with another question begin anew and the rest go on. Readings of the
//! data plane's counters are not stored: those begin at zero with the process.

use super::bounded::Bounded;
use super::errors::{Batching, ErrorsTest, decode_batch, encode_batch};
use super::gained::Shadow;
use super::guards::Watched;
use super::harm::Harm;
use super::promotion::Promotion;
use super::rate::RateTest;
use super::recent::Recent;
use super::slower::{Margin, SlownessTest};
use super::suite::{allowed, named};
use super::trial::{Accused, Course, Judge, LATELY};
use super::twofold::Twofold;
use crate::ids::VersionName;
use crate::rollout::{Plan, Stage};
use crate::slo::Objectives;
use crate::stored::{Reader, StoredError, Writer};
use crate::time::Mono;
use crate::weights::BasisPoints;
use std::time::Duration;

/// Form 3 is of releases that did not know of bounded harm, form 2 of those whose candidates could not step
/// aside either.
const FORM: u8 = 4;
const WITH_RETURNS: u8 = 3;
const OLDEST: u8 = 2;
/// More guards or rules than this are not in any sound configuration.
const MOST: usize = 1_024;

impl Judge {
    /// What to store every few seconds and on shutdown: a few KB.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::tagged(FORM);
        self.course.encode(&mut out);
        out.u64(self.course.stage_at);
        self.tests.bounded.encode(&mut out);
        let tests = &self.tests;
        tests.batching.encode(&mut out);
        tests.recent.encode(&mut out);
        let (margin, allowed) = (self.plan.regression.errors, allowed(&self.objectives));
        out.block(&(margin, allowed), |out| {
            tests.errors.counts.encode(out);
            tests.promotion.iter().for_each(|bet| bet.encode(out));
        });
        let named = named(&self.plan, &self.objectives);
        let margin = Margin::of(&self.plan.regression);
        out.block(&(margin, named), |out| tests.slowness.encode(out));
        out.u64(tests.guards.len() as u64);
        for watched in &tests.guards {
            out.block(&watched.guard, |out| watched.encode(out));
        }
        out.u64(tests.burns.len() as u64 * 2);
        for test in tests.burns.as_flattened() {
            let test = &test.rate.counts;
            out.block(&test.limit(), |out| test.encode(out));
        }
        out.finish()
    }

    /// Goes on after `downtime` with everything that was known, against counters that begin anew.
    pub fn decode(
        plan: &Plan,
        objectives: &Objectives,
        stable: &VersionName,
        bytes: &[u8],
        downtime: Duration,
        now: Mono,
    ) -> Result<Self, StoredError> {
        let (mut from, form) = Reader::of_forms(bytes, OLDEST..=FORM)?;
        let (mut course, mut bounded) =
            (Course::decode(&mut from, form >= WITH_RETURNS)?, Bounded::default());
        if form == FORM {
            course.stage_at = from.u64()?;
            bounded = Bounded::decode(&mut from)?;
        }
        let mut judge = Self::new(plan, &objectives.learnt_from(bounded.usual()), stable);
        (judge.course, judge.tests.bounded) = (course, bounded);
        let missed = u64::try_from(downtime.as_millis()).unwrap_or(u64::MAX);
        judge.course.at = judge.course.at.saturating_add(missed);
        if judge.course.at > u64::MAX / 4 {
            return Err(StoredError::Nonsense("a time is too far away"));
        }
        judge.offset = i128::from(judge.course.at) - i128::from(now.0);
        judge.decode_tests(&mut from)?;
        from.finish()?;
        Ok(judge)
    }

    fn decode_tests(&mut self, from: &mut Reader<'_>) -> Result<(), StoredError> {
        let tests = &mut self.tests;
        tests.batching = Batching::decode(from)?;
        tests.recent = Recent::decode(LATELY, from)?;
        let (margin, allowed) = (self.plan.regression.errors, allowed(&self.objectives));
        if let Some(mut block) = from.block(&(margin, allowed))? {
            tests.errors = Twofold::new(ErrorsTest::decode(margin, allowed, &mut block)?);
            for bet in &mut tests.promotion {
                *bet = Promotion::decode(margin, allowed, &mut block)?;
            }
            block.finish()?;
        }
        let (margin, named) =
            (Margin::of(&self.plan.regression), named(&self.plan, &self.objectives));
        if let Some(mut block) = from.block(&(margin, named.clone()))? {
            tests.slowness = SlownessTest::decode(margin, &named, &mut block)?;
            block.finish()?;
        }
        for _ in 0..from.count(MOST)? {
            let stored = from.any_block()?;
            for watched in &mut tests.guards {
                if let Some(mut block) = stored.answers(&watched.guard) {
                    *watched = Watched::decode(&watched.guard, &mut block)?;
                    block.finish()?;
                }
            }
        }
        let count = from.count(MOST)?;
        let mut burns = tests.burns.as_flattened_mut().iter_mut();
        for _ in 0..count {
            let stored = from.any_block()?;
            let Some(burn) = burns.next() else { continue };
            let test = &mut burn.rate.counts;
            if let Some(mut block) = stored.answers(&test.limit()) {
                *test = RateTest::decode(test.limit(), &mut block)?;
                block.finish()?;
            }
        }
        Ok(())
    }
}

impl Course {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.at);
        out.u64(self.born.map_or(0, |born| born + 1));
        out.u64(match self.stage {
            None => 0,
            Some(Stage::Before) => 1,
            Some(Stage::Dark) => 2,
            Some(Stage::Step(index)) => 3 + u64::from(index),
        });
        out.u64(u64::from(self.weight.get()));
        out.u64(u64::from(self.returns));
        encode_batch(self.step, out);
        self.harm.encode(out);
        for count in [self.shadow.compared, self.shadow.mismatched, self.shadow.failed] {
            out.u64(count);
        }
    }

    fn decode(from: &mut Reader<'_>, has_returns: bool) -> Result<Self, StoredError> {
        let (at, born) = (from.u64()?, from.u64()?.checked_sub(1));
        let stage = match from.count(3 + usize::from(u16::MAX))? {
            0 => None,
            1 => Some(Stage::Before),
            2 => Some(Stage::Dark),
            index => u16::try_from(index - 3).ok().map(Stage::Step),
        };
        let weight = u16::try_from(from.u64()?).ok().and_then(BasisPoints::new);
        Ok(Self {
            at,
            born,
            stage,
            stage_at: at,
            weight: weight.ok_or(StoredError::Nonsense("a weight is past the whole"))?,
            returns: match has_returns {
                true => u32::try_from(from.u64()?).unwrap_or(u32::MAX),
                false => 0,
            },
            step: decode_batch(from)?,
            harm: Harm::decode(from)?,
            shadow: Shadow { compared: from.u64()?, mismatched: from.u64()?, failed: from.u64()? },
            tripped: false,
            aside: false,
            accused: Accused::default(),
            overruled: false,
        })
    }
}
