//! The course of a simulation: a timeline for people, an object for programs.

use super::build::Heading;
use crate::cli::output::wrapped;
use serde::Serialize;
use serin_core::rollout::{Command, Event, Phase, Span, Verdict};
use serin_core::simulate::{Entry, Report, Told, VersionTotals};
use std::time::Duration;

/// Time and weight come first; what happened is set in the rest of the line.
const INDENT: usize = 20;

pub(super) fn text(heading: &Heading, report: &Report, width: usize) -> String {
    let mut lines = Vec::new();
    if let Some(about) = &heading.about {
        lines.extend(wrapped(about, width, 0));
    }
    lines.push(format!("{}: {} to {}", heading.service, heading.from, heading.to));
    let starts = heading.starts.strftime("%a %Y-%m-%d %H:%M %Z");
    lines.push(format!("{} from {starts}, seed {}", Span(heading.lasts), heading.seed));
    lines.push(String::new());
    for entry in &report.entries {
        let head = format!("{:>9} {:>8}  ", at(entry.at), entry.weight.to_string());
        let mut text = wrapped(&sentence(&entry.told), width, INDENT);
        if let Some(first) = text.first_mut() {
            first.replace_range(..INDENT, &head);
        }
        lines.extend(text);
    }
    lines.push(String::new());
    lines.extend(wrapped(&ending(report), width, 0));
    lines.extend(report.waiting.iter().skip(1).flat_map(|o| wrapped(&o.to_string(), width, 7)));
    lines.extend(report.totals.versions.iter().map(totals));
    lines.join("\n")
}

/// `1:02:05`, `12:30.4`: hours only when there are some.
fn at(time: Duration) -> String {
    let (s, tenths) = (time.as_secs(), time.subsec_millis() / 100);
    let (h, m, s) = (s / 3_600, s / 60 % 60, s % 60);
    let head = if h > 0 { format!("{h}:{m:02}:{s:02}") } else { format!("{m}:{s:02}") };
    format!("{head}.{tenths}")
}

fn sentence(told: &Told) -> String {
    match told {
        Told::Event(event) => event.to_string(),
        Told::Verdict(verdict) => verdict.to_string(),
        Told::Waits(why) => format!("hold: {why}"),
        Told::Refused { asked, why } => format!("{} refused: {why}", asked_word(asked)),
        Told::Frozen { by, reason } => format!("frozen by {by}: {reason}"),
        Told::Thawed => "no longer frozen".into(),
        Told::Restarted { downtime } => format!("killed, and back after {}", Span(*downtime)),
        Told::ClockSet { by_ms } => {
            let by = Span(Duration::from_millis(by_ms.unsigned_abs()));
            format!("the wall clock is set {by} {}", if *by_ms < 0 { "back" } else { "ahead" })
        }
        Told::Silent { lasts } => format!("no counts from the data plane for {}", Span(*lasts)),
        Told::Starved { lasts } => {
            format!("the whole host is starved of processor time for {}", Span(*lasts))
        }
        Told::Reloaded => "the configuration is reloaded".into(),
    }
}

fn asked_word(command: &Command) -> &'static str {
    match command {
        Command::Start(_) => "start",
        Command::Promote { .. } => "promote",
        Command::Pause { .. } => "pause",
        Command::Resume { .. } => "resume",
        Command::Abort { .. } => "abort",
        Command::Undo { .. } => "undo",
        Command::Retry(_) => "retry",
        Command::SetWeights { .. } => "weights",
        Command::Approve { .. } => "approval",
        Command::Tick { .. } => "tick",
        Command::GateAnswered { .. } => "gate's answer",
    }
}

fn ending(report: &Report) -> String {
    let Some(course) = &report.position.rollout else {
        return format!("ends:  no rollout; {} is stable", report.position.stable);
    };
    let phase = course.phase;
    let weight = course.weight;
    match (&course.ended, phase) {
        (Some(ended), Phase::RolledBack) => {
            format!("ends:  rolledBack from {} ({})", ended.reached, ended.label)
        }
        (Some(_), Phase::Complete) => format!("ends:  complete, {} is stable", course.candidate),
        (_, _) => match report.waiting.first() {
            Some(why) => format!("ends:  {phase} at {weight}: {why}"),
            None => format!("ends:  {phase} at {weight}"),
        },
    }
}

fn totals(version: &VersionTotals) -> String {
    let VersionTotals { requests, failed, rescued, users_hurt, .. } = version;
    let name = format!("{}:", version.version);
    let rescued = if *rescued > 0 { format!(", {rescued} of them rescued") } else { String::new() };
    format!("{name:<6} {requests} requests, {failed} failed{rescued}, {users_hurt} users hurt")
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Json {
    service: String,
    seed: u64,
    state: Option<&'static str>,
    weight: u16,
    stable: String,
    /// Why it ended, or what it waits for.
    reason: String,
    waiting_for: Vec<String>,
    versions: Vec<JsonVersion>,
    timeline: Vec<JsonEntry>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonVersion {
    version: String,
    requests: u64,
    failed: u64,
    rescued: u64,
    users_hurt: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonEntry {
    at_seconds: f64,
    time: String,
    weight: u16,
    state: Option<&'static str>,
    what: &'static str,
    text: String,
}

pub(super) fn json(heading: &Heading, report: &Report) -> Json {
    let course = report.position.rollout.as_ref();
    let ended = course.and_then(|course| course.ended.as_ref()).map(|ended| ended.why.clone());
    let waiting_for: Vec<String> = report.waiting.iter().map(ToString::to_string).collect();
    Json {
        service: heading.service.clone(),
        seed: heading.seed,
        state: course.map(|course| course.phase.as_str()),
        weight: course.map_or(0, |course| course.weight.get()),
        stable: report.position.stable.version.to_string(),
        reason: ended.or_else(|| waiting_for.first().cloned()).unwrap_or_default(),
        waiting_for,
        versions: report.totals.versions.iter().map(json_version).collect(),
        timeline: report.entries.iter().map(json_entry).collect(),
    }
}

fn json_version(totals: &VersionTotals) -> JsonVersion {
    JsonVersion {
        version: totals.version.to_string(),
        requests: totals.requests,
        failed: totals.failed,
        rescued: totals.rescued,
        users_hurt: totals.users_hurt,
    }
}

fn json_entry(entry: &Entry) -> JsonEntry {
    let time = jiff::Timestamp::from_millisecond(entry.wall.0);
    JsonEntry {
        at_seconds: entry.at.as_secs_f64(),
        time: time.map_or_else(|_| String::new(), |time| time.to_string()),
        weight: entry.weight.get(),
        state: entry.phase.map(Phase::as_str),
        what: what(&entry.told),
        text: sentence(&entry.told),
    }
}

fn what(told: &Told) -> &'static str {
    match told {
        Told::Event(event) => Event::name(event),
        Told::Verdict(verdict) => Verdict::as_str(verdict),
        Told::Waits(_) => "hold",
        Told::Refused { .. } => "refused",
        Told::Frozen { .. } => "frozen",
        Told::Thawed => "thawed",
        Told::Restarted { .. } => "restarted",
        Told::ClockSet { .. } => "clockSet",
        Told::Silent { .. } => "silent",
        Told::Starved { .. } => "starved",
        Told::Reloaded => "reloaded",
    }
}
