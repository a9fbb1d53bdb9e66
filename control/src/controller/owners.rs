//! What the files want against what the journal knows: foretold before anything is taken, and taken
//! only where nobody gets a request that was not judged.

use super::intents::{self, ConsequenceView, Known, Wanted};
use super::service::{listed_of, terms_of};
use super::{Controller, SECOND, ServiceRun, bare};
use crate::command::Refusal;
use crate::event::{Event, EventKind};
use crate::journal::schema::{Listing, Shaped};
use crate::journal::{Durability, Journal, Memory, Record, read};
use serin_config::model::{Config, Service};
use serin_core::ids::ServiceName;
use serin_core::rollout::{Conditions, Consequence, Phase, Position, adopt_stable, set_aside};
use serin_core::time::Now;

/// What a start would have to refuse; those named in `adopt` are taken at their word.
pub(crate) fn contradictions(
    config: &Config,
    memory: &Memory,
    adopt: &[ServiceName],
) -> Vec<ConsequenceView> {
    let conditions = Conditions::default();
    let refused = |wanted: &Wanted| {
        let known = known(memory, &wanted.service);
        let consequence = intents::consequence(wanted, known, &conditions);
        intents::raises(&consequence)?;
        Some(intents::view(&wanted.service, &consequence, Some(wanted), known.position))
    };
    let all = Wanted::of_config(config);
    all.iter().filter(|wanted| !adopt.contains(&wanted.service)).filter_map(refused).collect()
}

/// Before anything resumes: what somebody adopts, and rollouts of services that are gone from the files.
pub(crate) fn settle_before_start(
    config: &Config,
    journal: &dyn Journal,
    adopt: &[ServiceName],
    now: Now,
) -> Result<(), String> {
    let memory = read(journal.memory()).clone();
    let contradicted = contradictions(config, &memory, &[]);
    let adopted = |name: &&ServiceName| contradicted.iter().any(|c| c.service == name.as_str());
    for name in adopt.iter().filter(adopted) {
        if let Some(service) = config.services.get(name) {
            let records = adopting(service, &memory, "serin run --adopt-stable", now);
            journal
                .commit(records, Durability::BestEffort)
                .wait(SECOND)
                .unwrap_or_else(too_slow)?;
        }
    }
    for (name, (revision, position)) in &memory.positions {
        let gone = !config.services.keys().any(|listed| listed.as_str() == name);
        if gone && (position.active().is_some() || position.manual.is_some()) {
            let why = "the configuration no longer has the service";
            let next = set_aside(position, "serin", why, now.wall);
            let placed = Placed { service: name, revision: *revision, next, listed: None };
            drop(journal.commit(moved(placed, &memory, why, now), Durability::BestEffort));
        }
    }
    Ok(())
}

fn too_slow() -> Result<(), String> {
    Err("the disk is too slow".to_owned())
}

fn known<'a>(memory: &'a Memory, service: &ServiceName) -> Known<'a> {
    let listed = memory.listings.get(service.as_str());
    Known {
        position: memory.positions.get(service.as_str()).map(|(_, position)| position),
        pending: None,
        listed: listed.map(Vec::as_slice).unwrap_or_default(),
    }
}

fn adopting(service: &Service, memory: &Memory, by: &str, now: Now) -> Vec<Record> {
    let terms = terms_of(service);
    let name = service.name.as_str();
    let (revision, position) = match memory.positions.get(name) {
        Some((revision, position)) => (*revision, position.clone()),
        None => (0, Position::at_rest(terms.file_stable())),
    };
    let next = adopt_stable(&terms, &position, by, now.wall);
    let why = format!("stable is {} now, it was {}: adopted", next.stable, position.stable);
    let listed = Some(Listing::new(&listed_of(service)));
    moved(Placed { service: name, revision, next, listed }, memory, &why, now)
}

/// A position that no decision made.
struct Placed<'a> {
    service: &'a str,
    /// Of the position before.
    revision: u64,
    next: Position,
    listed: Option<Listing>,
}

