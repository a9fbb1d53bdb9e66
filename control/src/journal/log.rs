//! An append-only file of checksummed lines, each of which is one atomic commit.
//!
//! What a line looks like is `line`'s to say: a line that was changed, lost or moved is found, with
//! its number. Space is written ahead with zeros, so that a commit is one write and one sync without
//! any change of metadata, and so that a disk that is full still takes what lowers a weight: nothing
//! else is written into the last half of it.
//!
//! A commit that was cut short is dropped: nobody was told that it happened. Anything else that
//! does not fit is corruption, and this never repairs it.

use super::line::{self, Chain, Found};
use super::storage::{Custody, Storage};
use std::io;
use thiserror::Error;

/// Written ahead. At least half of it is free before each commit.
const RESERVE: u64 = 256 * 1024;

#[derive(Debug, Error)]
pub enum LogError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("line {line} does not match its checksum (byte {offset})")]
    Corrupt { line: u64, offset: u64 },
}

/// What a commit may do with the space that was written ahead, on a disk that gives no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserve {
    /// It leaves half of it.
    Keep,
    Use,
}

#[derive(Debug)]
pub struct Log<S> {
    storage: S,
    file: &'static str,
    /// Where the next line begins.
    end: u64,
    /// The last line is whole, and its newline is not there yet.
    unended: bool,
    /// Up to where zeros have been written.
    reserved: u64,
    /// Why no more could be written ahead, while that is so.
    starved: Option<String>,
    lines: u64,
    chain: Chain,
    /// Something unacknowledged may lie behind `end`, up to here.
    dirty: Option<u64>,
}

impl<S: Storage> Log<S> {
    /// Reads every line, in order, into `each`.
    pub fn open(
        mut storage: S,
        file: &'static str,
        mut each: impl FnMut(&str),
    ) -> Result<Self, LogError> {
        let bytes = storage.read(file)?.unwrap_or_default();
        let mut log = Self {
            storage,
            file,
            end: 0,
            unended: false,
            reserved: bytes.len() as u64,
            starved: None,
            lines: 0,
            chain: [0; 32],
            dirty: None,
        };
        let upto = bytes.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
        let mut rest = &bytes[..upto];
        loop {
            match line::next(&log.chain, rest, log.end) {
                Found::End => return Ok(log),
                Found::Line(line) => {
                    each(line.json);
                    log.chain = line.chain;
                    log.lines += 1;
                    log.end += line.len as u64;
                    log.unended = !line.ended;
                    rest = &rest[line.len..];
                }
                Found::CutShort => {
                    log.dirty = Some(upto as u64);
                    return Ok(log);
                }
                Found::Damage => {
                    return Err(LogError::Corrupt { line: log.lines + 1, offset: log.end });
                }
            }
        }
    }

    /// Appends one line, which is a JSON object that has something in it. When this returns `Ok` the
    /// line survives anything; when it returns an error the line is erased as far as the disk allows,
    /// and the next commit begins with that.
    pub fn commit(&mut self, body: &str, reserve: Reserve) -> io::Result<()> {
        debug_assert!(!body.contains(['\n', '\0']));
        self.clean()?;
        let (mut line, chain) = line::written(&self.chain, body)
            .ok_or_else(|| io::Error::other("the commit is too large for a line"))?;
        if self.unended {
            line.insert(0, '\n');
        }
        let upto = self.end + line.len() as u64;
        self.reserve(upto, reserve)?;
        self.dirty = Some(upto);
        let written = self.storage.write(self.file, self.end, line.as_bytes());
        if let Err(e) = written.and_then(|()| self.storage.sync(self.file)) {
            let _ = self.clean();
            return Err(e);
        }
        self.dirty = None;
        self.unended = false;
        self.chain = chain;
        self.lines += 1;
        self.end = upto;
        Ok(())
    }

    /// How much of the file says something.
    pub fn size(&self) -> u64 {
        self.end
    }

    pub fn lines(&self) -> u64 {
        self.lines
    }

    pub fn storage(&mut self) -> &mut S {
        &mut self.storage
    }

    /// Whether the file that is written is still the one that a restart would read.
    pub fn custody(&mut self) -> Custody {
        self.storage.custody(self.file, self.end)
    }

    pub fn starved(&self) -> Option<&str> {
        self.starved.as_deref()
    }

