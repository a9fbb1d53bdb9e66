//! What the configuration said when a decision was made.

use super::position::{IdentityShape, StepShape};
use super::{List, Maybe, PointsShape, Text, WallShape, exact, shape};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serin_core::ids::{ServiceName, VersionName};
use serin_core::outcome::BadStatuses;
use serin_core::rollout::{
    Accept, Action, Compared, Conditions, Dark, Demand, Freeze, Gate, GateKind, Guard, Harm,
    Identity, OnBusy, OnRollback, OnTooFew, Plan, Regression, Rule, Start, Step, Strategy, Terms,
    TimeOfDay, Window, WindowEffect, WindowSpan,
};
use serin_core::slo::{
    Availability, BudgetPolicy, BurnAction, BurnRule, LatencyObjective, Objectives, Severity,
};
use serin_core::time::Wall;
use serin_core::weights::BasisPoints;
use std::time::Duration;

#[derive(Serialize, Deserialize)]
#[serde(remote = "Terms", rename_all = "camelCase")]
pub(crate) struct TermsShape {
    #[serde(with = "Text::<ServiceName>")]
    service: ServiceName,
    #[serde(with = "Text::<VersionName>")]
    stable: VersionName,
    #[serde(with = "List::<IdentityShape>")]
    versions: Vec<Identity>,
    #[serde(with = "ObjectivesShape")]
    objectives: Objectives,
    #[serde(with = "Maybe::<PlanShape>")]
    plan: Option<Plan>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Conditions", rename_all = "camelCase")]
pub(crate) struct ConditionsShape {
    #[serde(with = "Maybe::<FreezeShape>")]
    freeze: Option<Freeze>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Freeze", rename_all = "camelCase")]
struct FreezeShape {
    by: String,
    reason: String,
    #[serde(with = "WallShape")]
    since: Wall,
}

// --- objectives ----------------------------------------------------------------------------

#[derive(Serialize, Deserialize)]
#[serde(remote = "Objectives", rename_all = "camelCase")]
struct ObjectivesShape {
    #[serde(with = "exact")]
    window: Duration,
    #[serde(with = "AvailabilityShape")]
    availability: Availability,
    #[serde(with = "Maybe::<LatencyObjectiveShape>")]
    latency: Option<LatencyObjective>,
    #[serde(with = "List::<BurnRuleShape>")]
    burn_rates: Vec<BurnRule>,
    #[serde(with = "BudgetPolicyShape")]
    budget: BudgetPolicy,
    /// Before it was told apart, what nobody wrote was held to as well.
    #[serde(default = "promised", skip_serializing_if = "Clone::clone")]
    promised: bool,
}

fn promised() -> bool {
    true
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Availability", rename_all = "camelCase")]
struct AvailabilityShape {
    objective: f64,
    #[serde(with = "BadStatusesShape")]
    bad: BadStatuses,
}

/// The statuses one by one; those of gRPC behind all of HTTP's.
struct BadStatusesShape;

const GRPC: u16 = 1_000;

impl BadStatusesShape {
    fn serialize<T: Serializer>(value: &BadStatuses, to: T) -> Result<T::Ok, T::Error> {
        let http = (0..640_u16).filter(|status| value.contains(*status));
        let grpc = (0..32).filter(|status| value.names_grpc(u32::from(*status)));
        to.collect_seq(http.chain(grpc.map(|status| GRPC + status)))
    }

    fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<BadStatuses, D::Error> {
        let mut bad = BadStatuses::NONE;
        for status in Vec::<u16>::deserialize(from)? {
            match status.checked_sub(GRPC) {
                Some(grpc) => bad.insert_grpc(u32::from(grpc)),
                None => bad.insert(status),
            }
        }
        Ok(bad)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "LatencyObjective", rename_all = "camelCase")]
struct LatencyObjectiveShape {
    objective: f64,
    #[serde(with = "exact")]
    under: Duration,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "BurnRule", rename_all = "camelCase")]
struct BurnRuleShape {
    name: String,
    above: f64,
    #[serde(with = "exact")]
    long: Duration,
    #[serde(with = "exact")]
    short: Duration,
    #[serde(with = "BurnActionShape")]
    action: BurnAction,
    #[serde(with = "SeverityShape")]
    severity: Severity,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "BurnAction", rename_all = "camelCase")]
enum BurnActionShape {
    Rollback,
    Pause,
    Notify,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Severity")]
enum SeverityShape {
    P1,
    P2,
    P3,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "BudgetPolicy", rename_all = "camelCase")]
struct BudgetPolicyShape {
    freeze_below: f64,
    confirm_below: f64,
}

// --- the plan ------------------------------------------------------------------------------

#[derive(Serialize, Deserialize)]
#[serde(remote = "Plan", rename_all = "camelCase")]
struct PlanShape {
    #[serde(with = "Text::<VersionName>")]
    to: VersionName,
    release: String,
    #[serde(with = "StrategyShape")]
    strategy: Strategy,
    #[serde(with = "StartShape")]
    start: Start,
    #[serde(default, with = "OnBusyShape")]
    on_busy: OnBusy,
    #[serde(with = "List::<StepShape>")]
    steps: Vec<Step>,
    #[serde(default, with = "PointsShape", skip_serializing_if = "is_default")]
    baseline: BasisPoints,
    #[serde(with = "DemandShape")]
    evidence: Demand,
    #[serde(with = "RegressionShape")]
    regression: Regression,
    #[serde(with = "List::<GuardShape>")]
    guards: Vec<Guard>,
    #[serde(with = "HarmShape")]
    harm: Harm,
    rescue: bool,
    #[serde(with = "List::<GateShape>")]
    gates: Vec<Gate>,
    #[serde(with = "List::<WindowShape>")]
    windows: Vec<Window>,
    #[serde(with = "OnRollbackShape")]
    on_rollback: OnRollback,
    #[serde(with = "Maybe::<DarkShape>")]
    dark: Option<Dark>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Strategy", rename_all = "camelCase")]
enum StrategyShape {
    Canary,
    BlueGreen,
    Rolling,
    BigBang,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Start", rename_all = "camelCase")]
enum StartShape {
    Manual,
    OnChange,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "OnBusy", rename_all = "camelCase")]
enum OnBusyShape {
    Queue,
    Supersede,
    Refuse,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Demand", rename_all = "camelCase")]
struct DemandShape {
    #[serde(default, with = "AcceptShape", skip_serializing_if = "is_default")]
    accept: Accept,
    false_alarm: f64,
    min_requests: u64,
    #[serde(with = "OnTooFewShape")]
    on_too_few: OnTooFew,
    #[serde(with = "exact")]
    give_up_after: Duration,
}

/// What lines without the key mean need not be written.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Accept", rename_all = "camelCase")]
enum AcceptShape {
    Proof,
    BoundedHarm,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "OnTooFew", rename_all = "camelCase")]
enum OnTooFewShape {
    Hold,
    Pause,
    Rollback,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Regression", rename_all = "camelCase")]
struct RegressionShape {
    errors: f64,
    #[serde(default)]
    client_errors: f64,
    latency: f64,
    #[serde(with = "exact", default)]
    latency_floor: Duration,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Guard", rename_all = "camelCase")]
struct GuardShape {
    name: String,
    #[serde(with = "RuleShape")]
    rule: Rule,
    #[serde(with = "exact")]
    over: Duration,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    absolute: bool,
    #[serde(with = "exact")]
    lasting: Duration,
    #[serde(with = "ActionShape")]
    action: Action,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Rule", rename_all = "camelCase")]
enum RuleShape {
    ErrorRate {
        above: f64,
    },
    Latency {
        quantile: f64,
        #[serde(with = "exact")]
        above: Duration,
    },
    Signal {
        name: String,
        below: f64,
        #[serde(with = "ComparedShape")]
        of: Compared,
    },
    ShadowMismatch {
        above: f64,
    },
    ShadowErrors {
        above: f64,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Compared", rename_all = "camelCase")]
enum ComparedShape {
    Baseline,
    Absolute,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Action", rename_all = "camelCase")]
enum ActionShape {
    Rollback,
    Pause,
    Notify,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Harm", rename_all = "camelCase")]
struct HarmShape {
    failed_requests: Option<u64>,
    users: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Gate", rename_all = "camelCase")]
struct GateShape {
    #[serde(with = "PointsShape")]
    before: BasisPoints,
    #[serde(with = "GateKindShape")]
    kind: GateKind,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "GateKind", rename_all = "camelCase")]
enum GateKindShape {
    Approval,
    Approvals {
        count: u32,
        by: Vec<String>,
    },
    Checklist {
        items: Vec<String>,
    },
    Webhook {
        url: String,
        #[serde(with = "exact")]
        timeout: Duration,
    },
    Shadow {
        comparisons: u64,
        mismatch_below: f64,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Window", rename_all = "camelCase")]
struct WindowShape {
    #[serde(with = "WindowEffectShape")]
    effect: WindowEffect,
    #[serde(with = "WindowSpanShape")]
    span: WindowSpan,
    time_zone: String,
    reason: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "WindowEffect", rename_all = "camelCase")]
enum WindowEffectShape {
    Allow,
    Deny,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "WindowSpan", rename_all = "camelCase")]
enum WindowSpanShape {
    Daily {
        first: u8,
        last: u8,
        #[serde(with = "TimeOfDayShape")]
        from: TimeOfDay,
        #[serde(with = "TimeOfDayShape")]
        to: TimeOfDay,
    },
    Weekly {
        first: u8,
        #[serde(with = "TimeOfDayShape")]
        from: TimeOfDay,
        last: u8,
        #[serde(with = "TimeOfDayShape")]
        to: TimeOfDay,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "TimeOfDay")]
struct TimeOfDayShape(u16);

#[derive(Serialize, Deserialize)]
#[serde(remote = "OnRollback", rename_all = "camelCase")]
enum OnRollbackShape {
    Revoke,
    Drain,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Dark", rename_all = "camelCase")]
struct DarkShape {
    #[serde(with = "exact")]
    hold: Duration,
    comparisons: u64,
    mismatch_below: f64,
}

shape! {
    FreezeShape => Freeze,
    LatencyObjectiveShape => LatencyObjective,
    BurnRuleShape => BurnRule,
    PlanShape => Plan,
    GuardShape => Guard,
    GateShape => Gate,
    WindowShape => Window,
    DarkShape => Dark,
}
