//! `/v1/services/{service}/rollout`: starting a rollout, and telling it what to do.

use super::admit::RequestKey;
use super::auth::Caller;
use super::etag::{self, Tag};
use super::extract::{Name, Raw};
use super::problem::{Kind, Problem, unknown_detail};
use super::{Answered, Api, idempotency, services};
use crate::view::{RolloutView, Snapshot, Timestamp};
use crate::{Actor, Command, Order, Outcome, Refusal, StartRollout};
use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serin_core::ids::VersionName;
use serin_core::weights::BasisPoints;
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;

/// What to start. Everything may be left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Start {
    /// The version to bring in; the configuration's `rollout.to` when left out.
    #[schema(max_length = 63, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    to: Option<String>,
    /// For the journal, the report and the notifications.
    #[schema(max_length = 1000)]
    reason: Option<String>,
    /// Refused when the configuration gives that version another release.
    release: Option<String>,
    /// When the change was committed: the beginning of its lead time.
    #[schema(value_type = Option<Timestamp>)]
    committed_at: Option<String>,
    /// Takes the place of a rollout under way, whatever `onBusy` says: its share goes to stable.
    #[serde(default)]
    supersede: bool,
}

/// Why.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Reason {
    /// For the journal, the report and the notifications.
    #[schema(max_length = 1000)]
    reason: Option<String>,
}

/// Why, and from where.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Promote {
    /// For the journal, the report and the notifications.
    #[schema(max_length = 1000)]
    reason: Option<String>,
    /// Refused with 409 unless the rollout is on this step, from 1; 0 is before the first.
    #[schema(maximum = 65_535)]
    from_step: Option<u16>,
}

/// Why, and which step.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Approve {
    /// For the journal, the report and the notifications.
    #[schema(max_length = 1000)]
    reason: Option<String>,
    /// The weight of the step that is approved, in basis points; the next step when left out.
    #[schema(minimum = 1, maximum = 10_000)]
    before: Option<u16>,
}

/// What is done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Tick {
    /// As the configuration writes it.
    #[schema(max_length = 200)]
    item: String,
    /// `false` takes it back.
    #[serde(default = "done_by_default")]
    done: bool,
    /// For the journal and the report.
    #[schema(max_length = 1000)]
    reason: Option<String>,
}

fn done_by_default() -> bool {
    true
}

/// The rollout after a command, with what was done.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Done {
    #[serde(flatten)]
    rollout: RolloutView,
    service: String,
    /// The service's revision, as in its ETag.
    revision: u64,
    /// One sentence.
    message: String,
    /// `false`: in force, and not written yet, because the disk does not answer.
    durable: bool,
}

/// Longer reasons are refused: they go into every notification.
const LONGEST_REASON: usize = 1000;

/// The rollout that runs, or the last one
#[utoipa::path(
    get, path = "/v1/services/{service}/rollout", operation_id = "readRollout", tag = "rollout",
    params(("service" = String, Path, max_length = 63, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$")),
    responses((status = 200, body = RolloutView, headers(("etag" = String))))
)]
pub(crate) async fn read(State(api): State<Api>, name: Name) -> Answered {
    let snapshot = api.handle().snapshot();
    let service = services::find(&snapshot, &name.0)?;
    match &service.rollout {
        Some(rollout) => {
            Ok(([Tag::of_revision(service.revision).header()], Json(rollout)).into_response())
        }
        None => Err(Problem::new(
            StatusCode::NOT_FOUND,
            Kind::NotFound,
            format!("{} has had no rollout; POST here starts one", service.name),
        )),
    }
}

/// Start a rollout
///
/// While another one is under way it is queued, takes its place or is refused, as `onBusy` and
/// `supersede` say; 202 names the rollout that is to come.
/// If-Match and Idempotency-Key are honoured.
#[utoipa::path(
    post, path = "/v1/services/{service}/rollout", operation_id = "startRollout", tag = "rollout",
    params(("service" = String, Path, max_length = 63, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$")),
    request_body = Start,
    responses(
        (status = 201, body = Done, headers(("etag" = String), ("location" = String))),
        (status = 202, body = Outcome, headers(("etag" = String)))
    )
)]
pub(crate) async fn start(State(api): State<Api>, name: Name, who: Who, body: Raw) -> Answered {
    services::known(&api, &name.0)?;
    let start: Start = body.json_or_default()?;
    let snapshot = api.handle().snapshot();
    let to = match start.to {
        Some(to) => Some(version(&snapshot, &name.0, &to)?),
        None => None,
    };
    let committed_at = match start.committed_at {
        Some(text) => Some(moment(&text)?),
        None => None,
    };
    let reason = reason(start.reason)?;
    let command = StartRollout {
        to,
        reason,
        release: start.release,
        committed_at,
        supersede: start.supersede,
    };
    let outcome = carry_out(&api, &name.0, &who, Command::Start(command)).await?;
    Ok(answer(&api, StatusCode::CREATED, outcome))
}

