//! The report for a terminal: 80 columns, no colour.

use crate::record::{Figures, Record};
use crate::scenario::Outcome;
use std::fmt::Write;
use std::time::Duration;

pub fn to_text(record: &Record, lasted: Duration) -> String {
    let mut out = String::new();
    let rate = record.total.requests as f64 / lasted.as_secs_f64().max(1e-9);
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "{} requests in {:.1} s, {rate:.0} a second, {} failed\n",
        record.total.requests,
        lasted.as_secs_f64(),
        record.total.failures
    );
    let _ = writeln!(
        out,
        "{:<12} {:>9} {:>7} {:>7} {:>8} {:>8} {:>8} {:>8}",
        "version", "requests", "share", "failed", "p50", "p99", "p99.9", "p99.99"
    );
    for (version, figures) in &record.versions {
        row(&mut out, version, figures, record.total.requests);
    }
    row(&mut out, "all", &record.total, record.total.requests);
    let _ = writeln!(out, "\nlatencies count from when a request was due; from when it was sent:");
    let quantiles = [0.5, 0.99, 0.999, 0.9999].map(|q| time(record.service.quantile(q)));
    let _ = writeln!(
        out,
        "{:<45} {:>8} {:>8} {:>8}",
        quantiles[0], quantiles[1], quantiles[2], quantiles[3]
    );
    ended(&mut out, record);
    users(&mut out, record);
    out
}

pub fn outcome_to_text(outcome: &Outcome) -> String {
    let mut out = format!("{}\n", outcome.name);
    for finding in &outcome.findings {
        let mark = if finding.met { "met   " } else { "MISSED" };
        let _ = writeln!(out, "  {mark}  {}\n          {}", finding.expected, finding.found);
    }
    for trouble in &outcome.troubles {
        let _ = writeln!(out, "  TROUBLE {trouble}");
    }
    let verdict = if outcome.passed() { "passed" } else { "FAILED" };
    let _ = writeln!(out, "  {verdict} in {:.1} s", outcome.lasted.as_secs_f64());
    out
}

fn row(out: &mut String, name: &str, figures: &Figures, of: u64) {
    let share = 100.0 * figures.requests as f64 / (of.max(1)) as f64;
    let q = |q| time(figures.latency.quantile(q));
    let _ = writeln!(
        out,
        "{name:<12} {:>9} {share:>6.2}% {:>7} {:>8} {:>8} {:>8} {:>8}",
        figures.requests,
        figures.failures,
        q(0.5),
        q(0.99),
        q(0.999),
        q(0.9999)
    );
}

fn ended(out: &mut String, record: &Record) {
    let parts: Vec<String> =
        record.total.ended.iter().map(|(how, count)| format!("{how}: {count}")).collect();
    let _ = writeln!(out, "\nended  {}", parts.join(", "));
}

fn users(out: &mut String, record: &Record) {
    if record.users_seen == 0 {
        return;
    }
    let _ =
        writeln!(out, "users  {} seen, {} changed version", record.users_seen, record.users_moved);
    for (moved, count) in &record.moves {
        let _ = writeln!(out, "       {} → {}: {count}", moved.from, moved.to);
    }
}

fn time(latency: Option<Duration>) -> String {
    let Some(latency) = latency else { return "-".to_owned() };
    let micros = latency.as_micros();
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..100_000 => format!("{:.2} ms", micros as f64 / 1e3),
        100_000..1_000_000 => format!("{:.0} ms", micros as f64 / 1e3),
        _ => format!("{:.2} s", micros as f64 / 1e6),
    }
}
