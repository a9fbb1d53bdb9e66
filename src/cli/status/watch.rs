//! `serin status --watch`: the same text, drawn over itself.
//!
//! On a terminal it uses the second screen and a handful of escapes: home, clear to the end of
//! the line, clear the rest. The width is asked for at every drawing, so a resized window is
//! right a second later. Anywhere else (a pipe, a log, a screen reader's buffer) it
//! prints one line per change and never an escape.

use crate::cli::Exit;
use crate::cli::follow;
use crate::cli::output::{self, Format};
use crate::client::{Client, Failure};
use serin_control::Snapshot;
use std::io::{IsTerminal, Write};
use std::time::Duration;

const EVERY: Duration = Duration::from_secs(1);

pub(super) fn watch(client: &Client, only: Option<&str>, format: Format) -> Result<Exit, Failure> {
    // The first reading decides whether there is anything to watch.
    let first = super::read(client, only)?;
    if format == Format::Text && std::io::stdout().is_terminal() {
        let screen = Screen::open();
        let last = redraw(client, only, &first);
        drop(screen);
        return Ok(last);
    }
    Ok(report(client, only, first, format))
}

/// Until interrupted. What cannot be reached now may come back: it is said, and asked again.
fn redraw(client: &Client, only: Option<&str>, first: &Snapshot) -> Exit {
    let mut shown = lines(first);
    draw(&shown);
    while client.pause(EVERY) {
        match super::read(client, only) {
            Ok(snapshot) => {
                shown = lines(&snapshot);
                draw(&shown);
            }
            Err(failure) => {
                let mut stale = vec![format!("not current: {failure}"), String::new()];
                stale.extend(shown.iter().cloned());
                draw(&stale);
            }
        }
    }
    Exit::Done
}

fn lines(snapshot: &Snapshot) -> Vec<String> {
    let style = output::style_of(&std::io::stdout());
    let mut lines = vec![format!("{}  Ctrl-C ends", snapshot.at), String::new()];
    lines.extend(super::text(snapshot, output::width(), style));
    lines
}

/// In one write, so that nothing flickers.
fn draw(lines: &[String]) {
    let (width, height) = output::size();
    let mut frame = String::from("\x1b[H");
    let fits = height.saturating_sub(1);
    for line in lines.iter().take(fits) {
        frame.push_str(&output::cut(line, width));
        frame.push_str("\x1b[K\r\n");
    }
    if lines.len() > fits {
        frame.push_str(&output::cut(
            "… more below: make the window taller, or name a service",
            width,
        ));
        frame.push_str("\x1b[K");
    }
    frame.push_str("\x1b[J");
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(frame.as_bytes());
    let _ = out.flush();
}

/// The terminal's second screen without a cursor, given back however this ends.
struct Screen;

impl Screen {
    fn open() -> Self {
        print(b"\x1b[?1049h\x1b[?25l\x1b[2J");
        Self
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        print(b"\x1b[?25h\x1b[?1049l");
    }
}

fn print(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(bytes);
    let _ = out.flush();
}

/// One line (or JSON document) per change of any rollout.
fn report(client: &Client, only: Option<&str>, first: Snapshot, format: Format) -> Exit {
    let mut said: Vec<String> = Vec::new();
    let mut snapshot = Some(first);
    loop {
        if let Some(snapshot) = snapshot {
            let now: Vec<String> = snapshot.services.iter().map(|s| follow::sentence(s)).collect();
            match format {
                Format::Json if now != said => output::json_line(&snapshot),
                Format::Json => {}
                Format::Text => {
                    now.iter()
                        .filter(|line| !said.contains(line))
                        .for_each(|line| output::line(line));
                }
            }
            said = now;
        }
        if output::is_closed() || !client.pause(EVERY) {
            return Exit::Done;
        }
        snapshot = super::read(client, only).ok();
    }
}
