//! One service as lines of text: readable at 80 columns, without colour, and read aloud.

use crate::cli::output::{Colour, Style, paint};
use crate::cli::words::{self, field};
use serin_control::{
    Figures, HarmView, RolloutState, RolloutView, ServiceView, Snapshot, VersionRole, VersionView,
};

/// What concerns all services, when there is something to say.
pub(super) fn general(snapshot: &Snapshot, width: usize, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |label: &str, text: String| {
        let said = field(label, &text, width);
        lines.extend(said.into_iter().map(|line| paint(style, Colour::Yellow, &line)));
    };
    if let Some(freeze) = &snapshot.freeze {
        let text = format!("since {} by {}: {}", freeze.since, freeze.by, freeze.reason);
        say("frozen", text);
    }
    if let Some(canary) = &snapshot.config.canary {
        let (old, new) = (canary.old, canary.new);
        let text = format!(
            "{} is on trial: {}% of requests until {}; {} of {} failed under it, {} of {} under the old one",
            canary.hash.get(..12).unwrap_or(&canary.hash),
            f64::from(canary.share) / 100.0,
            canary.until,
            new.errors,
            new.requests,
            old.errors,
            old.requests
        );
        say("config", text);
    }
    if let Some(failed) = &snapshot.config.failed {
        say("config", format!("the reload of {} failed: {}", failed.at, failed.fault));
    }
    if let Some(late) = &snapshot.health.not_observing {
        say("own lag", late.clone());
    }
    if let Some(journal) = snapshot.health.of_journal() {
        say(
            "journal",
            match snapshot.health.journal {
                Some(_) => format!("cannot be written, so weights only go down: {journal}"),
                None => journal,
            },
        );
    }
    lines
}

/// So many endpoints of a version are shown that something is wrong with; the API has all.
const TROUBLES: usize = 5;

pub(super) fn service(service: &ServiceView, width: usize, style: Style) -> Vec<String> {
    let mut lines = vec![title(service, style)];
    if let Some(missed) = &service.slo.missed {
        let said = field("failing", &missed.message, width);
        lines.extend(said.into_iter().map(|line| paint(style, Colour::Red, &line)));
    }
    let mut say = |label: &str, text: &str| {
        lines.extend(field(label, text, width));
    };
    say("weights", &weights(service));
    let running = service.rollout.as_ref().filter(|rollout| !rollout.state.is_over());
    if let Some(rollout) = running {
        if rollout.step > 0 {
            say("step", &step(rollout));
        }
        if let Some(waiting) = rollout.waiting_for.map(words::waiting) {
            say("waits for", waiting);
        }
        if let Some(evidence) = evidence(rollout) {
            say("evidence", &evidence);
        }
    }
    if let Some(rollout) = &service.rollout
        && !rollout.reason.is_empty()
    {
        say("because", &rollout.reason);
    }
    if let Some(queued) = &service.queued {
        say("queued", &format!("{queued}, which starts when this rollout has ended"));
    }
    lines.extend(table(service, running));
    let mut say = |label: &str, text: &str| {
        lines.extend(field(label, text, width));
    };
    if let Some(in_flight) = in_flight(service) {
        say("in flight", &in_flight);
    }
    say("budget", &budget(service));
    if let Some(burning) = burning(service) {
        say("burning", &burning);
    }
    if let Some(failures) = running.and_then(|rollout| rollout.failures.as_ref()) {
        say("failures", &failures.summary);
    }
    if let Some(harm) = running.and_then(|rollout| harm(&rollout.harm)) {
        say("harm", &harm);
    }
    if service.checks_overruled {
        say("checks", "they fail for most endpoints and are overruled: every endpoint is tried");
    }
    for version in &service.versions {
        for trouble in version.troubles.iter().take(TROUBLES) {
            say("endpoint", &format!("{} {trouble}", version.name));
        }
        if version.tripped {
            say("tripped", &format!("{} failed several requests in a row", version.name));
        }
        if let Some(why) = &version.quarantined {
            say("quarantine", &format!("{}: {why} (serin rollout retry lifts it)", version.name));
        }
    }
    lines
}

