//! An append-only file of checksummed lines, each of which is one atomic commit.
//!
//! A line is `<16 hex digits> <JSON>\n`; the digits are a hash of the line before and of the JSON,
//! so a line that was changed, lost or moved is found, with its number. Space is written ahead
//! with zeros: the record of a rollback then still fits on a disk that is full, and a commit is one
//! write and one sync without any change of metadata.
//!
//! A commit that was cut short leaves a last line without its end, or with zeros in it (JSON has
//! none), and is dropped: nobody was told that it happened. Anything else that does not fit is
//! corruption, and this never repairs it.

use super::storage::Storage;
use std::io;
use thiserror::Error;

/// Written ahead. At least half of it is free before each commit.
const RESERVE: u64 = 256 * 1024;
const DIGITS: usize = 16;

#[derive(Debug, Error)]
pub enum LogError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("line {line} does not match its checksum (byte {offset})")]
    Corrupt { line: u64, offset: u64 },
}

#[derive(Debug)]
pub struct Log<S> {
    storage: S,
    file: &'static str,
    /// Where the next line begins.
    end: u64,
    /// Up to where zeros have been written.
    reserved: u64,
    lines: u64,
    chain: [u8; 32],
    /// Something unacknowledged may lie behind `end`.
    dirty: bool,
}

impl<S: Storage> Log<S> {
    /// Reads every line, in order, into `each`.
    pub fn open(
        mut storage: S,
        file: &'static str,
        mut each: impl FnMut(&str),
    ) -> Result<Self, LogError> {
        let bytes = storage.read(file)?.unwrap_or_default();
        let mut log =
            Self { storage, file, end: 0, reserved: 0, lines: 0, chain: [0; 32], dirty: false };
        let mut rest = &bytes[..];
        while let Some(line) = next_line(rest) {
            let Some((json, chain)) = verified(&log.chain, line) else {
                // A cut-short commit can only be the last one.
                if line.contains(&0) && rest[line.len() + 1..].iter().all(|b| *b == 0) {
                    break;
                }
                return Err(LogError::Corrupt { line: log.lines + 1, offset: log.end });
            };
            each(json);
            log.chain = chain;
            log.lines += 1;
            log.end += line.len() as u64 + 1;
            rest = &rest[line.len() + 1..];
        }
        log.dirty = rest.iter().any(|b| *b != 0);
        log.reserved = bytes.len() as u64;
        Ok(log)
    }

    /// Appends one line. When this returns `Ok` the line survives anything; when it returns an
    /// error the line is erased as far as the disk allows, and the next commit begins with that.
    pub fn commit(&mut self, json: &str) -> io::Result<()> {
        debug_assert!(!json.contains(['\n', '\0']));
        self.clean()?;
        let chain = next_chain(&self.chain, json.as_bytes());
        let line = format!("{} {json}\n", digits(&chain));
        self.dirty = true;
        let written = self
            .reserve(line.len() as u64)
            .and_then(|()| self.storage.write(self.file, self.end, line.as_bytes()))
            .and_then(|()| self.storage.sync(self.file));
        if let Err(e) = written {
            let _ = self.clean();
            return Err(e);
        }
        self.dirty = false;
        self.chain = chain;
        self.lines += 1;
        self.end += line.len() as u64;
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
        for json in lines {
            chain = next_chain(&chain, json.as_bytes());
            text.push_str(&digits(&chain));
            text.push(' ');
            text.push_str(&json);
            text.push('\n');
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
        self.reserved = bytes.len() as u64;
        self.lines = count;
        self.chain = chain;
        self.dirty = false;
        self.storage.sync(self.file)
    }

    /// Erases what a failed or cut-short commit left behind.
    fn clean(&mut self) -> io::Result<()> {
        if self.dirty {
            self.storage.truncate(self.file, self.end)?;
            self.storage.sync(self.file)?;
            self.reserved = self.end;
            self.dirty = false;
        }
        Ok(())
    }

    /// A reserve that cannot be had is no reason not to try the commit itself.
    fn reserve(&mut self, len: u64) -> io::Result<()> {
        if self.end + len + RESERVE / 2 > self.reserved {
            let (from, upto) = (self.reserved.max(self.end), self.end + len + RESERVE);
            let zeros = vec![0; usize::try_from(upto - from).unwrap_or_default()];
            match self.storage.write(self.file, from, &zeros) {
                Ok(()) => self.reserved = upto,
                Err(e) if e.kind() == io::ErrorKind::StorageFull => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
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

fn next_line(rest: &[u8]) -> Option<&[u8]> {
    rest.iter().position(|b| *b == b'\n').map(|end| &rest[..end])
}

fn verified<'a>(chain: &[u8; 32], line: &'a [u8]) -> Option<(&'a str, [u8; 32])> {
    let (head, json) = line.split_at_checked(DIGITS + 1)?;
    let next = next_chain(chain, json);
    let expected = digits(&next);
    let fits = head[..DIGITS] == *expected.as_bytes() && head[DIGITS] == b' ';
    fits.then_some(())?;
    Some((std::str::from_utf8(json).ok()?, next))
}

fn next_chain(chain: &[u8; 32], json: &[u8]) -> [u8; 32] {
    *blake3::Hasher::new().update(chain).update(json).finalize().as_bytes()
}

fn digits(chain: &[u8; 32]) -> String {
    chain[..DIGITS / 2].iter().map(|b| format!("{b:02x}")).collect()
}
