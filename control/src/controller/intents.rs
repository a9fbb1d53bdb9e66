//! What a configuration wants of services, and what control says would come of it.
//!
//! The same shape comes from a configuration that is about to be put in force and from a client that
//! asks beforehand, so that both get the same answer.

use serde::{Deserialize, Serialize};
use serin_config::model::{Config, Service};
use serin_core::ids::{NameError, ServiceName, VersionName};
use serin_core::rollout::{
    Conditions, Conflict, Consequence, Identity, Intent, Listed, Next, OnBusy, Position, Start,
    foretell,
};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What a configuration says about a service, as far as it can move weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceIntent {
    pub stable: String,
    pub versions: BTreeMap<String, VersionIntent>,
    #[serde(default)]
    pub rollout: Option<RolloutIntent>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VersionIntent {
    pub release: String,
    pub endpoints: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RolloutIntent {
    pub to: String,
    /// Begins by itself: `start: onChange`.
    pub on_change: bool,
    /// `queue`, `supersede` or `refuse`.
    pub on_busy: OnBusyIntent,
    /// Copies of requests have a say: a dark phase, a gate or a guard.
    pub asks_copies: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnBusyIntent {
    Queue,
    Supersede,
    Refuse,
}

/// What a configuration would do to a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConsequenceView {
    pub service: String,
    /// `refused`, `rests`, `goesOn`, `starts`, `queues`, `supersedes` or `adopts`.
    pub kind: String,
    /// Where in the files: `services.checkout.versions`.
    pub path: String,
    /// What happens to its rollout and its users, or why it is refused and what to do.
    pub message: String,
    /// What else the files say and the journal knows better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl ConsequenceView {
    pub fn is_refused(&self) -> bool {
        self.kind == "refused"
    }
}

/// Of every service of a configuration.
pub fn intents(config: &Config) -> BTreeMap<String, ServiceIntent> {
    config.services.values().map(|s| (s.name.to_string(), intent(s))).collect()
}

fn intent(service: &Service) -> ServiceIntent {
    let version = |v: &serin_config::model::Version| {
        let endpoints = v.endpoints.names();
        (v.name.to_string(), VersionIntent { release: v.release.clone(), endpoints })
    };
    ServiceIntent {
        stable: service.stable.to_string(),
        versions: service.versions.iter().map(version).collect(),
        rollout: service.rollout.as_ref().map(|plan| RolloutIntent {
            to: plan.to.to_string(),
            on_change: plan.start == Start::OnChange,
            on_busy: match plan.on_busy {
                OnBusy::Queue => OnBusyIntent::Queue,
                OnBusy::Supersede => OnBusyIntent::Supersede,
                OnBusy::Refuse => OnBusyIntent::Refuse,
            },
            asks_copies: plan.asks_copies(),
        }),
    }
}

/// The same, understood.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) service: ServiceName,
    pub(crate) stable: Identity,
    pub(crate) listed: Vec<Listed>,
    identities: Vec<Identity>,
    next: Option<(Identity, Start, OnBusy, bool)>,
}

impl Wanted {
    pub(crate) fn new(service: &str, intent: &ServiceIntent) -> Result<Self, NameError> {
        let listed = intent.versions.iter().map(|(name, version)| {
            let identity =
                Identity { version: VersionName::new(name)?, release: version.release.clone() };
            Ok(Listed { identity, endpoints: version.endpoints.clone() })
        });
        let listed: Vec<Listed> = listed.collect::<Result<_, NameError>>()?;
        let identities: Vec<Identity> = listed.iter().map(|l| l.identity.clone()).collect();
        let identity = |name: &str| {
            let version = VersionName::new(name)?;
            let known = identities.iter().find(|identity| identity.version == version).cloned();
            Ok(known.unwrap_or_else(|| Identity { release: version.to_string(), version }))
        };
        let next = match &intent.rollout {
            None => None,
            Some(rollout) => {
                let start = if rollout.on_change { Start::OnChange } else { Start::Manual };
                let on_busy = match rollout.on_busy {
                    OnBusyIntent::Queue => OnBusy::Queue,
                    OnBusyIntent::Supersede => OnBusy::Supersede,
                    OnBusyIntent::Refuse => OnBusy::Refuse,
                };
                Some((identity(&rollout.to)?, start, on_busy, rollout.asks_copies))
            }
        };
        Ok(Self {
            service: ServiceName::new(service)?,
            stable: identity(&intent.stable)?,
            next,
            identities,
            listed,
        })
    }

    pub(crate) fn of_config(config: &Config) -> Vec<Self> {
        // The names of a checked configuration are valid.
        let all = config.services.values();
        all.filter_map(|s| Self::new(s.name.as_str(), &intent(s)).ok()).collect()
    }

    fn intent(&self) -> Intent<'_> {
        let next = self.next.as_ref().map(|(identity, start, on_busy, asks_copies)| Next {
            version: &identity.version,
            release: &identity.release,
            start: *start,
            on_busy: *on_busy,
            asks_copies: *asks_copies,
        });
        Intent { versions: &self.identities, next }
    }
}

