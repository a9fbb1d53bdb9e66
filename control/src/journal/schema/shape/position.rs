//! Where a service stands: the record that decides what a restart resumes.

use super::{
    EpochShape, List, Maybe, NowShape, PointsShape, RolloutIdShape, Text, WallShape, exact, shape,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use serin_core::ids::{Epoch, RolloutId, VersionName};
use serin_core::rollout::{
    Answer, Aside, Clock, Ended, Former, GateAnswer, GateRef, GateRefKind, Identity, Manual, Pause,
    Phase, Position, Quarantined, Queued, RolloutState, Stage, StandingGuard, Started, Step,
};
use serin_core::split::Scope;
use serin_core::time::{Now, Wall};
use serin_core::weights::{BasisPoints, Weights};
use std::time::Duration;

#[derive(Serialize, Deserialize)]
#[serde(remote = "Position", rename_all = "camelCase")]
pub(crate) struct PositionShape {
    #[serde(with = "IdentityShape")]
    stable: Identity,
    #[serde(with = "EpochShape")]
    epoch: Epoch,
    #[serde(rename = "course", with = "Maybe::<RolloutStateShape>")]
    rollout: Option<RolloutState>,
    #[serde(with = "List::<QuarantinedShape>")]
    quarantine: Vec<Quarantined>,
    #[serde(with = "Maybe::<ManualShape>")]
    manual: Option<Manual>,
    #[serde(default, with = "Maybe::<QueuedShape>")]
    queued: Option<Queued>,
    #[serde(with = "List::<IdentityShape>")]
    seen: Vec<Identity>,
    #[serde(default, with = "List::<FormerShape>", skip_serializing_if = "Vec::is_empty")]
    former: Vec<Former>,
    /// Only in evidence: a decision can be made again only with the clock it was made with. A
    /// restart throws it away.
    #[serde(with = "ClockShape")]
    clock: Clock,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Clock", rename_all = "camelCase")]
struct ClockShape {
    #[serde(with = "Maybe::<NowShape>")]
    last: Option<Now>,
    #[serde(with = "exact")]
    unsettled: Duration,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Identity", rename_all = "camelCase")]
pub(super) struct IdentityShape {
    #[serde(with = "Text::<VersionName>")]
    version: VersionName,
    release: String,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Former", rename_all = "camelCase")]
struct FormerShape {
    #[serde(with = "IdentityShape")]
    identity: Identity,
    #[serde(with = "RolloutIdShape")]
    ended_by: RolloutId,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "RolloutState", rename_all = "camelCase")]
struct RolloutStateShape {
    #[serde(with = "RolloutIdShape")]
    id: RolloutId,
    #[serde(with = "EpochShape")]
    epoch: Epoch,
    salt: u64,
    #[serde(with = "IdentityShape")]
    candidate: Identity,
    #[serde(with = "List::<StepShape>")]
    steps: Vec<Step>,
    #[serde(with = "PhaseShape")]
    phase: Phase,
    #[serde(with = "StageShape")]
    stage: Stage,
    #[serde(with = "PointsShape")]
    weight: BasisPoints,
    #[serde(with = "ScopeShape")]
    of: Scope,
    #[serde(with = "exact")]
    held: Duration,
    #[serde(with = "List::<StandingGuardShape>")]
    standing: Vec<StandingGuard>,
    acted: Vec<String>,
    #[serde(with = "List::<GateAnswerShape>")]
    answers: Vec<GateAnswer>,
    promoted: bool,
    #[serde(with = "Maybe::<PauseShape>")]
    pause: Option<Pause>,
    #[serde(with = "Maybe::<EndedShape>")]
    ended: Option<Ended>,
    #[serde(default, with = "Maybe::<AsideShape>", skip_serializing_if = "Option::is_none")]
    aside: Option<Aside>,
    #[serde(default, skip_serializing_if = "is_none_yet")]
    returns: u32,
    #[serde(with = "exact")]
    drained: Duration,
    #[serde(with = "StartedShape")]
    started: Started,
    #[serde(with = "WallShape")]
    stage_at: Wall,
}

fn is_none_yet(returns: &u32) -> bool {
    *returns == 0
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Aside", rename_all = "camelCase")]
struct AsideShape {
    rule: String,
    why: String,
    #[serde(with = "PointsShape")]
    weight: BasisPoints,
    #[serde(with = "exact")]
    away: Duration,
    #[serde(with = "exact")]
    probation: Duration,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Step", rename_all = "camelCase")]
pub(super) struct StepShape {
    #[serde(with = "PointsShape")]
    weight: BasisPoints,
    #[serde(with = "exact")]
    hold: Duration,
    #[serde(with = "ScopeShape")]
    of: Scope,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Scope", rename_all = "camelCase")]
pub(super) enum ScopeShape {
    All,
    NewSessions,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Phase", rename_all = "camelCase")]
pub(in crate::journal::schema) enum PhaseShape {
    Pending,
    Dark,
    Running,
    Holding,
    Paused,
    Inconclusive,
    RolledBack,
    Superseded,
    Complete,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Stage", rename_all = "camelCase")]
enum StageShape {
    Before,
    Dark,
    Step(u16),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "StandingGuard", rename_all = "camelCase")]
struct StandingGuardShape {
    guard: String,
    #[serde(with = "exact")]
    lasted: Duration,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "GateRef", rename_all = "camelCase")]
struct GateRefShape {
    #[serde(with = "PointsShape")]
    before: BasisPoints,
    #[serde(with = "GateRefKindShape")]
    kind: GateRefKind,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "GateRefKind", rename_all = "camelCase")]
enum GateRefKindShape {
    Approval,
    Item { item: String },
    Webhook { url: String },
    Shadow,
    Budget,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "GateAnswer", rename_all = "camelCase")]
struct GateAnswerShape {
    #[serde(with = "GateRefShape")]
    gate: GateRef,
    #[serde(with = "AnswerShape")]
    answer: Answer,
    by: String,
    #[serde(with = "WallShape")]
    at: Wall,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Answer", rename_all = "camelCase")]
enum AnswerShape {
    Granted,
    Refused { detail: String },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Pause", rename_all = "camelCase")]
struct PauseShape {
    by: String,
    why: String,
    #[serde(with = "WallShape")]
    at: Wall,
    guard: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Ended", rename_all = "camelCase")]
struct EndedShape {
    #[serde(with = "WallShape")]
    at: Wall,
    by: String,
    label: String,
    why: String,
    blamed: bool,
    #[serde(with = "PointsShape")]
    reached: BasisPoints,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Started", rename_all = "camelCase")]
struct StartedShape {
    #[serde(with = "WallShape")]
    at: Wall,
    by: String,
    reason: String,
    #[serde(with = "Maybe::<WallShape>")]
    committed_at: Option<Wall>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Quarantined", rename_all = "camelCase")]
struct QuarantinedShape {
    #[serde(with = "IdentityShape")]
    identity: Identity,
    #[serde(with = "RolloutIdShape")]
    by: RolloutId,
    #[serde(with = "WallShape")]
    at: Wall,
    why: String,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Queued", rename_all = "camelCase")]
struct QueuedShape {
    #[serde(with = "IdentityShape")]
    identity: Identity,
    #[serde(with = "StartedShape")]
    started: Started,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Manual", rename_all = "camelCase")]
struct ManualShape {
    #[serde(with = "WeightsShape")]
    weights: Weights,
    by: String,
    reason: String,
    #[serde(with = "WallShape")]
    at: Wall,
}

/// Pairs, because their order is part of the value.
struct WeightsShape;

impl WeightsShape {
    fn serialize<T: Serializer>(value: &Weights, to: T) -> Result<T::Ok, T::Error> {
        to.collect_seq(value.iter().map(|(version, points)| (version.as_str(), points.get())))
    }

    fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Weights, D::Error> {
        let parts = Vec::<(String, u16)>::deserialize(from)?;
        let part = |(name, points): (String, u16)| {
            let version = VersionName::new(&name).map_err(D::Error::custom)?;
            let points = BasisPoints::new(points)
                .ok_or_else(|| D::Error::custom("a weight is over the whole"))?;
            Ok((version, points))
        };
        let parts = parts.into_iter().map(part).collect::<Result<_, D::Error>>()?;
        Weights::new(parts).map_err(D::Error::custom)
    }
}

shape! {
    ClockShape => Clock,
    PhaseShape => Phase,
    IdentityShape => Identity,
    RolloutStateShape => RolloutState,
    StepShape => Step,
    StandingGuardShape => StandingGuard,
    GateAnswerShape => GateAnswer,
    PauseShape => Pause,
    EndedShape => Ended,
    AsideShape => Aside,
    FormerShape => Former,
    QuarantinedShape => Quarantined,
    ManualShape => Manual,
    QueuedShape => Queued,
}
