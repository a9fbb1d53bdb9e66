//! What becomes of a request and of its answer on the way through pingora.
//!
//! Two of pingora's habits are answered here, both of which would make one client's bytes a part of
//! another's request. An empty last piece of a body is written as the end of its chunks, and then the end
//! is written once more: such a piece is taken out. And a connection to the backend is kept when the
//! answer had ended before the body had: the rest of that body goes nowhere, and its end breaks the
//! exchange off, whose answer the client has.

use super::guard::Guarded;
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header};
use pingora_core::modules::http::HttpModules;
use pingora_core::protocols::http::ServerSession;
use pingora_core::upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy};
use pingora_core::{Error, ErrorSource, ErrorType, OrErr, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use serin_proxy::route::path;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// Marks an error that only means: the answer ended first, and its connection must not be kept.
const ANSWERED_FIRST: ErrorType = ErrorType::Custom("answered first");
/// Connections of one request that had died while they were idle.
const MOST_STALE: u32 = 3;
const ALLOWED: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// Goes no further, whether `Connection` names it or not.
const HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "http2-settings",
    "te",
    "trailer",
    "upgrade",
];
/// Said by whom nobody trusts, or by Serin itself.
const SAID: [&str; 6] = [
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-real-ip",
    "forwarded",
];
/// Stays although `Connection` names it, for the message could not be understood without.
const KEPT: [&str; 11] = [
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "authorization",
    "cookie",
    "cache-control",
    "set-cookie",
    "tracestate",
    "expect",
    "origin",
];

pub(super) struct Forward {
    pub(super) backend: SocketAddr,
}

#[derive(Default)]
pub(super) struct Exchange {
    client: Option<IpAddr>,
    is_unsound: Arc<AtomicBool>,
    host: String,
    /// In normal form, with its query.
    target: String,
    stale: u32,
    sent: bool,
    /// All of the request's body was read.
    body_ended: bool,
    /// The answer was whole before the request was.
    answered_first: bool,
}

/// An answer of the proxy's own.
struct Own {
    status: u16,
    line: Option<(HeaderName, &'static str)>,
    body: String,
    closes: bool,
}

impl Own {
    fn refused(status: u16, detail: impl std::fmt::Display) -> Self {
        let line = Some((header::CONTENT_TYPE, "text/plain; charset=utf-8"));
        Self { status, line, body: format!("{detail}\n"), closes: true }
    }

    async fn send(self, session: &mut Session) -> Result<()> {
        if self.closes {
            session.set_keepalive(None);
        }
        let mut head = ResponseHeader::build(self.status, None)?;
        if let Some((name, value)) = self.line {
            head.insert_header(name, value)?;
        }
        if self.status != 204 {
            head.insert_header(header::CONTENT_LENGTH, self.body.len())?;
        }
        let bodiless = self.body.is_empty() || session.req_header().method == Method::HEAD;
        session.write_response_header(Box::new(head), bodiless).await?;
        match bodiless {
            true => session.finish_body().await,
            false => session.write_response_body(Some(Bytes::from(self.body)), true).await,
        }
    }
}

#[async_trait]
impl ProxyHttp for Forward {
    type CTX = Exchange;

    fn new_ctx(&self) -> Exchange {
        Exchange::default()
    }

    /// None of pingora's own: it would compress.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn request_filter(&self, session: &mut Session, ctx: &mut Exchange) -> Result<bool> {
        if let Some(http1) = session.as_http1()
            && let Some(guarded) = http1.stream().as_any().downcast_ref::<Guarded>()
        {
            ctx.client = Some(guarded.client);
            ctx.is_unsound = Arc::clone(&guarded.is_unsound);
        }
        // pingora looks at the first line of `Connection` alone.
        if options(&session.req_header().headers).any(|option| option == "close") {
            session.set_keepalive(None);
        }
        if session.req_header().version == Version::HTTP_10
            && let ServerSession::H1(http1) = session.as_mut()
        {
            // It would take an interim answer for the final one.
            http1.set_ignore_info_resp(true);
        }
        match arrive(session.req_header_mut(), ctx) {
            Ok(()) => Ok(false),
            Err(own) => own.send(session).await.map(|()| true),
        }
    }

    async fn upstream_peer(&self, _: &mut Session, _: &mut Exchange) -> Result<Box<HttpPeer>> {
        let mut peer = HttpPeer::new(self.backend, false, String::new());
        // What goes no further was taken out.
        peer.options.http_upstream_request_policy = HttpUpstreamRequestPolicy::preserve();
        peer.options.read_timeout = Some(Duration::from_secs(60));
        peer.options.idle_timeout = Some(Duration::from_secs(60));
        Ok(Box::new(peer))
    }

