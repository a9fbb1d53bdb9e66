//! Spans of sampled requests, exported as OTLP, that never make a request wait.
//!
//! A request that is not sampled costs one random number. A sampled one notes when its attempts
//! began and ended, and hands that over when it is over; a thread of its own makes spans of it and
//! sends them. When the collector is slower than the traffic, or away, the queue fills, and what
//! does not fit is dropped and counted.
//!
//! The spans are made from what the access log writes too, not by the `tracing` crate's spans:
//! those would be made for every request, and would have to be entered wherever one is polled.

mod copied;
mod exporter;
mod shape;
mod trace;

pub(crate) use copied::{Copied, Place};
pub(crate) use trace::{Parent, Trace};

use crate::accesslog::Record;
use exporter::Exporter;
use serin_config::model::Tracing;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// Requests and copies that wait to be exported; about 4 MiB.
const QUEUE: usize = 4096;

/// A handle, for everyone who has something to tell.
#[derive(Clone, Default)]
pub(crate) struct Spans(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// Begins with the first configuration that traces.
    queue: OnceLock<mpsc::Sender<Entry>>,
    told: Arc<Told>,
}

/// What passes beside the queue, in both directions.
#[derive(Default)]
pub(super) struct Told {
    /// Where the spans go from here on.
    to: Mutex<Option<String>>,
    exported: AtomicU64,
    not_sent: AtomicU64,
    queue_full: AtomicU64,
}

impl std::fmt::Debug for Spans {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Spans")
    }
}

pub(crate) enum Entry {
    Sampled(Sampled),
    /// Export what there is, then say so.
    Flush(SyncSender<()>),
}

#[derive(Debug)]
pub(crate) enum Sampled {
    Request(Box<Finished>),
    Copy(Box<Copied>),
}

/// A sampled request that is over.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) record: Record,
    pub(crate) trace: Trace,
}

impl Spans {
    /// A collector that is named no more still gets what was sampled while it was.
    pub(crate) fn apply(&self, model: Option<&Tracing>) -> io::Result<()> {
        let Some(model) = model else { return Ok(()) };
        let to = &self.0.told.to;
        *to.lock().unwrap_or_else(PoisonError::into_inner) = Some(model.otlp.clone());
        if self.0.queue.get().is_some() {
            return Ok(());
        }
        let (queue, entries) = mpsc::channel(QUEUE);
        exporter::start(Exporter::new(entries, self.0.told.clone()))?;
        // Reloads are one after the other, so nobody else was first.
        let _ = self.0.queue.set(queue);
        Ok(())
    }

    pub(crate) fn write(&self, sampled: Sampled) {
        let queued = self.0.queue.get().map(|q| q.try_send(Entry::Sampled(sampled)));
        if !matches!(queued, Some(Ok(()))) {
            self.0.told.queue_full.fetch_add(1, Relaxed);
        }
    }

    /// Waits until everything that was handed over is exported, at most so long.
    pub(crate) fn flush(&self, patience: Duration) {
        let (done, wait) = sync_channel(1);
        let queued = self.0.queue.get().map(|queue| queue.try_send(Entry::Flush(done)));
        if matches!(queued, Some(Ok(()))) {
            // What is not exported by then is lost with the process.
            let _ = wait.recv_timeout(patience);
        }
    }

    /// Sampled requests and copies, by what became of their spans.
    pub(crate) fn counts(&self) -> [(&'static str, u64); 3] {
        let Told { exported, not_sent, queue_full, .. } = &*self.0.told;
        [("exported", exported), ("notSent", not_sent), ("queueFull", queue_full)]
            .map(|(result, count)| (result, count.load(Relaxed)))
    }
}
