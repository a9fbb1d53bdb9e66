//! The full lane: pingora's `HttpProxy`, driven by our decisions.
//!
//! Whatever the fast lane does not take. This file hands
//! the request from one step to the next; the steps are those of `lane`, and what stands here
//! beside them only translates between them and pingora.

mod answer;
mod arrive;
mod body;
mod fail;
mod peer;
mod reply;
mod send;
mod session;

pub(crate) use crate::full::session::Http2Session;

use crate::accesslog::AccessLog;
use crate::exhaustion::{Descriptors, Lack};
use crate::plane::Plane;
use crate::request::context::RequestContext;
use crate::request::{answer as meaning, asked, assign, attempt, end, route};
use async_trait::async_trait;
use bytes::Bytes;
use pingora_core::modules::http::HttpModules;
use pingora_core::protocols::Digest;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Whether each request is a stream of its own.
fn is_http2(session: &Session) -> bool {
    session.req_header().version == http::Version::HTTP_2
}

/// One per thread; what it holds is shared by all of them.
#[derive(Clone)]
pub(crate) struct FullLane {
    pub(crate) plane: Arc<Plane>,
    pub(crate) log: AccessLog,
}

#[async_trait]
impl ProxyHttp for FullLane {
    type CTX = RequestContext;

    fn new_ctx(&self) -> RequestContext {
        RequestContext::new(self.plane.enter(), Instant::now())
    }

    /// None of pingora's own: it would compress.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn request_filter(
        &self,
        session: &mut Session,
        context: &mut RequestContext,
    ) -> Result<bool> {
        let decided = arrive::arrive(session, context)
            .inspect_err(|_| asked::count_refusal(context))
            .and_then(|()| {
                let request = session.req_header();
                route::route(request.method.as_str(), &request.headers, context)
            });
        match decided {
            Ok(()) => {
                assign::assign(&session.req_header().headers, context);
                Ok(false)
            }
            Err(reply) => {
                self.mind_the_end(session, context);
                reply::send(reply, session, context).await?;
                Ok(true)
            }
        }
    }

    async fn upstream_peer(
        &self,
        session: &mut Session,
        context: &mut RequestContext,
    ) -> Result<Box<HttpPeer>> {
        peer::next(session, context)
    }

    async fn connected_to_upstream(
        &self,
        _session: &mut Session,
        reused: bool,
        _peer: &HttpPeer,
        fd: std::os::fd::RawFd,
        _digest: Option<&Digest>,
        context: &mut RequestContext,
    ) -> Result<()> {
        if !reused && !Descriptors::of_this_process().may_be_an_endpoints(fd) {
            Lack::Descriptors.tell();
            return Error::e_explain(fail::EXHAUSTED, "descriptors are kept for this process");
        }
        attempt::connected(context);
        Ok(())
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        context: &mut RequestContext,
    ) -> Result<()> {
        send::shape(session, request, context)
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        context: &mut RequestContext,
    ) -> Result<()> {
        body::pass(session, body, end, context)
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        context: &mut RequestContext,
    ) -> Result<()> {
        answer::head_came(session, response, context)
    }

    fn upstream_response_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        context: &mut RequestContext,
    ) -> Result<Option<Duration>> {
        answer::body_came(body.as_ref(), context);
        if end {
            body::answer_ended(session, context);
        }
        Ok(None)
    }

    fn upstream_response_trailer_filter(
        &self,
        _session: &mut Session,
        trailers: &mut http::HeaderMap,
        context: &mut RequestContext,
    ) -> Result<()> {
        meaning::trailers_came(trailers, context);
        Ok(())
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        context: &mut RequestContext,
    ) -> Result<()> {
        self.mind_the_end(session, context);
        answer::shape(session, response, context)
    }

    fn fail_to_connect(
        &self,
        session: &mut Session,
        _peer: &HttpPeer,
        context: &mut RequestContext,
        e: Box<Error>,
    ) -> Box<Error> {
        fail::not_connected(session, context, e)
    }

    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        e: Box<Error>,
        context: &mut RequestContext,
        reused: bool,
    ) -> Box<Error> {
        fail::broke_off(session, context, e, reused)
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        e: &Error,
        context: &mut RequestContext,
    ) -> FailToProxy {
        self.mind_the_end(session, context);
        fail::tell_client(session, context, e).await
    }

    async fn logging(
        &self,
        session: &mut Session,
        e: Option<&Error>,
        context: &mut RequestContext,
    ) {
        // The client has the whole answer, and has said all it had to say.
        let e = e.filter(|e| *e.etype() != body::ANSWERED_FIRST);
        let request = session.req_header();
        let over = end::RequestSummary {
            method: request.method.as_str(),
            protocol: protocol(request.version),
            fields: &request.headers,
            written: session.response_written().map(|r| r.status.as_u16()),
            broken: e.is_some(),
            received: session.body_bytes_read() as u64,
            sent: session.body_bytes_sent() as u64,
            at: Instant::now(),
        };
        end::end(&self.log, &over, context);
    }

    /// The access log and the metrics say it.
    fn suppress_error_log(&self, _session: &Session, _life: &RequestContext, _e: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _session: &Session,
        _life: &RequestContext,
        _e: &Error,
        _context: ProxyWarnLogContext,
    ) -> bool {
        true
    }
}

impl FullLane {
    /// A process that goes away says so with each answer, so that no client sends another request
    /// into a connection that is about to be closed. A tunnel has no next request.
    fn mind_the_end(&self, session: &mut Session, context: &RequestContext) {
        if self.plane.is_draining() && context.asked.upgrade.is_none() {
            session.set_keepalive(None);
        }
    }
}

fn protocol(version: http::Version) -> &'static str {
    match version {
        http::Version::HTTP_10 => "HTTP/1.0",
        http::Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}