    /// Writes ahead again what a full disk did not allow. Says why, when it still does not.
    pub fn replenish(&mut self) -> Option<&str> {
        if self.starved.is_some() {
            let _ = self.write_ahead(self.end + RESERVE);
        }
        self.starved.as_deref()
    }

    /// Gives the reserve back, so that the file at rest is nothing but lines. They are durable
    /// already, and a reserve that a power cut brings back is no fault: nobody waits for the disk.
    pub fn close(&mut self) -> io::Result<()> {
        self.clean()?;
        self.storage.truncate(self.file, self.end)?;
        self.reserved = self.end;
        Ok(())
    }

    /// Begins anew with the given lines, in another file that then takes this one's place.
    pub fn rewrite(&mut self, lines: impl Iterator<Item = String>) -> io::Result<()> {
        const NEW: &str = "journal.new";
        let (mut text, mut chain, mut count) = (String::new(), [0; 32], 0);
        for body in lines {
            let (line, next) = line::written(&chain, &body)
                .ok_or_else(|| io::Error::other("a record is too large for a line"))?;
            text.push_str(&line);
            chain = next;
            count += 1;
        }
        let end = text.len() as u64;
        let mut bytes = text.into_bytes();
        // What takes the old file's place has its reserve already.
        bytes.resize(bytes.len() + usize::try_from(RESERVE).unwrap_or_default(), 0);
        let aside = put_aside(&mut self.storage, NEW, &bytes)
            .and_then(|()| self.storage.rename(NEW, self.file));
        if let Err(e) = aside {
            // It may be the last of the disk's room.
            let _ = self.storage.truncate(NEW, 0);
            return Err(e);
        }
        // From here on lines go to the new file, whatever becomes of the sync: the next commit is
        // acknowledged only after one that succeeded.
        self.end = end;
        self.unended = false;
        self.reserved = bytes.len() as u64;
        self.starved = None;
        self.lines = count;
        self.chain = chain;
        self.dirty = None;
        self.storage.sync(self.file)
    }

    /// Erases what a failed or cut-short commit left behind. The space stays reserved.
    fn clean(&mut self) -> io::Result<()> {
        let Some(upto) = self.dirty else { return Ok(()) };
        if upto > self.reserved {
            self.reserved = self.reserved.max(self.end);
            self.storage.truncate(self.file, self.reserved)?;
        }
        let zeros = upto.min(self.reserved) - self.end;
        let zeros = vec![0; usize::try_from(zeros).unwrap_or_default()];
        self.storage.write(self.file, self.end, &zeros)?;
        self.storage.sync(self.file)?;
        self.dirty = None;
        Ok(())
    }

    fn reserve(&mut self, upto: u64, reserve: Reserve) -> io::Result<()> {
        if upto + RESERVE / 2 <= self.reserved {
            return Ok(());
        }
        match self.write_ahead(upto + RESERVE) {
            Err(e) if is_full(&e) && reserve == Reserve::Use => Ok(()),
            written => written,
        }
    }

    fn write_ahead(&mut self, upto: u64) -> io::Result<()> {
        let from = self.reserved.max(self.end);
        let zeros = vec![0; usize::try_from(upto.saturating_sub(from)).unwrap_or_default()];
        let written = self.storage.write(self.file, from, &zeros);
        self.starved = written.as_ref().err().filter(|e| is_full(e)).map(ToString::to_string);
        if written.is_ok() {
            self.reserved = self.reserved.max(upto);
        }
        written
    }
}

fn is_full(error: &io::Error) -> bool {
    let kind = error.kind();
    kind == io::ErrorKind::StorageFull || kind == io::ErrorKind::QuotaExceeded
}

/// Writes a file aside and puts it in the place of the old one: a reader, or a restart, sees
/// either the whole old or the whole new content.
pub fn replace(
    storage: &mut impl Storage,
    aside: &str,
    file: &str,
    bytes: &[u8],
) -> io::Result<()> {
    put_aside(storage, aside, bytes)?;
    storage.rename(aside, file)?;
    storage.sync(file)
}

fn put_aside(storage: &mut impl Storage, aside: &str, bytes: &[u8]) -> io::Result<()> {
    storage.truncate(aside, 0)?;
    storage.write(aside, 0, bytes)?;
    storage.sync(aside)
}
