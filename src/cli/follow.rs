//! Waiting for rollouts, for `--wait` and `--wait-for`, and what a pipeline branches on.
//!
//! It asks twice a second. An instance that cannot be reached for a while (a restart, an
//! upgrade) is asked again until the time is over; a refusal ends the wait at once.

use super::output::{self, Format};
use super::{Exit, status, words};
use crate::client::{Client, Failure, segment};
use clap::ValueEnum;
use serin_control::{RolloutRecord, RolloutState, RolloutView, ServiceView, Snapshot, WaitingFor};
use std::time::{Duration, Instant};

/// What `status --wait-for` can wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Goal {
    /// Ready for traffic, and no rollout rolled back, paused or inconclusive
    Healthy,
    /// A rollout stands still until somebody acts
    Paused,
    /// No rollout runs any more
    Done,
}

const EVERY: Duration = Duration::from_millis(500);
/// For an instance that does not answer, when no end was given.
const UNREACHABLE_AT_MOST: Duration = Duration::from_secs(60);

/// What a pipeline makes of a rollout's state.
pub(crate) fn exit_of(state: RolloutState) -> Exit {
    match state {
        RolloutState::RolledBack | RolloutState::Superseded => Exit::RolledBack,
        RolloutState::Paused | RolloutState::Inconclusive | RolloutState::Holding => Exit::Waiting,
        RolloutState::Pending
        | RolloutState::Dark
        | RolloutState::Running
        | RolloutState::Complete => Exit::Done,
    }
}

/// One service in one line.
pub(crate) fn sentence(service: &ServiceView) -> String {
    match &service.rollout {
        None => format!("{}: {} {}", service.name, words::rest(service), service.stable),
        Some(rollout) => format!("{}: {}", service.name, progress(rollout)),
    }
}

/// `checkout-3 running, step 2 of 3, v42 at 50%, waits for evidence`
fn progress(rollout: &RolloutView) -> String {
    let state = words::state(rollout.state);
    let mut line = format!("{} {state}", rollout.id);
    if rollout.state.is_over() {
        let reason = words::plain(&rollout.reason);
        return if reason.is_empty() { line } else { format!("{line}: {reason}") };
    }
    line.push_str(&format!(
        ", step {} of {}, {} at {}",
        rollout.step,
        rollout.steps,
        rollout.to,
        words::weight(rollout.weight)
    ));
    if let Some(waiting) = rollout.waiting_for {
        line.push_str(&format!(", waits for {}", words::waiting(waiting)));
    }
    line
}

/// Waits for the goal; says every change on the way.
pub(crate) fn until(
    client: &Client,
    only: Option<&str>,
    goal: Goal,
    timeout: Option<Duration>,
    format: Format,
) -> Result<Exit, Failure> {
    let mut wait = Wait::new(client, timeout, format);
    // A name that does not exist is a mistake at once; an instance that is not up yet is not.
    loop {
        if let Some(snapshot) = wait.ask(|| status::read(client, only))? {
            wait.say(snapshot.services.iter().map(|s| sentence(s)).collect());
            let ready = goal != Goal::Healthy || is_ready(client);
            if let Some(exit) = reached(&snapshot, goal).filter(|_| ready) {
                if format == Format::Json {
                    output::json(&snapshot);
                }
                return Ok(exit);
            }
        }
        if let Some(exit) = wait.on() {
            return Ok(exit);
        }
    }
}

fn is_ready(client: &Client) -> bool {
    client.get("/readyz").is_ok()
}

/// Whether the wait is over, and with what.
fn reached(snapshot: &Snapshot, goal: Goal) -> Option<Exit> {
    let rollouts = || snapshot.services.iter().filter_map(|service| service.rollout.as_ref());
    let rolled_back = rollouts().any(|rollout| rollout.state == RolloutState::RolledBack);
    let stuck = rollouts().any(needs_somebody);
    let running = rollouts().any(|rollout| !rollout.state.is_over());
    match goal {
        Goal::Healthy => (!rolled_back && !stuck).then_some(Exit::Done),
        Goal::Paused if stuck => Some(Exit::Done),
        Goal::Done | Goal::Paused if rolled_back => Some(Exit::RolledBack),
        Goal::Paused => (!running).then_some(Exit::Error),
        Goal::Done if stuck => Some(Exit::Waiting),
        Goal::Done => (!running).then_some(Exit::Done),
    }
}