    async fn upstream_request_filter(
        &self,
        _session: &mut Session,
        request: &mut RequestHeader,
        ctx: &mut Exchange,
    ) -> Result<()> {
        ctx.sent = true;
        if request.raw_path() != ctx.target.as_bytes() {
            request.set_uri(ctx.target.parse().or_err(ErrorType::InvalidHTTPHeader, "a target")?);
        }
        let Some(client) = ctx.client else { return Ok(()) };
        let forwarded = format!("for={client};host=\"{}\";proto=http", ctx.host);
        request.insert_header("x-forwarded-for", client.to_string())?;
        request.insert_header("x-forwarded-proto", "http")?;
        request.insert_header("x-forwarded-host", ctx.host.as_str())?;
        request.insert_header("forwarded", forwarded)?;
        request.insert_header("x-request-id", "one of its own")?;
        request.insert_header("traceparent", "one of its own")
    }

    async fn request_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        ctx: &mut Exchange,
    ) -> Result<()> {
        ctx.body_ended |= end;
        if ctx.answered_first {
            if end {
                return Err(Error::new(ANSWERED_FIRST));
            }
            *body = Some(Bytes::new());
        }
        if end && body.as_ref().is_some_and(Bytes::is_empty) {
            *body = None;
        }
        Ok(())
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Exchange,
    ) -> Result<()> {
        if response.status.is_informational() && response.status.as_u16() != 101 {
            return Ok(());
        }
        if response.status.as_u16() == 101 || !is_framed_soundly(response) {
            let why = "an answer that was not asked for, or whose end nobody knows";
            return Err(Error::explain(ErrorType::InvalidHTTPHeader, why).into_up());
        }
        ctx.answered_first |= is_bodiless(session, response) && !ctx.body_ended;
        Ok(())
    }

    fn upstream_response_body_filter(
        &self,
        _session: &mut Session,
        _body: &mut Option<Bytes>,
        end: bool,
        ctx: &mut Exchange,
    ) -> Result<Option<Duration>> {
        ctx.answered_first |= end && !ctx.body_ended;
        Ok(None)
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Exchange,
    ) -> Result<()> {
        if response.status.is_informational() {
            return Ok(());
        }
        let listed: Vec<String> = options(&response.headers).collect();
        let ends = |name: &HeaderName| {
            let own = matches!(name.as_str(), "connection" | "proxy-authenticate");
            HOP.contains(&name.as_str()) && !own || is_listed(name, &listed)
        };
        let gone: Vec<HeaderName> = response.headers.keys().filter(|n| ends(n)).cloned().collect();
        for name in gone {
            response.remove_header(&name);
        }
        name_length_once(response)?;
        // What speaks here speaks for itself.
        response.set_version(Version::HTTP_11);
        if session.req_header().version == Version::HTTP_10
            && response.remove_header(&header::TRANSFER_ENCODING).is_some()
        {
            // It cannot read chunks: the connection's end is the body's.
            session.set_keepalive(None);
        }
        if !ctx.body_ended {
            // Its connection ends with the answer, should that end first, and the client is told now.
            session.set_keepalive(None);
        }
        Ok(())
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        _ctx: &mut Exchange,
        e: Box<Error>,
    ) -> Box<Error> {
        e
    }

    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        mut e: Box<Error>,
        ctx: &mut Exchange,
        reused: bool,
    ) -> Box<Error> {
        let broke_off = *e.esource() != ErrorSource::Downstream
            && matches!(
                e.etype(),
                ErrorType::ConnectionClosed | ErrorType::ReadError | ErrorType::WriteError
            );
        let unanswered = session.response_written().is_none_or(|r| r.status.is_informational());
        let method = session.req_header().method.as_str();
        let twice_is_once = matches!(method, "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE");
        let again = reused
            && broke_off
            && unanswered
            && twice_is_once
            && !session.as_ref().retry_buffer_truncated()
            && ctx.stale < MOST_STALE
            && !ctx.is_unsound.load(Relaxed);
        ctx.stale += u32::from(again);
        e.set_retry(again);
        e
    }

    /// The last word, if the client can still hear one.
    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        e: &Error,
        ctx: &mut Exchange,
    ) -> FailToProxy {
        let begun = session.response_written().is_some_and(|r| !r.status.is_informational());
        let own = if ctx.is_unsound.load(Relaxed) {
            Some(Own::refused(400, "the request body is not framed soundly"))
        } else if *e.esource() == ErrorSource::Downstream {
            None
        } else {
            Some(Own::refused(502, "the backend broke off before it answered"))
        };
        if let Some(own) = own.filter(|_| !begun) {
            let _ = own.send(session).await;
        }
        FailToProxy { error_code: 0, can_reuse_downstream: false }
    }

    fn suppress_error_log(&self, _session: &Session, _ctx: &Exchange, _e: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _session: &Session,
        _ctx: &Exchange,
        _e: &Error,
        _context: ProxyWarnLogContext,
    ) -> bool {
        true
    }
}

