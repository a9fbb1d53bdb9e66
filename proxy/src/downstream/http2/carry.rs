//! Streams of HTTP/2, from their heads to the end of their exchanges.
//!
//! They differ from exchanges of HTTP/1 in how a head is read and an answer written; all that lies
//! between is the same.

use crate::buffer::Buffer;
use crate::downstream::forwarder::Forwarder;
use crate::downstream::http2::connection::OpenStream;
use crate::downstream::http2::farewell;
use crate::downstream::http2::stream::Stream;
use crate::downstream::say;
use crate::exchange::Agreed;
use crate::exchange::request_body::{BodyKind, RequestBody};
use crate::exchange::{self, Exchange, ExchangeResult};
use crate::request::context::RequestContext;
use crate::request::contexts::{self, Borrowed};
use crate::request::end::{self, RequestSummary};
use crate::request::head::{self, Translated};
use crate::request::reply::Reply;
use crate::request::{asked, assign, identify, route};
use crate::task_pool::{self, PoolTask, Slots};
use crate::thread::random;
use crate::tunnel;
use crate::wheel::Deadline;
use h2::ext::Protocol;
use http::{header, request::Parts as RequestHead};
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Instant;

/// What was decided about a stream.
pub(crate) struct AdmittedStream {
    pub(super) context: Borrowed,
    out: Buffer,
    traceparent: Option<usize>,
    reply: Option<Reply>,
    body: Option<Translated>,
}

thread_local! {
    static TASKS: RefCell<Slots<Boarded>> = RefCell::default();
}

/// Gives back what the thread has not needed since the last sweep.
pub(crate) fn sweep() {
    task_pool::sweep(&TASKS);
}

/// A stream on its way.
pub(super) struct Boarded {
    pub(super) head: RequestHead,
    pub(super) stream: Stream,
    pub(super) admitted: AdmittedStream,
    pub(super) open: OpenStream,
}

impl Forwarder {
    /// Takes the stream's request, and decides what is to become of it.
    pub(crate) fn take_stream(&self, head: &RequestHead, stream: &Stream) -> AdmittedStream {
        let mut context = contexts::take(self.plane.enter(), Instant::now());
        context.info = Some(Arc::clone(&stream.info));
        let fields = &head.headers;
        let asked = asked_for(head, &mut context)
            .inspect_err(|reply| asked::count_refusal(reply, &context));
        let is_tunnel = context.asked.upgrade.is_some();
        let method = if is_tunnel { "GET" } else { head.method.as_str() };
        let found = asked.and_then(|()| route::find(method, fields, &mut context));
        let empty = is_tunnel || stream.is_empty(head);
        let length = fields.contains_key(header::CONTENT_LENGTH);
        let body = (!empty).then_some(Translated { chunked: !length });
        let translated = body.unwrap_or(Translated { chunked: false });
        let (mut out, mut traceparent) = (Buffer::default(), None);
        let reply = found.and_then(|()| route::admit(fields, &mut context)).err();
        let reply = reply.map(|reply| if is_tunnel { no_tunnel(reply) } else { reply });
        if reply.is_none() {
            assign::assign(fields, &mut context);
            let (method, to) = (method.as_bytes(), &mut out);
            traceparent = head::write(method, fields, Some(translated), &mut context, to);
        }
        AdmittedStream { context, out, traceparent, reply, body }
    }

    /// Sends a stream that was taken on its way.
    pub(crate) fn board(
        self: &Arc<Self>,
        head: RequestHead,
        stream: Stream,
        admitted: AdmittedStream,
        open: OpenStream,
    ) {
        let boarded = Boarded { head, stream, admitted, open };
        task_pool::spawn(&TASKS, boarded, |task| work(task, Arc::clone(self)));
    }

