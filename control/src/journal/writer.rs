//! The one writer of the journal.
//!
//! There are two kinds of commits. What raises a candidate's weight, or begins something, [may] happen:
//! if it cannot be made durable it did not happen. What lowers a weight [must] happen: if the
//! disk is in the way it is remembered here, written as soon as the disk allows, and until then
//! nothing that may happen does.
//!
//! [may]: super::Durability::BestEffort
//! [must]: super::Durability::Required

use super::line::{FORMAT, OLDEST_FORMAT};
use super::log::{Log, LogError, Reserve, replace};
use super::memory::Memory;
use super::schema::{Event, Line, Record};
use super::storage::{Custody, Storage};
use super::ticket::Progress;
use super::unwritten::Unwritten;
use super::{Lead, Shared, read};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use thiserror::Error;
use tokio::sync::broadcast;

pub(super) const FILE: &str = "journal";
const CHECKPOINT: &str = "windows";
/// Compaction is looked at from this size on.
const SMALL: u64 = 8 * 1024 * 1024;

#[derive(Debug, Error)]
pub enum JournalError {
    #[error(
        "the journal is damaged: {fault}. Nothing was changed. Put a backup copy of it in place (see docs/state.md), or move it away to begin anew with every service on the stable version of its configuration"
    )]
    Damaged { fault: String },
    #[error(
        "the journal was written in format {found}, and this version of serin reads formats {OLDEST_FORMAT} to {FORMAT}; run the version that wrote it"
    )]
    Format { found: u32 },
    #[error("the journal cannot be read: {0}")]
    Io(#[from] io::Error),
}

#[derive(Debug)]
pub(crate) struct Writer {
    log: Log<Box<dyn Storage>>,
    memory: Shared,
    events: broadcast::Sender<Event>,
    pending: Unwritten,
    progress: Arc<Progress>,
    /// Why the last write failed, while it does.
    fault: Option<String>,
    /// Why there is room only for what lowers a weight, while that is so.
    starved: Option<String>,
    /// The file is compacted from both of these sizes on.
    compact_at: u64,
    small: Arc<AtomicU64>,
}

impl Writer {
    pub(crate) fn open(
        storage: Box<dyn Storage>,
        events: broadcast::Sender<Event>,
    ) -> Result<Self, JournalError> {
        let (mut memory, mut fault) = (Memory::default(), None);
        let mut number = 0;
        let log = Log::open(storage, FILE, |json| {
            number += 1;
            if fault.is_none() {
                fault = fold(&mut memory, json, number).err();
            }
        });
        let log = match (log, fault) {
            (_, Some(fault)) => return Err(fault),
            (Ok(log), None) => log,
            (Err(LogError::Io(e)), None) => return Err(JournalError::Io(e)),
            (Err(e @ LogError::Corrupt { .. }), None) => {
                return Err(JournalError::Damaged { fault: e.to_string() });
            }
        };
        let compact_at = log.size();
        let memory = Arc::new(RwLock::new(memory));
        Ok(Self {
            log,
            memory,
            events,
            pending: Unwritten::default(),
            progress: Arc::default(),
            fault: None,
            starved: None,
            compact_at,
            small: Arc::new(AtomicU64::new(SMALL)),
        })
    }

    pub(crate) fn memory(&self) -> Shared {
        Arc::clone(&self.memory)
    }

