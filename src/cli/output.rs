//! How answers look: text for people, JSON for programs, colour only where it can be seen.

use clap::ValueEnum;
use serde::Serialize;
use serin_config::Style;
use std::io::{IsTerminal, Write};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

/// Colour on a terminal, unless NO_COLOR is set (<https://no-color.org>).
pub(crate) fn style_of(stream: &impl IsTerminal) -> Style {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if stream.is_terminal() && !no_color { Style::Coloured } else { Style::Plain }
}

/// Pretty JSON and a line break. A reader that has gone away is no error.
pub(crate) fn json(value: &impl Serialize) {
    if let Ok(text) = serde_json::to_string_pretty(value) {
        line(&text);
    }
}

pub(crate) fn line(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