/// Go to the next step now
///
/// Past holds, approvals and missing evidence; never past a guard. Answers when the step is in
/// force, or with what is still waited for. If-Match and Idempotency-Key are honoured.
#[utoipa::path(
    post, path = "/v1/services/{service}/rollout/promote", operation_id = "promoteRollout", tag = "rollout",
    params(("service" = String, Path, max_length = 63, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$")), request_body = Promote,
    responses((status = 200, body = Done, headers(("etag" = String))))
)]
pub(crate) async fn promote(State(api): State<Api>, name: Name, who: Who, body: Raw) -> Answered {
    services::known(&api, &name.0)?;
    let asked: Promote = body.json_or_default()?;
    let from_step = asked.from_step.map(u32::from);
    let command = Command::Promote { reason: reason(asked.reason)?, from_step };
    let outcome = carry_out(&api, &name.0, &who, command).await?;
    Ok(answer(&api, StatusCode::OK, outcome))
}

/// Let the next step pass
///
/// As far as one person can: hold and evidence are still waited for, and where several have to approve, so are the
/// others. 403 when somebody else has to. If-Match and Idempotency-Key are honoured.
#[utoipa::path(
    post, path = "/v1/services/{service}/rollout/approve", operation_id = "approveRollout", tag = "rollout",
    params(("service" = String, Path, max_length = 63, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$")), request_body = Approve,
    responses((status = 200, body = Done, headers(("etag" = String))))
)]
pub(crate) async fn approve(State(api): State<Api>, name: Name, who: Who, body: Raw) -> Answered {
    services::known(&api, &name.0)?;
    let asked: Approve = body.json_or_default()?;
    let before = match asked.before.map(BasisPoints::new) {
        None => None,
        Some(Some(before)) if before > BasisPoints::ZERO => Some(before),
        Some(_) => return Err(Problem::unprocessable("before is from 1 to 10000 basis points")),
    };
    let command = Command::Approve { reason: reason(asked.reason)?, before };
    let outcome = carry_out(&api, &name.0, &who, command).await?;
    Ok(answer(&api, StatusCode::OK, outcome))
}

/// Tick an item of a checklist
///
/// Of a gate ahead; `done: false` takes it back. If-Match and Idempotency-Key are honoured.
#[utoipa::path(
    post, path = "/v1/services/{service}/rollout/checklist", operation_id = "tickItem", tag = "rollout",
    params(("service" = String, Path, max_length = 63, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$")), request_body = Tick,
    responses((status = 200, body = Done, headers(("etag" = String))))
)]
pub(crate) async fn tick(State(api): State<Api>, name: Name, who: Who, body: Raw) -> Answered {
    services::known(&api, &name.0)?;
    let asked: Tick = body.json()?;
    let command =
        Command::Tick { reason: reason(asked.reason)?, item: asked.item, done: asked.done };
    let outcome = carry_out(&api, &name.0, &who, command).await?;
    Ok(answer(&api, StatusCode::OK, outcome))
}

/// Stay where it is
///
/// Guards still roll back. If-Match and Idempotency-Key are honoured.
#[utoipa::path(
    post, path = "/v1/services/{service}/rollout/pause", operation_id = "pauseRollout", tag = "rollout",
    params(("service" = String, Path, max_length = 63, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$")), request_body = Reason,
    responses((status = 200, body = Done, headers(("etag" = String))))
)]
pub(crate) async fn pause(State(api): State<Api>, name: Name, who: Who, body: Raw) -> Answered {
    told(&api, name, &who, &body, |reason| Command::Pause { reason }).await
}

/// Go on after a pause
///
/// If-Match and Idempotency-Key are honoured.
#[utoipa::path(
    post, path = "/v1/services/{service}/rollout/resume", operation_id = "resumeRollout", tag = "rollout",
    params(("service" = String, Path, max_length = 63, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$")), request_body = Reason,
    responses((status = 200, body = Done, headers(("etag" = String))))
)]
pub(crate) async fn resume(State(api): State<Api>, name: Name, who: Who, body: Raw) -> Answered {
    told(&api, name, &who, &body, |reason| Command::Resume { reason }).await
}

