//! What is written down of a decision, and whether it may wait for the disk.

use super::explain::explain;
use super::telling::{is_by_hand, told, weights_of};
use super::{Latest, ServiceRun};
use crate::journal::schema::{
    self, BadRequest, Comparison, ConditionsShape, Count, Decided, Entry, EvidenceShape, Failures,
    Harm, NowShape, PositionShape, Rollout, Shaped, TermsShape,
};
use crate::journal::{Durability, Memory, Record};
use crate::view::Timestamp;
use serin_core::ids::RolloutId;
use serin_core::plane::BadSample;
use serin_core::rollout::{
    Concentration, Conditions, Decision, Event as Happened, Evidence, Named, Phase, Position,
    RollbackReason, RolloutState,
};
use serin_core::slo::Severity;
use serin_core::split::{Sessions, Split};
use serin_core::time::Now;
use serin_core::weights::BasisPoints;

/// Entries of one rollout's timeline; the first and the latest are kept.
const TIMELINE: usize = 200;

/// What only lowers weights must happen, disk or no disk; everything else only if it is durable.
pub(crate) fn durability(published: &Split, decision: &Decision) -> Durability {
    let next = &decision.split;
    let raises = next.stable != published.stable
        || next.weights.iter().any(|(v, w)| *v != published.stable && w > published.weights.of(v));
    let lowers =
        published.weights.iter().any(|(v, w)| *v != published.stable && next.weights.of(v) < w);
    let leaves = |split: &Split| {
        split.rollout.as_ref().is_some_and(|r| match r.sessions {
            Sessions::Drain | Sessions::Revoke => true,
            Sessions::Honour => false,
        })
    };
    let stops = decision.events.iter().any(|e| {
        matches!(
            e,
            Happened::Paused { .. } | Happened::RolledBack { .. } | Happened::Superseded { .. }
        )
    });
    let sends_away = leaves(next) && next.rollout != published.rollout;
    // A way back like a rollback, though what it goes back to is not the stable of the moment.
    let undoes = decision.events.iter().any(|e| matches!(e, Happened::Undone { .. }));
    if undoes || !raises && (lowers || stops || sends_away) {
        Durability::Required
    } else {
        Durability::BestEffort
    }
}

/// The circumstances of a decision, as far as they are recorded.
pub(crate) struct Made<'a> {
    pub(crate) position: &'a Position,
    pub(crate) evidence: &'a Evidence,
    pub(crate) conditions: &'a Conditions,
    pub(crate) now: Now,
    pub(crate) asked: Option<String>,
    /// Who asked, and why.
    pub(crate) by: Option<(&'a str, &'a str)>,
    pub(crate) bad: Vec<BadSample>,
}

/// All records of one decision, and the rollout's own as it then is.
pub(crate) fn records(
    run: &ServiceRun,
    decision: &Decision,
    made: &Made<'_>,
    terms_known: bool,
) -> (Vec<Record>, Option<Rollout>) {
    let at = Timestamp(made.now.wall);
    let mut records = vec![Record::Position {
        service: run.name.to_string(),
        revision: run.revision + 1,
        position: Box::new(Shaped(decision.next.clone())),
        listed: None,
    }];
    let rollout = decision.next.rollout.as_ref();
    let id = rollout.map(|rollout| rollout.id.to_string());
    let under_way = made.position.active().is_some() || decision.next.active().is_some();
    let taken_back =
        taken_back(decision).is_some_and(|undone| Some(undone.as_str()) == id.as_deref());
    let record = rollout.map(|rollout| rollout_record(run, rollout, decision, made));
    if let (Some(record), Some(id)) = (&record, &id) {
        if !terms_known {
            let terms = Shaped::<TermsShape>(run.pilot.terms().as_ref().clone());
            records.push(Record::Terms { id: run.terms_id.clone(), terms: Box::new(terms) });
        }
        records.push(Record::Rollout(Box::new(record.clone())));
        // What happens after its end is no verdict on it.
        if under_way || taken_back {
            let made = decision_record(run, decision, made, id.clone());
            records.push(Record::Decision(Box::new(made)));
        }
    }
    let told = decision.events.iter().map(|e| told(e, at, decision).record());
    records.extend(told);
    (records, record)
}

/// The completed rollout that a decision takes back.
pub(crate) fn taken_back(decision: &Decision) -> Option<&RolloutId> {
    decision.events.iter().find_map(|happened| {
        let Happened::Undone { rollout, .. } = happened else { return None };
        Some(rollout)
    })
}

