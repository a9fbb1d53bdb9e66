//! `/v1/config`: what is in force, and whether what lies on disk could be.
//!
//! The files own intent: nothing here changes them. Loading and checking is done by whoever
//! started Serin, through [`Hooks`]; the answer shows files and keys of secrets, never a value.

use super::etag::Tag;
use super::extract::Raw;
use super::problem::{Kind, Problem};
use super::{Answered, Api, limits, reload, rollout, rollouts};
use crate::controller::{ConsequenceView, ServiceIntent};
use crate::view::{CanaryView, ConfigView, ReloadView};
use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serin_config::Faults;
use serin_config::model::Role;
use serin_core::ids::ServiceName;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};
use utoipa::ToSchema;

/// What was taken, or everything that is wrong.
pub type Verdict = Result<AppliedConfig, Faults>;

/// A configuration that is in force.
#[derive(Debug, Default)]
pub struct AppliedConfig {
    pub warnings: Vec<serin_config::Fault>,
    /// What became of each service's rollout. Empty when the files said what was in force.
    pub consequences: Vec<ConsequenceView>,
}

/// A configuration that could be in force.
#[derive(Debug)]
pub struct Loaded {
    /// `None` for a text of somebody else's, of which not everything is looked at.
    pub intents: Option<BTreeMap<String, ServiceIntent>>,
    pub warnings: Vec<serin_config::Fault>,
}

type Reload = dyn Fn(Vec<ServiceName>) -> Verdict + Send + Sync;
type Upgrade = dyn Fn() -> Result<super::Upgraded, String> + Send + Sync;
type CheckText = dyn Fn(Option<&str>) -> Result<Loaded, Faults> + Send + Sync;

/// What the API asks of the program around it. They may block; they are called off the API's
/// threads.
#[derive(Clone)]
pub struct Hooks {
    /// Reads the configuration anew and puts it in force, or leaves everything as it is. Of the given
    /// services it is believed where it contradicts the journal.
    pub reload: Arc<Reload>,
    /// Lets a share of requests try what the files say now.
    pub canary: Arc<reload::Begin>,
    /// Ends that, and goes back to what is in force.
    pub end_canary: Arc<reload::End>,
    /// Checks the given text, or what lies on disk; changes nothing.
    pub check: Arc<CheckText>,
    /// Why the data plane cannot take traffic; `None` when it can.
    pub not_ready: Arc<dyn Fn() -> Option<String> + Send + Sync>,
    /// Hands over to a new process; an error says why this one goes on.
    pub upgrade: Arc<Upgrade>,
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hooks")
    }
}

/// Where a configuration is checked.
pub(super) const CHECK: &str = "/v1/config/check";

/// The few checks at a time: each takes many times its body's size.
#[derive(Debug)]
pub(super) struct Checks {
    all: Arc<Semaphore>,
    /// Of these viewers may have all but one, so that they never keep an operator waiting.
    viewers: Arc<Semaphore>,
}

impl Checks {
    pub(super) fn new() -> Self {
        let viewers = Arc::new(Semaphore::new(limits::MAX_CHECKS - 1));
        Self { all: Arc::new(Semaphore::new(limits::MAX_CHECKS)), viewers }
    }

    fn take(&self, role: Role) -> Result<Vec<OwnedSemaphorePermit>, TryAcquireError> {
        let viewers = (role == Role::Viewer).then_some(&self.viewers);
        let needed = viewers.into_iter().chain([&self.all]);
        needed.map(|of| Arc::clone(of).try_acquire_owned()).collect()
    }
}

/// One of the checks at a time, from before its body is read until it is done.
#[derive(Debug, Clone)]
pub(crate) struct Turn(#[expect(dead_code, reason = "it is held")] Arc<Vec<OwnedSemaphorePermit>>);

impl Turn {
    pub(super) fn take(api: &Api, role: Role) -> Result<Self, Problem> {
        let turn = api.inner.checks.take(role);
        turn.map(|held| Self(Arc::new(held))).map_err(|_| {
            let most = limits::MAX_CHECKS;
            let detail = match role {
                Role::Operator => format!("{most} configurations are being checked already"),
                Role::Viewer => format!("{} for viewers is being checked already", most - 1),
            };
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, Kind::Unavailable, detail)
                .with_header(header::RETRY_AFTER, HeaderValue::from_static("1"))
        })
    }
}

/// The configuration in force.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Config {
    /// Rises by one with each configuration put in force since the start.
    generation: u64,
    hash: String,
    loaded_at: crate::Timestamp,
    /// The last attempt that failed, until one succeeds.
    failed: Option<ReloadView>,
    /// Another configuration that serves a share of the requests beside this one.
    canary: Option<CanaryView>,
    /// What is odd about the files that were just read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Fault>,
    /// What became of each service's rollout, when the files were just put in force.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    consequences: Vec<ConsequenceView>,
    /// Everything resolved, with defaults, in the words of the files. Secrets are masked.
    #[schema(value_type = Object)]
    config: serde_json::Value,
}

