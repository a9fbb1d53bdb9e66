//! An answer of Serin's own.

use crate::request::fail::status_of;
use crate::route::{Fixed, Route};
use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode, response};
use serin_core::outcome::Failure;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// How long the body of a request of HTTP/2 is read and forgotten whose answer did not wait for it.
pub(crate) const FAREWELL: Duration = Duration::from_secs(2);
/// How much of it.
pub(crate) const MOST_FORGOTTEN: usize = 256 * 1024;

#[derive(Debug)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
    close: bool,
    /// Whose edits apply: it is that route's answer, not a refusal.
    edited_by: Option<Arc<Route>>,
    what: Option<&'static str>,
}

impl Reply {
    pub(crate) fn empty(status: u16) -> Self {
        let (headers, body) = (Vec::new(), Bytes::new());
        Self { status, headers, body, close: false, edited_by: None, what: None }
    }

    pub(crate) fn text(status: u16, detail: impl Into<Cow<'static, str>>) -> Self {
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        let detail: Cow<'static, str> = detail.into();
        let mut reply = Self::empty(status);
        reply.headers.push((header::CONTENT_TYPE, text));
        reply.body = Bytes::from(format!("{detail}\n"));
        reply
    }

    /// To a request that is not sound: the connection is closed after it.
    pub(crate) fn refused(status: u16, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::text(status, detail).closing()
    }

    pub(crate) fn failure(failure: Failure) -> Self {
        let detail = match failure {
            Failure::Connect => "the backend cannot be reached",
            Failure::Tls(_) => "the backend cannot be spoken to securely",
            Failure::ConnectTimeout => "the backend could not be reached in time",
            Failure::Reset => "the backend broke off before it answered",
            Failure::RefusedStream => "the backend takes no more requests",
            Failure::Timeout => "the backend did not answer in time",
            Failure::Invalid => "the backend's answer is invalid",
            Failure::NoEndpoint => "no backend is ready",
            Failure::Exhausted => "the proxy cannot open another connection",
        };
        let (status, what) = status_of(failure);
        Self { what: Some(what), ..Self::text(status, detail) }
    }

    /// To a request that has come by too often.
    pub(crate) fn goes_round() -> Self {
        let detail = "the request goes round: a backend's address leads back to this proxy";
        Self { what: Some("loop"), ..Self::text(508, detail) }
    }

    pub(crate) fn fixed(fixed: &Fixed) -> Self {
        let mut reply = Self::empty(fixed.status);
        reply.headers.push((header::CONTENT_TYPE, fixed.content_type.clone()));
        reply.body = fixed.body.clone();
        reply
    }

    pub(crate) fn with(mut self, name: HeaderName, value: impl AsRef<str>) -> Self {
        if let Ok(value) = HeaderValue::from_str(value.as_ref()) {
            self.headers.push((name, value));
        }
        self
    }

    pub(crate) fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    pub(crate) fn edited_by(mut self, route: &Arc<Route>) -> Self {
        self.edited_by = Some(Arc::clone(route));
        self
    }

    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    pub(crate) fn closes(&self) -> bool {
        self.close
    }

    pub(crate) fn body(&self) -> &Bytes {
        &self.body
    }

    /// The failure that it tells of, by name.
    pub(crate) fn what(&self) -> Option<&'static str> {
        self.what
    }

    /// Whether only a head goes to who asks by `grpc`, or for a head alone.
    pub(crate) fn is_bodiless(&self, grpc: bool, asked_head: bool) -> bool {
        asked_head || matches!(self.status, 204 | 304) || grpc || self.body.is_empty()
    }

    pub(crate) fn response(&self, grpc: bool) -> response::Parts {
        let (mut parts, ()) = Response::new(()).into_parts();
        if grpc {
            parts.headers = self.grpc_fields();
            return parts;
        }
        parts.status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_GATEWAY);
        let fields = &mut parts.headers;
        fields.reserve(self.headers.len() + 4);
        fields.extend(self.headers.iter().map(|(name, value)| (Some(name.clone()), value.clone())));
        if !matches!(self.status, 204 | 304) {
            fields.insert(header::CONTENT_LENGTH, self.body.len().into());
        }
        if let Some(route) = &self.edited_by {
            let edits = &route.response;
            for name in &edits.remove {
                fields.remove(name);
            }
            for (name, value) in edits.set.iter() {
                fields.insert(name.clone(), value.clone());
            }
            for (name, value) in edits.add.iter() {
                fields.append(name.clone(), value.clone());
            }
        }
        parts
    }

    /// A gRPC client reads `grpc-status`, and takes any HTTP status but 200 for an accident.
    fn grpc_fields(&self) -> HeaderMap {
        let code = match self.status {
            400 => "13",
            401 => "16",
            403 => "7",
            404 => "12",
            413 | 431 => "8",
            408 | 429 | 500 | 502 | 503 | 504 => "14",
            _ => "2",
        };
        let mut fields = HeaderMap::with_capacity(4);
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        fields.insert("grpc-status", HeaderValue::from_static(code));
        if let Ok(message) = HeaderValue::from_bytes(self.body.trim_ascii_end()) {
            fields.insert("grpc-message", message);
        }
        fields
    }
}