/// The record of a rollout that is taken back after another one has come and ended: it is no longer the
/// position's own.
pub(crate) fn taken_back_late(
    run: &ServiceRun,
    decision: &Decision,
    made: &Made<'_>,
    memory: &Memory,
) -> Option<Record> {
    let undone = taken_back(decision)?;
    if decision.next.rollout.as_ref().is_some_and(|latest| latest.id == *undone) {
        return None;
    }
    let mut record = memory.find_rollout(undone.as_str())?.clone();
    record.state = Phase::RolledBack;
    for happened in &decision.events {
        if let Happened::Undone { why, .. } = happened {
            take_back(run, &mut record, why, made);
            record.ended_at = Some(made.now.wall);
            push_timeline(&mut record.timeline, happened, made, BasisPoints::ZERO);
        }
    }
    Some(Record::Rollout(Box::new(record)))
}

/// To be called while the record still says when it ended before.
fn take_back(run: &ServiceRun, record: &mut Rollout, why: &RollbackReason, made: &Made<'_>) {
    record.completed_at = record.ended_at;
    record.severity = Some(Severity::P2.as_str().to_owned());
    record.reason = why.to_string();
    record.blamed = why.blames();
    let undone = &made.position.stable.version;
    let failing = run.failing.as_ref().filter(|failing| failing.version == *undone);
    record.harmed_at = failing.map(|failing| failing.since.0);
}

fn decision_record(
    run: &ServiceRun,
    decision: &Decision,
    made: &Made<'_>,
    rollout: String,
) -> schema::Decision {
    schema::Decision {
        service: run.name.to_string(),
        rollout,
        at: made.now.wall,
        explained: explain(decision, made.evidence),
        bad_requests: made.bad.iter().map(bad_request).collect(),
        failures: failures_of(made.evidence),
        terms: run.terms_id.clone(),
        position: json(&Shaped::<PositionShape>(made.position.clone())),
        evidence: json(&Shaped::<EvidenceShape>(made.evidence.clone())),
        outside: json(&Shaped::<ConditionsShape>(made.conditions.clone())),
        now: json(&Shaped::<NowShape>(made.now)),
        asked: made.asked.clone(),
        decision: text_of(decision),
    }
}

/// The latest decision in the same form, for one who asks before anything is recorded.
pub(crate) fn recorded(latest: &Latest, bad: &[BadSample]) -> schema::Decision {
    schema::Decision {
        service: latest.service.clone(),
        rollout: latest.rollout.clone(),
        at: latest.now.wall,
        explained: explain(&latest.decision, &latest.evidence),
        bad_requests: bad.iter().map(bad_request).collect(),
        failures: failures_of(&latest.evidence),
        terms: latest.terms.clone(),
        position: json(&Shaped::<PositionShape>(latest.position.clone())),
        evidence: json(&Shaped::<EvidenceShape>(latest.evidence.clone())),
        outside: json(&Shaped::<ConditionsShape>(latest.conditions.clone())),
        now: json(&Shaped::<NowShape>(latest.now)),
        asked: None,
        decision: text_of(&latest.decision),
    }
}

/// A decision as it is stored and shown. Two equal decisions have equal texts.
pub(crate) fn text_of(decision: &Decision) -> Decided {
    Decided {
        verdict: decision.verdict.to_string(),
        objections: decision.hold_reasons.iter().map(ToString::to_string).collect(),
        events: decision.events.iter().map(ToString::to_string).collect(),
        weights: weights_of(&decision.split),
        next: json(&Shaped::<PositionShape>(decision.next.clone())),
    }
}

/// Of these, the requests that this rollout can have to do with: the candidate may have served before.
pub(crate) fn since_its_start(mut bad: Vec<BadSample>, rollout: &RolloutState) -> Vec<BadSample> {
    bad.retain(|sample| sample.at >= rollout.started.at);
    bad
}

fn bad_request(sample: &BadSample) -> BadRequest {
    BadRequest { request_id: sample.request_id.clone(), what: sample.what.clone(), at: sample.at }
}

