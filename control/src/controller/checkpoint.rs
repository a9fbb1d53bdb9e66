//! What is kept every ten seconds: objectives' windows and the judge's tests. Losing it costs
//! certainty, never safety; so it is one small file that is replaced as a whole.

use super::ServiceRun;
use crate::journal::schema::{Checkpoint, Hex, OfService, stage};
use serin_config::model::Service;
use serin_core::ids::Epoch;
use serin_core::rollout::{Memory, RolloutState};
use serin_core::time::{Now, Wall};
use std::time::Duration;

pub(crate) fn encode<'a>(services: impl Iterator<Item = &'a ServiceRun>, at: Wall) -> Vec<u8> {
    let services = services.map(|run| {
        let memory = run.pilot.memory();
        let rollout = run.pilot.position().rollout.as_ref();
        let of_service = OfService {
            slo: Hex::of(&memory.slo),
            judge: memory.judge.map(|(epoch, bytes)| (epoch.0, Hex::of(&bytes))),
            epoch: rollout.map_or(0, |c| c.epoch.0),
            stage: rollout.map_or_else(String::new, |c| stage(c.stage)),
            held_ms: rollout.map_or(0, |c| u64::try_from(c.held.as_millis()).unwrap_or_default()),
        };
        (run.name.to_string(), of_service)
    });
    Checkpoint::new(at.0, services.collect()).encode()
}

/// With the time that passed since. A wall clock that went back says nothing: no time passed.
pub(crate) fn memory(
    checkpoint: &Checkpoint,
    service: &Service,
    now: Now,
) -> Option<(Memory, Duration)> {
    let of_service = checkpoint.services.get(service.name.as_str())?;
    let slo = of_service.slo.bytes()?;
    let judge = match &of_service.judge {
        Some((epoch, bytes)) => Some((Epoch(*epoch), bytes.bytes()?)),
        None => None,
    };
    let downtime = u64::try_from(now.wall.0 - checkpoint.at).unwrap_or_default();
    Some((Memory { slo, judge }, Duration::from_millis(downtime)))
}

/// How long the stage that a rollout is in had been held.
pub(crate) fn held(
    checkpoint: &Checkpoint,
    service: &str,
    rollout: &RolloutState,
) -> Option<Duration> {
    let of_service = checkpoint.services.get(service)?;
    let same = of_service.epoch == rollout.epoch.0 && of_service.stage == stage(rollout.stage);
    same.then(|| Duration::from_millis(of_service.held_ms))
}
