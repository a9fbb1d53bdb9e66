//! The thread that writes. It ends when nobody can say anything more.

use super::{Entry, Told, format};
use serin_config::model::{AccessLog as Model, AccessLogFormat, AccessLogTo};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// Lines gathered before they are written, when there are many.
const BATCH: usize = 64 * 1024;
/// How often a log file is looked for, in case it was moved away.
const LOOK: Duration = Duration::from_secs(1);

pub(super) fn run(entries: &Receiver<Entry>, model: Model, told: &Told) {
    let mut writer = Writer::new(model, told);
    while let Ok(first) = entries.recv() {
        let next = told.configuration.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(model) = next {
            writer = Writer::new(model, told);
        }
        writer.take(first);
        while writer.lines.len() < BATCH
            && let Ok(next) = entries.try_recv()
        {
            writer.take(next);
        }
        writer.write();
    }
}

struct Writer<'t> {
    format: AccessLogFormat,
    target: Target,
    lines: String,
    records: u64,
    failing: bool,
    told: &'t Told,
}

enum Target {
    Stdout,
    Stderr,
    File(LogFile),
}

impl<'t> Writer<'t> {
    fn new(model: Model, told: &'t Told) -> Self {
        let target = match model.to {
            AccessLogTo::Stdout => Target::Stdout,
            AccessLogTo::Stderr => Target::Stderr,
            AccessLogTo::File(path) => {
                Target::File(LogFile { path, open: None, looked: Instant::now() })
            }
        };
        let (lines, records, failing) = (String::new(), 0, false);
        Self { format: model.format, target, lines, records, failing, told }
    }

    fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Record(record) => {
                self.records += 1;
                match self.format {
                    AccessLogFormat::Json => format::json(&record, &mut self.lines),
                    AccessLogFormat::Combined => format::combined(&record, &mut self.lines),
                    AccessLogFormat::Off => {}
                }
            }
            Entry::Flush(done) => {
                self.write();
                let _ = done.send(());
            }
        }
    }

    fn write(&mut self) {
        if self.lines.is_empty() {
            return;
        }
        let written = match &mut self.target {
            Target::Stdout => whole(&mut io::stdout().lock(), &self.lines),
            Target::Stderr => whole(&mut io::stderr().lock(), &self.lines),
            Target::File(log) => log.file().and_then(|file| whole(file, &self.lines)),
        };
        self.account(written);
        self.lines.clear();
        self.lines.shrink_to(BATCH);
    }

    /// Trouble is told when it begins and when it ends, not with every line.
    fn account(&mut self, written: io::Result<()>) {
        let records = std::mem::take(&mut self.records);
        match written {
            Ok(()) if self.failing => {
                tracing::info!("the access log is written again");
                self.failing = false;
            }
            Ok(()) => {}
            Err(e) => {
                self.told.dropped.fetch_add(records, Relaxed);
                if !self.failing {
                    tracing::warn!(error = %e, "the access log cannot be written; lines are lost");
                }
                self.failing = true;
            }
        }
    }
}

/// A file that is opened again once its path names another, as it does after a rotation.
struct LogFile {
    path: PathBuf,
    open: Option<File>,
    looked: Instant,
}

impl LogFile {
    fn file(&mut self) -> io::Result<&mut File> {
        if self.looked.elapsed() > LOOK {
            self.looked = Instant::now();
            self.open.take_if(|file| !is_still(file, &self.path));
        }
        match &mut self.open {
            Some(file) => Ok(file),
            none => {
                let file = OpenOptions::new().create(true).append(true).open(&self.path)?;
                Ok(none.insert(file))
            }
        }
    }
}

fn whole(to: &mut impl Write, lines: &str) -> io::Result<()> {
    to.write_all(lines.as_bytes())?;
    to.flush()
}

/// Whether the path still names the open file: not after it was rotated.
fn is_still(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(open), Ok(there)) => (open.dev(), open.ino()) == (there.dev(), there.ino()),
        (Err(_), _) | (_, Err(_)) => false,
    }
}