/// A value that cannot be written (there is none) is written as null rather than lost with its record.
fn json(value: &impl serde::Serialize) -> serde_json::Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn rollout_record(
    run: &ServiceRun,
    rollout: &RolloutState,
    decision: &Decision,
    made: &Made<'_>,
) -> Rollout {
    let known = run.record.clone().filter(|known| known.id == rollout.id.as_str());
    let mut record = known.unwrap_or_else(|| begun(run, rollout, made.position));
    let was_over = record.state.is_over();
    // Once it is over, later decisions are not about this rollout any more.
    if !record.state.is_over() {
        record.reason = decision.verdict.to_string();
        record.harm = harm_of(run, made.evidence);
        record.comparison = Some(comparison(run, rollout, made));
        record.failures = failures_of(made.evidence).or(record.failures);
    }
    for happened in &decision.events {
        if let Happened::Undone { rollout: undone, why, .. } = happened
            && *undone == rollout.id
        {
            take_back(run, &mut record, why, made);
        }
    }
    record.state = rollout.phase;
    record.ended_at = rollout.ended.as_ref().map(|ended| ended.at);
    record.reached = record.reached.max(rollout.weight.get());
    for happened in &decision.events {
        if let Happened::RolledBack { severity, why, .. } = happened {
            record.severity = Some(severity.as_str().to_owned());
            record.reason = why.to_string();
            record.blamed = why.blames();
            record.harmed_at = run.harm.since.map(|at| at.0);
        }
        let elsewhere =
            matches!(happened, Happened::Undone { rollout: undone, .. } if *undone != rollout.id);
        if !(was_over && is_by_hand(happened) || elsewhere) {
            push_timeline(&mut record.timeline, happened, made, rollout.weight);
        }
    }
    record
}

fn begun(run: &ServiceRun, rollout: &RolloutState, before: &Position) -> Rollout {
    Rollout {
        id: rollout.id.to_string(),
        service: run.name.to_string(),
        from: before.stable.version.to_string(),
        to: rollout.candidate.version.to_string(),
        release: rollout.candidate.release.clone(),
        state: rollout.phase,
        reason: String::new(),
        start_reason: rollout.started.reason.clone(),
        started_by: rollout.started.by.clone(),
        started_at: rollout.started.at,
        ended_at: None,
        completed_at: None,
        committed_at: rollout.started.committed_at,
        severity: None,
        blamed: false,
        harmed_at: None,
        failures: None,
        comparison: None,
        reached: 0,
        harm: Harm::default(),
        timeline: Vec::new(),
    }
}

pub(crate) fn harm_of(run: &ServiceRun, evidence: &Evidence) -> Harm {
    let caps = run.pilot.terms().plan.as_ref().map(|plan| plan.harm).unwrap_or_default();
    Harm {
        failed_requests: evidence.harm.failed_requests,
        failed_requests_limit: caps.failed_requests,
        failed_requests_forgiven: evidence.harm.forgiven.requests,
        users: evidence.harm.users,
        users_limit: caps.users,
        users_forgiven: evidence.harm.forgiven.users,
        users_told_apart: evidence.tells_users_apart(),
    }
}

/// Against the version that was stable when the decision was made: after it, it may be the candidate.
fn comparison(run: &ServiceRun, rollout: &RolloutState, made: &Made<'_>) -> Comparison {
    let figures = |version| run.ledger.this_stage(version, made.now.mono).into();
    Comparison {
        candidate: figures(&rollout.candidate.version),
        stable: figures(&made.position.stable.version),
    }
}

pub(crate) fn failures_of(evidence: &Evidence) -> Option<Failures> {
    evidence.concentration.as_ref().map(failures)
}

fn failures(found: &Concentration) -> Failures {
    let counts = |named: &[Named]| {
        named.iter().map(|n| Count { name: n.name.clone(), count: n.count }).collect()
    };
    Failures {
        of: found.of,
        users: found.users,
        networks: found.networks,
        failing_on_stable: found.elsewhere,
        concentrated: found.is_concentrated(),
        summary: found.to_string(),
        by_network: counts(&found.by_network),
        by_route: counts(&found.by_route),
        by_method: counts(&found.by_method),
        by_endpoint: counts(&found.by_endpoint),
    }
}

fn push_timeline(
    timeline: &mut Vec<Entry>,
    happened: &Happened,
    made: &Made<'_>,
    weight: BasisPoints,
) {
    if timeline.len() >= TIMELINE {
        timeline.remove(TIMELINE / 4);
    }
    let what = happened.to_string();
    let by = |part: fn(&(&str, &str)) -> String| made.by.as_ref().map(part);
    timeline.push(Entry {
        at: made.now.wall,
        what,
        weight: weight.get(),
        actor: by(|(actor, _)| (*actor).to_owned()),
        reason: by(|(_, reason)| (*reason).to_owned()).filter(|reason| !reason.is_empty()),
    });
}
