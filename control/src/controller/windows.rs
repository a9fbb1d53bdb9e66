//! What is kept every ten seconds: objectives' windows and the judge's tests. Losing it costs
//! certainty, never safety; so it is one small file that is replaced as a whole.

use super::flight::Flight;
use serde::{Deserialize, Serialize};
use serin_config::model::Service;
use serin_core::ids::Epoch;
use serin_core::rollout::{Course, Memory};
use serin_core::time::{Now, Wall};
use std::collections::BTreeMap;
use std::time::Duration;

const FORMAT: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Kept {
    format: u32,
    at: i64,
    services: BTreeMap<String, OfService>,
}

/// Bytes as core encodes them, in hex.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfService {
    slo: String,
    judge: Option<(u64, String)>,
    epoch: u64,
    stage: String,
    /// Of the present hold, which is not worth a commit with every tick.
    held_ms: u64,
}

pub(crate) fn encode<'a>(flights: impl Iterator<Item = &'a Flight>, at: Wall) -> Vec<u8> {
    let services = flights.map(|flight| {
        let memory = flight.pilot.memory();
        let course = flight.pilot.position().course.as_ref();
        let of_service = OfService {
            slo: hex(&memory.slo),
            judge: memory.judge.map(|(epoch, bytes)| (epoch.0, hex(&bytes))),
            epoch: course.map_or(0, |c| c.epoch.0),
            stage: course.map_or_else(String::new, stage),
            held_ms: course.map_or(0, |c| u64::try_from(c.held.as_millis()).unwrap_or_default()),
        };
        (flight.name.to_string(), of_service)
    });
    let kept = Kept { format: FORMAT, at: at.0, services: services.collect() };
    serde_json::to_vec(&kept).unwrap_or_default()
}

impl Kept {
    /// `None` for whatever this program did not write: it then begins without.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let kept: Self = serde_json::from_slice(bytes).ok()?;
        (kept.format == FORMAT).then_some(kept)
    }

    /// With the time that passed since. A wall clock that went back says nothing: no time passed.
    pub(crate) fn of(&self, service: &Service, now: Now) -> Option<(Memory, Duration)> {
        let of_service = self.services.get(service.name.as_str())?;
        let slo = unhex(&of_service.slo)?;
        let judge = match &of_service.judge {
            Some((epoch, bytes)) => Some((Epoch(*epoch), unhex(bytes)?)),
            None => None,
        };
        let downtime = u64::try_from(now.wall.0 - self.at).unwrap_or_default();
        Some((Memory { slo, judge }, Duration::from_millis(downtime)))
    }

    /// How long the stage that a rollout is in had been held.
    pub(crate) fn held(&self, service: &str, course: &Course) -> Option<Duration> {
        let of_service = self.services.get(service)?;
        let same = of_service.epoch == course.epoch.0 && of_service.stage == stage(course);
        same.then(|| Duration::from_millis(of_service.held_ms))
    }
}

fn stage(course: &Course) -> String {
    format!("{:?}", course.stage)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let pairs = digits.chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    pairs.collect()
}
