//! Files beside the configuration: bounded, regular, and remembered for the watcher.

use super::Check;
use crate::load::Files;
use crate::model::Secret;
use crate::report::shown;
use crate::source::{At, Place};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// No certificate chain and no secret is larger.
const LARGEST: u64 = 1 << 20;

impl Check<'_> {
    /// The content of a file that a key names.
    pub(super) fn content(&mut self, path: &At<String>, what: &str) -> Option<Vec<u8>> {
        if self.options.files == Files::Unread {
            self.unread(path.at);
            return None;
        }
        let full = self.resolve(path);
        match read(&full) {
            Ok(content) => {
                self.read.push((full, content.clone()));
                Some(content)
            }
            Err(reason) => {
                // It may appear later: a watcher has to look for it.
                self.read.push((full.clone(), Vec::new()));
                let draft = self.error(path.at, format!("cannot read {what}: {reason}"));
                if full.as_os_str() != path.value.as_str() {
                    draft.label(format!("looked for {}", full.display()));
                }
                None
            }
        }
    }

    /// Warns of a secret that everybody on this machine can read.
    pub(super) fn private(&mut self, path: &At<String>, what: &str) {
        let metadata = std::fs::metadata(self.resolve(path));
        if metadata.is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0) {
            self.warning(path.at, format!("everybody on this machine can read {what}"))
                .hint(format!("`chmod 640 {}`, with a group that Serin is in", path.value));
        }
    }

    /// Remembers that a file was named here and not looked at.
    pub(crate) fn unread(&mut self, at: Place) {
        self.unread.push(at);
    }

    /// Says once that files were named and not looked at.
    pub(crate) fn tell_unread(&mut self) {
        let Some(first) = self.unread.first().copied() else { return };
        let message = match self.unread.len() {
            1 => "this file is not looked at".to_owned(),
            some => format!("{some} files are named, which are not looked at"),
        };
        self.warning(first, message).hint(
            "a text that is sent here opens no files: `serin check` does, where the files are",
        );
    }

    pub(super) fn secret(&mut self, path: &At<String>, what: &str) -> Option<Secret> {
        let content = self.content(path, what)?;
        let Ok(text) = String::from_utf8(content) else {
            self.error(path.at, format!("{what} is not text"))
                .hint("write it in hex or base64: `openssl rand -base64 32`");
            return None;
        };
        let text = text.trim();
        if text.is_empty() {
            self.error(path.at, format!("{what} is empty: {}", shown(&path.value)));
            return None;
        }
        Some(Secret::new(self.resolve(path), text.to_owned()))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let metadata = std::fs::metadata(path).map_err(|error| plain(&error))?;
    if !metadata.is_file() {
        return Err(format!("it is {}", kind(&metadata)));
    }
    let mut content = Vec::new();
    let file = File::open(path).map_err(|error| plain(&error))?;
    file.take(LARGEST + 1).read_to_end(&mut content).map_err(|error| plain(&error))?;
    if content.len() as u64 > LARGEST {
        return Err(format!("it is larger than {} KiB", LARGEST >> 10));
    }
    Ok(content)
}

/// What a path is when it is no regular file.
pub(crate) fn kind(metadata: &std::fs::Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    let found = metadata.file_type();
    if found.is_dir() {
        "a folder"
    } else if found.is_fifo() {
        "a pipe"
    } else if found.is_socket() {
        "a socket"
    } else if found.is_block_device() || found.is_char_device() {
        "a device"
    } else {
        "not a regular file"
    }
}

/// An error of the system without its number.
pub(crate) fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
