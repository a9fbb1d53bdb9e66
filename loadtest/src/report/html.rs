//! The report as one HTML file: verdicts, figures, and plots over time. No scripts, no outside
//! resource; it can be kept as a build's artefact.

use super::junit::escaped;
use crate::record::{Figures, Record, Second};
use crate::scenario::Outcome;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

const HEAD: &str = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Load test</title>\
<meta name=\"viewport\" content=\"width=device-width\"><style>\
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}\
table{border-collapse:collapse;margin:1rem 0}th,td{padding:.25rem .75rem;text-align:right;border-bottom:1px solid #ddd}\
th:first-child,td:first-child{text-align:left}.met{color:#0a6b2d}.missed{color:#b00020;font-weight:600}svg{width:100%;height:auto}\
pre{background:#f4f4f4;padding:1rem;overflow:auto}\
@media(prefers-color-scheme:dark){body{background:#161616;color:#e8e8e8}th,td{border-color:#444}.met{color:#5fd38a}.missed{color:#ff7a85}pre{background:#222}}\
</style></head><body>\n<h1>Load test</h1>\n";
const FOOT: &str = "</body></html>\n";

/// Distinguishable without seeing red and green apart.
const COLOURS: [&str; 5] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00"];

pub fn to_html(outcomes: &[Outcome]) -> String {
    let mut out = String::from(HEAD);
    outcomes.iter().for_each(|outcome| section(&mut out, outcome));
    out.push_str(FOOT);
    out
}

/// Load alone, without expectations.
pub fn record_to_html(name: &str, record: &Record) -> String {
    let mut out = String::from(HEAD);
    // Writing to a string cannot fail.
    let _ = writeln!(out, "<h2>{}</h2>", escaped(name));
    figures(&mut out, record);
    plots(&mut out, record);
    out.push_str(FOOT);
    out
}

// Writing to a string cannot fail; the results below are ignored for that reason.
fn section(out: &mut String, outcome: &Outcome) {
    let (class, word) = if outcome.passed() { ("met", "passed") } else { ("missed", "failed") };
    let _ =
        writeln!(out, "<h2>{} <span class=\"{class}\">{word}</span></h2>", escaped(&outcome.name));
    out.push_str("<table><tr><th>expected</th><th>found</th><th></th></tr>\n");
    for finding in &outcome.findings {
        let (class, word) = if finding.met { ("met", "yes") } else { ("missed", "no") };
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td class=\"{class}\">{word}</td></tr>",
            escaped(&finding.expected),
            escaped(&finding.found)
        );
    }
    out.push_str("</table>\n");
    for trouble in &outcome.troubles {
        let _ = writeln!(out, "<p class=\"missed\">{}</p>", escaped(trouble));
    }
    figures(out, &outcome.record);
    plots(out, &outcome.record);
    timeline(out, outcome);
}

fn figures(out: &mut String, record: &Record) {
    out.push_str("<table><tr><th>version</th><th>requests</th><th>failed</th><th>p50</th><th>p99</th><th>p99.99</th></tr>\n");
    let all = std::iter::once(("all", &record.total));
    for (name, f) in record.versions.iter().map(|(n, f)| (&**n, f)).chain(all) {
        let q = |q| f.latency.quantile(q).map_or("-".to_owned(), millis);
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(name),
            f.requests,
            f.failures,
            q(0.5),
            q(0.99),
            q(0.9999)
        );
    }
    out.push_str("</table>\n");
}

fn millis(latency: Duration) -> String {
    format!("{:.2} ms", latency.as_secs_f64() * 1e3)
}

fn plots(out: &mut String, record: &Record) {
    let versions: BTreeSet<Arc<str>> =
        record.seconds.iter().flat_map(|s| s.versions.keys().cloned()).collect();
    let versions: Vec<Arc<str>> = versions.into_iter().collect();
    plot(out, "requests a second", record, &versions, |f, _| Some(f.requests as f64));
    plot(out, "share, percent", record, &versions, |f, second| {
        let all: u64 = second.versions.values().map(|f| f.requests).sum();
        Some(100.0 * f.requests as f64 / all.max(1) as f64)
    });
    plot(out, "failures a second", record, &versions, |f, _| Some(f.failures as f64));
    plot(out, "p99, milliseconds", record, &versions, |f, _| {
        f.latency.quantile(0.99).map(|d| d.as_secs_f64() * 1e3)
    });
}

const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 180.0;
const LEFT: f64 = 60.0;
const BOTTOM: f64 = 24.0;

fn plot(
    out: &mut String,
    title: &str,
    record: &Record,
    versions: &[Arc<str>],
    value: impl Fn(&Figures, &Second) -> Option<f64>,
) {
    let course = |version: &Arc<str>| -> Vec<Option<f64>> {
        record.seconds.iter().map(|s| value(s.versions.get(version)?, s)).collect()
    };
    let courses: Vec<Vec<Option<f64>>> = versions.iter().map(course).collect();
    let top = courses.iter().flatten().flatten().fold(1.0f64, |a, b| a.max(*b));
    let x = |i: usize| LEFT + (WIDTH - LEFT) * i as f64 / (record.seconds.len().max(2) - 1) as f64;
    let y = |v: f64| 8.0 + (HEIGHT - BOTTOM - 8.0) * (1.0 - v / top);
    let _ = writeln!(
        out,
        "<figure><figcaption>{title}</figcaption><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title} by version over time\" font-size=\"11\">"
    );
    for level in [0.0, top / 2.0, top] {
        let _ = writeln!(
            out,
            "<line x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{0:.1}\" y2=\"{0:.1}\" stroke=\"#8884\"/><text x=\"{1}\" y=\"{2:.1}\" text-anchor=\"end\" fill=\"currentColor\">{level:.1}</text>",
            y(level),
            LEFT - 6.0,
            y(level) + 4.0
        );
    }
    for (index, (version, course)) in versions.iter().zip(&courses).enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let points: Vec<String> = course
            .iter()
            .enumerate()
            .filter_map(|(i, v)| v.map(|v| format!("{:.1},{:.1}", x(i), y(v))))
            .collect();
        let _ = writeln!(
            out,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/><text x=\"{}\" y=\"{}\" fill=\"{colour}\">{}</text>",
            points.join(" "),
            LEFT + 120.0 * index as f64,
            HEIGHT - 6.0,
            escaped(version)
        );
    }
    out.push_str("</svg></figure>\n");
}

fn timeline(out: &mut String, outcome: &Outcome) {
    if outcome.sightings.all.is_empty() {
        return;
    }
    out.push_str("<table><tr><th>at</th><th>state</th><th>weight</th><th>reason</th></tr>\n");
    for sighting in &outcome.sightings.all {
        let weight = sighting.weight.map_or(String::new(), |w| format!("{}%", w as f64 / 100.0));
        let _ = writeln!(
            out,
            "<tr><td>{:.2} s</td><td>{}</td><td>{weight}</td><td>{}</td></tr>",
            sighting.at.as_secs_f64(),
            escaped(sighting.state.as_deref().unwrap_or("no rollout")),
            escaped(sighting.reason.as_deref().unwrap_or(""))
        );
    }
    out.push_str("</table>\n");
}
