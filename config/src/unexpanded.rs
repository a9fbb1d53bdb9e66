//! Faults never repeat what a variable of the environment holds: a value may be a secret, and faults
//! go to logs, to chats and to whoever may ask. They show `${VAR}` as it is written.
//!
//! Checks make their words of values, so this happens where faults are finished: words that are part
//! of a value which a variable went into become what the file says, at that value; what a variable
//! holds becomes the variable anywhere.

use crate::source::Place;
use std::collections::{BTreeMap, HashMap};

/// Shorter ones are parts of ordinary words.
const LONG_ENOUGH_ANYWHERE: usize = 4;

/// Everything that variables went into.
#[derive(Debug, Default)]
pub(crate) struct Expanded {
    at: HashMap<(u16, u32), Scalar>,
    variables: BTreeMap<String, String>,
}

#[derive(Debug)]
struct Scalar {
    written: String,
    /// Lower case, once as it is and once as messages escape it.
    value: String,
}

impl Expanded {
    pub(crate) fn scalar(&mut self, at: Place, written: &str, value: &str) {
        let escaped: String = value.chars().flat_map(char::escape_default).collect();
        let value = format!("{value}\n{escaped}").to_lowercase();
        self.at.insert((at.file, at.start), Scalar { written: written.to_owned(), value });
    }

    pub(crate) fn variable(&mut self, name: &str, value: &str) {
        if value.chars().count() >= LONG_ENOUGH_ANYWHERE {
            self.variables.insert(value.to_owned(), format!("${{{name}}}"));
        }
    }

    /// Words about a place.
    pub(crate) fn hide(&self, text: String, at: Place) -> String {
        let text = self.hide_anywhere(text);
        match self.at.get(&(at.file, at.start)) {
            Some(scalar) => scalar.hide(&text),
            None => text,
        }
    }

    pub(crate) fn hide_anywhere(&self, mut text: String) -> String {
        for (value, name) in &self.variables {
            if text.contains(value) {
                text = text.replace(value, name);
            }
        }
        text
    }
}

impl Scalar {
    fn hide(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(end) = rest.find(['`', ' ', '"']) {
            self.piece(&rest[..end], &mut out);
            out.push_str(&rest[end..=end]);
            rest = &rest[end + 1..];
        }
        self.piece(rest, &mut out);
        // A value of several words has become several times the same.
        let (twice, once) = (format!("{0} {0}", self.written), self.written.as_str());
        while out.contains(&twice) {
            out = out.replace(&twice, once);
        }
        out
    }

    fn piece(&self, piece: &str, out: &mut String) {
        let bare = piece.trim_end_matches(['…', ',', ':', ';', '.']);
        // A word of one or two letters gives nothing away and is found in everything.
        let telling = bare.len() > 2 || bare.bytes().any(|b| b.is_ascii_digit());
        if telling && !self.written.contains(bare) && self.value.contains(&bare.to_lowercase()) {
            out.push_str(&self.written);
            out.push_str(&piece[bare.len()..]);
        } else {
            out.push_str(piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Place = Place { file: 0, whole: false, start: 7, end: 20 };

    fn hidden(written: &str, value: &str, text: &str) -> String {
        let mut expanded = Expanded::default();
        expanded.scalar(HERE, written, value);
        expanded.hide(text.to_owned(), HERE)
    }

    #[test]
    fn a_value_and_its_parts_become_what_is_written() {
        for (written, value, text, says) in [
            ("${PW}", "hunter2", "`hunter2` is not an address", "`${PW}` is not an address"),
            ("${PW}", "Hunter2", "`hunter2` is no host", "`${PW}` is no host"),
            ("${A}:${B}", "10.0.0.1:x", "`x1` is no port", "`x1` is no port"),
            ("${A}:${B}", "10.0.0.1:x9", "`x9` is no port", "`${A}:${B}` is no port"),
            ("${N}", "70000", "70000 is over 65535", "${N} is over 65535"),
            ("${PW}", "one two three", "`one two three` is bad", "`${PW}` is bad"),
            ("${PW}", &"long".repeat(40), &format!("`{}…` is", "long".repeat(15)), "`${PW}…` is"),
            ("${PW}", "a\tbc", "`a\\tbc` is", "`${PW}` is"),
        ] {
            assert_eq!(hidden(written, value, text), says);
        }
    }

    #[test]
    fn what_a_variable_holds_is_shown_nowhere() {
        let mut expanded = Expanded::default();
        expanded.variable("PW", "hunter2");
        expanded.variable("N", "80");
        let elsewhere = Place { start: 99, ..HERE };
        let text = "route x leads to `svc-hunter2`, port 8080".to_owned();
        assert_eq!(expanded.hide(text, elsewhere), "route x leads to `svc-${PW}`, port 8080");
    }
}
