//! Faults as they are found: a place and words. Lines and paths are worked out at the end.

use crate::fault::{Excerpt, Fault, Related, Severity};
use crate::source::{Place, Source, path_to};
use crate::unexpanded::Expanded;
use crate::yaml::Node;
use std::collections::HashSet;

/// Beyond this many faults one is counted and not kept: nobody reads more, and a hostile file
/// must not be able to fill memory with complaints.
const KEPT: usize = 1_000;
/// A line longer than this is named by its number and not shown.
const LONGEST_LINE: usize = 4_096;
/// How much of an operator's text a message repeats.
const SHOWN: usize = 60;

#[derive(Debug)]
pub(crate) struct Draft {
    severity: Severity,
    at: Place,
    message: String,
    label: String,
    hint: Option<String>,
    also: Vec<(Place, String)>,
}

impl Draft {
    /// Words beside the caret.
    pub(crate) fn label(&mut self, label: impl Into<String>) -> &mut Self {
        self.label = label.into();
        self
    }

    /// What to write instead.
    pub(crate) fn hint(&mut self, hint: impl Into<String>) -> &mut Self {
        self.hint = Some(hint.into());
        self
    }

    /// A second place that explains the first.
    pub(crate) fn also(&mut self, at: Place, label: impl Into<String>) -> &mut Self {
        self.also.push((at, label.into()));
        self
    }
}

#[derive(Debug, Default)]
pub(crate) struct Report {
    drafts: Vec<Draft>,
    /// Takes the words of faults that are only counted.
    scratch: Option<Draft>,
    more: usize,
    errors: usize,
    /// Values that are not looked at.
    unknown: usize,
    /// Of whole files, which have no place.
    whole: Vec<Fault>,
    /// What of the words of faults came from variables.
    pub(crate) expanded: Expanded,
}

impl Report {
    pub(crate) fn error(&mut self, at: Place, message: impl Into<String>) -> &mut Draft {
        self.errors += 1;
        self.add(Severity::Error, at, message.into())
    }

    pub(crate) fn warning(&mut self, at: Place, message: impl Into<String>) -> &mut Draft {
        self.add(Severity::Warning, at, message.into())
    }

    /// A value that is not looked at, which is no fault of the file.
    pub(crate) fn unknown(&mut self, at: Place, message: String) -> &mut Draft {
        self.unknown += 1;
        self.add(Severity::Warning, at, message)
    }

    /// Whether some value is not looked at, so that what rests on it cannot be checked.
    pub(crate) fn has_unknown(&self) -> bool {
        self.unknown > 0
    }

    pub(crate) fn file(&mut self, fault: Fault) {
        self.errors += usize::from(fault.severity == Severity::Error);
        if self.whole.len() < KEPT {
            self.whole.push(fault);
        } else {
            self.more += 1;
        }
    }

    /// Whether further faults are only counted, so that words for them would be wasted.
    pub(crate) fn is_full(&self) -> bool {
        self.drafts.len() >= KEPT
    }

    /// How many errors there are so far.
    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    fn add(&mut self, severity: Severity, at: Place, message: String) -> &mut Draft {
        let draft =
            Draft { severity, at, message, label: String::new(), hint: None, also: Vec::new() };
        if self.drafts.len() < KEPT {
            self.drafts.push(draft);
            let last = self.drafts.len() - 1;
            &mut self.drafts[last]
        } else {
            self.more += 1;
            self.scratch.insert(draft)
        }
    }

    /// Every fault once, in the order of files and lines, and how many more there were.
    pub(crate) fn finish(
        mut self,
        sources: &[Source],
        roots: &[Option<Node>],
    ) -> (Vec<Fault>, usize) {
        self.drafts.sort_by_key(|draft| (draft.at.file, draft.at.start));
        let mut seen = HashSet::new();
        let drafts = self.drafts.into_iter();
        // A fault in an anchor's value would come once per alias.
        let once = drafts.filter(|draft| seen.insert((draft.at, draft.message.clone())));
        let expanded = &self.expanded;
        let placed = once.map(|draft| place(draft, expanded, sources, roots));
        let mut faults = self.whole;
        faults.extend(placed);
        (faults, self.more)
    }
}

fn place(draft: Draft, expanded: &Expanded, sources: &[Source], roots: &[Option<Node>]) -> Fault {
    let hide = |text: String| expanded.hide(text, draft.at);
    let source = &sources[usize::from(draft.at.file)];
    let (line, column) = source.line_and_column(draft.at.start);
    let root = roots.get(usize::from(draft.at.file)).and_then(Option::as_ref);
    let related = |(at, label): (Place, String)| {
        let source = &sources[usize::from(at.file)];
        let (line, _) = source.line_and_column(at.start);
        Related {
            file: source.name.clone(),
            line,
            excerpt: excerpt(source, at),
            label: expanded.hide(label, at),
        }
    };
    let path = root.map_or_else(String::new, |root| path_to(root, draft.at));
    Fault {
        severity: draft.severity,
        file: source.name.clone(),
        line,
        column,
        path: expanded.hide_anywhere(path),
        message: hide(draft.message),
        hint: draft.hint.map(hide),
        label: hide(draft.label),
        excerpt: excerpt(source, draft.at),
        related: draft.also.into_iter().map(related).collect(),
    }
}

/// The line of a place and what to mark in it; a value over several lines is marked in its first.
fn excerpt(source: &Source, at: Place) -> Option<Excerpt> {
    let (line, _) = source.line_and_column(at.start);
    let text = source.line(line);
    if text.len() > LONGEST_LINE {
        return None;
    }
    let begin = source.line_start(line);
    // A mark that cuts a character in two cannot be drawn.
    let start = text.floor_char_boundary((at.start as usize).saturating_sub(begin));
    let end = (at.end as usize).saturating_sub(begin).min(text.trim_end().len());
    let end = text.ceil_char_boundary(if end > start { end } else { start + 1 });
    Some(Excerpt { text: text.to_owned(), mark: start..end })
}

/// An operator's text as messages repeat it: in backticks, on one line, cut when long.
pub(crate) fn shown(text: &str) -> String {
    let mut out = String::from("`");
    for (n, c) in text.chars().enumerate() {
        if n == SHOWN {
            out.push('…');
            break;
        }
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out.push('`');
    out
}