    /// The size under which the file is never compacted. Tests cannot write so much, and lower it.
    pub(crate) fn never_compacted_below(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.small)
    }

    pub(crate) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// What may happen: an error means that it did not.
    pub(crate) fn commit(&mut self, mut records: Vec<Record>) -> Result<(), String> {
        self.flush()?;
        match self.watch() {
            Custody::Ours => {}
            Custody::Unlocked(why) | Custody::Lost(why) => return Err(why),
        }
        self.number_events(&mut records);
        self.write(&records, Reserve::Keep)?;
        self.make_true(&records);
        self.compact_if_large();
        Ok(())
    }

    /// What must happen: it is true from here on, and the progress says when it is durable.
    pub(crate) fn require(&mut self, mut records: Vec<Record>, number: u64) {
        self.number_events(&mut records);
        self.make_true(&records);
        let thrown_away = self.pending.add(records, number);
        self.thrown_away(thrown_away);
        let _ = self.flush();
    }

    pub(crate) fn is_behind(&self) -> bool {
        !self.pending.is_empty()
    }

    pub(crate) fn thrown_away(&mut self, records: u64) {
        if records > 0 {
            self.update(|memory| memory.lost += records);
        }
    }

    /// Writes what is true and not yet durable.
    pub(crate) fn flush(&mut self) -> Result<(), String> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let custody = self.watch();
        let pending = self.pending.take();
        let written = match custody {
            Custody::Ours | Custody::Unlocked(_) => self.write(pending.records(), Reserve::Use),
            Custody::Lost(why) => Err(why),
        };
        let upto = pending.upto();
        if let Err(fault) = written {
            self.pending = pending;
            self.progress.failed(upto);
            return Err(fault);
        }
        self.progress.durable(upto);
        self.compact_if_large();
        Ok(())
    }

    pub(crate) fn checkpoint(&mut self, bytes: &[u8]) -> Result<(), String> {
        replace(self.log.storage(), "windows.new", CHECKPOINT, bytes).map_err(|e| e.to_string())
    }

    /// The last one, when the process ends or hands over: a busy disk must not hold that up.
    pub(crate) fn farewell(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.log.storage().leave(CHECKPOINT, bytes).map_err(|e| e.to_string())
    }

    pub(crate) fn last_checkpoint(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.log.storage().read(CHECKPOINT)
    }

    pub(crate) fn close(&mut self) {
        let flushed = self.flush();
        let closed = match self.watch() {
            Custody::Ours | Custody::Unlocked(_) => self.log.close().map_err(|e| e.to_string()),
            // It may be another's by now.
            Custody::Lost(why) => Err(why),
        };
        let closed = flushed.and(closed);
        if let Err(fault) = closed {
            tracing::error!(%fault, pending = self.pending.records().len(), "the journal was not closed cleanly");
        }
    }

    /// Notices when the file that is written is no longer the one that a restart would read.
    pub(crate) fn watch(&mut self) -> Custody {
        let custody = self.log.custody();
        let lead = match &custody {
            Custody::Ours => Lead::Here,
            Custody::Unlocked(why) | Custody::Lost(why) => Lead::Elsewhere { why: why.clone() },
        };
        if read(&self.memory).lead != lead {
            self.update(|memory| memory.lead = lead);
        }
        if self.starved.is_some() && !matches!(custody, Custody::Lost(_)) {
            self.starved = self.log.replenish().map(str::to_owned);
        }
        self.tell_fault();
        custody
    }

    fn write(&mut self, records: &[Record], reserve: Reserve) -> Result<(), String> {
        let line = Line { records: records.to_vec() };
        let json = serde_json::to_string(&line).map_err(|e| e.to_string())?;
        let written = self.log.commit(&json, reserve).map_err(|e| e.to_string());
        self.fault = written.as_ref().err().cloned();
        self.starved = self.log.starved().map(str::to_owned);
        self.tell_fault();
        written
    }

    fn tell_fault(&mut self) {
        let fault = self.fault.as_ref().or(self.starved.as_ref()).cloned();
        if read(&self.memory).fault != fault {
            self.update(|memory| memory.fault = fault);
        }
    }

    fn make_true(&mut self, records: &[Record]) {
        self.update(|memory| records.iter().for_each(|record| memory.apply(record)));
        for record in records {
            if let Record::Event(event) = record {
                // Nobody may be listening.
                let _ = self.events.send(Event::clone(event));
            }
        }
    }

    fn number_events(&self, records: &mut [Record]) {
        let mut last = read(&self.memory).last_event;
        for record in records {
            if let Record::Event(event) = record {
                last += 1;
                event.id = last;
            }
        }
    }

    /// Writes the file anew from what is remembered: only when everything that was written is
    /// remembered, and everything that is remembered was written.
    fn compact_if_large(&mut self) {
        if self.log.size() < self.compact_at.max(self.small.load(Ordering::Relaxed)) {
            return;
        }
        let memory = read(&self.memory).clone();
        let lines = memory.lines().filter_map(|line| serde_json::to_string(&line).ok());
        if let Err(fault) = self.log.rewrite(lines) {
            tracing::warn!(%fault, "the journal could not be compacted");
        }
        self.compact_at = self.log.size() * 2;
    }

    fn update(&self, change: impl FnOnce(&mut Memory)) {
        change(&mut self.memory.write().unwrap_or_else(PoisonError::into_inner));
    }
}

fn fold(memory: &mut Memory, json: &str, number: u64) -> Result<(), JournalError> {
    #[derive(serde::Deserialize)]
    struct Head {
        format: u32,
    }
    let damaged = |e: serde_json::Error| JournalError::Damaged {
        fault: format!("line {number} is whole but not understood: {e}"),
    };
    let head: Head = serde_json::from_str(json).map_err(damaged)?;
    if !(OLDEST_FORMAT..=FORMAT).contains(&head.format) {
        return Err(JournalError::Format { found: head.format });
    }
    let line: Line = serde_json::from_str(json).map_err(damaged)?;
    line.records.iter().for_each(|record| memory.apply(record));
    Ok(())
}
