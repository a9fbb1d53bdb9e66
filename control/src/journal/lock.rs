//! One process writes one state folder.

use super::storage::Identity;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use thiserror::Error;

/// Held until dropped, or until the process ends in whatever way.
#[derive(Debug)]
pub struct Lock {
    /// `None` on a disk that nobody can write.
    file: Option<File>,
}

#[derive(Debug, Error)]
pub enum LockError {
    #[error("{} is in use by process {pid}; stop it, or give this one another state.dir", dir.display())]
    Held { dir: PathBuf, pid: String },
    #[error("{} cannot be locked: {fault}", dir.display())]
    Io { dir: PathBuf, fault: io::Error },
}

/// A process that hands over is quicker than this, and needs no word in the log.
const UNSAID: Duration = Duration::from_millis(300);

impl Lock {
    /// What tells whether the file that is locked is the one that others would lock.
    pub(super) fn identity(&self) -> Option<Identity> {
        Some(Identity::of(&self.file.as_ref()?.metadata().ok()?))
    }

    /// Waits for so long for a process that is handing over.
    pub fn take(dir: &Path, wait: Duration) -> Result<Self, LockError> {
        let io = |fault| LockError::Io { dir: dir.to_owned(), fault };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = match options.open(dir.join("lock")) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                return Ok(Self { file: None });
            }
            Err(e) => return Err(io(e)),
        };
        let begun = Instant::now();
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(fault)) => return Err(io(fault)),
                Err(TryLockError::WouldBlock) if begun.elapsed() < wait => {
                    if !told && begun.elapsed() > UNSAID {
                        told = true;
                        let (pid, dir) = (holder(&mut file), dir.display());
                        tracing::warn!(
                            "{dir} is in use by process {pid}; waiting for it to end, {wait:?} at most"
                        );
                    }
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(TryLockError::WouldBlock) => {
                    let pid = holder(&mut file);
                    return Err(LockError::Held { dir: dir.to_owned(), pid });
                }
            }
        }
        // Only for the message above: a full or read-only disk is no reason not to start.
        let named = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        if let Err(fault) = named {
            tracing::warn!(%fault, "the lock file could not be given our process id");
        }
        Ok(Self { file: Some(file) })
    }
}

/// The process that holds the lock, as it has said itself.
fn holder(file: &mut File) -> String {
    let mut pid = String::new();
    let _ = file.rewind().and_then(|()| file.read_to_string(&mut pid));
    pid.trim().to_owned()
}