/// Its records: with the end of the rollout that was under way, and why.
fn moved(placed: Placed<'_>, memory: &Memory, why: &str, now: Now) -> Vec<Record> {
    let Placed { service, revision, next, listed } = placed;
    let known = next.rollout.as_ref().and_then(|c| memory.find_rollout(c.id.as_str()));
    let ended = known.filter(|record| !record.state.is_over()).cloned();
    let event = Event {
        service: Some(service.to_owned()),
        rollout: ended.as_ref().map(|record| record.id.clone()),
        ..bare(EventKind::WeightSet, why.to_owned(), now)
    };
    let position = Box::new(Shaped(next));
    let mut records = vec![
        Record::Position { service: service.to_owned(), revision: revision + 1, position, listed },
        event.record(),
    ];
    if let Some(mut record) = ended {
        record.state = Phase::RolledBack;
        record.ended_at = Some(now.wall);
        why.clone_into(&mut record.reason);
        records.push(Record::Rollout(Box::new(record)));
    }
    records
}

impl Controller {
    /// What would come of a configuration, service by service. Changes nothing.
    pub(crate) fn foretell(
        &self,
        wanted: &[Wanted],
        adopt: &[ServiceName],
    ) -> Vec<ConsequenceView> {
        let memory = read(self.shared.journal.memory());
        let mut all: Vec<ConsequenceView> = Vec::new();
        for wanted in wanted {
            let known = self.known(&memory, &wanted.service);
            let consequence = intents::consequence(wanted, known, &self.shared.conditions);
            let refused = matches!(consequence, Consequence::Refused(_));
            all.push(if refused && adopt.contains(&wanted.service) {
                intents::adopted(wanted)
            } else {
                intents::view(&wanted.service, &consequence, Some(wanted), known.position)
            });
        }
        for name in self.services.iter().map(|run| &run.name) {
            if !wanted.iter().any(|wanted| wanted.service == *name) {
                let consequence =
                    intents::removal(self.known(&memory, name), &self.shared.conditions);
                all.push(intents::view(name, &consequence, None, None));
            }
        }
        all
    }

    fn known<'a>(&'a self, memory: &'a Memory, service: &ServiceName) -> Known<'a> {
        match self.services.get(service) {
            Some(run) => Known {
                position: Some(run.pilot.position()),
                pending: run.pending.as_ref().map(|pending| &pending.decision.next),
                listed: &run.listed,
            },
            None => known(memory, service),
        }
    }

    /// Makes the file's stable a service's, durably; its run begins anew from it.
    pub(super) fn adopt(&mut self, service: &Service, by: &str, now: Now) -> Result<(), Refusal> {
        let memory = read(self.shared.journal.memory()).clone();
        let records = adopting(service, &memory, by, now);
        let ticket = self.shared.journal.commit(records, Durability::BestEffort);
        let written = ticket.wait(SECOND);
        if written.is_none() {
            // It may be written yet, and then has to be taken back: it was refused.
            self.services.with(&service.name, |run| {
                run.revision += 2;
                drop(self.shared.journal.commit(vec![listing(run)], Durability::Required));
            });
        }
        written.unwrap_or_else(too_slow).map_err(Refusal::NotDurable)?;
        self.services.retain(|name| *name != service.name);
        Ok(())
    }

    /// Writes down which versions there are, and that a service is known. Tried again every second
    /// while the disk does not take it.
    pub(super) fn record_listings(&mut self) {
        let mut records = Vec::new();
        {
            let memory = read(self.shared.journal.memory());
            for run in self.services.iter_mut().filter(|f| f.unrecorded && f.pending.is_none()) {
                let name = run.name.as_str();
                let placed = memory.positions.contains_key(name);
                let recorded = memory.listings.get(name) == Some(&run.listed);
                run.unrecorded = !placed || !recorded;
                if run.unrecorded {
                    records.push(listing(run));
                }
            }
        }
        if !records.is_empty() && self.shared.fault.is_none() && !self.shared.journal.is_behind() {
            drop(self.shared.journal.commit(records, Durability::BestEffort));
        }
    }
}

fn listing(run: &ServiceRun) -> Record {
    Record::Position {
        service: run.name.to_string(),
        revision: run.revision,
        position: Box::new(Shaped(run.pilot.position().clone())),
        listed: Some(Listing::new(&run.listed)),
    }
}