/// Back to stable now
///
/// If-Match and Idempotency-Key are honoured.
#[utoipa::path(
    post, path = "/v1/services/{service}/rollout/abort", operation_id = "abortRollout", tag = "rollout",
    params(("service" = String, Path, max_length = 63, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$")), request_body = Reason,
    responses((status = 200, body = Done, headers(("etag" = String))))
)]
pub(crate) async fn abort(State(api): State<Api>, name: Name, who: Who, body: Raw) -> Answered {
    told(&api, name, &who, &body, |reason| Command::Abort { reason }).await
}

/// Take a completed rollout back
///
/// What was stable before it is stable again and gets every request at once; the release that is taken
/// back is quarantined. 409 says what is missing when that cannot be: nothing was stable before, it is no longer
/// listed, or not enough of it is ready. If-Match and Idempotency-Key are honoured.
#[utoipa::path(
    post, path = "/v1/services/{service}/rollout/undo", operation_id = "undoRollout", tag = "rollout",
    params(("service" = String, Path, max_length = 63, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$")), request_body = Reason,
    responses(
        (status = 200, body = Done, headers(("etag" = String))),
        (status = 202, body = Outcome, headers(("etag" = String)))
    )
)]
pub(crate) async fn undo(State(api): State<Api>, name: Name, who: Who, body: Raw) -> Answered {
    told(&api, name, &who, &body, |reason| Command::Undo { reason }).await
}

/// Begin the last rollout anew
///
/// Lifts the quarantine of its release. If-Match and Idempotency-Key are honoured.
#[utoipa::path(
    post, path = "/v1/services/{service}/rollout/retry", operation_id = "retryRollout", tag = "rollout",
    params(("service" = String, Path, max_length = 63, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$")), request_body = Reason,
    responses((status = 200, body = Done, headers(("etag" = String))))
)]
pub(crate) async fn retry(State(api): State<Api>, name: Name, who: Who, body: Raw) -> Answered {
    told(&api, name, &who, &body, |reason| Command::Retry { reason }).await
}

/// The circumstances of a command.
#[derive(Debug)]
pub(crate) struct Who {
    caller: Caller,
    key: Option<String>,
    headers: HeaderMap,
}

impl<S: Send + Sync> axum::extract::FromRequestParts<S> for Who {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        state: &S,
    ) -> Result<Self, Problem> {
        let caller = Extension::<Caller>::from_request_parts(parts, state).await;
        let key = Extension::<RequestKey>::from_request_parts(parts, state).await;
        match (caller, key) {
            (Ok(Extension(caller)), Ok(Extension(key))) => {
                Ok(Self { caller, key: key.0, headers: parts.headers.clone() })
            }
            _ => Err(super::admit::internal()),
        }
    }
}

impl Who {
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    pub(crate) fn actor(&self) -> Actor {
        Actor(self.caller.name.clone())
    }
}

async fn told(
    api: &Api,
    name: Name,
    who: &Who,
    body: &Raw,
    command: impl FnOnce(String) -> Command,
) -> Answered {
    services::known(api, &name.0)?;
    let why: Reason = body.json_or_default()?;
    let command = command(reason(why.reason)?);
    let outcome = carry_out(api, &name.0, who, command).await?;
    Ok(answer(api, StatusCode::OK, outcome))
}

/// One command to control, under the revision that the caller has seen.
pub(crate) async fn carry_out(
    api: &Api,
    name: &str,
    who: &Who,
    command: Command,
) -> Result<Outcome, Problem> {
    let service = services::known(api, name)?;
    let snapshot = api.handle().snapshot();
    let revision = services::find(&snapshot, name)?.revision;
    let matched = etag::check(&who.headers, &Tag::of_revision(revision))?;
    let order = Order {
        command,
        actor: who.actor(),
        if_revision: matched.then_some(revision),
        idempotency_key: who.key.clone(),
    };
    let outcome = api.handle().command(&service, order).await;
    let outcome = outcome.map_err(|refusal| refused(&snapshot, refusal))?;
    until_shown(api, |now| now.service(name).is_none_or(|s| s.revision >= outcome.revision)).await;
    Ok(outcome)
}

