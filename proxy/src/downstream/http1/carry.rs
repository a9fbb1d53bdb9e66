//! Requests of HTTP/1, from their heads to the end of their exchanges, on the connection's own thread.
//!
//! Towards HTTP/1.1 nothing is allocated in the steady state: buffers, connections and the memory of
//! a request are used again and again.

use crate::buffer::Buffer;
use crate::downstream::forwarder::Forwarder;
use crate::downstream::http1::body::IncomingBody;
use crate::downstream::http1::connection::ClientConnection;
use crate::downstream::http1::downstream::Http1;
use crate::downstream::http1::late_fields::LateFields;
use crate::downstream::http1::switched::Switched;
use crate::downstream::{response, say};
use crate::exchange::request_body::RequestBody;
use crate::exchange::{self, Exchange, ExchangeResult};
use crate::request::admit::{Admitted, AskedTunnel, Declined, Forward, ParsedHead, admit};
use crate::request::attempts::Attempts;
use crate::request::finished::RequestSummary;
use crate::request::reply::Reply;
use crate::tunnel;
use crate::wire::head::{Field, Framing, Head};
use crate::wire::view::View;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

pub(crate) use crate::downstream::http1::exchange_pool::ExchangeFuture;

/// A request whose head was read, and what was decided about it.
pub(crate) struct AdmittedRequest {
    head: Head,
    admitted: Admitted,
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

/// A request in hand.
struct InHand<'a> {
    client: Http1<'a>,
    head: Head,
    body: RequestBody,
    /// What waits for the client.
    down: Buffer,
    /// It is HEAD.
    asked_head: bool,
    /// For all that the client has said another request may follow.
    may_keep: bool,
    /// What the client got of the answer's body.
    sent: u64,
}

/// What has become of a request that was forwarded, as far as it concerns the client's connection.
enum Forwarded {
    Kept,
    Ends,
    Cut,
    Switched(Box<Switched>),
}

impl<'a> InHand<'a> {
    fn new(connection: &'a mut ClientConnection, head: Head, admitted: &Admitted) -> Self {
        let (request, route) = admitted.request();
        let input = connection.input.bytes();
        let asked_head = head.method.of(input) == b"HEAD";
        let (incoming, kind) = IncomingBody::begin(&head, input);
        let mut body = RequestBody::new(kind, request, route);
        if head.expects_continue && incoming.is_untouched() {
            body.expect();
        }
        // What a client sends in hope of a tunnel must not be read as a request.
        let may_keep = head.keep_alive && request.upgrade.is_none();
        let client = Http1 { connection, body: incoming, is_http10: !head.minor_one };
        let down = Buffer::default();
        Self { client, head, body, down, asked_head, may_keep, sent: 0 }
    }

    fn summary<'f>(&'f self, fields: &'f LateFields<'_>, broken: bool) -> RequestSummary<'f> {
        let bodies = (self.body.received, self.sent);
        summary(&self.head, fields, bodies, broken, self.client.connection.rested)
    }

    /// Says whether all of its body was read.
    fn leave(self) -> bool {
        let Http1 { connection, body: incoming, .. } = self.client;
        incoming.finish(connection, !self.body.is_replayable());
        self.body.is_read()
    }
}

impl Forwarder {
    /// Takes the request whose head is the beginning of the client connection's input, and decides
    /// what is to become of it.
    pub(crate) fn take(
        &self,
        client: &ClientConnection,
        head: &Head,
        fields: &[Field],
        now: Instant,
    ) -> AdmittedRequest {
        let view = View::of(client.input.bytes(), fields);
        let parsed = ParsedHead {
            method: text(head.method.of(view.bytes)),
            target: &origin_form(head.target.of(view.bytes)),
            host: Ok(text(head.host.of(view.bytes))),
            fields: &view,
            tunnel: asked_tunnel(head, &view),
            expects: head.expects_continue,
            translated: None,
        };
        let admitted = admit(self.plane.enter(), &client.info, parsed, now);
        AdmittedRequest { head: *head, admitted }
    }

    /// Carries the exchange to its end.
    pub(crate) fn carry(
        self: &Arc<Self>,
        client: Box<ClientConnection>,
        request: AdmittedRequest,
    ) -> ExchangeFuture {
        ExchangeFuture::begin(Arc::clone(self), client, request)
    }

