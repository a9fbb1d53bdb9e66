//! The thread that writes. It ends when nobody can say anything more.

use super::{Entry, format};
use serin_config::model::{AccessLog as Model, AccessLogFormat, AccessLogTo};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// Lines gathered before they are written, when there are many.
const BATCH: usize = 64 * 1024;
/// How often a log file is looked for, in case it was moved away.
const LOOK: Duration = Duration::from_secs(1);

pub(super) fn run(entries: &Receiver<Entry>, model: Model) {
    let mut writer = Writer::new(model);
    while let Ok(first) = entries.recv() {
        writer.take(first);
        while let Ok(next) = entries.try_recv() {
            writer.take(next);
        }
        writer.write();
    }
}

struct Writer {
    format: AccessLogFormat,
    target: Target,
    lines: String,
}

enum Target {
    Stdout,
    Stderr,
    File { path: PathBuf, open: Option<File>, looked: Instant },
}

impl Writer {
    fn new(model: Model) -> Self {
        let target = match model.to {
            AccessLogTo::Stdout => Target::Stdout,
            AccessLogTo::Stderr => Target::Stderr,
            AccessLogTo::File(path) => {
                Target::File { open: open(&path), path, looked: Instant::now() }
            }
        };
        Self { format: model.format, target, lines: String::new() }
    }

    fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Record(record) => match self.format {
                AccessLogFormat::Json => format::json(&record, &mut self.lines),
                AccessLogFormat::Combined => format::combined(&record, &mut self.lines),
                AccessLogFormat::Off => {}
            },
            Entry::Configure(model) => {
                self.write();
                *self = Self::new(model);
            }
            Entry::Flush(done) => {
                self.write();
                let _ = done.send(());
            }
        }
        if self.lines.len() >= BATCH {
            self.write();
        }
    }

    fn write(&mut self) {
        if self.lines.is_empty() {
            return;
        }
        let written = match &mut self.target {
            Target::Stdout => whole(&mut io::stdout().lock(), &self.lines),
            Target::Stderr => whole(&mut io::stderr().lock(), &self.lines),
            Target::File { path, open: file, looked } => {
                if looked.elapsed() > LOOK || file.is_none() {
                    *looked = Instant::now();
                    if !file.as_ref().is_some_and(|file| is_still(file, path)) {
                        *file = open(path);
                    }
                }
                file.as_mut().map_or(Ok(()), |file| whole(file, &self.lines))
            }
        };
        if let Err(e) = written {
            tracing::warn!(error = %e, "the access log cannot be written");
        }
        self.lines.clear();
        self.lines.shrink_to(BATCH);
    }
}

fn whole(to: &mut impl Write, lines: &str) -> io::Result<()> {
    to.write_all(lines.as_bytes())?;
    to.flush()
}

fn open(path: &Path) -> Option<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .inspect_err(|e| tracing::error!(error = %e, ?path, "the access log cannot be opened"))
        .ok()
}

/// Whether the path still names the open file: not after it was rotated.
fn is_still(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(open), Ok(there)) => (open.dev(), open.ino()) == (there.dev(), there.ino()),
        (Err(_), _) | (_, Err(_)) => false,
    }
}
