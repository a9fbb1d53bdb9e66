//! Records that are true and not yet durable: what lowers a weight while the disk is in the way.
//!
//! They are kept until they are written, however long that takes, so they are bounded by merging:
//! of each service, rollout and freeze the latest counts, and it is never thrown away. Evidence
//! and old events are, and are counted.

use super::schema::Record;
use std::collections::HashSet;

/// Beyond so many they are merged.
const RECORDS: usize = 4_000;
/// Of the newest, when they are merged.
const EVENTS: usize = 1_000;
const KEYS: usize = 1_000;

#[derive(Debug, Default)]
pub(super) struct Unwritten {
    records: Vec<Record>,
    /// The number of the latest commit in here.
    upto: u64,
    /// Left by the last merge: the next is due at twice as many.
    merged: usize,
}

impl Unwritten {
    /// Adds one commit, and says how many records were thrown away for it.
    pub(super) fn add(&mut self, records: Vec<Record>, number: u64) -> u64 {
        self.records.extend(records);
        self.upto = self.upto.max(number);
        if self.records.len() <= RECORDS.max(2 * self.merged) {
            return 0;
        }
        let before = self.records.len();
        self.records = merge(std::mem::take(&mut self.records));
        self.merged = self.records.len();
        (before - self.merged) as u64
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(super) fn records(&self) -> &[Record] {
        &self.records
    }

    pub(super) fn upto(&self) -> u64 {
        self.upto
    }

    pub(super) fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    pub(super) fn into_records(self) -> Vec<Record> {
        self.records
    }
}

/// The same in the end, with fewer records.
fn merge(records: Vec<Record>) -> Vec<Record> {
    let (mut services, mut rollouts, mut terms) = (HashSet::new(), HashSet::new(), HashSet::new());
    let (mut freezes, mut events, mut keys) = (0, 0, 0);
    let one_more = |count: &mut usize, bound: usize| {
        *count += 1;
        *count <= bound
    };
    let mut kept: Vec<Record> = Vec::new();
    for record in records.into_iter().rev() {
        let keep = match &record {
            Record::Position { service, .. } => services.insert(service.clone()),
            Record::Rollout(rollout) => rollouts.insert(rollout.id.clone()),
            Record::Terms { id, .. } => terms.insert(id.clone()),
            Record::Freeze { .. } => one_more(&mut freezes, 1),
            Record::Event(_) => one_more(&mut events, EVENTS),
            Record::Key(_) => one_more(&mut keys, KEYS),
            Record::Decision(_) => false,
        };
        if keep {
            kept.push(record);
        }
    }
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::schema::Shaped;
    use serin_core::ids::VersionName;
    use serin_core::rollout::{Identity, Position};

    fn position(service: usize, revision: u64) -> Record {
        let version = VersionName::new("v1").unwrap();
        let stable = Identity { version, release: "v1".to_owned() };
        let position = Box::new(Shaped(Position::at_rest(stable)));
        let listed = None;
        Record::Position { service: format!("s{service}"), revision, position, listed }
    }

    #[test]
    fn of_every_service_the_latest_position_is_kept_however_many_come() {
        const SERVICES: usize = 1_500;
        let mut unwritten = Unwritten::default();
        let mut lost = 0;
        for revision in 1..=8 {
            for service in 0..SERVICES {
                let number = revision * 10_000 + service as u64;
                lost += unwritten.add(vec![position(service, revision)], number);
            }
            assert!(unwritten.records().len() <= RECORDS.max(2 * SERVICES) + 1);
        }
        assert!(lost > 0);
        assert_eq!(unwritten.upto(), 80_000 + SERVICES as u64 - 1);
        let mut latest = std::collections::BTreeMap::new();
        for record in unwritten.records() {
            let Record::Position { service, revision, .. } = record else { panic!() };
            latest.insert(service.clone(), *revision);
        }
        assert_eq!(latest.len(), SERVICES);
        assert!(latest.values().all(|revision| *revision == 8));
    }
}
