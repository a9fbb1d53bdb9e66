//! What one sees: lines that stay, and on a terminal a status that is drawn again under them.

use crate::cli::output::{width, wrapped};
use serin_control::{Figures, RolloutView, ServiceView};
use std::io::Write;
use std::time::{Duration, Instant};

pub(super) struct Screen {
    live: bool,
    began: Instant,
    /// Lines of the status that stand on the screen now.
    drawn: usize,
    last: Option<Instant>,
}

/// Without a terminal a line now and then is enough.
const PLAIN_EVERY: Duration = Duration::from_secs(2);

impl Screen {
    pub(super) fn new(live: bool) -> Self {
        Self { live, began: Instant::now(), drawn: 0, last: None }
    }

    pub(super) fn say(&mut self, line: &str) {
        self.clear();
        println!("{line}");
    }

    pub(super) fn title(&mut self, line: &str) {
        let line = if self.live { format!("\x1b[1m{line}\x1b[0m") } else { line.to_owned() };
        self.say(&line);
    }

    pub(super) fn event(&mut self, what: &str) {
        let at = self.began.elapsed().as_secs_f64();
        self.under(&format!("{at:>6.1} s  "), what);
    }

    pub(super) fn fact(&mut self, name: &str, what: &str) {
        self.under(&format!("  {name:<10} "), what);
    }

    /// Over as many lines as it takes, each beginning where the first one does.
    fn under(&mut self, head: &str, what: &str) {
        let mut lines = wrapped(what, width(), head.len());
        if let Some(first) = lines.first_mut() {
            first.replace_range(..head.len(), head);
        }
        self.say(&lines.join("\n"));
    }

    pub(super) fn status(
        &mut self,
        service: &ServiceView,
        rollout: &RolloutView,
        clients: (u64, u64),
    ) {
        if !self.live {
            if self.last.is_some_and(|last| last.elapsed() < PLAIN_EVERY) {
                return;
            }
            self.last = Some(Instant::now());
        }
        self.clear();
        let weight = |version: &str| service.weights.get(version).copied().unwrap_or(0);
        let compared = [
            (&rollout.from, weight(&rollout.from), &rollout.comparison.stable),
            (&rollout.to, weight(&rollout.to), &rollout.comparison.candidate),
        ];
        for (version, weight, figures) in compared {
            println!("  {}", version_line(version, weight, figures));
        }
        self.drawn = compared.len();
        if self.live {
            println!("  clients: {} requests, {} failed", clients.0, clients.1);
            self.drawn += 1;
        }
        // A pipe that is gone ends the demo at the next line anyway.
        let _ = std::io::stdout().flush();
    }

    /// Leaves the last status standing.
    pub(super) fn end(&mut self) {
        self.drawn = 0;
    }

    fn clear(&mut self) {
        if self.live && self.drawn > 0 {
            print!("\x1b[{}A\x1b[J", self.drawn);
        }
        self.drawn = 0;
    }
}

/// With it a line stays under 80 columns, and is redrawn where it stood.
const BAR: usize = 16;

fn version_line(version: &str, weight: u16, figures: &Figures) -> String {
    let filled = (usize::from(weight) * BAR).div_ceil(10_000);
    let share = f64::from(weight) / 100.0;
    let errors = figures.error_ratio.map_or("-".to_owned(), |e| format!("{:.1}%", e * 100.0));
    let p95 = figures.p95_ms.map_or("-".to_owned(), |ms| format!("{ms:.0} ms"));
    format!(
        "{version:<4} {:<BAR$} {share:>5}%  {:>6} requests  errors {errors:>6}  p95 {p95:>6}",
        "#".repeat(filled),
        figures.requests
    )
}
