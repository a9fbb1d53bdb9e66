//! What the journal's lines add up to. Bounded: old evidence, events and keys are forgotten, and a
//! compaction writes only what is remembered.

use super::Lead;
use super::schema::{
    Decision, Event, Freeze, Key, Line, Listing, Record, Rollout, Shaped, TermsShape,
};
use serin_core::rollout::{Listed, Position, Terms};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

const ROLLOUTS: usize = 1_000;
/// Of the newest so many rollouts the decisions are kept too.
const WITH_EVIDENCE: usize = 64;
/// Of one rollout: the first and the latest say the most.
const DECISIONS: usize = 96;
const EVENTS: usize = 10_000;
const KEYS: usize = 1_000;

#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    /// By service, with its revision.
    pub(crate) positions: BTreeMap<String, (u64, Position)>,
    /// By service: what its versions were in the configuration that was last in force.
    pub(crate) listings: BTreeMap<String, Vec<Listed>>,
    pub(crate) freeze: Option<Freeze>,
    /// The oldest first.
    pub(crate) rollouts: VecDeque<Rollout>,
    /// By rollout, the oldest first.
    pub(crate) decisions: BTreeMap<String, VecDeque<Arc<Decision>>>,
    pub(crate) terms: BTreeMap<String, Arc<Terms>>,
    pub(crate) events: VecDeque<Event>,
    pub(crate) last_event: u64,
    pub(crate) keys: VecDeque<Key>,
    /// Whether what this process raises counts.
    pub(crate) lead: Lead,
    /// Why the last write failed, while it does.
    pub(crate) fault: Option<String>,
    /// Records that a failing disk made us throw away.
    pub(crate) lost: u64,
}

impl Memory {
    pub(crate) fn apply(&mut self, record: &Record) {
        match record {
            Record::Position { service, revision, position, listed } => {
                if let Some(listed) = listed {
                    self.listings.insert(service.clone(), listed.versions());
                }
                self.positions.insert(service.clone(), (*revision, position.0.clone()));
            }
            Record::Terms { id, terms } => {
                self.terms.insert(id.clone(), Arc::new(terms.0.clone()));
            }
            Record::Decision(decision) => self.remember(decision),
            Record::Rollout(rollout) => self.rollout(rollout),
            Record::Event(event) => {
                self.last_event = self.last_event.max(event.id);
                push_bounded(&mut self.events, Event::clone(event), EVENTS);
            }
            Record::Freeze { freeze } => self.freeze.clone_from(freeze),
            Record::Key(key) => push_bounded(&mut self.keys, Key::clone(key), KEYS),
        }
    }

    fn remember(&mut self, decision: &Decision) {
        let of_rollout = self.decisions.entry(decision.rollout.clone()).or_default();
        of_rollout.push_back(Arc::new(decision.clone()));
        if of_rollout.len() > DECISIONS {
            of_rollout.remove(DECISIONS / 4);
        }
    }

    fn rollout(&mut self, rollout: &Rollout) {
        match self.rollouts.iter_mut().rev().find(|known| known.id == rollout.id) {
            Some(known) => known.clone_from(rollout),
            None => {
                push_bounded(&mut self.rollouts, rollout.clone(), ROLLOUTS);
                self.forget_evidence();
            }
        }
    }

    fn forget_evidence(&mut self) {
        let newest: Vec<&str> =
            self.rollouts.iter().rev().take(WITH_EVIDENCE).map(|r| r.id.as_str()).collect();
        self.decisions.retain(|id, _| newest.contains(&id.as_str()));
        let decisions = &self.decisions;
        self.terms.retain(|id, _| decisions.values().flatten().any(|d| d.terms == *id));
    }

    pub(crate) fn events_after(&self, id: u64) -> Vec<Event> {
        let from = self.events.partition_point(|event| event.id <= id);
        self.events.range(from..).cloned().collect()
    }

    pub(crate) fn find_rollout(&self, id: &str) -> Option<&Rollout> {
        self.rollouts.iter().rev().find(|r| r.id == id)
    }

    /// The latest decision about a service's rollouts.
    pub(crate) fn last_decision(&self, service: &str) -> Option<Arc<Decision>> {
        let newest = self.rollouts.iter().rev().filter(|r| r.service == service);
        newest.filter_map(|r| self.decisions.get(&r.id)?.back().cloned()).next()
    }

