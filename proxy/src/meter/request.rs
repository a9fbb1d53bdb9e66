//! One request, from its assignment to its last byte.
//!
//! It is told what happens in the order in which it happens; here it becomes one outcome per
//! attempt and one per request. The request's outcome is settled once, by its first attempt, and
//! as early as it is known: a bad status counts when its head is there, not when a long body ends,
//! because a rollback waits for it. An exchange that is dropped in the middle was left by its
//! client.

use super::Counting;
use crate::clock;
use crate::service::{Assigned, Candidacy};
use crate::thread::ThreadId;
use crate::upstream::VersionRuntime;
use serin_core::ids::{Epoch, RouteName};
use serin_core::measure::{FailedRequest, Network};
use serin_core::outcome::{Ending, Failure, Outcome, judge};
use serin_core::plane::BadSample;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

#[derive(Debug)]
pub struct RequestMeter {
    version: Arc<VersionRuntime>,
    counting: Counting,
    user: Option<u64>,
    epoch: Epoch,
    candidacy: Option<Candidacy>,
    thread: ThreadId,
    began: Instant,
    /// Its place among those who wait for a head.
    waiting: Option<u32>,
    /// The first attempt got a response head.
    headed: bool,
    attempts: u32,
    /// The first attempt's; `None` until it is known.
    outcome: Option<Outcome>,
}

/// What is told of a request when it turns out to be bad.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    pub request_id: &'a str,
    pub client: IpAddr,
    pub route: Option<&'a RouteName>,
    pub method: &'static str,
    /// Of the attempt that has ended.
    pub endpoint: Option<SocketAddr>,
}

/// What the client got in the end.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    /// Who answered: the version of the request, or stable in its stead.
    pub by: &'a VersionRuntime,
    pub status: u16,
    /// Bytes of the bodies, from the client and to it.
    pub received: u64,
    pub sent: u64,
}

impl RequestMeter {
    pub fn start(assigned: Assigned, client: IpAddr, now: Instant) -> Self {
        let Assigned { version, counting, user, epoch, candidacy, thread, .. } = assigned;
        version.meter.started(thread);
        let waiting = match counting {
            Counting::Judged => {
                let network = (epoch != Epoch::default()).then(|| Network::of(client));
                version.meter.wait(thread, clock::micros(now), network)
            }
            Counting::Rest | Counting::Cohort => None,
        };
        Self {
            version,
            counting,
            user,
            epoch,
            candidacy,
            thread,
            began: now,
            waiting,
            headed: false,
            attempts: 0,
            outcome: None,
        }
    }

    /// The version that the request was assigned to, whoever answers in the end.
    pub fn version(&self) -> &Arc<VersionRuntime> {
        &self.version
    }

    pub fn counting(&self) -> Counting {
        self.counting
    }

    /// The request's outcome, once it is known.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// Whether the split in force had it try the candidate of a rollout.
    pub fn is_candidate(&self) -> bool {
        self.candidacy.is_some()
    }

    /// Whether that rollout rescues.
    pub fn is_rescued(&self) -> bool {
        self.candidacy.as_ref().is_some_and(Candidacy::rescues)
    }

    /// Waits until its rollout has been taken back; for ever, where it is of none.
    pub(crate) async fn withdrawn(&self) {
        match &self.candidacy {
            Some(candidacy) => candidacy.withdrawn().await,
            None => std::future::pending().await,
        }
    }

    /// Attempts that have ended.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The final response head of the attempt under way is there.
    pub fn head(&mut self, status: u16, about: About<'_>, now: Instant) {
        if self.attempts > 0 || self.headed {
            return;
        }
        self.headed = true;
        self.no_longer_waits();
        self.took_until(now, Some(about.client));
        if self.version.bad.contains(status) {
            self.settle(Outcome::Bad, &|| status.to_string(), Some((about, now)));
        }
    }

    /// The attempt under way has ended, on the version `on`.
    pub fn attempt_ended(
        &mut self,
        on: &VersionRuntime,
        ending: Ending,
        about: About<'_>,
        now: Instant,
    ) {
        let excused = self.excuses(ending, now);
        let outcome = if excused { Outcome::Excluded } else { judge(ending, &on.bad) };
        on.meter.attempt(self.thread, outcome);
        self.attempts += 1;
        if self.attempts == 1 {
            self.age_without_head(ending, Some(about.client), now);
            self.settle(outcome, &|| what_was_bad(ending), Some((about, now)));
            self.note_refusal(ending);
        }
    }

    pub fn answered(&self, answered: Answered<'_>) {
        let Answered { by, status, received, sent } = answered;
        by.meter.answered(self.thread, status, received, sent);
    }

