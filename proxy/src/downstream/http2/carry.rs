//! Streams of HTTP/2, from their heads to the end of their exchanges.
//!
//! They differ from exchanges of HTTP/1 in how a head is read and an answer written; all that lies
//! between is the same.

use crate::buffer::Buffer;
use crate::downstream::forwarder::Forwarder;
use crate::downstream::http2::connection::OpenStream;
use crate::downstream::http2::stream::Stream;
use crate::downstream::http2::{farewell, head};
use crate::downstream::say;
use crate::exchange::request_body::{BodyKind, RequestBody};
use crate::exchange::{self, Agreed, Exchange, ExchangeResult};
use crate::request::admit::{Admitted, Forward, admit};
use crate::request::attempts::Attempts;
use crate::request::finished::RequestSummary;
use crate::request::head::Translated;
use crate::request::reply::Reply;
use crate::task_pool::{self, PoolTask, Slots};
use crate::wheel::Deadline;
use http::{header, request::Parts as RequestHead};
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Instant;

/// What was decided about a stream.
pub(crate) struct AdmittedStream {
    admitted: Admitted,
    body: BodyKind,
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
    pub(super) open: OpenStream,
    /// Until it is carried.
    admitted: Option<AdmittedStream>,
}

impl Forwarder {
    /// Takes the stream's request, and decides what is to become of it.
    pub(crate) fn take_stream(&self, head: &RequestHead, stream: &Stream) -> AdmittedStream {
        let length = head.headers.contains_key(header::CONTENT_LENGTH);
        let framed = Translated { chunked: !length, empty: false };
        let body = (!stream.is_empty(head)).then_some(framed);
        let parsed = head::parsed(head, &stream.info, body);
        let is_tunnel = parsed.tunnel.is_some();
        let mut admitted = admit(self.plane.enter(), &stream.info, parsed, Instant::now());
        if let Admitted::Declined(declined) = &mut admitted
            && is_tunnel
            && (200..300).contains(&declined.reply.status())
        {
            // To whoever asks for a tunnel, every success says that it is open.
            declined.reply = Reply::refused(400, "no WebSocket is served here");
        }
        let body = match body {
            Some(Translated { chunked, .. }) if !is_tunnel => {
                BodyKind::Framed { is_unsized: chunked }
            }
            Some(_) | None => BodyKind::None,
        };
        AdmittedStream { admitted, body }
    }

    /// Sends a stream that was taken on its way.
    pub(crate) fn board(
        self: &Arc<Self>,
        head: RequestHead,
        stream: Stream,
        admitted: AdmittedStream,
        open: OpenStream,
    ) {
        let boarded = Boarded { head, stream, open, admitted: Some(admitted) };
        task_pool::spawn(&TASKS, boarded, |task| work(task, Arc::clone(self)));
    }

    /// Carries the exchange to its end, or until it is a tunnel.
    async fn carry_stream(&self, boarded: &mut Boarded) -> Option<Box<(Attempts, Box<Agreed>)>> {
        let Boarded { head, stream, admitted, .. } = boarded;
        let Some(AdmittedStream { admitted, body }) = admitted.take() else {
            unreachable!("a stream is carried once")
        };
        let (arrived, route) = admitted.request();
        let mut body = RequestBody::new(body, arrived, route);
        if arrived.expects {
            body.expect();
        }
        let asked_head = head.method == http::Method::HEAD;
        let (mut sent, mut down, mut broken) = (0, Buffer::default(), false);
        match admitted {
            Admitted::Declined(declined) => {
                let told = tell(stream, &declined.reply, declined.request.grpc, asked_head).await;
                broken = told.is_none();
                let bodies = (body.received, told.unwrap_or(0));
                declined.finish(&self.log, &summary(head, bodies, broken));
            }
            Admitted::Forward(Forward { request, out, traceparent }) => {
                let mut attempts = Attempts::new(request);
                let exchange = Exchange {
                    attempts: &mut attempts,
                    client: stream,
                    body: &mut body,
                    down: &mut down,
                    asked_head,
                    sent: &mut sent,
                    alone: false,
                };
                match exchange::carry(exchange, out, traceparent, || true).await {
                    ExchangeResult::Switched(agreed) => return Some(Box::new((attempts, agreed))),
                    ExchangeResult::Cut => {
                        stream.cut();
                        broken = true;
                    }
                    ExchangeResult::Passed { .. } => {}
                    ExchangeResult::Reply(reply) => {
                        attempts.told(&reply);
                        let grpc = attempts.request().grpc;
                        match tell(stream, &reply, grpc, asked_head).await {
                            Some(count) => sent = count,
                            None => broken = true,
                        }
                    }
                }
                attempts.finish(&self.log, &summary(head, (body.received, sent), broken));
            }
        }
        if !body.is_read() && !broken {
            farewell::forget_body(stream).await;
        }
        None
    }
}

/// `received` and `sent` are bytes of the bodies.
pub(super) fn summary(
    head: &RequestHead,
    (received, sent): (u64, u64),
    broken: bool,
) -> RequestSummary<'_> {
    RequestSummary {
        method: head.method.as_str(),
        protocol: "HTTP/2",
        fields: &head.headers,
        broken,
        received,
        sent,
        at: Instant::now(),
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
            tokio::spawn(Box::pin(Arc::clone(&forwarder).stream_tunnel(boarded, *agreed)));
        }
    }
}

/// How much of an answer of Serin's own the client was told; `None` when it is gone.
async fn tell(stream: &mut Stream, reply: &Reply, grpc: bool, asked_head: bool) -> Option<u64> {
    let bodiless = reply.is_bodiless(grpc, asked_head);
    let length = reply.body().len() as u64;
    stream.answer(reply.response(grpc), (!bodiless).then_some(Some(length))).ok()?;
    if bodiless {
        return Some(0);
    }
    if say(stream, reply.body()).await && stream.finish().is_ok() {
        return Some(length);
    }
    stream.cut();
    None
}
