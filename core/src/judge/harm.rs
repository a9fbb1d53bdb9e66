//! What the candidate has damaged, and how much of it stable would have damaged as well.
//!
//! No version is without failures. At a thousand requests a second and an error in two thousand, a
//! release that is as good as stable hurts fifty users in less than two minutes. So what
//! stable's share of failures explains at the same time is forgiven, up to the margin that the
//! plan accepts, and the cap holds for what goes beyond.
//!
//! Forgiveness that nobody needed is not saved up: a release that was good for a day and turns
//! bad would otherwise have a day's worth of failures free. Only so much is kept as to even out that
//! stable's failures come in ones and each speaks for many of the candidate's.

use super::compare::Batch;
use super::errors::{decode_batch, decode_part, encode_batch, encode_part};
use crate::measure::{Part, ServiceCounts};
use crate::rollout::{Harmed, Toll};
use crate::stored::{Reader, StoredError, Writer};
use crate::weights::BasisPoints;

/// Stable's share of failures is known from so many of its requests.
const TELLING: u64 = 1_000;
/// What so many failures of stable forgive is kept for later.
const KEPT: f64 = 10.0;

#[derive(Debug, Clone, Default)]
pub(super) struct Harm {
    failed: Toll,
    /// The data plane's count at the last look. Not stored: it begins at zero with each process.
    read: Option<Toll>,
    requests: Forgiveness,
    users: Forgiveness,
    /// What stable did in the day before this rollout.
    usual: Part,
}

#[derive(Debug, Clone, Copy, Default)]
struct Forgiveness {
    granted: f64,
    /// Not matched yet: until both versions had a request.
    open: Batch,
    /// Of this rollout.
    stable: Part,
}

/// What an error rate of stable is worth to the candidate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    /// How many times stable's share is still acceptable.
    pub(super) margin: f64,
    /// The candidate's weight.
    pub(super) weight: BasisPoints,
}

impl Harm {
    pub(super) fn know_usual(&mut self, usual: Part) {
        self.usual = usual;
    }

    /// The data plane counts an epoch from its first weight on; what it says before that is of the
    /// rollout before.
    pub(super) fn count(&mut self, counts: &ServiceCounts, weight: BasisPoints) {
        if weight == BasisPoints::ZERO {
            if self.failed == Toll::default() {
                self.read = Some(Toll::default());
            }
            return;
        }
        let now = Toll { requests: counts.failed_requests, users: counts.failed_users };
        let before = self.read.replace(now).unwrap_or(now);
        let gained = |now: u64, before: u64| if now < before { now } else { now - before };
        self.failed.requests += gained(now.requests, before.requests);
        self.failed.users += gained(now.users, before.users);
    }

    /// What both versions did since the last look: all failures, and those that were their
    /// user's first.
    pub(super) fn forgive(&mut self, all: Batch, first: Batch, rate: Rate) {
        self.requests.add(all, self.usual, rate, self.failed.requests);
        self.users.add(first, self.usual, rate, self.failed.users);
    }

    /// `repeated` failures are no harm of their own: a user or a stranger asks again for what fails.
    pub(super) fn so_far(&self, repeated: u64) -> Harmed {
        let read = self.read.unwrap_or_default();
        Harmed {
            failed_requests: self.failed.requests.saturating_sub(repeated),
            repeated,
            users: self.failed.users,
            forgiven: Toll {
                requests: self.requests.granted as u64,
                users: self.users.granted as u64,
            },
            earlier: Toll {
                requests: self.failed.requests.saturating_sub(read.requests),
                users: self.failed.users.saturating_sub(read.users),
            },
        }
    }

    pub(super) fn encode(&self, out: &mut Writer) {
        out.u64(self.failed.requests);
        out.u64(self.failed.users);
        encode_part(self.usual, out);
        for forgiveness in [self.requests, self.users] {
            out.f64(forgiveness.granted);
            encode_batch(forgiveness.open, out);
            encode_part(forgiveness.stable, out);
        }
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, StoredError> {
        Ok(Self {
            failed: Toll { requests: from.u64()?, users: from.u64()? },
            read: Some(Toll::default()),
            usual: decode_part(from)?,
            requests: Forgiveness::decode(from)?,
            users: Forgiveness::decode(from)?,
        })
    }
}

impl Forgiveness {
    fn add(&mut self, more: Batch, usual: Part, rate: Rate, failed: u64) {
        self.open = self.open.plus(more);
        self.stable = self.stable.plus(more.stable);
        let alone = rate.weight == BasisPoints::WHOLE;
        let Batch { candidate, stable } = self.open;
        if candidate.of == 0 || (stable.of == 0 && !alone) {
            return;
        }
        let share = stable.share().or_else(|| self.known(usual)).unwrap_or(0.0);
        self.open = Batch::default();
        let explained = rate.margin.max(1.0) * candidate.of as f64 * share;
        let most = failed as f64 + rate.kept();
        self.granted = (self.granted + explained).min(most).max(self.granted);
    }

    /// Where nothing runs beside the candidate: what stable did in this rollout, or else before. It is
    /// held on to for long and a few failures are a poor measure, so it is taken at the upper
    /// end of what they may mean; of none, none.
    fn known(&self, usual: Part) -> Option<f64> {
        let known = [self.stable, usual].into_iter().find(|part| part.of >= TELLING)?;
        let bad = known.bad as f64;
        Some((bad + 2.0 * bad.sqrt()) / known.of as f64)
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, StoredError> {
        let granted = from.f64()?;
        if !(0.0..1e17).contains(&granted) {
            return Err(StoredError::Nonsense("more is forgiven than could fail"));
        }
        Ok(Self { granted, open: decode_batch(from)?, stable: decode_part(from)? })
    }
}

impl Rate {
    /// The smaller stable's part, the more of the candidate's requests each of its failures is for.
    fn kept(self) -> f64 {
        let weight = self.weight.ratio();
        let each = if weight < 1.0 { (weight / (1.0 - weight)).max(1.0) } else { 1.0 };
        KEPT * self.margin.max(1.0) * each
    }
}
