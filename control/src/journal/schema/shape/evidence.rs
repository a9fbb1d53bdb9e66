//! The numbers that a decision rests on.

use super::{List, Maybe, exact, shape};
use serde::{Deserialize, Serialize};
use serin_core::rollout::{
    BeforeTest, Bet, BoundedHarm, BurnReading, Concentration, Data, ErrorTest, Evidence, Exposure,
    GuardReading, Harmed, LatencyTest, Met, MissingReading, Named, Outlook, Part, Ready, Samples,
    ShadowReading, SharedCause, SlowClients, Toll, Value,
};
use serin_core::slo::Promise;
use std::time::Duration;

#[derive(Serialize, Deserialize)]
#[serde(remote = "Evidence", rename_all = "camelCase")]
pub(crate) struct EvidenceShape {
    #[serde(with = "DataShape")]
    data: Data,
    #[serde(with = "ExposureShape")]
    step: Exposure,
    #[serde(with = "Maybe::<ErrorTestShape>")]
    errors: Option<ErrorTest>,
    #[serde(with = "Maybe::<ErrorTestShape>", default)]
    client_errors: Option<ErrorTest>,
    #[serde(with = "Maybe::<LatencyTestShape>")]
    latency: Option<LatencyTest>,
    #[serde(with = "Maybe::<BeforeTestShape>", default, skip_serializing_if = "Option::is_none")]
    before: Option<BeforeTest>,
    #[serde(with = "Maybe::<BetShape>")]
    promotion: Option<Bet>,
    #[serde(with = "Maybe::<BoundedHarmShape>", default)]
    bounded: Option<BoundedHarm>,
    #[serde(with = "Maybe::<OutlookShape>", default)]
    outlook: Option<Outlook>,
    #[serde(with = "List::<GuardReadingShape>")]
    guards: Vec<GuardReading>,
    #[serde(with = "List::<BurnReadingShape>")]
    burns: Vec<BurnReading>,
    budget_left: Option<f64>,
    #[serde(with = "HarmedShape")]
    harm: Harmed,
    #[serde(with = "Maybe::<ConcentrationShape>", default)]
    concentration: Option<Concentration>,
    #[serde(with = "List::<SlowClientsShape>", default)]
    slow_clients: Vec<SlowClients>,
    #[serde(with = "Maybe::<SharedCauseShape>")]
    shared_cause: Option<SharedCause>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    stable_stormy: bool,
    #[serde(with = "PartShape", default)]
    accused: Part,
    #[serde(with = "Maybe::<SharedCauseShape>", default)]
    stable_worse: Option<SharedCause>,
    #[serde(with = "ShadowReadingShape")]
    shadow: ShadowReading,
    #[serde(with = "Maybe::<ReadyShape>")]
    candidate_ready: Option<Ready>,
    #[serde(with = "Maybe::<ReadyShape>")]
    stable_ready: Option<Ready>,
    #[serde(with = "Maybe::<ReadyShape>", default, skip_serializing_if = "Option::is_none")]
    former_ready: Option<Ready>,
    tripped: bool,
    tripwire: Option<u32>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Data", rename_all = "camelCase")]
enum DataShape {
    Fresh,
    Stale {
        #[serde(with = "exact")]
        age: Duration,
    },
    Late {
        #[serde(with = "exact")]
        by: Duration,
    },
    Missing,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Part", rename_all = "camelCase")]
struct PartShape {
    bad: u64,
    of: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Exposure", rename_all = "camelCase")]
struct ExposureShape {
    #[serde(with = "PartShape")]
    candidate: Part,
    #[serde(with = "PartShape")]
    stable: Part,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ErrorTest", rename_all = "camelCase")]
struct ErrorTestShape {
    value: f64,
    needed: f64,
    floor: f64,
    #[serde(with = "PartShape")]
    candidate: Part,
    #[serde(with = "PartShape")]
    stable: Part,
    worse: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    of_few_clients: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "LatencyTest", rename_all = "camelCase")]
struct LatencyTestShape {
    value: f64,
    needed: f64,
    quantile: f64,
    #[serde(with = "exact")]
    baseline: Duration,
    #[serde(with = "PartShape")]
    candidate: Part,
    #[serde(with = "PartShape")]
    stable: Part,
    worse: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    of_few_clients: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "BeforeTest", rename_all = "camelCase")]
struct BeforeTestShape {
    value: f64,
    needed: f64,
    limit: f64,
    #[serde(with = "PartShape")]
    candidate: Part,
    #[serde(with = "PartShape")]
    stable: Part,
    worse: bool,
    of_few_clients: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Bet", rename_all = "camelCase")]
struct BetShape {
    value: f64,
    needed: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "BoundedHarm", rename_all = "camelCase")]
struct BoundedHarmShape {
    value: f64,
    needed: f64,
    limit: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Outlook", rename_all = "camelCase")]
struct OutlookShape {
    requests: Option<u64>,
    seconds: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Samples", rename_all = "camelCase")]
struct SamplesShape {
    seen: u64,
    needed: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Value", rename_all = "camelCase")]
enum ValueShape {
    Share(f64),
    Time(#[serde(with = "exact")] Duration),
    Ratio(f64),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "GuardReading", rename_all = "camelCase")]
struct GuardReadingShape {
    name: String,
    #[serde(with = "Maybe::<ValueShape>")]
    observed: Option<Value>,
    #[serde(with = "ValueShape")]
    threshold: Value,
    #[serde(with = "Maybe::<ValueShape>")]
    stable: Option<Value>,
    #[serde(with = "SamplesShape")]
    samples: Samples,
    breached: bool,
    proven: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    shared: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    of_few_clients: bool,
    #[serde(with = "Maybe::<MissingReadingShape>")]
    missing: Option<MissingReading>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "MissingReading", rename_all = "camelCase")]
enum MissingReadingShape {
    TooFew,
    NoSignal,
    NoBaseline,
    NoShadow,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "BurnReading", rename_all = "camelCase")]
struct BurnReadingShape {
    name: String,
    #[serde(with = "PromiseShape")]
    promise: Promise,
    long: Option<f64>,
    short: Option<f64>,
    threshold: f64,
    above: bool,
    proven: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    of_few_clients: bool,
    stable: Option<f64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    shared: bool,
    samples: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Promise", rename_all = "camelCase")]
enum PromiseShape {
    Availability,
    Latency,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Harmed", rename_all = "camelCase")]
struct HarmedShape {
    failed_requests: u64,
    #[serde(default)]
    repeated: u64,
    users: u64,
    #[serde(with = "TollShape", default)]
    forgiven: Toll,
    #[serde(with = "TollShape", default)]
    earlier: Toll,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Toll", rename_all = "camelCase")]
struct TollShape {
    requests: u64,
    users: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Met", rename_all = "camelCase")]
enum MetShape {
    Failed,
    Slow,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "SlowClients", rename_all = "camelCase")]
struct SlowClientsShape {
    rule: String,
    observed: f64,
    limit: f64,
    #[serde(with = "ConcentrationShape")]
    requests: Concentration,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Concentration", rename_all = "camelCase")]
struct ConcentrationShape {
    #[serde(with = "MetShape", default)]
    met: Met,
    of: u64,
    spread: u64,
    elsewhere: u64,
    users: Option<u64>,
    networks: u64,
    #[serde(with = "List::<NamedShape>")]
    by_network: Vec<Named>,
    #[serde(with = "List::<NamedShape>")]
    by_route: Vec<Named>,
    #[serde(with = "List::<NamedShape>")]
    by_method: Vec<Named>,
    #[serde(with = "List::<NamedShape>")]
    by_endpoint: Vec<Named>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Named", rename_all = "camelCase")]
struct NamedShape {
    name: String,
    count: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "SharedCause", rename_all = "camelCase")]
struct SharedCauseShape {
    candidate: f64,
    stable: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ShadowReading", rename_all = "camelCase")]
struct ShadowReadingShape {
    compared: u64,
    mismatched: u64,
    failed: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Ready", rename_all = "camelCase")]
struct ReadyShape {
    ready: u32,
    total: u32,
}

shape! {
    ErrorTestShape => ErrorTest,
    LatencyTestShape => LatencyTest,
    SlowClientsShape => SlowClients,
    BeforeTestShape => BeforeTest,
    BetShape => Bet,
    BoundedHarmShape => BoundedHarm,
    OutlookShape => Outlook,
    ValueShape => Value,
    GuardReadingShape => GuardReading,
    MissingReadingShape => MissingReading,
    BurnReadingShape => BurnReading,
    SharedCauseShape => SharedCause,
    ConcentrationShape => Concentration,
    NamedShape => Named,
    ReadyShape => Ready,
}
