//! The key that session cookies are signed with.
//!
//! The operator's, or one that is made once and kept in the state folder, readable by its owner
//! alone: cookies hold across restarts. It appears in no message.

use serin_config::model::Secret;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error("the session key in {file} is shorter than {LEAST} bytes")]
    Short { file: PathBuf },
    #[error("cannot keep a session key in {file}: {why}")]
    Keep { file: PathBuf, why: io::Error },
    #[error(
        "{file} belongs to user {owner}, who could change it and read every session: let it belong to the user whom Serin runs as, or remove it"
    )]
    Foreign { file: PathBuf, owner: u32 },
}

const LEAST: usize = 16;
const MADE: usize = 32;
/// Root could read anything anyway.
const ROOT: u32 = 0;

pub(super) fn given(secret: &Secret) -> Result<Vec<u8>, SessionError> {
    let key = secret.expose().trim().as_bytes();
    if key.len() < LEAST {
        return Err(SessionError::Short { file: secret.file.clone() });
    }
    Ok(key.to_vec())
}

/// The key in the state folder; made when there is none.
pub(super) fn kept(state_dir: &Path) -> Result<Vec<u8>, SessionError> {
    let file = state_dir.join("session.key");
    let failed = |why| SessionError::Keep { file: file.clone(), why };
    let key = match fs::read(&file) {
        Ok(key) => key,
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(&file).map_err(failed)?,
        Err(error) => return Err(failed(error)),
    };
    if key.len() < LEAST {
        return Err(SessionError::Short { file });
    }
    match fs::metadata(&file).map_err(failed)?.uid() {
        owner if owner == rustix::process::geteuid().as_raw() || owner == ROOT => Ok(key),
        owner => Err(SessionError::Foreign { file, owner }),
    }
}

/// Written beside its place and linked there whole, so that a crash leaves no half key, and of
/// two processes that make one at once both use the first.
fn make(file: &Path) -> io::Result<Vec<u8>> {
    let mut key = vec![0; MADE];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let beside = folder.join(format!(".session.key.{}", std::process::id()));
    let _ = fs::remove_file(&beside);
    let mut options = OpenOptions::new();
    let mut out = options.write(true).create_new(true).mode(0o600).open(&beside)?;
    out.write_all(&key)?;
    out.sync_all()?;
    let linked = fs::hard_link(&beside, file);
    fs::remove_file(&beside)?;
    match linked {
        Ok(()) => {
            File::open(folder)?.sync_all()?;
            Ok(key)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::read(file),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_belongs_to_somebody_else_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = kept(folder.path()).expect("it is made");
        assert_eq!(kept(folder.path()).expect("and read again"), key);
        let file = folder.path().join("session.key");
        if std::os::unix::fs::chown(&file, Some(54_321), None).is_err() {
            eprintln!("skipped: only root can give a file away");
            return;
        }
        let refused = kept(folder.path()).expect_err("it is somebody else's").to_string();
        assert!(refused.contains("belongs to user 54321"), "{refused}");
    }
}