/// What to check. Without `yaml`: the files that this instance was started with.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CheckConfig)]
pub(crate) struct Check {
    /// One configuration file's text. Neither the environment nor any file is read for it: `${VAR}`
    /// has its default or is not looked at, and of files only the names are.
    yaml: Option<String>,
    /// Instead of a text: what it says of each service, as far as it can move weights. Only the
    /// consequences are looked at.
    services: Option<BTreeMap<String, ServiceIntent>>,
    /// Services whose `stable` is believed where it contradicts the journal.
    #[serde(default, rename = "adoptStable")]
    adopt: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Checked {
    /// It would be put in force.
    ok: bool,
    faults: Vec<Fault>,
    /// What it would do to each service's rollout and users, if it were put in force now. Not of a
    /// `yaml`, of which not everything is looked at.
    consequences: Vec<ConsequenceView>,
    /// Found beyond those listed.
    more: usize,
}

/// What is wrong, where, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Fault)]
pub struct Fault {
    /// `error` or `warning`.
    severity: String,
    file: String,
    /// From 1; 0 when the fault is the file's as a whole.
    line: usize,
    column: usize,
    /// Like `services.checkout.rollout.steps[1].weight`.
    path: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl From<serin_config::Fault> for Fault {
    fn from(fault: serin_config::Fault) -> Self {
        Self {
            severity: match fault.severity {
                serin_config::Severity::Error => "error".to_owned(),
                serin_config::Severity::Warning => "warning".to_owned(),
            },
            file: fault.file,
            line: fault.line,
            column: fault.column,
            path: fault.path,
            message: fault.message,
            hint: fault.hint,
        }
    }
}

/// The configuration in force, secrets masked
#[utoipa::path(
    get, path = "/v1/config", operation_id = "readConfig", tag = "config",
    responses((status = 200, body = Config, headers(("etag" = String))))
)]
pub(crate) async fn read(State(api): State<Api>) -> Response {
    body(&api, AppliedConfig::default())
}

pub(super) fn body(api: &Api, taken: AppliedConfig) -> Response {
    let view = api.handle().snapshot().config.clone();
    let config = serin_config::effective(&api.handle().config());
    let tag = tag(&view);
    let body = Config {
        generation: view.generation,
        hash: view.hash,
        loaded_at: view.loaded_at,
        failed: view.failed,
        canary: api.handle().canary(),
        warnings: listed(taken.warnings),
        consequences: taken.consequences,
        config,
    };
    ([tag.header()], Json(body)).into_response()
}

/// Of what is in force.
pub(super) fn tag(view: &ConfigView) -> Tag {
    Tag::of_text(&format!("{} {}", view.generation, view.hash))
}

/// Check a configuration, changing nothing
#[utoipa::path(
    post, path = "/v1/config/check", operation_id = "checkConfig", tag = "config", request_body = Check,
    responses((status = 200, body = Checked))
)]
pub(crate) async fn check(
    State(api): State<Api>,
    Extension(turn): Extension<Turn>,
    body: Raw,
) -> Answered {
    let what: Check = body.json_or_default()?;
    let adopt = names(&what.adopt)?;
    let (check, handle) = (Arc::clone(&api.inner.hooks.check), api.handle().clone());
    let checked = rollouts::read_journal(move || {
        // Held until the work is done, also when the client has left.
        let _turn = turn;
        let loaded = match what.services {
            Some(intents) => Ok(Loaded { intents: Some(intents), warnings: Vec::new() }),
            None => check(what.yaml.as_deref()),
        };
        loaded.map(|loaded| {
            let foretold = loaded.intents.map(|of| handle.foretell_blocking(&of, adopt));
            (foretold.unwrap_or(Ok(Vec::new())), loaded.warnings)
        })
    });
    let answer = match checked.await? {
        Ok((foretold, warnings)) => {
            let consequences =
                foretold.map_err(|refusal| rollout::refused(&api.handle().snapshot(), refusal))?;
            let ok = !consequences.iter().any(ConsequenceView::is_refused);
            Checked { ok, faults: listed(warnings), more: 0, consequences }
        }
        Err(refused) => Checked {
            ok: false,
            more: refused.more,
            faults: listed(refused.faults),
            consequences: Vec::new(),
        },
    };
    Ok(Json(answer).into_response())
}

pub(super) fn names(of: &[String]) -> Result<Vec<ServiceName>, Problem> {
    let name = |name: &String| {
        ServiceName::new(name).map_err(|e| Problem::unprocessable(format!("adoptStable: {e}")))
    };
    of.iter().map(name).collect()
}

fn listed(faults: Vec<serin_config::Fault>) -> Vec<Fault> {
    faults.into_iter().map(Fault::from).collect()
}

pub(super) fn invalid(refused: Faults) -> Problem {
    let count = refused.faults.len() + refused.more;
    let first = refused.errors().next().map_or_else(String::new, serin_config::Fault::line);
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        Kind::InvalidConfig,
        match count {
            1 => format!("the configuration was not taken: {first}"),
            _ => format!(
                "the configuration has {count} faults and was not taken; the first: {first}"
            ),
        },
    )
    .with_faults(listed(refused.faults))
}
