//! Every number that one decision rests on.
//!
//! The judge makes one with each tick; control stores it beside the decision, so that
//! `serin why` can show it and compute the same decision from it again. All of it is about the
//! candidate of the rollout under way, and counts from that rollout's start.

use crate::measure::Part;
use crate::slo::Promise;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Evidence {
    pub data: Data,
    /// Requests of the candidate and of stable in the present stage.
    pub step: Exposure,
    /// Is the candidate's error rate worse than stable's?
    pub errors: Option<ErrorTest>,
    /// Does the candidate answer 4xx more often than stable? It holds and is told, no more.
    pub client_errors: Option<ErrorTest>,
    /// Is the candidate slower than stable was?
    pub latency: Option<LatencyTest>,
    /// Is the candidate worse than stable was before? Asked where hardly anything of stable runs beside it.
    pub before: Option<BeforeTest>,
    /// Is the candidate good enough to go on with?
    pub promotion: Option<Bet>,
    /// Is at least the harm bounded that it can do before somebody looks again?
    pub bounded: Option<BoundedHarm>,
    /// What is still needed before the next step; `None` while nothing is, or where it cannot be foretold.
    pub outlook: Option<Outlook>,
    /// In the order of the plan's guards, one for each.
    pub guards: Vec<GuardReading>,
    /// In the order of the objectives' burn rules, of the candidate's own requests.
    pub burns: Vec<BurnReading>,
    /// Share of the service's error budget that is left; below 0 when overspent. `None` while unknown.
    pub budget_left: Option<f64>,
    pub harm: Harmed,
    /// Where the candidate's latest failures came from; `None` without any, or where nobody knows.
    pub concentration: Option<Concentration>,
    /// Of the rules about times that would act: whose slow requests they would act on.
    pub slow_clients: Vec<SlowClients>,
    /// Both versions are bad together, and the test between them is silent.
    pub shared_cause: Option<SharedCause>,
    /// In the last five minutes stable has provably failed more than before: what the candidate meets may be theirs
    /// both. Looked at when the comparison has proof.
    pub stable_stormy: bool,
    /// The candidate's requests since the comparison of errors began to speak against it.
    pub accused: Part,
    /// Stable provably fails more than the candidate, by more than the margin, and does so now.
    pub stable_worse: Option<SharedCause>,
    pub shadow: ShadowReading,
    /// Endpoints of the candidate.
    pub candidate_ready: Option<Ready>,
    pub stable_ready: Option<Ready>,
    /// At rest: of what was stable before.
    pub former_ready: Option<Ready>,
    /// Some thread's tripwire is holding back the candidate's requests.
    pub tripped: bool,
    /// The run of consecutive failures that would be proof now; the next split carries it.
    pub tripwire: Option<u32>,
}

impl Evidence {
    /// Whether the users among the failures are known: without sessions each failure is counted as a
    /// user's. As long as nothing failed there is nothing to be mistaken about.
    pub fn tells_users_apart(&self) -> bool {
        self.concentration.as_ref().is_none_or(|found| found.users.is_some())
    }
}

/// Whether the numbers are of now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Data {
    Fresh,
    /// The latest counts are this old.
    Stale {
        age: Duration,
    },
    /// Of now, and measured by threads that were late themselves. What backends have answered
    /// still counts; times, timeouts and health checks do not.
    Late {
        by: Duration,
    },
    /// The data plane does not know the service, the candidate, or nothing has come yet.
    #[default]
    Missing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exposure {
    pub candidate: Part,
    pub stable: Part,
}

/// The sequential test of candidate against concurrent stable.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ErrorTest {
    /// The evidence for "worse", and how much of it is proof (1/α).
    pub value: f64,
    pub needed: f64,
    /// The evidence for "above what the objective allows"; the same amount is proof.
    pub floor: f64,
    pub candidate: Part,
    pub stable: Part,
    /// Both have proof.
    pub worse: bool,
    /// They would have, if the failures of a few clients counted.
    pub of_few_clients: bool,
}

/// The same test on requests slower than stable's own quantiles.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatencyTest {
    pub value: f64,
    pub needed: f64,
    /// The quantile that says the most, stable's value of it, and who exceeded it.
    pub quantile: f64,
    pub baseline: Duration,
    pub candidate: Part,
    pub stable: Part,
    pub worse: bool,
    /// It would be, if the slow requests of a few clients counted.
    pub of_few_clients: bool,
}

/// The candidate's errors against a multiple of stable's before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BeforeTest {
    pub value: f64,
    pub needed: f64,
    /// Of failing requests: what is worse.
    pub limit: f64,
    /// Since stable was looked at.
    pub candidate: Part,
    /// In the hour before that, or as far back as it takes.
    pub stable: Part,
    pub worse: bool,
    /// It would be, if the failures of a few clients counted.
    pub of_few_clients: bool,
}

/// The reverse bet: that the candidate is no worse than the margin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bet {
    pub value: f64,
    /// 20 for α = 5%.
    pub needed: f64,
}

