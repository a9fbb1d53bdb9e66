//! `/`: where a browser lands.

use axum::http::header;
use axum::response::{Html, IntoResponse, Response};

const PAGE: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Serin</title>
<h1>Serin</h1>
<ul>
<li><a href="/v1/services">Services</a>
<li><a href="/v1/rollouts">Rollouts</a>
<li><a href="/v1/config">Configuration</a>
<li><a href="/readyz">Readiness</a>
<li><a href="/metrics">Metrics</a>
<li><a href="/openapi.json">The API</a>
</ul>
</html>
"#;

/// The page
#[utoipa::path(
    get, path = "/", operation_id = "readPage", tag = "probes", security(()),
    responses((status = 200, body = String, content_type = "text/html"))
)]
pub(crate) async fn read() -> Response {
    let policy = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(PAGE)).into_response()
}