fn title(service: &ServiceView, style: Style) -> String {
    let Some(rollout) = &service.rollout else {
        let name = paint(style, Colour::Bold, &service.name);
        return format!("{name}: {} {}", words::rest(service), service.stable);
    };
    let state = paint(style, colour(rollout.state), words::state(rollout.state));
    let name = paint(style, Colour::Bold, &service.name);
    let change = format!("{} to {}", rollout.from, rollout.to);
    match rollout.state.is_over() {
        true => format!("{name}: {state}, {change} ({})", rollout.id),
        false => {
            let step = match rollout.step {
                0 => format!("before step 1 of {}", rollout.steps),
                step => format!("step {step} of {}", rollout.steps),
            };
            format!("{name}: {state}, {step}, {change} ({})", rollout.id)
        }
    }
}

fn colour(state: RolloutState) -> Colour {
    match state {
        RolloutState::RolledBack => Colour::Red,
        RolloutState::Paused | RolloutState::Inconclusive | RolloutState::Holding => Colour::Yellow,
        RolloutState::Pending
        | RolloutState::Dark
        | RolloutState::Running
        | RolloutState::Superseded
        | RolloutState::Complete => Colour::Green,
    }
}

/// Stable first, and nobody who has no share unless all have none.
fn weights(service: &ServiceView) -> String {
    let mut parts: Vec<(&String, u16)> =
        service.weights.iter().map(|(version, points)| (version, *points)).collect();
    parts.sort_by_key(|(version, points)| (**version != service.stable, u16::MAX - points));
    let kept = service.rollout.as_ref().is_some_and(|rollout| rollout.kept > 0);
    let parts = parts.iter().map(|(version, points)| {
        let is_stable = **version == service.stable;
        let role = if is_stable { "stable " } else { "" };
        let why = if is_stable && kept { " kept to compare" } else { "" };
        format!("{role}{version} {}{why}", words::weight(*points))
    });
    parts.collect::<Vec<_>>().join(", ")
}

fn step(rollout: &RolloutView) -> String {
    let hold = words::duration(rollout.hold_seconds);
    let held = words::duration(rollout.held_seconds);
    let rest = words::duration(rollout.remaining_seconds);
    match (rollout.step_remaining_seconds, rollout.remaining_seconds) {
        (0, 0) => format!("its hold of {hold} is over, watched for {held}"),
        (0, _) => format!("its hold of {hold} is over, watched for {held}; {rest} of holds follow"),
        (left, _) => {
            let left = words::duration(left);
            format!("held {held} of {hold}, next in {left}, done in {rest} at the earliest")
        }
    }
}

/// What is shown of the candidate, and what is still needed.
fn evidence(rollout: &RolloutView) -> Option<String> {
    let proof = &rollout.proof;
    let needed = words::trimmed(proof.value_needed?, 0);
    let gathered = |value: f64| words::trimmed(value.min(100_000.0), 1);
    let mut parts = Vec::new();
    if let Some(value) = proof.value {
        parts.push(format!("proof {} of {needed}", gathered(value)));
    }
    match (proof.harm_value, proof.harm_limit) {
        (Some(_), Some(limit)) if limit >= 1.0 => {
            parts.push("harm is bounded (the next step is short)".to_owned());
        }
        (Some(value), Some(limit)) => parts.push(format!(
            "bounded harm {} of {needed} (less than {} fail)",
            gathered(value),
            words::percent(limit)
        )),
        (Some(_) | None, _) => {}
    }
    let parts = parts.join(", ");
    Some(match &proof.outlook {
        Some(outlook) => format!("{parts}; {outlook}"),
        None => parts,
    })
}