/// What is known of a service before a configuration is taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    /// `None`: the journal has never heard of it.
    pub(crate) position: Option<&'a Position>,
    /// On its way to the disk: it holds as soon as it is durable.
    pub(crate) pending: Option<&'a Position>,
    pub(crate) listed: &'a [Listed],
}

/// Foretells one service that the configuration has.
pub(crate) fn consequence(
    wanted: &Wanted,
    known: Known<'_>,
    conditions: &Conditions,
) -> Consequence {
    let fresh = Position::at_rest(wanted.stable.clone());
    let of = |position: &Position| {
        let file = Some((wanted.intent(), wanted.listed.as_slice()));
        foretell(position, known.listed, file, conditions)
    };
    let now = of(known.position.unwrap_or(&fresh));
    match (&now, known.pending.map(of)) {
        (Consequence::Refused(_), _) => now,
        (_, Some(refused @ Consequence::Refused(_))) => refused,
        (_, _) => now,
    }
}

/// Foretells one service that the configuration no longer has.
pub(crate) fn removal(known: Known<'_>, conditions: &Conditions) -> Consequence {
    let of = |position: &Position| foretell(position, known.listed, None, conditions);
    let all = known.position.into_iter().chain(known.pending).map(of);
    let refused = |c: &Consequence| matches!(c, Consequence::Refused(_));
    let mut all = all.filter(refused);
    all.next().unwrap_or(Consequence::Rests)
}

pub(crate) fn view(
    service: &ServiceName,
    consequence: &Consequence,
    wanted: Option<&Wanted>,
    position: Option<&Position>,
) -> ConsequenceView {
    let (kind, key) = match consequence {
        Consequence::Refused(conflict) => ("refused", conflict.key()),
        Consequence::Rests => ("rests", String::new()),
        Consequence::GoesOn(_) => ("goesOn", "rollout".to_owned()),
        Consequence::Starts(_) => ("starts", "rollout.to".to_owned()),
        Consequence::Queues { .. } => ("queues", "rollout.to".to_owned()),
        Consequence::Supersedes { .. } => ("supersedes", "rollout.to".to_owned()),
    };
    let message = match consequence {
        Consequence::Refused(conflict) => conflict.to_string(),
        other @ (Consequence::Rests
        | Consequence::GoesOn(_)
        | Consequence::Starts(_)
        | Consequence::Queues { .. }
        | Consequence::Supersedes { .. }) => other.to_string(),
    };
    ConsequenceView {
        service: service.to_string(),
        kind: kind.to_owned(),
        path: path(service, &key),
        message,
        note: wanted.zip(position).and_then(|(wanted, position)| ignored(wanted, position)),
    }
}

pub(crate) fn adopted(wanted: &Wanted) -> ConsequenceView {
    ConsequenceView {
        service: wanted.service.to_string(),
        kind: "adopts".to_owned(),
        path: path(&wanted.service, "stable"),
        message: format!(
            "{} becomes stable and gets every request, because somebody asked for it",
            wanted.stable
        ),
        note: None,
    }
}

fn path(service: &ServiceName, key: &str) -> String {
    match key {
        "" => format!("services.{service}"),
        key => format!("services.{service}.{key}"),
    }
}

fn ignored(wanted: &Wanted, position: &Position) -> Option<String> {
    let (file, journal) = (&wanted.stable.version, &position.stable.version);
    (file != journal)
        .then(|| format!("`stable: {file}` is not believed: {journal} is stable by the journal"))
}

/// What a start must refuse: it would give requests to what nobody has judged.
pub(crate) fn raises(consequence: &Consequence) -> Option<&Conflict> {
    match consequence {
        Consequence::Refused(conflict) if conflict.raises() => Some(conflict),
        Consequence::Refused(_)
        | Consequence::Rests
        | Consequence::GoesOn(_)
        | Consequence::Starts(_)
        | Consequence::Queues { .. }
        | Consequence::Supersedes { .. } => None,
    }
}
