//! What a scenario file says.

use crate::arrivals::{Spacing, Stretch};
use crate::backend::{Behaviour, Share};
use crate::client::VersionBy;
use crate::target::Protocol;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scenario {
    pub name: String,
    /// A configuration that `serin run` gets, relative to the scenario. In it `${HTTP}` and `${ADMIN}`
    /// are addresses, `${STATE}` is a folder, and each backend's address is `${BACKEND_<NAME>}`.
    pub serin: Option<std::path::PathBuf>,
    /// Of that one; without it one per core. Each thread keeps its own place in the split.
    pub threads: Option<u16>,
    /// Instead: a proxy that runs already, and its admin API if it has one.
    pub url: Option<String>,
    pub admin: Option<String>,
    #[serde(default)]
    pub backends: BTreeMap<String, BehaviourFile>,
    pub traffic: TrafficFile,
    /// Followed on the admin API.
    pub service: Option<String>,
    /// Ends the scenario a second after the rollout reached one of these states; `lasting` is then
    /// the most that it takes.
    #[serde(default)]
    pub until: Vec<String>,
    #[serde(default = "by_header", deserialize_with = "version_by")]
    pub version_by: VersionBy,
    #[serde(default)]
    pub course: Vec<Act>,
    #[serde(default)]
    pub expect: Vec<Expectation>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct BehaviourFile {
    #[serde(deserialize_with = "duration")]
    pub latency: Duration,
    #[serde(deserialize_with = "duration")]
    pub latency_p99: Duration,
    #[serde(deserialize_with = "share")]
    pub errors: f64,
    pub error_status: Option<u16>,
    #[serde(deserialize_with = "share")]
    pub hangs: f64,
    #[serde(deserialize_with = "share")]
    pub resets: f64,
    #[serde(deserialize_with = "duration")]
    pub slow_body: Duration,
    pub body_bytes: usize,
}

impl BehaviourFile {
    pub fn behaviour(&self) -> Behaviour {
        Behaviour {
            latency: self.latency,
            latency_p99: self.latency_p99,
            errors: Share(self.errors),
            error_status: self.error_status.unwrap_or(500),
            hangs: Share(self.hangs),
            resets: Share(self.resets),
            slow_body: self.slow_body,
            body_bytes: self.body_bytes,
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrafficFile {
    /// Requests a second; several with `for` make a course.
    pub rate: Rates,
    #[serde(default, deserialize_with = "duration")]
    pub lasting: Duration,
    #[serde(default)]
    pub poisson: bool,
    #[serde(default)]
    pub users: u32,
    /// Requests that each arrival sends, `think` after each answer.
    #[serde(default = "one_request")]
    pub visit: u32,
    #[serde(default, deserialize_with = "duration")]
    pub think: Duration,
    /// As `url` says it; `http2` is said here.
    pub protocol: Option<Protocol>,
    /// Of an HTTP/2 connection.
    #[serde(default = "sixteen")]
    pub streams: usize,
    #[serde(default = "sixty_four")]
    pub connections: usize,
    #[serde(default = "ten_seconds", deserialize_with = "duration")]
    pub timeout: Duration,
    #[serde(default = "root")]
    pub path: String,
    pub mix: Option<std::path::PathBuf>,
    #[serde(default = "one")]
    pub seed: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Rates {
    Constant(f64),
    Course(Vec<RateFile>),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateFile {
    pub from: f64,
    /// The same as `from` when missing.
    pub to: Option<f64>,
    #[serde(deserialize_with = "duration")]
    pub lasting: Duration,
}

impl TrafficFile {
    pub fn stretches(&self) -> Vec<Stretch> {
        match &self.rate {
            Rates::Constant(rate) => {
                vec![Stretch { from: *rate, to: *rate, lasting: self.lasting }]
            }
            Rates::Course(course) => course
                .iter()
                .map(|r| Stretch { from: r.from, to: r.to.unwrap_or(r.from), lasting: r.lasting })
                .collect(),
        }
    }

    pub fn spacing(&self) -> Spacing {
        if self.poisson { Spacing::Poisson } else { Spacing::Even }
    }
}

/// Something that is done at a time.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Act {
    #[serde(deserialize_with = "duration")]
    pub at: Duration,
    /// The backend that changes; `become` says how, `crash` and `revive` are themselves.
    pub backend: Option<String>,
    #[serde(rename = "become")]
    pub becomes: Option<BehaviourFile>,
    #[serde(default)]
    pub crash: bool,
    #[serde(default)]
    pub revive: bool,
    pub admin: Option<AdminCall>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AdminCall {
    pub method: String,
    pub path: String,
    #[serde(default)]
    pub body: serde_json::Value,
}

/// What must have happened. Bounds are inclusive.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Expectation {
    /// The rollout was seen in this state, `within` so long after `after`.
    Reaches {
        state: String,
        #[serde(default, deserialize_with = "duration")]
        after: Duration,
        #[serde(deserialize_with = "duration")]
        within: Duration,
    },
    /// The rollout was never seen in this state.
    Never { state: String },
    /// The rollout is in this state at the end.
    Ends { state: String },
    /// At most (and at least) so many requests failed, of one version or of all.
    Failed {
        version: Option<String>,
        #[serde(default)]
        at_least: u64,
        at_most: u64,
    },
    /// A version's share of the requests due in a stretch of the run.
    Share {
        version: String,
        #[serde(deserialize_with = "share")]
        is: f64,
        #[serde(deserialize_with = "share")]
        plus_minus: f64,
        #[serde(deserialize_with = "duration")]
        from: Duration,
        #[serde(deserialize_with = "duration")]
        to: Duration,
    },
    /// No request that was due later than `within` after `after` was answered by the version.
    LastSeen {
        version: String,
        #[serde(default, deserialize_with = "duration")]
        after: Duration,
        #[serde(deserialize_with = "duration")]
        within: Duration,
    },
    /// No user went from the first to the second while the share of the second did not fall.
    UsersMoved { from: String, to: String, at_most: u64 },
    /// A quantile over the whole run.
    Latency {
        version: Option<String>,
        quantile: f64,
        #[serde(deserialize_with = "duration")]
        at_most: Duration,
    },
    /// The reason that the admin API gives contains this text, at some time.
    Reason { contains: String },
}

#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    #[error("{path}: {why}")]
    Read { path: String, why: String },
    #[error("{path}: {what}")]
    Wrong { path: String, what: String },
}

impl Scenario {
    pub fn read(path: &Path) -> Result<Self, ScenarioError> {
        let shown = path.display().to_string();
        let read =
            |e: std::io::Error| ScenarioError::Read { path: shown.clone(), why: e.to_string() };
        let text = std::fs::read_to_string(path).map_err(read)?;
        Self::parse(&text).map_err(|what| ScenarioError::Wrong { path: shown, what })
    }

    pub fn parse(text: &str) -> Result<Self, String> {
        let scenario: Self = serde_saphyr::from_str(text).map_err(|e| e.to_string())?;
        scenario.checked()
    }

    fn checked(self) -> Result<Self, String> {
        if self.serin.is_some() == self.url.is_some() {
            return Err(
                "says `serin` (a configuration to run) or `url` (a proxy that runs), one of them"
                    .to_owned(),
            );
        }
        for act in &self.course {
            if let Some(name) = &act.backend {
                if !self.backends.contains_key(name) {
                    return Err(format!(
                        "course at {:?} names backend {name:?}, which is not among the backends",
                        act.at
                    ));
                }
            } else if act.admin.is_none() {
                return Err(format!(
                    "course at {:?} does nothing: name a `backend` or an `admin` call",
                    act.at
                ));
            }
        }
        if self.traffic.stretches().iter().all(|s| s.lasting.is_zero()) {
            return Err("traffic lasts no time: set `lasting`, or one for each rate".to_owned());
        }
        let follows = !self.until.is_empty() || self.expect.iter().any(Expectation::follows);
        if self.service.is_none() && follows {
            return Err("an expectation looks at the rollout: say whose with `service`".to_owned());
        }
        Ok(self)
    }
}

impl Expectation {
    /// Whether it needs the admin API.
    fn follows(&self) -> bool {
        match self {
            Self::Reaches { .. } | Self::Never { .. } | Self::Ends { .. } | Self::Reason { .. } => {
                true
            }
            Self::Failed { .. }
            | Self::Share { .. }
            | Self::LastSeen { .. }
            | Self::UsersMoved { .. }
            | Self::Latency { .. } => false,
        }
    }
}

fn by_header() -> VersionBy {
    VersionBy::Header("x-version".to_owned())
}

fn one_request() -> u32 {
    1
}

fn sixteen() -> usize {
    16
}

fn sixty_four() -> usize {
    64
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

fn root() -> String {
    "/".to_owned()
}

fn one() -> u64 {
    1
}

fn version_by<'de, D: Deserializer<'de>>(from: D) -> Result<VersionBy, D::Error> {
    VersionBy::parse(&String::deserialize(from)?).map_err(serde::de::Error::custom)
}

fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let found = units.iter().find_map(|(unit, seconds)| {
        let number: f64 = text.strip_suffix(unit)?.parse().ok()?;
        Duration::try_from_secs_f64(number * seconds).ok()
    });
    found.ok_or_else(|| {
        serde::de::Error::custom(format!("{text:?} is no duration; write 250ms, 3s, 5m"))
    })
}

fn share<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let text = String::deserialize(from)?;
    let number = text.strip_suffix('%').and_then(|n| n.parse::<f64>().ok());
    number
        .filter(|n| (0.0..=100.0).contains(n))
        .map(|n| n / 100.0)
        .ok_or_else(|| serde::de::Error::custom(format!("{text:?} is no share; write 10%")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "
name: whole
serin: shop.yaml
service: shop
backends: { v41: { latency: 2ms }, v42: {} }
traffic: { rate: 100, lasting: 5s, users: 20 }
course:
  - { at: 1s, admin: { method: POST, path: /v1/services/shop/rollout, body: { to: v42 } } }
  - { at: 2s, backend: v42, become: { errors: 100% } }
expect:
  - reaches: { state: rolledBack, after: 2s, within: 1s }
  - failed: { atMost: 10 }
  - share: { version: v42, is: 10%, plusMinus: 0.5%, from: 1s, to: 2s }
";

    #[test]
    fn a_scenario_is_read_whole() {
        let scenario = Scenario::parse(WHOLE).expect("parses");
        assert_eq!(scenario.backends["v41"].behaviour().latency, Duration::from_millis(2));
        assert_eq!(scenario.course[1].becomes.as_ref().map(|b| b.errors), Some(1.0));
        assert_eq!(scenario.expect.len(), 3);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        let fault = |text: &str| Scenario::parse(text).expect_err("is refused");
        let unknown = fault(&WHOLE.replace("backend: v42", "backend: v43"));
        assert!(unknown.contains("\"v43\""), "{unknown}");
        let unit = fault(&WHOLE.replace("lasting: 5s", "lasting: 5"));
        assert!(unit.contains("is no duration"), "{unit}");
        let whose = fault(&WHOLE.replace("service: shop\n", ""));
        assert!(whose.contains("say whose"), "{whose}");
    }
}
