//! What the admin API said of the rollout, and when.

use std::time::Duration;

/// A state that was seen, from when on. Only changes are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Sighting {
    pub at: Duration,
    pub state: Option<String>,
    pub reason: Option<String>,
    /// The candidate's, in basis points.
    pub weight: Option<u64>,
}

#[derive(Debug, Clone, Default)]
pub struct Sightings {
    pub all: Vec<Sighting>,
    /// Asking failed so often.
    pub silent: u64,
}

impl Sightings {
    /// Takes in one answer of `GET /v1/services/{service}`.
    pub fn add(&mut self, at: Duration, service: &serde_json::Value) {
        let rollout = service.get("rollout").filter(|r| !r.is_null());
        let text = |name: &str| rollout?.get(name)?.as_str().map(str::to_owned);
        let candidate = text("to");
        let weight = candidate.and_then(|to| service.get("weights")?.get(to)?.as_u64());
        let sighting = Sighting { at, state: text("state"), reason: text("reason"), weight };
        let same = |last: &Sighting| {
            (&last.state, &last.reason, &last.weight)
                == (&sighting.state, &sighting.reason, &sighting.weight)
        };
        if !self.all.last().is_some_and(same) {
            self.all.push(sighting);
        }
    }

    pub fn first(&self, state: &str, after: Duration) -> Option<&Sighting> {
        self.all.iter().find(|s| s.at >= after && s.state.as_deref() == Some(state))
    }
}
