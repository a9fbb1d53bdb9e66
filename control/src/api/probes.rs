//! `/livez`, `/readyz`, `/metrics`: for machines, without a token.

use super::Api;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

/// A controller that is silent for longer has stalled or died, and the data plane has frozen the
/// weights.
const SILENCE: Duration = Duration::from_secs(2);

/// Whether traffic should be sent here, and what is not well.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Readiness {
    ready: bool,
    checks: Vec<Check>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReadinessCheck)]
pub(crate) struct Check {
    name: String,
    ok: bool,
    /// Whether readiness depends on it. A version without endpoints is shown here, and does not
    /// take the whole edge out of service.
    required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// Whether the process answers
#[utoipa::path(
    get, path = "/livez", operation_id = "readLiveness", tag = "probes", security(()),
    responses((status = 200, body = String, content_type = "text/plain"))
)]
pub(crate) async fn livez() -> &'static str {
    "ok\n"
}

/// Whether traffic should be sent here, and what is not well
#[utoipa::path(
    get, path = "/readyz", operation_id = "readReadiness", tag = "probes", security(()),
    responses((status = 200, body = Readiness), (status = 503, body = Readiness))
)]
pub(crate) async fn readyz(State(api): State<Api>) -> Response {
    let readiness = readiness(&api);
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness)).into_response()
}

/// Prometheus' text format
#[utoipa::path(
    get, path = "/metrics", operation_id = "readMetrics", tag = "probes", security(()),
    responses((status = 200, body = String, content_type = "text/plain"))
)]
pub(crate) async fn metrics(State(api): State<Api>) -> Response {
    let format = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, format)], api.handle().metrics()).into_response()
}

fn readiness(api: &Api) -> Readiness {
    let snapshot = api.handle().snapshot();
    let check = |name: &str, required, detail: Option<String>| Check {
        name: name.to_owned(),
        ok: detail.is_none(),
        required,
        detail,
    };
    let mut checks = vec![
        check("traffic", true, (api.inner.hooks.not_ready)()),
        check("controller", true, silent(api.handle().silence())),
        check("journal", false, snapshot.health.of_journal()),
        // The fault itself is for those who may read the configuration.
        check("config", false, snapshot.config.failed.as_ref().map(|_| REFUSED.to_owned())),
    ];
    for service in &snapshot.services {
        let stable = service.versions.iter().find(|version| version.name == service.stable);
        let missing = stable.filter(|stable| stable.ready == 0).map(|stable| {
            format!("none of the {} endpoints of stable {} is ready", stable.endpoints, stable.name)
        });
        checks.push(check(&format!("service {}", service.name), false, missing));
        if let Some(missed) = &service.slo.missed {
            let said = Some(missed.message.clone());
            checks.push(check(&format!("objectives {}", service.name), false, said));
        }
    }
    Readiness { ready: checks.iter().all(|check| check.ok || !check.required), checks }
}

/// Anybody may ask whether traffic should be sent here.
const REFUSED: &str =
    "the last reload was refused; GET /v1/config, serin status and the log say why";

fn silent(silence: Duration) -> Option<String> {
    let seconds = silence.as_secs();
    (silence > SILENCE).then(|| {
        format!("the controller has been silent for {seconds} s: weights are frozen, and no guard rolls back")
    })
}