    pub(crate) async fn exchange(
        self: Arc<Self>,
        mut owned: Box<ClientConnection>,
        request: AdmittedRequest,
    ) -> (Box<ClientConnection>, After) {
        let AdmittedRequest { head, admitted } = request;
        let mut hand = InHand::new(&mut owned, head, &admitted);
        let kept = match admitted {
            Admitted::Declined(declined) => self.decline(&mut hand, declined).await,
            Admitted::Forward(forward) => match self.forward(&mut hand, forward).await {
                Forwarded::Switched(switched) => return (owned, After::Switched(switched)),
                Forwarded::Kept => true,
                Forwarded::Ends => false,
                Forwarded::Cut => {
                    hand.leave();
                    if !head.minor_one {
                        owned.end_by_reset();
                    }
                    return (owned, After::Cut);
                }
            },
        };
        let is_read = hand.leave();
        if kept {
            return (owned, After::Kept);
        }
        if !head.keep_alive && is_read && owned.is_silent() {
            owned.say_end();
            return (owned, After::Done);
        }
        (owned, After::Closed)
    }

    /// Says whether the client's connection is kept.
    async fn decline(&self, hand: &mut InHand<'_>, declined: Declined) -> bool {
        let kept = self.reply(hand, &declined.reply, declined.request.grpc).await;
        hand.client.connection.rested = Instant::now();
        let fields = LateFields::of(hand.client.connection.input.bytes());
        declined.finish(&self.log, &hand.summary(&fields, false));
        kept
    }

    async fn forward(&self, hand: &mut InHand<'_>, forward: Forward) -> Forwarded {
        let Forward { request, out, traceparent } = forward;
        let (mut attempts, may_keep) = (Attempts::new(request), hand.may_keep);
        let info = Arc::clone(&hand.client.connection.info);
        let keeps = || may_keep && !self.is_closing() && !info.listener.is_outdated();
        let exchange = Exchange {
            attempts: &mut attempts,
            client: &mut hand.client,
            body: &mut hand.body,
            down: &mut hand.down,
            asked_head: hand.asked_head,
            sent: &mut hand.sent,
            alone: false,
        };
        let forwarded = match exchange::carry(exchange, out, traceparent, keeps).await {
            ExchangeResult::Switched(agreed) => {
                let switched = Switched { attempts, head: hand.head, agreed };
                return Forwarded::Switched(Box::new(switched));
            }
            ExchangeResult::Cut => Forwarded::Cut,
            ExchangeResult::Passed { keeps: true } => Forwarded::Kept,
            ExchangeResult::Passed { keeps: false } => Forwarded::Ends,
            ExchangeResult::Reply(reply) => {
                attempts.told(&reply);
                let grpc = attempts.request().grpc;
                match self.reply(hand, &reply, grpc).await {
                    true => Forwarded::Kept,
                    false => Forwarded::Ends,
                }
            }
        };
        hand.client.connection.rested = Instant::now();
        let fields = LateFields::of(hand.client.connection.input.bytes());
        let broken = matches!(forwarded, Forwarded::Cut);
        attempts.finish(&self.log, &hand.summary(&fields, broken));
        forwarded
    }

    /// Tells the client what Serin answers. Says whether its connection is kept.
    async fn reply(&self, hand: &mut InHand<'_>, reply: &Reply, grpc: bool) -> bool {
        let InHand { client, body, down, asked_head, may_keep, sent, .. } = hand;
        let is_outdated = client.connection.info.listener.is_outdated();
        let keeps =
            *may_keep && body.is_read() && !reply.closes() && !self.is_closing() && !is_outdated;
        down.clear();
        response::write_reply(reply, grpc, *asked_head, keeps, down);
        client.connection.is_last = !keeps;
        *sent = if *asked_head { 0 } else { reply.body().len() as u64 };
        say(client, down.bytes()).await && keeps
    }
}

/// What is said of a request that is over now. `received` and `sent` are bytes of the bodies.
pub(super) fn summary<'a>(
    head: &Head,
    fields: &'a LateFields<'_>,
    (received, sent): (u64, u64),
    broken: bool,
    at: Instant,
) -> RequestSummary<'a> {
    RequestSummary {
        method: text(head.method.of(fields.bytes)),
        protocol: if head.minor_one { "HTTP/1.1" } else { "HTTP/1.0" },
        fields,
        broken,
        received,
        sent,
        at,
    }
}

/// A target as it is matched: what follows the authority may begin without a slash, or be nothing.
fn origin_form(target: &[u8]) -> Cow<'_, str> {
    let target = String::from_utf8_lossy(target);
    match target.as_bytes() {
        [b'/', ..] | b"*" => target,
        _ => Cow::Owned(format!("/{target}")),
    }
}

/// Which protocol a request without a body asks for.
fn asked_tunnel<'a>(head: &Head, view: &'a View<'_>) -> Option<AskedTunnel<'a>> {
    if !head.upgrade || !matches!(head.framing, Framing::None | Framing::Length(0)) {
        return None;
    }
    let (upgrade, protocol) = tunnel::asked_for(view)?;
    Some(AskedTunnel { upgrade, protocol, key: String::new() })
}

/// What the parser has found to be ASCII.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}