/// Candidate beside stable over the step, or every version over the last minute.
fn table(service: &ServiceView, running: Option<&RolloutView>) -> Vec<String> {
    let over = if running.is_some() { "this step" } else { "last minute" };
    let header =
        row(over, ["requests/s", "errors", "p50", "p95", "p99", "ready"].map(str::to_owned));
    let mut lines = vec![header];
    let mut versions: Vec<&VersionView> = service.versions.iter().collect();
    versions.sort_by_key(|version| match version.role {
        VersionRole::Candidate => 0,
        VersionRole::Stable => 1,
        VersionRole::Idle => 2,
    });
    for version in versions {
        let figures = match (running, version.role) {
            (Some(rollout), VersionRole::Candidate) => rollout.comparison.candidate,
            (Some(rollout), VersionRole::Stable) => rollout.comparison.stable,
            (Some(_), VersionRole::Idle) | (None, _) => version.last_minute,
        };
        let role = match version.role {
            VersionRole::Candidate => " new",
            VersionRole::Stable => " stable",
            VersionRole::Idle => "",
        };
        lines.push(row(&format!("{}{role}", version.name), cells(version, &figures)));
    }
    lines
}

fn cells(version: &VersionView, figures: &Figures) -> [String; 6] {
    let ms = |ms: Option<f64>| ms.map_or_else(|| "-".to_owned(), words::milliseconds);
    [
        words::trimmed(figures.requests_per_second, 1),
        figures.error_ratio.map_or_else(|| "-".to_owned(), words::percent),
        ms(figures.p50_ms),
        ms(figures.p95_ms),
        ms(figures.p99_ms),
        format!("{} of {}", version.ready, version.endpoints),
    ]
}

fn row(label: &str, cells: [String; 6]) -> String {
    let [rate, errors, p50, p95, p99, ready] = cells;
    format!("  {label:<18} {rate:>10} {errors:>8} {p50:>9} {p95:>9} {p99:>9} {ready:>8}")
}

/// Requests, streams and upgraded connections that are not over: whoever stops a version that drains
/// ends those.
fn in_flight(service: &ServiceView) -> Option<String> {
    let under_way = service.versions.iter().filter(|version| version.in_flight > 0);
    let parts: Vec<String> = under_way
        .map(|version| {
            let gets = service.weights.get(&version.name).is_some_and(|points| *points > 0);
            let drains = if gets { "" } else { " (drains)" };
            format!("{} {}{drains}", version.name, version.in_flight)
        })
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn budget(service: &ServiceView) -> String {
    let slo = &service.slo;
    let of =
        format!("of {} at {}", words::duration(slo.window_seconds), words::percent(slo.objective));
    match slo.budget_remaining {
        Some(left) if left < 0.0 => format!("overspent by {} {of}", words::percent(-left)),
        Some(left) => format!("{} left {of}", words::percent(left)),
        None => format!("nothing counted yet {of}"),
    }
}

/// Only what burns: rules whose two windows have a rate above 1.
fn burning(service: &ServiceView) -> Option<String> {
    let hot = service.slo.burn_rates.iter().filter_map(|burn| {
        let rate = burn.long_rate?.min(burn.short_rate?);
        (rate > 1.0).then(|| {
            let rate = words::trimmed(rate, 1);
            format!("{} {} at {rate} (acts above {})", burn.version, burn.name, burn.above)
        })
    });
    let hot: Vec<String> = hot.collect();
    (!hot.is_empty()).then(|| hot.join(", "))
}

fn harm(harm: &HarmView) -> Option<String> {
    let requests = harm
        .failed_requests_limit
        .map(|limit| (harm.failed_requests, limit + harm.failed_requests_forgiven));
    let requests = requests.map(|(failed, most)| format!("{failed} of {most} failed requests"));
    let users = harm.users_limit.map(|limit| (harm.users, limit + harm.users_forgiven));
    let users = users.map(|(hurt, most)| match harm.users_told_apart {
        true => format!("{hurt} of {most} users"),
        false => format!("{hurt} of {most} users (who cannot be told apart: each request counts)"),
    });
    let parts: Vec<String> = requests.into_iter().chain(users).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}