/// What the request asks for, and what of its fields goes on.
fn arrive(request: &mut RequestHeader, ctx: &mut Exchange) -> Result<(), Own> {
    let raw = String::from_utf8_lossy(request.raw_path()).into_owned();
    if raw == "*" {
        let line = Some((header::ALLOW, ALLOWED));
        return Err(Own { status: 204, line, body: String::new(), closes: false });
    }
    let host = request.headers.get(header::HOST).map(HeaderValue::as_bytes).unwrap_or_default();
    ctx.host = String::from_utf8_lossy(host).into_owned();
    if ctx.host == "ping" {
        let line = Some((header::CONTENT_TYPE, "text/plain; charset=utf-8"));
        return Err(Own { status: 200, line, body: "pong".to_owned(), closes: false });
    }
    let (path, query) = match raw.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (&raw[..], None),
    };
    if query.is_some_and(|query| query.bytes().any(|b| b <= b' ' || b == 0x7f || b == b'#')) {
        return Err(Own::refused(400, "the query is invalid"));
    }
    let path = path::normalise(path).map_err(|why| Own::refused(400, why))?;
    ctx.target = query.map_or_else(|| path.to_string(), |query| format!("{path}?{query}"));
    let listed: Vec<String> = options(&request.headers).collect();
    let ends = |name: &HeaderName| {
        let word = name.as_str();
        HOP.contains(&word)
            || SAID.contains(&word)
            || word.starts_with("x-forwarded-")
            || word.contains('_')
            || matches!(word, "proxy" | "x-serin-shadow")
            || is_listed(name, &listed)
            || word == "expect" && request.version == Version::HTTP_10
    };
    let gone: Vec<HeaderName> = request.headers.keys().filter(|n| ends(n)).cloned().collect();
    for name in gone {
        request.remove_header(&name);
    }
    Ok(())
}

/// What `Connection` lists, in lower case.
fn options(headers: &HeaderMap) -> impl Iterator<Item = String> + '_ {
    headers.get_all(header::CONNECTION).iter().flat_map(|line| {
        let line = String::from_utf8_lossy(line.as_bytes()).to_ascii_lowercase();
        line.split(',').map(|option| option.trim().to_owned()).collect::<Vec<_>>()
    })
}

fn is_listed(name: &HeaderName, listed: &[String]) -> bool {
    let kept = KEPT.contains(&name.as_str()) || SAID.contains(&name.as_str());
    let own = matches!(
        name.as_str(),
        "upgrade" | "x-request-id" | "traceparent" | "x-serin-shadow" | "x-serin-version"
    );
    !kept && !own && listed.iter().any(|option| option == name.as_str())
}

/// What pingora leaves to whoever reads next: a coding that is none, or of a version that knows none.
fn is_framed_soundly(response: &ResponseHeader) -> bool {
    let mut codings = response.headers.get_all(header::TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else { return true };
    codings.next().is_none()
        && response.version == Version::HTTP_11
        && coding.as_bytes().eq_ignore_ascii_case(b"chunked")
}

/// Whether an answer is its head alone.
fn is_bodiless(session: &Session, response: &ResponseHeader) -> bool {
    let length = response.headers.get(header::CONTENT_LENGTH);
    let chunked = response.headers.contains_key(header::TRANSFER_ENCODING);
    session.req_header().method == Method::HEAD
        || matches!(response.status.as_u16(), 204 | 304)
        || !chunked && length.is_some_and(|length| length.as_bytes() == b"0")
}

/// One length, however often it was said, and none where the status has no body.
fn name_length_once(response: &mut ResponseHeader) -> Result<()> {
    if matches!(response.status.as_u16(), 204 | 304) {
        response.remove_header(&header::CONTENT_LENGTH);
        response.remove_header(&header::TRANSFER_ENCODING);
        return Ok(());
    }
    let mut lines = response.headers.get_all(header::CONTENT_LENGTH).iter();
    let (Some(first), second) = (lines.next(), lines.next()) else { return Ok(()) };
    let mut items = first.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let (Some(length), again) = (items.next(), items.next()) else { return Ok(()) };
    if second.is_none() && again.is_none() {
        return Ok(());
    }
    // pingora has seen to it that all of them are equal.
    let length = HeaderValue::from_bytes(length)
        .or_err_with(ErrorType::InvalidHTTPHeader, || "a length that is none")?;
    response.insert_header(header::CONTENT_LENGTH, length)
}
