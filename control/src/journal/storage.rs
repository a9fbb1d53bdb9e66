//! The few things that the journal asks of a disk, so that a test can be a worse one.
//!
//! Two implementations: [`Folder`], and a disk in the tests that dies at any chosen operation and
//! loses what was not synced. Nothing here knows what the bytes mean.

use super::lock::Lock;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

pub trait Storage: Send + std::fmt::Debug {
    /// `None` when there is no such file.
    fn read(&mut self, file: &str) -> io::Result<Option<Vec<u8>>>;
    /// Creates the file if need be. What lies between its end and `offset` becomes zero.
    fn write(&mut self, file: &str, offset: u64, bytes: &[u8]) -> io::Result<()>;
    fn truncate(&mut self, file: &str, len: u64) -> io::Result<()>;
    /// What was written to this file so far survives a power cut once this returns, and so does
    /// every name that was given or taken.
    fn sync(&mut self, file: &str) -> io::Result<()>;
    /// Puts one file in the place of another, at once. It is durable after the next [`sync`](Self::sync).
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// Puts these bytes in a file's place without waiting for the disk: only a power cut within the
    /// next seconds could lose them.
    fn leave(&mut self, file: &str, bytes: &[u8]) -> io::Result<()>;
    /// Whether what is written to this file, which has so many bytes at least, is what a restart
    /// would find.
    fn custody(&mut self, file: &str, bytes: u64) -> Custody;
}

/// Whether the files are still ours. The sentences are for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Custody {
    Ours,
    /// What is written is found again, and another process could come to write it, too.
    Unlocked(String),
    /// What is written would be lost, or written into another's file.
    Lost(String),
}

/// Which file a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity(u64, u64);

impl Identity {
    pub(super) fn of(metadata: &std::fs::Metadata) -> Self {
        Self(metadata.dev(), metadata.ino())
    }
}

/// A folder that only its owner can read.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    open: HashMap<String, File>,
    /// A name was given or taken, and the folder was not synced since.
    renamed: bool,
    lock: Option<Identity>,
}

impl Folder {
    pub fn create(path: &Path) -> io::Result<Self> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let mode = std::fs::metadata(path)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let (folder, mode) = (path.display(), format!("{mode:o}"));
            tracing::warn!(%folder, mode, "state.dir is open to others, and keeps the key of the cookies: chmod 700");
        }
        Ok(Self { path: path.to_owned(), open: HashMap::new(), renamed: false, lock: None })
    }

    /// From here on it is noticed when the lock's file is deleted or replaced.
    pub fn watch(&mut self, lock: &Lock) {
        self.lock = lock.identity();
    }

    /// Which file has this name now.
    fn found(&self, name: &str) -> io::Result<Option<Identity>> {
        match std::fs::symlink_metadata(self.path.join(name)) {
            Ok(metadata) => Ok(Some(Identity::of(&metadata))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn look_after(&self, file: &str, bytes: u64) -> io::Result<Custody> {
        let dir = self.path.display();
        let restart = "weights only go down until serin is restarted, or `serin upgrade` has run";
        if let Some(open) = self.open.get(file) {
            let held = open.metadata()?;
            let back = "put it back, or restart serin to go on with what is there now";
            match self.found(file)? {
                Some(found) if found != Identity::of(&held) => {
                    let what = format!("{dir}/{file} was replaced by another file; {back}");
                    return Ok(Custody::Lost(what));
                }
                None => {
                    let what = format!("{dir}/{file} was deleted or moved away; {back}");
                    return Ok(Custody::Lost(what));
                }
                Some(_) if held.len() < bytes => {
                    let what = format!("{dir}/{file} was cut by somebody else; restore a backup");
                    return Ok(Custody::Lost(what));
                }
                Some(_) => {}
            }
        }
        Ok(match (self.lock, self.found("lock")?) {
            (Some(lock), Some(found)) if lock != found => Custody::Lost(format!(
                "{dir}/lock was replaced: another serin may write here; stop it, and restart this one"
            )),
            (Some(_), None) => Custody::Unlocked(format!(
                "{dir}/lock was deleted, so that another serin could write here; {restart}"
            )),
            (Some(_) | None, _) => Custody::Ours,
        })
    }

    fn file(&mut self, name: &str) -> io::Result<&File> {
        if !self.open.contains_key(name) {
            let path = self.path.join(name);
            let mut options = OpenOptions::new();
            options.read(true).write(true).mode(0o600);
            let file = match options.open(&path) {
                Ok(file) => file,
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    self.renamed = true;
                    options.create(true).truncate(false).open(&path)?
                }
                Err(e) => return Err(e),
            };
            self.open.insert(name.to_owned(), file);
        }
        self.open.get(name).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Storage for Folder {
    fn read(&mut self, file: &str) -> io::Result<Option<Vec<u8>>> {
        match std::fs::read(self.path.join(file)) {
            Ok(bytes) => {
                // From here on it is noticed when it is replaced. A disk that cannot be written is
                // no reason not to read.
                let _ = self.file(file);
                Ok(Some(bytes))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn write(&mut self, file: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file(file)?.write_all_at(bytes, offset)
    }

    fn truncate(&mut self, file: &str, len: u64) -> io::Result<()> {
        self.file(file)?.set_len(len)
    }

    fn sync(&mut self, file: &str) -> io::Result<()> {
        self.file(file)?.sync_data()?;
        // A new name is durable only when its folder is.
        if self.renamed {
            File::open(&self.path)?.sync_all()?;
            self.renamed = false;
        }
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))?;
        self.renamed = true;
        self.open.remove(to);
        if let Some(moved) = self.open.remove(from) {
            self.open.insert(to.to_owned(), moved);
        }
        Ok(())
    }

    fn leave(&mut self, file: &str, bytes: &[u8]) -> io::Result<()> {
        let aside = self.path.join(format!("{file}.last"));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(&aside)?.write_all_at(bytes, 0)?;
        self.open.remove(file);
        std::fs::rename(aside, self.path.join(file))
    }

    fn custody(&mut self, file: &str, bytes: u64) -> Custody {
        // A folder that cannot be looked at now says nothing; writing to it will.
        self.look_after(file, bytes).unwrap_or(Custody::Ours)
    }
}

impl Storage for Box<dyn Storage> {
    fn read(&mut self, file: &str) -> io::Result<Option<Vec<u8>>> {
        (**self).read(file)
    }

    fn write(&mut self, file: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        (**self).write(file, offset, bytes)
    }

    fn truncate(&mut self, file: &str, len: u64) -> io::Result<()> {
        (**self).truncate(file, len)
    }

    fn sync(&mut self, file: &str) -> io::Result<()> {
        (**self).sync(file)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        (**self).rename(from, to)
    }

    fn leave(&mut self, file: &str, bytes: &[u8]) -> io::Result<()> {
        (**self).leave(file, bytes)
    }

    fn custody(&mut self, file: &str, bytes: u64) -> Custody {
        (**self).custody(file, bytes)
    }
}
