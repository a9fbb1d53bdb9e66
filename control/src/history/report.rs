//! A rollout's post-mortem in Markdown: everything that is known, and room for what is not.

use crate::journal::schema::{Decision, Rollout};
use crate::view::{Timestamp, Unit};
use serin_core::rollout::{Phase, Span};
use serin_core::time::Wall;
use std::fmt::Write;
use std::time::Duration;

pub(crate) fn report(rollout: &Rollout, decisions: &[&Decision]) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = head(&mut text, rollout);
    let _ = impact(&mut text, rollout);
    let _ = timeline(&mut text, rollout);
    let _ = cause(&mut text, rollout, decisions);
    let _ = evidence(&mut text, decisions);
    text.push_str("\n## Actions\n\n| Action | Owner | Due |\n|---|---|---|\n|  |  |  |\n");
    text
}

fn head(to: &mut String, r: &Rollout) -> std::fmt::Result {
    let outcome = match r.state {
        Phase::Complete => "completed",
        Phase::RolledBack if r.completed_at.is_some() => "was completed, and taken back",
        Phase::RolledBack if r.blamed => "was rolled back",
        Phase::RolledBack => "was ended without blame",
        Phase::Superseded => "was superseded",
        Phase::Inconclusive => "is inconclusive",
        Phase::Pending | Phase::Dark | Phase::Running | Phase::Holding | Phase::Paused => {
            "is under way"
        }
    };
    writeln!(to, "# {}: {} → {} {outcome}\n", r.service, plain(&r.from), plain(&r.to))?;
    writeln!(to, "| | |\n|---|---|")?;
    writeln!(to, "| Rollout | `{}` |", r.id)?;
    writeln!(to, "| Release | {} |", cell(&r.release))?;
    writeln!(to, "| Severity | {} |", r.severity.as_deref().unwrap_or("none"))?;
    writeln!(to, "| Started | {} by {} |", Timestamp(r.started_at), cell(&r.started_by))?;
    if !r.start_reason.is_empty() {
        writeln!(to, "| Why it was started | {} |", cell(&r.start_reason))?;
    }
    if let Some(completed) = r.completed_at {
        writeln!(to, "| Completed | {} |", Timestamp(completed))?;
    }
    match r.ended_at {
        Some(ended) => {
            let duration = between(r.started_at, ended);
            writeln!(to, "| Ended | {}, after {} |", Timestamp(ended), Span(duration))
        }
        None => writeln!(to, "| Ended | not yet |"),
    }
}

fn impact(to: &mut String, r: &Rollout) -> std::fmt::Result {
    writeln!(to, "\n## Impact\n")?;
    let limit = |limit: Option<u64>, forgiven: u64| match (limit, forgiven) {
        (None, _) => String::new(),
        (Some(limit), 0) => format!(" (limit {limit})"),
        (Some(limit), _) => format!(" (limit {limit} beyond the {forgiven} that stable explains)"),
    };
    let harm = &r.harm;
    writeln!(
        to,
        "- {} failed requests{}",
        harm.failed_requests,
        limit(harm.failed_requests_limit, harm.failed_requests_forgiven)
    )?;
    let users = limit(harm.users_limit, harm.users_forgiven);
    match harm.users_told_apart {
        true => writeln!(to, "- {} users among them{users}", harm.users)?,
        false => writeln!(
            to,
            "- users cannot be told apart: {} failed requests counted as one user each{users}",
            harm.users
        )?,
    }
    writeln!(to, "- the candidate had at most {}% of the traffic", f64::from(r.reached) / 100.0)?;
    match (r.harmed_at, r.ended_at) {
        (Some(harmed), Some(ended)) => {
            let lasted = Span(between(harmed, ended));
            writeln!(to, "- harm began {} and ended {lasted} later", Timestamp(harmed))
        }
        (Some(_) | None, Some(_) | None) => Ok(()),
    }
}

fn timeline(to: &mut String, r: &Rollout) -> std::fmt::Result {
    writeln!(to, "\n## Timeline\n\n| When (UTC) | Weight | What |\n|---|---|---|")?;
    for entry in &r.timeline {
        let weight = f64::from(entry.weight) / 100.0;
        writeln!(to, "| {} | {weight}% | {} |", Timestamp(entry.at), cell(&entry.what))?;
    }
    Ok(())
}

