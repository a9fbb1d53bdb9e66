//! The texts that were read, and places in them.
//!
//! A place is a file and a byte range, small enough to sit beside every value. Lines, columns
//! and the path of keys are worked out only for the few places that a fault points at.

use crate::yaml::{Entry, Node, Value};
use std::path::{Path, PathBuf};

/// Where something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(crate) struct Place {
    pub(crate) file: u16,
    /// The mapping that begins here is meant, not its first key.
    pub(crate) whole: bool,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Place {
    pub(crate) fn whole(self) -> Self {
        Self { whole: true, ..self }
    }
}

/// A value and where it stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) at: Place,
}

impl<T> std::ops::Deref for At<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

#[derive(Debug)]
pub(crate) struct Source {
    /// As messages name it.
    pub(crate) name: String,
    /// What relative paths in it are relative to.
    pub(crate) base: PathBuf,
    pub(crate) text: String,
    /// The byte offset of each line.
    lines: Vec<u32>,
}

impl Source {
    pub(crate) fn new(name: String, base: PathBuf, text: String) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let after = breaks.map(|(at, _)| u32::try_from(at + 1).unwrap_or(u32::MAX));
        let lines = std::iter::once(0).chain(after).collect();
        Self { name, base, text, lines }
    }

    pub(crate) fn resolve(&self, path: &str) -> PathBuf {
        let path = Path::new(path);
        if path.is_absolute() { path.to_owned() } else { self.base.join(path) }
    }

    /// Line and column from 1, columns in characters.
    pub(crate) fn line_and_column(&self, offset: u32) -> (usize, usize) {
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = self.line_start(line);
        let end = (offset as usize).min(self.text.len());
        let before = self.text.get(start..end).unwrap_or_default();
        (line, before.chars().count() + 1)
    }

    pub(crate) fn line_start(&self, line: usize) -> usize {
        self.lines.get(line - 1).map_or(self.text.len(), |start| *start as usize)
    }

    /// A line without its break.
    pub(crate) fn line(&self, line: usize) -> &str {
        let end = self.lines.get(line).map_or(self.text.len(), |next| *next as usize);
        self.text.get(self.line_start(line)..end).unwrap_or_default().trim_end_matches(['\n', '\r'])
    }
}

/// The keys and indexes that lead to a place: `services.checkout.rollout.steps[1].weight`.
pub(crate) fn path_to(root: &Node, place: Place) -> String {
    let offset = place.start;
    let mut path = String::new();
    let mut node = root;
    while end_of(node) > offset {
        match &node.value {
            Value::Map(entries) => {
                let Some(entry) = before(own(entries), offset, |e| e.key_at.start) else {
                    return path;
                };
                let first = entry.key_at.start == offset && node.at.start == offset;
                if place.whole && first {
                    return path;
                }
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&entry.key);
                if offset < entry.key_at.end {
                    return path;
                }
                if end_of(&entry.value) < offset {
                    path.truncate(path.len() - entry.key.len());
                    return path.trim_end_matches('.').to_owned();
                }
                node = &entry.value;
            }
            Value::List(items) => {
                let Some(item) = before(items, offset, |item| item.at.start) else { return path };
                let index = items.partition_point(|item| item.at.start <= offset) - 1;
                path.push_str(&format!("[{index}]"));
                node = item;
            }
            Value::Null | Value::Scalar { .. } | Value::Broken => return path,
        }
    }
    path
}

/// The entries that stand where they are read; what `<<` brings comes after them.
fn own(entries: &[Entry]) -> &[Entry] {
    &entries[..entries.partition_point(|entry| !entry.aliased)]
}

/// The last of the parts, in the order of the text, that begins before an offset.
fn before<T>(parts: &[T], offset: u32, start: impl Fn(&T) -> u32) -> Option<&T> {
    let after = parts.partition_point(|part| start(part) <= offset);
    parts[..after].last()
}

/// Where the text of a node ends; a block collection ends with its last entry.
fn end_of(node: &Node) -> u32 {
    let last = match &node.value {
        Value::Map(entries) => own(entries).last().map(|e| end_of(&e.value).max(e.key_at.end)),
        Value::List(items) => items.last().map(end_of),
        Value::Null | Value::Scalar { .. } | Value::Broken => None,
    };
    last.unwrap_or_default().max(node.at.end)
}
