//! `/v1/config`: what is in force, and whether what lies on disk could be.
//!
//! The files own intent: nothing here changes them. Loading and checking is done by whoever
//! started Serin, through [`Hooks`]; the answer shows files and keys of secrets, never a value.

use super::etag::Tag;
use super::extract::Raw;
use super::problem::{Kind, Problem};
use super::{Answered, Api, limits, reload, rollouts};
use crate::view::{CanaryView, ConfigView, ReloadView};
use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serin_config::Faults;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::ToSchema;

/// Warnings, or everything that is wrong.
pub type Verdict = Result<Vec<serin_config::Fault>, Faults>;

type Reload = dyn Fn() -> Verdict + Send + Sync;
type Upgrade = dyn Fn() -> Result<super::Upgraded, String> + Send + Sync;
type CheckText = dyn Fn(Option<&str>) -> Verdict + Send + Sync;

/// What the API asks of the program around it. They may block; they are called off the API's
/// threads.
#[derive(Clone)]
pub struct Hooks {
    /// Reads the configuration anew and puts it in force, or leaves everything as it is.
    pub reload: Arc<Reload>,
    /// Lets a share of requests try what the files say now.
    pub canary: Arc<reload::Begin>,
    /// Ends that, and goes back to what is in force.
    pub end_canary: Arc<reload::End>,
    /// Checks the given text, or what lies on disk; changes nothing. Answers with warnings.
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

/// One of the few checks at a time, from before its body is read until it is done.
#[derive(Debug, Clone)]
pub(crate) struct Turn(#[expect(dead_code, reason = "it is held")] Arc<OwnedSemaphorePermit>);

impl Turn {
    pub(super) fn take(api: &Api) -> Result<Self, Problem> {
        let turn = Arc::clone(&api.inner.checks).try_acquire_owned();
        turn.map(|permit| Self(Arc::new(permit))).map_err(|_| {
            let detail = format!("{} configurations are being checked already", limits::MAX_CHECKS);
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
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Checked {
    ok: bool,
    faults: Vec<Fault>,
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
    body(&api, Vec::new())
}

pub(super) fn body(api: &Api, warnings: Vec<serin_config::Fault>) -> Response {
    let view = api.handle().snapshot().config.clone();
    let config = serin_config::effective(&api.handle().config());
    let tag = tag(&view);
    let body = Config {
        generation: view.generation,
        hash: view.hash,
        loaded_at: view.loaded_at,
        failed: view.failed,
        canary: api.handle().canary(),
        warnings: listed(warnings),
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
    let check = Arc::clone(&api.inner.hooks.check);
    let checked = rollouts::read_journal(move || {
        // Held until the work is done, also when the client has left.
        let _turn = turn;
        check(what.yaml.as_deref())
    });
    let checked = checked.await?;
    let answer = match checked {
        Ok(warnings) => Checked { ok: true, faults: listed(warnings), more: 0 },
        Err(refused) => Checked { ok: false, more: refused.more, faults: listed(refused.faults) },
    };
    Ok(Json(answer).into_response())
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