/// The snapshot once it shows what was done, so that an answer never contradicts it. The wait is
/// bounded: what was done stands either way.
pub(crate) async fn until_shown(api: &Api, shown: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
    for _ in 0..100 {
        let snapshot = api.handle().snapshot();
        if shown(&snapshot) {
            return snapshot;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    api.handle().snapshot()
}

fn answer(api: &Api, status: StatusCode, outcome: Outcome) -> Response {
    let repeated = outcome.repeated;
    let mut response = done(api, status, outcome);
    if repeated {
        let replayed = HeaderValue::from_static("true");
        response.headers_mut().insert(idempotency::REPLAYED.clone(), replayed);
    }
    response
}

fn done(api: &Api, status: StatusCode, outcome: Outcome) -> Response {
    let tag = Tag::of_revision(outcome.revision).header();
    let snapshot = api.handle().snapshot();
    let rollout = snapshot.service(&outcome.service).and_then(|s| s.rollout.clone());
    let of_it = |rollout: &RolloutView| outcome.rollout.as_ref().is_none_or(|id| *id == rollout.id);
    let Some(rollout) = rollout.filter(of_it) else {
        // It waits for another one to end, or was replaced in the meantime.
        return (StatusCode::ACCEPTED, [tag], Json(outcome)).into_response();
    };
    let location = (status == StatusCode::CREATED)
        .then(|| HeaderValue::from_str(&format!("/v1/rollouts/{}", rollout.id)).ok())
        .flatten();
    let done = Done {
        rollout,
        service: outcome.service,
        revision: outcome.revision,
        message: outcome.message,
        durable: outcome.durable,
    };
    let mut response = (status, [tag], Json(done)).into_response();
    if let Some(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// Control's refusals as statuses; the words are control's.
pub(crate) fn refused(snapshot: &Snapshot, refusal: Refusal) -> Problem {
    let words = refusal.to_string();
    let later = |problem: Problem| {
        problem.with_header(HeaderName::from_static("retry-after"), HeaderValue::from_static("1"))
    };
    match refusal {
        Refusal::UnknownService(name) => {
            Problem::unknown("service", &name, snapshot.services.iter().map(|s| s.name.as_str()))
        }
        Refusal::UnknownVersion { service, version } => {
            Problem::unprocessable(match snapshot.service(service.as_str()) {
                Some(known) => no_such_version(known, &version),
                None => words,
            })
        }
        Refusal::Stale { .. } => etag::changed(&words),
        Refusal::NotNow(_) | Refusal::Frozen(_) | Refusal::Contradicts(_) => {
            Problem::conflict(words)
        }
        Refusal::Forbidden(_) => Problem::new(StatusCode::FORBIDDEN, Kind::Forbidden, words),
        Refusal::Invalid(_) => Problem::unprocessable(words),
        Refusal::KeyReused => idempotency::reused(),
        Refusal::NotDurable(_) | Refusal::Busy | Refusal::Stopped => {
            later(Problem::new(StatusCode::SERVICE_UNAVAILABLE, Kind::Unavailable, words))
        }
    }
}

/// A version of the service; anything else is answered with those that there are.
pub(crate) fn version(
    snapshot: &Arc<Snapshot>,
    service: &str,
    name: &str,
) -> Result<VersionName, Problem> {
    let service = services::find(snapshot, service)?;
    let known = service.versions.iter().any(|version| version.name == name);
    match VersionName::new(name) {
        Ok(version) if known => Ok(version),
        Ok(_) | Err(_) => Err(Problem::unprocessable(no_such_version(service, name))),
    }
}

fn no_such_version(service: &crate::ServiceView, name: &str) -> String {
    let known = service.versions.iter().map(|version| version.name.as_str());
    unknown_detail(&format!("version of {}", service.name), name, known)
}

fn moment(text: &str) -> Result<serin_core::time::Wall, Problem> {
    match text.parse::<jiff::Timestamp>() {
        Ok(moment) => Ok(serin_core::time::Wall(moment.as_millisecond())),
        Err(_) => Err(Problem::unprocessable(
            "committedAt is a moment in RFC 3339, like 2026-11-20T14:03:00Z",
        )),
    }
}

/// A reason as everybody will read it: one paragraph, no control characters.
pub(crate) fn reason(given: Option<String>) -> Result<String, Problem> {
    let reason = given.unwrap_or_default();
    if reason.chars().count() > LONGEST_REASON {
        return Err(Problem::unprocessable(format!(
            "a reason has at most {LONGEST_REASON} characters"
        )));
    }
    Ok(reason
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect::<String>()
        .trim()
        .to_owned())
}
