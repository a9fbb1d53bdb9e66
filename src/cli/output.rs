//! How answers look: text for people, JSON for programs, colour only where it can be seen.

use clap::ValueEnum;
use serde::Serialize;
pub(crate) use serin_config::Style;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

/// Colour only ever repeats what the words say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    Bold,
    Red,
    Yellow,
    Green,
}

/// Colour on a terminal, unless NO_COLOR is set (<https://no-color.org>).
pub(crate) fn style_of(stream: &impl IsTerminal) -> Style {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if stream.is_terminal() && !no_color && !dumb { Style::Coloured } else { Style::Plain }
}

pub(crate) fn paint(style: Style, colour: Colour, text: &str) -> String {
    let code = match colour {
        Colour::Bold => 1,
        Colour::Red => 31,
        Colour::Yellow => 33,
        Colour::Green => 32,
    };
    match style {
        Style::Plain => text.to_owned(),
        Style::Coloured => format!("\x1b[{code}m{text}\x1b[0m"),
    }
}

/// Columns and lines of the terminal; 80 by 24 where there is none.
pub(crate) fn size() -> (usize, usize) {
    match terminal_size::terminal_size() {
        Some((terminal_size::Width(width), terminal_size::Height(height))) => {
            (usize::from(width).max(20), usize::from(height).max(5))
        }
        None => (80, 24),
    }
}

/// How wide text is set: never so wide that the eye loses the line.
pub(crate) fn width() -> usize {
    size().0.min(100)
}

/// Lines of at most `width` characters, all of them indented.
pub(crate) fn wrapped(text: &str, width: usize, indent: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = " ".repeat(indent);
    for word in text.split_whitespace() {
        let begun = line.chars().count() > indent;
        if begun && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::replace(&mut line, " ".repeat(indent)));
        }
        if line.chars().count() > indent {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

/// The part of a line that fits; escapes take no width.
pub(crate) fn cut(line: &str, width: usize) -> String {
    let mut cut = String::new();
    let mut used = 0;
    let mut escape = false;
    for c in line.chars() {
        match c {
            '\x1b' => escape = true,
            'm' if escape => {
                escape = false;
                cut.push(c);
                continue;
            }
            _ => {}
        }
        if !escape {
            if used == width {
                // What follows may only be the end of a colour.
                continue;
            }
            used += 1;
        }
        cut.push(c);
    }
    cut
}

/// Pretty JSON and a line break. A reader that has gone away is no error.
pub(crate) fn json(value: &impl Serialize) {
    if let Ok(text) = serde_json::to_string_pretty(value) {
        line(&text);
    }
}

/// JSON on one line, for streams of documents.
pub(crate) fn json_line(value: &impl Serialize) {
    if let Ok(text) = serde_json::to_string(value) {
        line(&text);
    }
}

static CLOSED: AtomicBool = AtomicBool::new(false);

/// Whether the reader of our output has gone away.
pub(crate) fn is_closed() -> bool {
    CLOSED.load(Ordering::Relaxed)
}

pub(crate) fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        CLOSED.store(true, Ordering::Relaxed);
    }
}

/// Text that ends its last line itself.
pub(crate) fn text(text: &str) {
    line(text.trim_end_matches('\n'));
}

pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_by_what_is_seen_of_it() {
        assert_eq!(cut("abcdef", 3), "abc");
        assert_eq!(cut("\x1b[31mabcdef\x1b[0m", 3), "\x1b[31mabc\x1b[0m");
        assert_eq!(cut("ab", 3), "ab");
    }
}
