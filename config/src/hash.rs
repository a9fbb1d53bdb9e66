//! A fingerprint of everything the files say, so that two proxies can tell whether they run the
//! same. Comments, layout and the order of keys' files do not change it; a secret does.

use crate::yaml::{Node, Value};
use sha2::{Digest, Sha256};
use std::path::PathBuf;

pub(crate) fn of<'a>(roots: impl Iterator<Item = &'a Node>, read: &[(PathBuf, Vec<u8>)]) -> String {
    let mut hasher = Sha256::new();
    for root in roots {
        node(root, &mut hasher);
    }
    for (_, content) in read {
        text('f', content, &mut hasher);
    }
    hasher.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Every part begins with its kind and length, so that no two trees write the same bytes.
fn node(found: &Node, hasher: &mut Sha256) {
    match &found.value {
        Value::Null | Value::Broken => text('n', b"", hasher),
        Value::Scalar { text: scalar } => text('s', scalar.as_bytes(), hasher),
        Value::List(items) => {
            text('l', &items.len().to_le_bytes(), hasher);
            items.iter().for_each(|item| node(item, hasher));
        }
        Value::Map(entries) => {
            text('m', &entries.len().to_le_bytes(), hasher);
            for entry in entries {
                text('k', entry.key.as_bytes(), hasher);
                node(&entry.value, hasher);
            }
        }
    }
}

fn text(kind: char, bytes: &[u8], hasher: &mut Sha256) {
    hasher.update([kind as u8]);
    hasher.update((bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}