    /// A wait that ended without a head took at least as long as it lasted, and counts as such
    /// where the version made it long: when time ran out, and when the client gave up. A refused
    /// connection, which is quick, says nothing about latency.
    fn age_without_head(&mut self, ending: Ending, client: Option<IpAddr>, now: Instant) {
        let told = matches!(
            ending,
            Ending::ClientAborted | Ending::Failed(Failure::Timeout | Failure::ConnectTimeout)
        );
        if told && !self.headed {
            self.took_until(now, client);
        }
        self.no_longer_waits();
    }

    /// What this process measured while its threads were late says nothing about the version.
    fn took_until(&self, now: Instant, client: Option<IpAddr>) {
        if self.is_spoilt(now) {
            return;
        }
        let took = now.saturating_duration_since(self.began);
        self.version.meter.latency(self.thread, self.counting, took);
        let in_rollout = self.epoch != Epoch::default() && self.counting == Counting::Judged;
        if let (Some(client), true) = (client, in_rollout) {
            self.version.meter.took(took, client);
        }
    }

    fn is_spoilt(&self, now: Instant) -> bool {
        self.version.heartbeats.spoil(self.thread, self.began, now)
    }

    /// Whether an ending is nobody's failure: this process's own clock said so, and the process was late.
    pub(crate) fn excuses(&self, ending: Ending, now: Instant) -> bool {
        ending.is_by_own_clock() && self.is_spoilt(now)
    }

    fn no_longer_waits(&mut self) {
        if let Some(place) = self.waiting.take() {
            self.version.meter.no_longer_waits(self.thread, place);
        }
    }

    fn settle(
        &mut self,
        outcome: Outcome,
        what: &dyn Fn() -> String,
        about: Option<(About<'_>, Instant)>,
    ) {
        if self.outcome.is_some() {
            return;
        }
        self.outcome = Some(outcome);
        let meter = &self.version.meter;
        meter.request(self.thread, self.counting, outcome);
        if let Some(candidacy) = &mut self.candidacy {
            candidacy.settle(outcome, self.user);
        }
        let Some((about, now)) = about.filter(|_| self.counting != Counting::Cohort) else {
            return;
        };
        let in_rollout = self.epoch != Epoch::default();
        match outcome {
            Outcome::Good if in_rollout && self.counting == Counting::Judged => {
                meter.served(self.thread, about.client);
            }
            Outcome::Bad => {
                meter.first_bad(self.thread, self.counting, self.epoch, self.user);
                let request_id = about.request_id.to_owned();
                meter.sample(BadSample { request_id, what: what(), at: clock::wall() });
                if in_rollout {
                    meter.failed_from(self.epoch, self.failed(about, now));
                }
            }
            Outcome::Good | Outcome::Excluded => {}
        }
    }

    /// A 4xx that the operator does not call bad says nothing by itself, and much when one version
    /// gives more of them.
    fn note_refusal(&self, ending: Ending) {
        let refused = matches!(ending, Ending::Answered { status: 400..=499, .. });
        if refused && self.outcome == Some(Outcome::Good) && self.counting == Counting::Judged {
            self.version.meter.refused(self.thread, self.epoch, self.user);
        }
    }

    fn failed(&self, about: About<'_>, now: Instant) -> FailedRequest {
        FailedRequest {
            at: clock::mono(now),
            network: Network::of(about.client),
            user: self.user,
            route: about.route.map(|route| Arc::from(route.as_str())),
            method: about.method,
            endpoint: about.endpoint,
        }
    }
}

impl Drop for RequestMeter {
    fn drop(&mut self) {
        if self.outcome.is_none() {
            self.version.meter.attempt(self.thread, Outcome::Excluded);
            self.age_without_head(Ending::ClientAborted, None, Instant::now());
            self.settle(Outcome::Excluded, &String::new, None);
        }
        self.no_longer_waits();
        self.version.meter.ended(self.thread);
    }
}

fn what_was_bad(ending: Ending) -> String {
    match ending {
        Ending::Answered { status, grpc: Some(code) } if code != 0 => {
            format!("{status} grpc {code}")
        }
        Ending::Answered { status, .. } => status.to_string(),
        Ending::Truncated { status } => format!("{status} truncated"),
        Ending::Upgraded { close_code: Some(code) } => format!("close {code}"),
        Ending::Upgraded { close_code: None } => "close".to_owned(),
        Ending::Failed(failure) => failure.as_str().to_owned(),
        Ending::ClientAborted => "clientAborted".to_owned(),
    }
}
