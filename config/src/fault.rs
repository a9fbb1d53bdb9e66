//! What is wrong with a configuration, where, and what to write instead.
//!
//! A fault carries the line it points at, so it can be shown long after the file has changed.
//! Rendering is annotate-snippets' work: the form that rustc made familiar.

use crate::grouped::render_all;
use annotate_snippets::{
    Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet, renderer::DecorStyle,
};
use serde::Serialize;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// Legal, and surely a mistake.
    Warning,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    pub severity: Severity,
    pub file: String,
    /// From 1; 0 when the fault is the file's as a whole.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// `services.checkout.rollout.steps[1].weight`; empty for the file as a whole.
    pub path: String,
    pub message: String,
    /// What to write instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    #[serde(skip)]
    pub(crate) label: String,
    #[serde(skip)]
    pub(crate) excerpt: Option<Excerpt>,
    #[serde(skip)]
    pub(crate) related: Vec<Related>,
}

/// The line a fault points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Excerpt {
    pub(crate) text: String,
    pub(crate) mark: Range<usize>,
}

/// Another place that explains the fault, like the first of two equal names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Related {
    pub(crate) file: String,
    pub(crate) line: usize,
    pub(crate) excerpt: Option<Excerpt>,
    pub(crate) label: String,
}

impl Fault {
    /// A fault of a file as a whole.
    pub(crate) fn of_file(file: String, message: String, hint: Option<String>) -> Self {
        Self {
            severity: Severity::Error,
            file,
            line: 0,
            column: 0,
            path: String::new(),
            message,
            hint,
            label: String::new(),
            excerpt: None,
            related: Vec::new(),
        }
    }

    /// Something odd about a key of a file as a whole.
    pub fn warning(file: String, path: String, message: String) -> Self {
        let severity = Severity::Warning;
        Self { severity, path, ..Self::of_file(file, message, None) }
    }

    /// Something wrong with a key, found by whoever tried to use what the files say.
    pub fn error(file: String, path: String, message: String) -> Self {
        Self { path, ..Self::of_file(file, message, None) }
    }

    /// The title line: path and message.
    pub fn title(&self) -> String {
        match self.path.as_str() {
            "" => self.message.clone(),
            path => format!("{path}: {}", self.message),
        }
    }

    /// On one line, with its place: `serin.yaml:12:7: services.checkout: …`.
    pub fn line(&self) -> String {
        match self.line {
            0 => format!("{}: {}", self.file, self.title()),
            line => format!("{}:{line}:{}: {}", self.file, self.column, self.title()),
        }
    }

    /// As rustc shows it, with the line, a caret and the hint.
    pub fn render(&self, style: Style) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(self.title()));
        group = match &self.excerpt {
            Some(excerpt) => {
                let mark = AnnotationKind::Primary.span(excerpt.mark.clone());
                let mark = if self.label.is_empty() { mark } else { mark.label(&*self.label) };
                group.element(snippet(&self.file, self.line, excerpt, mark))
            }
            None if self.line == 0 => group.element(Origin::path(&*self.file)),
            None => {
                group.element(Origin::path(&*self.file).line(self.line).char_column(self.column))
            }
        };
        for other in &self.related {
            if let Some(excerpt) = &other.excerpt {
                let mark = AnnotationKind::Context.span(excerpt.mark.clone()).label(&*other.label);
                group = group.element(snippet(&other.file, other.line, excerpt, mark));
            }
        }
        if let Some(hint) = &self.hint {
            group = group.element(Level::HELP.message(&**hint));
        }
        style.renderer().render(&[group])
    }
}

fn snippet<'a>(
    file: &'a str,
    line: usize,
    excerpt: &'a Excerpt,
    mark: Annotation<'a>,
) -> Snippet<'a, Annotation<'a>> {
    Snippet::source(&*excerpt.text).line_start(line).path(file).annotation(mark)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Plain,
    Coloured,
}

impl Style {
    fn renderer(self) -> Renderer {
        match self {
            Self::Plain => Renderer::plain().decor_style(DecorStyle::Ascii),
            Self::Coloured => Renderer::styled().decor_style(DecorStyle::Ascii),
        }
    }
}

/// Why a configuration cannot be used: every error and every warning of every file.
#[derive(Debug, Clone, PartialEq)]
pub struct Faults {
    pub faults: Vec<Fault>,
    /// Found beyond the number that is kept.
    pub more: usize,
    /// Everything that was read, so that a watcher sees the repair.
    pub files: Vec<PathBuf>,
}

impl Faults {
    /// One fault of a file as a whole, found by whoever tried to use what it says.
    pub fn of_file(path: &std::path::Path, message: String) -> Self {
        let fault = Fault::of_file(path.display().to_string(), message, None);
        Self { faults: vec![fault], more: 0, files: vec![path.to_owned()] }
    }

    /// One fault of a key, found by whoever tried to use what the files say together.
    pub fn of_key(path: &std::path::Path, key: &str, message: String) -> Self {
        let mut faults = Self::of_file(path, message);
        faults.faults.iter_mut().for_each(|fault| key.clone_into(&mut fault.path));
        faults
    }

    /// Several of them.
    pub fn of_files(path: &std::path::Path, faults: Vec<Fault>) -> Self {
        Self { faults, more: 0, files: vec![path.to_owned()] }
    }

    pub fn errors(&self) -> impl Iterator<Item = &Fault> {
        self.faults.iter().filter(|fault| fault.severity == Severity::Error)
    }

    pub fn render(&self, style: Style) -> String {
        let mut text = render_all(&self.faults, style);
        if self.more > 0 {
            text.push_str(&format!("\n… and {} more\n", self.more));
        }
        text
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Style::Plain))
    }
}

impl std::error::Error for Faults {}
