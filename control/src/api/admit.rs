//! The one gate that every request passes, in the order in which it is cheapest to refuse.

use super::auth::{self, Caller, Peer, Stranger};
use super::idempotency::{self, Answer, Key, Turn};
use super::problem::{Kind, Problem};
use super::seat::Seat;
use super::{Api, config, guard, limits};
use axum::body::{Body, Bytes};
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::sync::Arc;
use std::time::Instant;

/// The Idempotency-Key of an admitted request, for control to remember.
#[derive(Debug, Clone)]
pub(crate) struct RequestKey(pub(crate) Option<String>);

pub(crate) async fn admit(
    State(api): State<Api>,
    Extension(peer): Extension<Peer>,
    Extension(seat): Extension<Arc<Seat>>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match admitted(&api, peer, &seat, request, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    };
    protect(response.headers_mut());
    response
}

async fn admitted(
    api: &Api,
    peer: Peer,
    seat: &Arc<Seat>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let access = api.access();
    let path = request.uri().path();
    let probe = matches!(path, "/livez" | "/readyz");
    let _busy = seat.answer(probe)?;
    access.hosts.check(request.headers(), request.uri(), peer)?;
    // Where no token is needed, everybody is an operator: one script that asks too often must not
    // lock the others out.
    if !probe && access.tokens.needed() {
        api.inner.rates.admit(peer, Instant::now())?;
    }
    if path != "/v1" && !path.starts_with("/v1/") {
        return answered(next, request).await;
    }
    let caller = access.tokens.caller(request.headers(), peer).map_err(|stranger| {
        api.handle().tallies().login_refused(stranger.as_str());
        if stranger == Stranger::Unknown {
            api.inner.logins.refused(peer, Instant::now());
        }
        stranger.problem()
    })?;
    auth::permit(&caller, request.method(), path)?;
    if auth::is_read(request.method()) {
        return answered(next, with_caller(request, caller, None)).await;
    }
    let speaks = access.tls.as_ref().map_or(guard::Speaks::Http, |_| guard::Speaks::Https);
    guard::check_origin(request.headers(), request.uri(), peer, speaks)?;
    match path {
        config::CHECK => check(api, caller, request, next).await,
        _ => change(api, caller, request, next).await,
    }
}

/// A question with a large body: it changes nothing, so nothing of it is remembered.
async fn check(
    api: &Api,
    caller: Caller,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    // Before its body is read, because that may be large, too.
    parts.extensions.insert(config::Turn::take(api, caller.role)?);
    let body = read(body, limits::MAX_CONFIG).await?;
    json_only(&parts.headers, &body)?;
    let request = Request::from_parts(parts, Body::from(body));
    answered(next, with_caller(request, caller, None)).await
}

/// Something that may change something: read whole, then done at most once.
async fn change(
    api: &Api,
    caller: Caller,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let body = read(body, limits::MAX_BODY).await?;
    json_only(&parts.headers, &body)?;
    let key = match parts.method {
        Method::POST => idempotency::key_of(&parts.headers)?,
        _ => None,
    };
    let Some(key) = key else {
        let request = Request::from_parts(parts, Body::from(body));
        return answered(next, with_caller(request, caller, None)).await;
    };
    let entry = Key { caller: caller.name.clone(), path: parts.uri.path().to_owned(), key };
    if let Turn::Replay(answer) = api.inner.answers.begin(&entry, &body, Instant::now())? {
        return Ok(answer.replayed().into_response());
    }
    let known = RequestKey(Some(format!("{} {} {}", entry.caller, entry.path, entry.key)));
    let request = Request::from_parts(parts, Body::from(body));
    once(api.clone(), entry, next, with_caller(request, caller, Some(known))).await
}

/// Carries a request out to its end and remembers the answer, also when the client has gone.
async fn once(api: Api, key: Key, next: Next, request: Request) -> Result<Response, Problem> {
    let done = tokio::spawn(async move {
        let response = match answered(next, request).await {
            Ok(response) => response,
            Err(problem) => problem.into_response(),
        };
        let (parts, body) = response.into_parts();
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(_) => Bytes::new(),
        };
        let answer = Answer { status: parts.status, headers: parts.headers.clone(), body };
        api.inner.answers.keep(&key, answer.clone());
        Response::from_parts(parts, Body::from(answer.body))
    });
    done.await.map_err(|_| internal())
}

async fn answered(next: Next, request: Request) -> Result<Response, Problem> {
    tokio::time::timeout(limits::ANSWER_TIME, next.run(request)).await.map_err(|_| {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            Kind::Unavailable,
            format!(
                "no answer within {} s; whether it was carried out is seen by reading",
                limits::ANSWER_TIME.as_secs()
            ),
        )
    })
}

fn with_caller(mut request: Request, caller: Caller, key: Option<RequestKey>) -> Request {
    request.extensions_mut().insert(caller);
    request.extensions_mut().insert(key.unwrap_or(RequestKey(None)));
    request
}

async fn read(body: Body, most: usize) -> Result<Bytes, Problem> {
    let collected = tokio::time::timeout(limits::BODY_TIME, Limited::new(body, most).collect());
    match collected.await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            Kind::TooLarge,
            format!("a body here has at most {most} bytes"),
        )),
        Ok(Err(_)) => Err(Problem::malformed("the body broke off")),
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            Kind::TooSlow,
            format!("the body was not here within {} s", limits::BODY_TIME.as_secs()),
        )),
    }
}

/// A form that another site posts can be anything but `application/json`.
fn json_only(headers: &HeaderMap, body: &Bytes) -> Result<(), Problem> {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let essence = types.next().map(|value| {
        let text = value.to_str().unwrap_or("?");
        text.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
    });
    let json = match essence.as_deref() {
        None => body.is_empty(),
        Some(essence) => essence == "application/json" && types.next().is_none(),
    };
    if json {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Kind::NotJson,
        "send the body as JSON, with Content-Type: application/json",
    ))
}

/// Nothing of this is for caches, frames or guessing browsers.
fn protect(headers: &mut HeaderMap) {
    let fixed = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in fixed {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

pub(crate) fn internal() -> Problem {
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        Kind::Internal,
        "this is a fault of Serin; its log says more",
    )
}
