//! What is kept every ten seconds: objectives' windows and the judge's tests. Losing it costs
//! certainty, never safety; so it is one small file that is replaced as a whole.

use super::flight::Flight;
use crate::journal::schema::{Hex, OfService, Windows, stage};
use serin_config::model::Service;
use serin_core::ids::Epoch;
use serin_core::rollout::{Course, Memory};
use serin_core::time::{Now, Wall};
use std::time::Duration;

pub(crate) fn encode<'a>(flights: impl Iterator<Item = &'a Flight>, at: Wall) -> Vec<u8> {
    let services = flights.map(|flight| {
        let memory = flight.pilot.memory();
        let course = flight.pilot.position().course.as_ref();
        let of_service = OfService {
            slo: Hex::of(&memory.slo),
            judge: memory.judge.map(|(epoch, bytes)| (epoch.0, Hex::of(&bytes))),
            epoch: course.map_or(0, |c| c.epoch.0),
            stage: course.map_or_else(String::new, |c| stage(c.stage)),
            held_ms: course.map_or(0, |c| u64::try_from(c.held.as_millis()).unwrap_or_default()),
        };
        (flight.name.to_string(), of_service)
    });
    Windows::new(at.0, services.collect()).encode()
}

/// With the time that passed since. A wall clock that went back says nothing: no time passed.
pub(crate) fn memory(kept: &Windows, service: &Service, now: Now) -> Option<(Memory, Duration)> {
    let of_service = kept.services.get(service.name.as_str())?;
    let slo = of_service.slo.bytes()?;
    let judge = match &of_service.judge {
        Some((epoch, bytes)) => Some((Epoch(*epoch), bytes.bytes()?)),
        None => None,
    };
    let downtime = u64::try_from(now.wall.0 - kept.at).unwrap_or_default();
    Some((Memory { slo, judge }, Duration::from_millis(downtime)))
}

/// How long the stage that a rollout is in had been held.
pub(crate) fn held(kept: &Windows, service: &str, course: &Course) -> Option<Duration> {
    let of_service = kept.services.get(service)?;
    let same = of_service.epoch == course.epoch.0 && of_service.stage == stage(course.stage);
    same.then(|| Duration::from_millis(of_service.held_ms))
}
