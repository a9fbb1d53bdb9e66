//! The fast lane: exchanges with the endpoint, whichever HTTP it speaks, on the connection's own thread,
//! from bytes to bytes.
//!
//! It takes a request only when it can do everything that its route asks for; all others go to the
//! full lane before anything was decided. What is decided is decided by the same steps as there.
//! Over HTTP/1.1 it allocates nothing in the steady state: buffers, connections and the notes about a request are
//! used again and again.

mod answer;
mod client;
mod exchange;
mod farewell;
mod flow;
mod framing;
mod known;
mod lives;
mod request;
mod rooms;
mod streams;
mod switched;
mod upload;

use super::end::{self, Over};
use super::life::Life;
use super::reply::Reply;
use super::{asked, assign, identify, route};
use crate::accesslog::AccessLog;
use crate::buffer::Buffer;
use crate::ingress::Link;
use crate::plane::Plane;
use crate::tunnel;
use crate::wire::head::{Field, Framing, Head};
use crate::wire::view::View;
use client::Client;
use exchange::{Asked, Parts};
use lives::Borrowed;
use serin_config::model::Lanes;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::Poll;
use std::time::Instant;
use switched::Switched;
use upload::Upload;

pub(crate) use rooms::Carrying;

/// One per thread.
pub(crate) struct FastLane {
    plane: Arc<Plane>,
    log: AccessLog,
    closing: AtomicBool,
}

/// A request that the fast lane has taken.
pub(crate) struct Taken {
    life: Borrowed,
    head: Head,
    /// The head as the endpoint gets it; or the answer, when no endpoint is asked.
    out: Buffer,
    /// Where in it the trace's parent stands, which differs from attempt to attempt.
    traceparent: Option<usize>,
    reply: Option<Reply>,
}

/// What becomes of the client's connection.
pub(crate) enum After {
    /// The next request may come.
    Kept,
    /// It ends, and the client may read to the end of what it was told.
    Closed,
    /// It ends as the client wished, who has nothing more to say.
    Done,
    /// It ends in the middle.
    Cut,
    /// It is one end of a tunnel.
    Switched(Box<Switched>),
}

/// What an exchange has come to, in bytes of the bodies.
#[derive(Debug, Clone, Copy)]
struct Summary {
    received: u64,
    sent: u64,
    /// It did not come to its proper end.
    broken: bool,
}

impl FastLane {
    pub(crate) fn new(plane: Arc<Plane>, log: AccessLog) -> Self {
        Self { plane, log, closing: AtomicBool::new(false) }
    }

