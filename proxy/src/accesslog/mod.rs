//! One line per request, in JSON or the combined format, that never makes a request wait.
//!
//! A request hands over a record and goes on; a thread of its own formats and writes. When the
//! disk or the reader of a pipe is slower than the traffic the queue fills, and what does not
//! fit is dropped and counted, as is what cannot be written. A reload does not wait for it either.

mod format;
mod record;
mod writer;

pub(crate) use record::{Field, Record};

use crate::wire::refusal::Refusal;
use serin_config::model::{AccessLog as Model, AccessLogFormat};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Records that wait to be written; about 4 MiB.
const QUEUE: usize = 8192;

/// A handle on the log, for everyone who has something to say.
#[derive(Clone)]
pub(crate) struct AccessLog(Arc<Inner>);

struct Inner {
    queue: SyncSender<Entry>,
    /// Of 10,000 requests, how many are written. 0 is off.
    share: AtomicU32,
    told: Arc<Told>,
}

/// What passes beside the queue, in both directions.
#[derive(Default)]
struct Told {
    /// What the writer shall do from here on.
    configuration: Mutex<Option<Model>>,
    dropped: AtomicU64,
}

enum Entry {
    Record(Box<Record>),
    /// Write what there is, then say so.
    Flush(SyncSender<()>),
}

impl AccessLog {
    pub(crate) fn start(model: &Model) -> std::io::Result<Self> {
        let (queue, entries) = sync_channel(QUEUE);
        let told = Arc::new(Told::default());
        let (model_for_writer, writers) = (model.clone(), told.clone());
        std::thread::Builder::new()
            .name("serin-accesslog".into())
            .spawn(move || writer::run(&entries, model_for_writer, &writers))?;
        Ok(Self(Arc::new(Inner { queue, share: AtomicU32::new(share(model)), told })))
    }

    pub(crate) fn apply(&self, model: &Model) {
        self.0.share.store(share(model), Relaxed);
        let mut next = self.0.told.configuration.lock().unwrap_or_else(PoisonError::into_inner);
        *next = Some(model.clone());
    }

    /// Whether a request with this random number is to be written at all.
    pub(crate) fn wants(&self, random: u64) -> bool {
        random % 10_000 < u64::from(self.0.share.load(Relaxed))
    }

    pub(crate) fn write(&self, record: Box<Record>) {
        if self.0.queue.try_send(Entry::Record(record)).is_err() {
            self.0.told.dropped.fetch_add(1, Relaxed);
        }
    }

    /// A request whose head was turned away: there is nothing to say but who and why.
    /// `line` is what came of the head; its first line says what was asked for, as far as it is one.
    pub(crate) fn refused(&self, client: IpAddr, refusal: Refusal, line: &[u8]) {
        if self.wants(crate::thread::random()) {
            let mut record = Box::new(Record::new(client));
            if let Some((method, target)) = asked(line) {
                record.method = method;
                record.target = target;
            }
            record.status = refusal.status();
            record.what = Some(refusal.detail());
            self.write(record);
        }
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.0.told.dropped.load(Relaxed)
    }

    /// Waits until everything that was handed over is written, at most so long.
    pub(crate) fn flush(&self, patience: Duration) {
        let until = Instant::now() + patience;
        let (done, wait) = sync_channel(1);
        let mut entry = Entry::Flush(done);
        while let Err(TrySendError::Full(back)) = self.0.queue.try_send(entry) {
            if Instant::now() >= until {
                return;
            }
            entry = back;
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = wait.recv_timeout(until.saturating_duration_since(Instant::now()));
    }
}

fn share(model: &Model) -> u32 {
    match model.format {
        AccessLogFormat::Off => 0,
        AccessLogFormat::Json | AccessLogFormat::Combined => u32::from(model.sample.get()),
    }
}

/// Method and target of a request line that says both whole, cut when long.
fn asked(head: &[u8]) -> Option<(String, String)> {
    const MOST: usize = 1024;
    let line = head.split(|byte| matches!(byte, b'\r' | b'\n')).next()?;
    let mut words = line.split(|byte| *byte == b' ');
    // Without a third word the target may go on.
    let (method, target, _) = (words.next()?, words.next()?, words.next()?);
    let token = !method.is_empty() && method.len() <= 32 && method.iter().all(u8::is_ascii_graphic);
    let text = |word: &[u8]| String::from_utf8_lossy(&word[..word.len().min(MOST)]).into_owned();
    (token && !target.is_empty()).then(|| (text(method), text(target)))
}