/// That the candidate fails less than this share, at which the next step would do more harm than is accepted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoundedHarm {
    pub value: f64,
    pub needed: f64,
    /// From 1 on the next step is too short for so much harm, whatever the candidate does.
    pub limit: f64,
}

/// How much more is needed, if both versions go on as they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outlook {
    /// Of the candidate. `None`: as long as it fails as it does, no number is enough.
    pub requests: Option<u64>,
    /// How long that takes at the rate of this step.
    pub seconds: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Samples {
    pub seen: u64,
    pub needed: u64,
}

/// What a guard or rule looks at, in its own unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// 0.01 is 1%.
    Share(f64),
    Time(Duration),
    /// Times the baseline's: 0.5 is half.
    Ratio(f64),
}

#[derive(Debug, Clone, PartialEq)]
pub struct GuardReading {
    /// The guard's.
    pub name: String,
    /// `None` while nothing can be said; `missing` then says why.
    pub observed: Option<Value>,
    pub threshold: Value,
    /// Stable's value at the same time, where there is one.
    pub stable: Option<Value>,
    pub samples: Samples,
    /// The window's numbers are beyond the threshold. A guard with `for` must stay so for that long.
    pub breached: bool,
    /// Chance alone does not explain it. A guard acts only when it is proven.
    pub proven: bool,
    /// Stable is beyond the same limit, or not provably better than the candidate: nothing that going back would
    /// mend.
    pub shared: bool,
    /// It is not breached and proven, and would be if what a few clients met counted.
    pub of_few_clients: bool,
    pub missing: Option<MissingReading>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingReading {
    TooFew,
    /// No such signal was pushed for the candidate, or lately.
    NoSignal,
    /// Stable has no concurrent value to compare with.
    NoBaseline,
    /// No copies were compared.
    NoShadow,
}

/// A rule acts when both windows are above and chance alone does not explain it.
#[derive(Debug, Clone, PartialEq)]
pub struct BurnReading {
    pub name: String,
    /// Of several objectives, the one that burns faster.
    pub promise: Promise,
    /// `None` while the window has too little coverage.
    pub long: Option<f64>,
    pub short: Option<f64>,
    pub threshold: f64,
    /// Both windows are above the threshold.
    pub above: bool,
    /// One failure among twenty requests burns fast, too, and proves nothing.
    pub proven: bool,
    /// It would be, if what a few clients met counted.
    pub of_few_clients: bool,
    /// Of stable in the same windows: the lower of the two.
    pub stable: Option<f64>,
    /// Stable burns nearly as fast, or the comparison with it speaks for the candidate.
    pub shared: bool,
    /// Requests in the long window.
    pub samples: u64,
}

/// Damage done by this rollout so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Harmed {
    /// Without those that are repeated.
    pub failed_requests: u64,
    /// Failures of a user, or of a stranger, that asked again within five minutes.
    pub repeated: u64,
    pub users: u64,
    /// What stable would have done to the same requests, up to the margin. The caps hold for what
    /// goes beyond.
    pub forgiven: Toll,
    /// Of what failed: counted by a data plane before the one that runs now.
    pub earlier: Toll,
}

/// Failed requests, and the users among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Toll {
    pub requests: u64,
    pub users: u64,
}

/// What was met that a verdict may be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Met {
    #[default]
    Failed,
    Slow,
}

impl Met {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failure",
            Self::Slow => "slow request",
        }
    }
}

/// Whose slow requests one rule about times is about.
#[derive(Debug, Clone, PartialEq)]
pub struct SlowClients {
    /// The label of a rollback by it.
    pub rule: String,
    /// What it looks at, and from where on it acts: shares, or rates of burning.
    pub observed: f64,
    pub limit: f64,
    pub requests: Concentration,
}

/// How concentrated the candidate's latest failures are: on clients, routes, methods, endpoints. Of slow
/// requests only clients are known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Concentration {
    pub met: Met,
    /// The failures that were looked at.
    pub of: u64,
    /// How many of them count, when no client network counts for more than its part of the traffic
    /// explains.
    pub spread: u64,
    /// Those from networks whose requests fail on stable as well. None of them counts.
    pub elsewhere: u64,
    /// `None` where users cannot be told apart.
    pub users: Option<u64>,
    pub networks: u64,
    /// The most frequent of each kind.
    pub by_network: Vec<Named>,
    pub by_route: Vec<Named>,
    pub by_method: Vec<Named>,
    pub by_endpoint: Vec<Named>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub name: String,
    pub count: u64,
}

impl Concentration {
    /// Most failures are those of a few clients.
    pub fn is_concentrated(&self) -> bool {
        self.spread * 2 < self.of
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SharedCause {
    pub candidate: f64,
    pub stable: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShadowReading {
    pub compared: u64,
    pub mismatched: u64,
    pub failed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    pub ready: u32,
    pub total: u32,
}