    /// The fewest lines that add up to the same memory.
    pub(crate) fn lines(&self) -> impl Iterator<Item = Line> + '_ {
        let positions = self.positions.iter().map(|(service, (revision, position))| {
            let position = Box::new(Shaped(position.clone()));
            let listed = self.listings.get(service).map(|listed| Listing::new(listed));
            Record::Position { service: service.clone(), revision: *revision, position, listed }
        });
        let freeze = std::iter::once(Record::Freeze { freeze: self.freeze.clone() });
        let rollouts = self.rollouts.iter().map(|r| Record::Rollout(Box::new(r.clone())));
        let terms = self.terms.iter().map(|(id, terms)| {
            let terms = Box::new(Shaped::<TermsShape>(Terms::clone(terms)));
            Record::Terms { id: id.clone(), terms }
        });
        let decisions = self.decisions.values().flatten();
        let decisions = decisions.map(|d| Record::Decision(Box::new(Decision::clone(d))));
        let events = self.events.iter().map(|e| Record::Event(Box::new(e.clone())));
        let keys = self.keys.iter().map(|k| Record::Key(Box::new(k.clone())));
        let state = positions.chain(freeze).collect();
        std::iter::once(Line { records: state }).chain(
            rollouts
                .chain(terms)
                .chain(decisions)
                .chain(events)
                .chain(keys)
                .map(|record| Line { records: vec![record] }),
        )
    }
}

fn push_bounded<T>(queue: &mut VecDeque<T>, item: T, bound: usize) {
    if queue.len() >= bound {
        queue.pop_front();
    }
    queue.push_back(item);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::schema::{EventKind, Harm};
    use serin_core::ids::VersionName;
    use serin_core::rollout::{Identity, Phase};
    use serin_core::time::Wall;

    fn event(id: u64) -> Record {
        Record::Event(Box::new(Event {
            id,
            at: Wall(1_000),
            kind: EventKind::Started,
            service: Some("shop".to_owned()),
            rollout: None,
            severity: None,
            message: format!("event {id}"),
            actor: None,
            weights: BTreeMap::new(),
        }))
    }

    fn rollout(n: usize) -> Record {
        Record::Rollout(Box::new(Rollout {
            id: format!("shop-{n}"),
            service: "shop".to_owned(),
            from: "v1".to_owned(),
            to: "v2".to_owned(),
            release: "v2".to_owned(),
            state: Phase::Complete,
            reason: String::new(),
            start_reason: String::new(),
            started_by: "test".to_owned(),
            started_at: Wall(1_000),
            ended_at: None,
            completed_at: None,
            committed_at: None,
            severity: None,
            blamed: false,
            harmed_at: None,
            failures: None,
            comparison: None,
            reached: 0,
            harm: Harm::default(),
            timeline: Vec::new(),
        }))
    }

    fn position() -> Record {
        let version = VersionName::new("v1").unwrap();
        let stable = Identity { version, release: "v1".to_owned() };
        let position = Box::new(Shaped(Position::at_rest(stable)));
        let version = VersionName::new("v1").unwrap();
        let identity = Identity { version, release: "r1".to_owned() };
        let listed = [Listed { identity, endpoints: vec!["127.0.0.1:1".to_owned()] }];
        let listed = Some(Listing::new(&listed));
        Record::Position { service: "shop".to_owned(), revision: 9, position, listed }
    }

    #[test]
    fn a_compacted_journal_adds_up_to_the_same_memory() {
        let mut memory = Memory::default();
        memory.apply(&position());
        (1..=20).for_each(|id| memory.apply(&event(id)));
        (1..=5).for_each(|n| memory.apply(&rollout(n)));
        let mut again = Memory::default();
        for line in memory.lines() {
            let text = serde_json::to_string(&line).unwrap();
            let line: Line = serde_json::from_str(&text).unwrap();
            line.records.iter().for_each(|record| again.apply(record));
        }
        assert_eq!(again.positions, memory.positions);
        assert_eq!((again.listings.len(), again.listings), (1, memory.listings));
        assert_eq!((again.events, again.last_event), (memory.events, 20));
        assert_eq!(again.rollouts, memory.rollouts);
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_goes_first() {
        let mut memory = Memory::default();
        (1..=EVENTS as u64 + 5).for_each(|id| memory.apply(&event(id)));
        (1..=ROLLOUTS + 5).for_each(|n| memory.apply(&rollout(n)));
        assert_eq!((memory.events.len(), memory.events[0].id), (EVENTS, 6));
        assert_eq!((memory.rollouts.len(), memory.rollouts[0].id.as_str()), (ROLLOUTS, "shop-6"));
        assert_eq!(memory.events_after(EVENTS as u64 + 3).len(), 2);
    }
}
