//! Header names and values, and changes to them.

use super::Check;
use crate::file::{self, Named};
use crate::model::HeaderEdits;
use crate::report::shown;
use crate::source::At;

/// They belong to one connection and are Serin's own business.
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
];

/// A header's name in lower case.
pub(super) fn name(found: &At<String>, check: &mut Check<'_>) -> Option<String> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if found.value.is_empty() || !found.value.bytes().all(token) {
        let draft = check.error(found.at, format!("{} is not a header name", shown(&found.value)));
        if found.value.ends_with(':') {
            draft.hint(format!("write `{}`", found.value.trim_end_matches(':')));
        } else {
            draft.hint("a name has letters, digits and `-`");
        }
        return None;
    }
    Some(found.value.to_ascii_lowercase())
}

pub(super) fn names(found: Option<&At<Vec<At<String>>>>, check: &mut Check<'_>) -> Vec<String> {
    let items = found.map(|found| found.value.as_slice()).unwrap_or_default();
    items.iter().filter_map(|item| name(item, check)).collect()
}

/// What may be sent as a header's value.
pub(super) fn value(at: &At<String>, value: &str, check: &mut Check<'_>) -> Option<String> {
    let bad = value.chars().find(|c| c.is_control() && *c != '\t');
    if let Some(bad) = bad {
        check
            .error(
                at.at,
                format!("the value of {} has {} in it", shown(&at.value), shown(&bad.to_string())),
            )
            .hint("a header is one line of printable characters");
        return None;
    }
    Some(value.trim().to_owned())
}

pub(super) fn edits(found: Option<&At<file::HeaderEdits>>, check: &mut Check<'_>) -> HeaderEdits {
    let Some(found) = found else { return HeaderEdits::default() };
    let edits = HeaderEdits {
        set: pairs(found.set_headers.as_ref(), check),
        add: pairs(found.add_headers.as_ref(), check),
        remove: Vec::new(),
    };
    let listed = found.remove_headers.as_ref().map(|r| r.value.as_slice()).unwrap_or_default();
    let remove = listed.iter().filter_map(|item| editable(item, check)).collect();
    HeaderEdits { remove, ..edits }
}

pub(super) fn pairs(
    found: Option<&At<Named<String>>>,
    check: &mut Check<'_>,
) -> Vec<(String, String)> {
    let entries = found.map(|found| found.value.0.as_slice()).unwrap_or_default();
    let mut pairs: Vec<(String, String)> = Vec::with_capacity(entries.len());
    for (key, text) in entries {
        let name = editable(key, check);
        let value = value(key, text, check);
        let (Some(name), Some(value)) = (name, value) else { continue };
        if pairs.iter().any(|(other, _)| *other == name) {
            check
                .error(key.at, format!("{} stands twice", shown(&name)))
                .hint("header names do not tell upper from lower case");
        }
        pairs.push((name, value));
    }
    pairs
}

fn editable(found: &At<String>, check: &mut Check<'_>) -> Option<String> {
    let name = name(found, check)?;
    if HOP_BY_HOP.contains(&name.as_str()) {
        check
            .error(found.at, format!("{} cannot be changed", shown(&name)))
            .label("belongs to the connection, which Serin manages")
            .hint("remove it");
        return None;
    }
    Some(name)
}