/// Follows one rollout to the point where it is over, or where only somebody can move it.
pub(crate) fn rollout(
    client: &Client,
    service: &str,
    id: &str,
    timeout: Option<Duration>,
    format: Format,
) -> Result<Exit, Failure> {
    let mut wait = Wait::new(client, timeout, format);
    let path = format!("/v1/services/{}", segment(service));
    loop {
        let view = wait.ask(|| client.get(&path)?.read::<ServiceView>())?;
        let queued = view.as_ref().and_then(|view| view.queued.clone());
        match view.and_then(|view| view.rollout) {
            Some(before) if queued.is_some() && number(&before.id) < number(id) => {
                let queued = words::plain(&queued.unwrap_or_default());
                wait.say(vec![format!("{service}: {queued} is queued behind {}", before.id)]);
            }
            Some(rollout) if rollout.id == id => {
                wait.say(vec![format!("{service}: {}", progress(&rollout))]);
                if rollout.state.is_over() || needs_somebody(&rollout) {
                    if format == Format::Json {
                        output::json(&rollout);
                    }
                    return Ok(match needs_somebody(&rollout) {
                        true => Exit::Waiting,
                        false => exit_of(rollout.state),
                    });
                }
            }
            // Another one has begun: what became of ours is in the journal.
            Some(_) => return replaced(client, id, format),
            None => {}
        }
        if let Some(exit) = wait.on() {
            return Ok(exit);
        }
    }
}

/// Rollouts of a service are counted.
fn number(id: &str) -> Option<u64> {
    id.rsplit_once('-')?.1.parse().ok()
}

fn replaced(client: &Client, id: &str, format: Format) -> Result<Exit, Failure> {
    let answer = client.get(&format!("/v1/rollouts/{}", segment(id)))?;
    let record: RolloutRecord = answer.read()?;
    match format {
        Format::Json => output::json(&record),
        Format::Text => output::line(&format!(
            "{}: {id} {}: {}",
            record.service,
            words::state(record.state),
            words::plain(&record.reason)
        )),
    }
    Ok(exit_of(record.state))
}

/// Time alone will not move such a rollout.
fn needs_somebody(rollout: &RolloutView) -> bool {
    if status::is_stuck(rollout.state) {
        return true;
    }
    let Some(waiting) = rollout.waiting_for.filter(|_| !rollout.state.is_over()) else {
        return false;
    };
    match waiting {
        WaitingFor::Approval
        | WaitingFor::Checklist
        | WaitingFor::Operator
        | WaitingFor::Freeze
        | WaitingFor::Budget => true,
        WaitingFor::Hold
        | WaitingFor::Evidence
        | WaitingFor::Webhook
        | WaitingFor::Shadow
        | WaitingFor::Window
        | WaitingFor::Readiness
        | WaitingFor::Journal
        | WaitingFor::SharedCause => false,
    }
}

/// The state of a wait: what was said, and when it ends.
struct Wait<'a> {
    client: &'a Client,
    format: Format,
    timeout: Option<Duration>,
    begun: Instant,
    reached: Instant,
    said: Vec<String>,
}

impl<'a> Wait<'a> {
    fn new(client: &'a Client, timeout: Option<Duration>, format: Format) -> Self {
        let now = Instant::now();
        Self { client, format, timeout, begun: now, reached: now, said: Vec::new() }
    }

    /// `None` when the instance cannot be reached now, and may be later.
    fn ask<T>(&mut self, ask: impl FnOnce() -> Result<T, Failure>) -> Result<Option<T>, Failure> {
        match ask() {
            Ok(answer) => {
                self.reached = Instant::now();
                Ok(Some(answer))
            }
            Err(failure) if is_passing(&failure) => {
                let over = self.timeout.is_none() && self.reached.elapsed() > UNREACHABLE_AT_MOST;
                if over {
                    return Err(failure);
                }
                self.say(vec![format!("waiting: {failure}")]);
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }

    /// Progress is for people; JSON readers get one document at the end.
    fn say(&mut self, lines: Vec<String>) {
        if self.format == Format::Text {
            lines
                .iter()
                .filter(|line| !self.said.contains(line))
                .for_each(|line| output::line(line));
        }
        self.said = lines;
    }

    /// Pauses; an exit when the time is over or the operator leaves.
    fn on(&self) -> Option<Exit> {
        let left = self.timeout.map(|timeout| timeout.saturating_sub(self.begun.elapsed()));
        if left == Some(Duration::ZERO) {
            let waited = words::duration(self.begun.elapsed().as_secs());
            output::note(&format!("timed out after {waited}; the rollout goes on without us"));
            return Some(Exit::TimedOut);
        }
        let pause = left.map_or(EVERY, |left| left.min(EVERY));
        if self.client.pause(pause) { None } else { Some(Exit::Error) }
    }
}

fn is_passing(failure: &Failure) -> bool {
    match failure {
        Failure::Unreachable { .. } => true,
        Failure::Refused(problem) => matches!(problem.status, 429 | 500..600),
        Failure::Token { .. } | Failure::Strange(_) | Failure::Unclear(_) => false,
    }
}