    /// From here on each answer tells its client that it is the connection's last.
    pub(crate) fn close(&self) {
        self.closing.store(true, Relaxed);
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Relaxed)
    }

    /// Takes the request whose head is the beginning of the link's input, or leaves it as it was.
    pub(crate) fn take(
        &self,
        link: &Link,
        head: &Head,
        fields: &[Field],
        now: Instant,
    ) -> Option<Taken> {
        let entered = self.plane.enter();
        if entered.world.config.lanes == Lanes::Full {
            return None;
        }
        let view = View::of(link.input.bytes(), fields);
        let mut life = lives::take(entered, now);
        let method = text(head.method.of(view.bytes))?;
        note(&mut life, link, head, method, &view)?;
        asked::right_certificate(&life).ok()?;
        asked::split_target(&mut life).ok()?;
        route::find(method, &view, &mut life).ok()?;
        let (mut out, mut traceparent) = (Buffer::default(), None);
        let reply = route::admit(&view, &mut life).err();
        if reply.is_none() {
            assign::assign(&view, &mut life);
            traceparent = request::write(method.as_bytes(), &view, None, &mut life, &mut out);
        }
        Some(Taken { life, head: *head, out, traceparent, reply })
    }

    /// Carries the exchange to its end.
    pub(crate) fn carry(self: &Arc<Self>, link: Box<Link>, taken: Taken) -> Carrying {
        Carrying::begin(Arc::clone(self), link, taken)
    }

    async fn exchange(self: Arc<Self>, mut owned: Box<Link>, taken: Taken) -> (Box<Link>, After) {
        let link = &mut *owned;
        let Taken { mut life, head, out, traceparent, reply } = taken;
        let mut upload = Upload::begin(&head, link, &life);
        if head.expects_continue {
            upload.expect();
        }
        link.is_http10 = !head.minor_one;
        let mut down = Buffer::default();
        let asked_head = head.method.of(link.input.bytes()) == b"HEAD";
        // What a client sends in hope of a tunnel must not be read as a request.
        let may_keep = head.keep_alive && life.asked.upgrade.is_none();
        let mut keeps = may_keep;
        let mut sent = 0;
        let asked = match reply {
            Some(reply) => Asked::Reply(reply),
            None => {
                let visit = Arc::clone(&link.visit);
                let keeps = || may_keep && !self.is_closing() && !visit.listener.is_outdated();
                let (upload, down, client) = (&mut upload, &mut down, Client::Http1(link));
                let sent = &mut sent;
                let parts = Parts { life: &mut life, client, upload, down, asked_head, sent };
                exchange::carry(parts, out, traceparent, keeps).await
            }
        };
        let cut = matches!(asked, Asked::Cut);
        match asked {
            Asked::Switched(agreed) => {
                return (owned, After::Switched(Box::new(Switched { life, head, agreed })));
            }
            Asked::Cut => keeps = false,
            Asked::Passed { keeps: kept } => keeps = kept,
            Asked::Reply(reply) => {
                keeps &= !reply.closes() && upload.is_read() && !self.is_closing();
                keeps &= !link.visit.listener.is_outdated();
                down.clear();
                if answer::write_reply(&reply, &mut life, asked_head, keeps, &mut down) {
                    link.is_last = !keeps;
                    let told = tell(link, &down).await;
                    keeps &= told;
                    sent = if asked_head { 0 } else { reply.body().len() as u64 };
                }
            }
        }
        link.rested = Instant::now();
        let summary = Summary { received: upload.received, sent, broken: cut };
        self.end(link, &head, &mut life, summary);
        upload.finish(link);
        if cut && link.is_http10 {
            link.end_by_reset();
        }
        let after = match (keeps, cut) {
            (true, _) => After::Kept,
            (false, true) => After::Cut,
            (false, false) if !head.keep_alive && upload.is_read() && link.is_silent() => {
                link.say_end();
                After::Done
            }
            (false, false) => After::Closed,
        };
        (owned, after)
    }

    fn end(&self, link: &Link, head: &Head, life: &mut Life, summary: Summary) {
        let bytes = link.input.bytes();
        let mut fields = std::mem::take(&mut life.fields);
        fields.clear();
        if self.log.is_on() || life.trace.is_some() {
            // The spans of the request's fields were given up for those of the answer.
            crate::wire::head::parse(bytes, &Default::default(), &mut fields);
        }
        let over = Over {
            method: text(head.method.of(bytes)).unwrap_or_default(),
            protocol: if head.minor_one { "HTTP/1.1" } else { "HTTP/1.0" },
            fields: &View::of(bytes, &fields),
            written: (life.status != 0).then_some(life.status),
            broken: summary.broken,
            received: summary.received,
            sent: summary.sent,
            at: link.rested,
        };
        end::end(&self.log, &over, life);
        life.fields = fields;
    }
}

/// Who asks for what.
fn note(life: &mut Life, link: &Link, head: &Head, method: &str, view: &View<'_>) -> Option<()> {
    life.visit = Some(Arc::clone(&link.visit));
    let target = text(head.target.of(view.bytes))?;
    if !target.starts_with('/') {
        life.asked.target.push('/');
    }
    life.asked.target.push_str(target);
    life.asked.host.push_str(text(head.host.of(view.bytes))?);
    life.asked.idempotent = asked::is_idempotent(method);
    life.asked.expects = head.expects_continue;
    if target == "*" {
        return None;
    }
    if head.upgrade
        && matches!(head.framing, Framing::None | Framing::Length(0))
        && let Some((upgrade, protocol)) = tunnel::asked_for(view)
    {
        life.asked.upgrade = Some(upgrade);
        life.asked.protocol.push_str(protocol);
    }
    asked::note_kind(view, life);
    identify::identify(view, life);
    identify::tell_root(life);
    Some(())
}

/// Whether the client could be told.
async fn tell(link: &mut Link, down: &Buffer) -> bool {
    let patience = link.visit.listener.limits.idle_timeout;
    let due = Instant::now() + patience;
    let mut written = 0;
    poll_fn(|cx| {
        let told = Client::Http1(link).poll_write_all([down.bytes(), &[]], &mut written, cx);
        if told.is_pending() && link.deadline.has_come(due, cx) {
            return Poll::Ready(false);
        }
        told.map(|told| told.is_ok())
    })
    .await
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}