    /// Carries the exchange to its end, or until it is a tunnel.
    async fn carry_stream(&self, boarded: &mut Boarded) -> Option<Agreed> {
        let Boarded { head, stream, admitted, .. } = boarded;
        let context = &mut *admitted.context;
        let kind = match admitted.body {
            Some(Translated { chunked }) => BodyKind::Framed { is_unsized: chunked },
            None => BodyKind::None,
        };
        let mut body = RequestBody::new(kind, &stream.info.listener.limits, context);
        if context.asked.expects {
            body.expect();
        }
        let asked_head = head.method == http::Method::HEAD;
        let (mut sent, mut down) = (0, Buffer::default());
        let asked = match admitted.reply.take() {
            Some(reply) => ExchangeResult::Reply(reply),
            None => {
                let (client, body, down, sent) = (&mut *stream, &mut body, &mut down, &mut sent);
                let exchange =
                    Exchange { context, client, body, down, asked_head, sent, alone: false };
                let out = std::mem::take(&mut admitted.out);
                exchange::carry(exchange, out, admitted.traceparent, || true).await
            }
        };
        let mut broken = matches!(asked, ExchangeResult::Cut);
        match asked {
            ExchangeResult::Cut => stream.cut(),
            ExchangeResult::Passed { .. } => {}
            ExchangeResult::Switched(agreed) => return Some(agreed),
            ExchangeResult::Reply(reply) => match tell(stream, &reply, context, asked_head).await {
                Some(count) => sent = count,
                None => broken = true,
            },
        }
        self.end_stream(head, context, (body.received, sent), broken);
        if !body.is_read() && !broken {
            farewell::forget_body(stream).await;
        }
        None
    }

    pub(super) fn end_stream(
        &self,
        head: &RequestHead,
        context: &mut RequestContext,
        (received, sent): (u64, u64),
        broken: bool,
    ) {
        let over = RequestSummary {
            method: head.method.as_str(),
            protocol: "HTTP/2",
            fields: &head.headers,
            written: (context.status != 0).then_some(context.status),
            broken,
            received,
            sent,
            at: Instant::now(),
        };
        end::end(&self.log, &over, context);
    }
}

/// What a stream asks for. An error is what its client is told instead.
fn asked_for(head: &RequestHead, context: &mut RequestContext) -> Result<(), Reply> {
    let fields = &head.headers;
    context.asked.target.push_str(head.uri.path_and_query().map_or("", |target| target.as_str()));
    context.asked.idempotent = asked::is_idempotent(head.method.as_str());
    context.asked.expects = fields.contains_key(header::EXPECT);
    let wanted = tunnel_asked_for(head, context);
    asked::note_kind(fields, context);
    identify::identify(fields, context);
    identify::tell_root(context);
    wanted?;
    asked::within_limits(head, context)?;
    context.asked.host.push_str(asked::host(head)?);
    asked::right_certificate(context)?;
    asked::split_target(context)
}

/// An extended CONNECT asks for what an upgrade is in HTTP/1.1, and is one for whoever comes later.
fn tunnel_asked_for(head: &RequestHead, context: &mut RequestContext) -> Result<(), Reply> {
    let Some(protocol) = head.extensions.get::<Protocol>() else { return Ok(()) };
    let Some(upgrade) = tunnel::asked_for_by(protocol.as_str()) else {
        return Err(Reply::refused(501, "of other protocols, WebSockets alone are served"));
    };
    let asked = &mut context.asked;
    asked.upgrade = Some(upgrade);
    asked.protocol.push_str("websocket");
    asked.websocket_key.push_str(&tunnel::key([random(), random()]));
    (asked.idempotent, asked.expects) = (asked::is_idempotent("GET"), false);
    Ok(())
}

/// To whoever asks for a tunnel, every success says that it is open.
fn no_tunnel(reply: Reply) -> Reply {
    match reply.status() {
        200..300 => Reply::refused(400, "no WebSocket is served here"),
        _ => reply,
    }
}

/// Carries streams, one at a time.
async fn work(mut task: PoolTask<Boarded>, forwarder: Arc<Forwarder>) {
    let mut deadline = Deadline::default();
    while let Some(boarded) = task.next().await {
        // It stays where it is on the wheel, and is seldom due before the next stream's.
        boarded.stream.deadline = deadline;
        let agreed = forwarder.carry_stream(boarded).await;
        deadline = std::mem::take(&mut boarded.stream.deadline);
        if let Some(agreed) = agreed
            && let Some(boarded) = task.take()
        {
            // Long and idle, it keeps no exchange's room.
            tokio::spawn(Box::pin(Arc::clone(&forwarder).stream_tunnel(boarded, agreed)));
        }
    }
}

/// How much of an answer of Serin's own the client was told; `None` when it is gone.
async fn tell(
    stream: &mut Stream,
    reply: &Reply,
    context: &mut RequestContext,
    asked_head: bool,
) -> Option<u64> {
    let bodiless = reply.note(context, asked_head);
    let response = reply.response(context);
    let length = reply.body().len() as u64;
    stream.answer(response, (!bodiless).then_some(Some(length))).ok()?;
    if bodiless {
        return Some(0);
    }
    if say(stream, reply.body()).await && stream.finish().is_ok() {
        return Some(length);
    }
    stream.cut();
    None
}
