//! Streams of HTTP/2 whose requests go out by the fast lane.
//!
//! They differ from exchanges of HTTP/1 in how a head is read and an answer written; all that lies
//! between is the same.

use super::FastLane;
use super::client::Client;
use super::exchange::{self, Asked, Parts};
use super::farewell;
use super::lives::{self, Borrowed};
use super::request::{self, Translated};
use super::upload::Upload;
use crate::buffer::Buffer;
use crate::carriers::{self, Berths, Carrier};
use crate::ingress::OpenStream;
use crate::lane::end::{self, Over};
use crate::lane::life::Life;
use crate::lane::reply::Reply;
use crate::lane::stream::Stream;
use crate::lane::{asked, assign, identify, route};
use crate::wheel::Deadline;
use http::{header, request::Parts as RequestHead};
use serin_config::model::Lanes;
use std::cell::RefCell;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

/// What is known of a stream that the fast lane has taken.
pub(crate) struct TakenStream {
    life: Borrowed,
    out: Buffer,
    traceparent: Option<usize>,
    reply: Option<Reply>,
    body: Option<Translated>,
}

thread_local! {
    static BERTHS: RefCell<Berths<Boarded>> = RefCell::default();
}

/// A stream on its way.
struct Boarded {
    head: RequestHead,
    stream: Stream,
    taken: TakenStream,
    _open: OpenStream,
}

impl FastLane {
    /// Takes the stream's request, or leaves it as it was.
    pub(crate) fn take_stream(&self, head: &RequestHead, stream: &Stream) -> Option<TakenStream> {
        let entered = self.plane.enter();
        if entered.world.config.lanes == Lanes::Full {
            return None;
        }
        let mut life = lives::take(entered, Instant::now());
        life.visit = Some(Arc::clone(&stream.visit));
        let fields = &head.headers;
        let method = head.method.as_str();
        let asked = asked_for(head, &mut life).inspect_err(|_| asked::count_refusal(&life));
        let found = asked.and_then(|()| route::find(method, fields, &mut life));
        let empty = stream.is_empty(head);
        let length = fields.contains_key(header::CONTENT_LENGTH);
        let body = (!empty).then_some(Translated { chunked: !length });
        let translated = body.unwrap_or(Translated { chunked: false });
        let (mut out, mut traceparent) = (Buffer::default(), None);
        let reply = found.and_then(|()| route::admit(fields, &mut life)).err();
        if reply.is_none() {
            assign::assign(fields, &mut life);
            let (method, to) = (method.as_bytes(), &mut out);
            traceparent = request::write(method, fields, Some(translated), &mut life, to);
        }
        Some(TakenStream { life, out, traceparent, reply, body })
    }

    /// Sends a stream that was taken on its way.
    pub(crate) fn board(
        self: &Arc<Self>,
        head: RequestHead,
        stream: Stream,
        taken: TakenStream,
        open: OpenStream,
    ) {
        let boarded = Boarded { head, stream, taken, _open: open };
        carriers::board(&BERTHS, boarded, |carrier| work(carrier, Arc::clone(self)));
    }

    /// Carries the exchange to its end.
    async fn carry_stream(&self, boarded: &mut Boarded) {
        let Boarded { head, stream, taken, _open } = boarded;
        let life = &mut *taken.life;
        let mut upload = Upload::stream(taken.body, &stream.visit.listener.limits, life);
        if life.asked.expects {
            upload.expect();
        }
        let asked_head = head.method == http::Method::HEAD;
        let (mut sent, mut down) = (0, Buffer::default());
        let asked = match taken.reply.take() {
            Some(reply) => Asked::Reply(reply),
            None => {
                let client = Client::Http2(stream);
                let (upload, down, sent) = (&mut upload, &mut down, &mut sent);
                let parts = Parts { life, client, upload, down, asked_head, sent };
                let out = std::mem::take(&mut taken.out);
                exchange::carry(parts, out, taken.traceparent, || true).await
            }
        };
        let mut broken = matches!(asked, Asked::Cut);
        match asked {
            Asked::Cut => stream.cut(),
            Asked::Passed { .. } => {}
            // A stream asks for nothing of the kind, so nothing is agreed upon.
            Asked::Switched(_) => stream.cut(),
            Asked::Reply(reply) => match tell(stream, &reply, life, asked_head).await {
                Some(count) => sent = count,
                None => broken = true,
            },
        }
        self.end_stream(head, life, (upload.received, sent), broken);
        if !upload.is_read() && !broken {
            farewell::forget_body(stream).await;
        }
    }

    fn end_stream(
        &self,
        head: &RequestHead,
        life: &mut Life,
        (received, sent): (u64, u64),
        broken: bool,
    ) {
        let over = Over {
            method: head.method.as_str(),
            protocol: "HTTP/2",
            fields: &head.headers,
            written: (life.status != 0).then_some(life.status),
            broken,
            received,
            sent,
            at: Instant::now(),
        };
        end::end(&self.log, &over, life);
    }
}

/// What a stream asks for. An error is what its client is told instead.
fn asked_for(head: &RequestHead, life: &mut Life) -> Result<(), Reply> {
    let fields = &head.headers;
    life.asked.target.push_str(head.uri.path_and_query().map_or("", |target| target.as_str()));
    life.asked.idempotent = asked::is_idempotent(head.method.as_str());
    life.asked.expects = fields.contains_key(header::EXPECT);
    asked::note_kind(fields, life);
    identify::identify(fields, life);
    identify::tell_root(life);
    asked::within_limits(head, life)?;
    life.asked.host.push_str(asked::host(head)?);
    asked::right_certificate(life)?;
    asked::split_target(life)
}

/// Carries streams, one at a time.
async fn work(mut carrier: Carrier<Boarded>, lane: Arc<FastLane>) {
    let mut deadline = Deadline::default();
    while let Some(boarded) = carrier.next().await {
        // It stays where it is on the wheel, and is seldom due before the next stream's.
        boarded.stream.deadline = deadline;
        lane.carry_stream(boarded).await;
        deadline = std::mem::take(&mut boarded.stream.deadline);
    }
}

/// How much of an answer of Serin's own the client was told; `None` when it is gone.
async fn tell(
    stream: &mut Stream,
    reply: &Reply,
    life: &mut Life,
    asked_head: bool,
) -> Option<u64> {
    let bodiless = reply.note(life, asked_head);
    let response = reply.response(life).ok()?;
    let length = reply.body().len() as u64;
    stream.answer(response, (!bodiless).then_some(Some(length))).ok()?;
    if bodiless {
        return Some(0);
    }
    let due = Instant::now() + stream.visit.listener.limits.idle_timeout;
    let mut written = 0;
    let told = poll_fn(|cx| {
        let mut client = Client::Http2(stream);
        match client.poll_write_all([reply.body(), &[]], &mut written, cx) {
            Poll::Pending if !client.deadline().has_come(due, cx) => Poll::Pending,
            Poll::Pending | Poll::Ready(Err(_)) => Poll::Ready(false),
            Poll::Ready(Ok(())) => Poll::Ready(true),
        }
    });
    if told.await && stream.finish().is_ok() {
        return Some(length);
    }
    stream.cut();
    None
}