fn cause(to: &mut String, r: &Rollout, decisions: &[&Decision]) -> std::fmt::Result {
    let title = match r.state {
        Phase::RolledBack | Phase::Superseded => "Cause",
        Phase::Complete => "Grounds",
        // Its last verdict says what it waits for, and is the cause of nothing.
        Phase::Pending
        | Phase::Dark
        | Phase::Running
        | Phase::Holding
        | Phase::Paused
        | Phase::Inconclusive => "Where it stands",
    };
    writeln!(to, "\n## {title}\n\n{}.", plain(r.reason.trim_end_matches('.')))?;
    let Some(last) = decisions.iter().rev().find(|d| d.explained.verdict == "rollback") else {
        return Ok(());
    };
    let e = &last.explained;
    let written =
        |n: f64| e.unit.map_or_else(|| format!("{n:.6}"), |unit| Unit::from(unit).write(n));
    let number = |n: Option<f64>| n.map_or_else(|| "–".to_owned(), written);
    writeln!(to, "\n| Rule | Observed | Threshold | Stable at the same time | Samples |")?;
    writeln!(to, "|---|---|---|---|---|")?;
    writeln!(
        to,
        "| {} | {} | {} | {} | {} |",
        cell(&e.rule),
        number(e.observed),
        number(e.threshold),
        number(e.stable_observed),
        e.samples
    )?;
    if let Some(failures) = &last.failures {
        writeln!(to, "\n{}.", plain(&failures.summary))?;
    }
    if last.bad_requests.is_empty() {
        return Ok(());
    }
    writeln!(to, "\nSome of the requests:\n")?;
    for bad in last.bad_requests.iter().take(5) {
        let (id, at) = (bad.request_id.replace('`', ""), Timestamp(bad.at));
        writeln!(to, "- `{id}` {} at {at}", plain(&bad.what))?;
    }
    Ok(())
}

fn evidence(to: &mut String, decisions: &[&Decision]) -> std::fmt::Result {
    writeln!(to, "\n## Evidence\n")?;
    if decisions.is_empty() {
        return writeln!(to, "The decisions of this rollout are no longer kept.");
    }
    writeln!(to, "| When (UTC) | Verdict | Why | Candidate | Stable |\n|---|---|---|---|---|")?;
    for decision in decisions {
        let e = &decision.explained;
        writeln!(
            to,
            "| {} | {} | {} | {} requests | {} requests |",
            Timestamp(decision.at),
            e.verdict,
            cell(&e.reason),
            e.samples,
            e.stable_samples
        )?;
    }
    Ok(())
}

fn between(from: Wall, to: Wall) -> Duration {
    Duration::from_millis(u64::try_from(to.0 - from.0).unwrap_or_default())
}

/// Text from outside cannot end a table's cell or begin markup.
fn cell(text: &str) -> String {
    plain(text).replace('|', "\\|")
}

fn plain(text: &str) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    one_line.replace('\\', "\\\\").replace('`', "\\`").replace('<', "&lt;").replace('[', "\\[")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::schema::Harm;

    fn rollout(state: Phase) -> Rollout {
        Rollout {
            id: "shop-1".to_owned(),
            service: "shop".to_owned(),
            from: "v1".to_owned(),
            to: "v2".to_owned(),
            release: "v2".to_owned(),
            state,
            reason: "hold: 12s of the hold to go".to_owned(),
            start_reason: String::new(),
            started_by: "test".to_owned(),
            started_at: Wall(0),
            ended_at: None,
            completed_at: None,
            committed_at: None,
            severity: None,
            blamed: false,
            harmed_at: None,
            failures: None,
            comparison: None,
            reached: 100,
            harm: Harm { failed_requests: 7, users: 7, ..Harm::default() },
            timeline: Vec::new(),
        }
    }

    #[test]
    fn what_is_under_way_has_no_cause() {
        let running = report(&rollout(Phase::Running), &[]);
        assert!(!running.contains("## Cause"), "{running}");
        assert!(
            running.contains("## Where it stands\n\nhold: 12s of the hold to go."),
            "{running}"
        );
        assert!(report(&rollout(Phase::RolledBack), &[]).contains("## Cause"));
    }

    #[test]
    fn requests_are_not_called_users_where_nobody_can_tell() {
        let mut keyless = rollout(Phase::RolledBack);
        assert!(report(&keyless, &[]).contains("- 7 users among them"));
        keyless.harm.users_told_apart = false;
        let keyless = report(&keyless, &[]);
        assert!(!keyless.contains("7 users"), "{keyless}");
        let says = "- users cannot be told apart: 7 failed requests counted as one user each";
        assert!(keyless.contains(says), "{keyless}");
    }
}
