//! Requests of HTTP/1, from their heads to the end of their exchanges, on the connection's own thread.
//!
//! Towards HTTP/1.1 nothing is allocated in the steady state: buffers, connections and the notes about
//! a request are used again and again.

use crate::buffer::Buffer;
use crate::downstream::forwarder::Forwarder;
use crate::downstream::http1::body::IncomingBody;
use crate::downstream::http1::connection::ClientConnection;
use crate::downstream::http1::downstream::Http1;
use crate::downstream::http1::switched::Switched;
use crate::downstream::{response, say};
use crate::exchange::request_body::RequestBody;
use crate::exchange::{self, Exchange, ExchangeResult};
use crate::request::context::RequestContext;
use crate::request::contexts::{self, Borrowed};
use crate::request::end::{self, RequestSummary};
use crate::request::reply::Reply;
use crate::request::{asked, assign, head, identify, route};
use crate::tunnel;
use crate::wire::head::{Field, Framing, Head};
use crate::wire::view::View;
use std::sync::Arc;
use std::time::Instant;

pub(crate) use crate::downstream::http1::exchange_pool::ExchangeFuture;

/// A request whose head was read, and what was decided about it.
pub(crate) struct Admitted {
    context: Borrowed,
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
pub(crate) struct Summary {
    pub(crate) received: u64,
    pub(crate) sent: u64,
    /// It did not come to its proper end.
    pub(crate) broken: bool,
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
    ) -> Admitted {
        let view = View::of(client.input.bytes(), fields);
        let mut context = contexts::take(self.plane.enter(), now);
        let method = text(head.method.of(view.bytes)).unwrap_or_default();
        note(&mut context, client, head, method, &view);
        let sound = asked::right_certificate(&context)
            .and_then(|()| asked::split_target(&mut context))
            .inspect_err(|reply| asked::count_refusal(reply, &context));
        let let_in = sound
            .and_then(|()| route::find(method, &view, &mut context))
            .and_then(|()| route::admit(&view, &mut context));
        let (mut out, mut traceparent) = (Buffer::default(), None);
        let reply = let_in.err();
        if reply.is_none() {
            assign::assign(&view, &mut context);
            traceparent = head::write(method.as_bytes(), &view, None, &mut context, &mut out);
        }
        Admitted { context, head: *head, out, traceparent, reply }
    }

    /// Carries the exchange to its end.
    pub(crate) fn carry(
        self: &Arc<Self>,
        client: Box<ClientConnection>,
        admitted: Admitted,
    ) -> ExchangeFuture {
        ExchangeFuture::begin(Arc::clone(self), client, admitted)
    }

    pub(crate) async fn exchange(
        self: Arc<Self>,
        mut owned: Box<ClientConnection>,
        admitted: Admitted,
    ) -> (Box<ClientConnection>, After) {
        let Admitted { mut context, head, out, traceparent, reply } = admitted;
        let (incoming, kind) = IncomingBody::begin(&head, owned.input.bytes());
        let mut body = RequestBody::new(kind, &owned.info.listener.limits, &context);
        if head.expects_continue && incoming.is_untouched() {
            body.expect();
        }
        let (connection, is_http10) = (&mut *owned, !head.minor_one);
        let mut client = Http1 { connection, body: incoming, is_http10 };
        let mut down = Buffer::default();
        let asked_head = head.method.of(client.connection.input.bytes()) == b"HEAD";
        // What a client sends in hope of a tunnel must not be read as a request.
        let may_keep = head.keep_alive && context.asked.upgrade.is_none();
        let mut keeps = may_keep;
        let mut sent = 0;
        let asked = match reply {
            Some(reply) => ExchangeResult::Reply(reply),
            None => {
                let info = Arc::clone(&client.connection.info);
                let keeps = || may_keep && !self.is_closing() && !info.listener.is_outdated();
                let (body, down, sent) = (&mut body, &mut down, &mut sent);
                let (context, client) = (&mut *context, &mut client);
                let exchange =
                    Exchange { context, client, body, down, asked_head, sent, alone: false };
                exchange::carry(exchange, out, traceparent, keeps).await
            }
        };
        let cut = matches!(asked, ExchangeResult::Cut);
        match asked {
            ExchangeResult::Switched(agreed) => {
                return (owned, After::Switched(Box::new(Switched { context, head, agreed })));
            }
            ExchangeResult::Cut => keeps = false,
            ExchangeResult::Passed { keeps: kept } => keeps = kept,
            ExchangeResult::Reply(reply) => {
                keeps &= !reply.closes() && body.is_read() && !self.is_closing();
                keeps &= !client.connection.info.listener.is_outdated();
                down.clear();
                response::write_reply(&reply, &mut context, asked_head, keeps, &mut down);
                client.connection.is_last = !keeps;
                keeps &= say(&mut client, down.bytes()).await;
                sent = if asked_head { 0 } else { reply.body().len() as u64 };
            }
        }
        let Http1 { connection: client, body: incoming, .. } = client;
        client.rested = Instant::now();
        let summary = Summary { received: body.received, sent, broken: cut };
        self.end(client, &head, &mut context, summary);
        incoming.finish(client, !body.is_replayable());
        if cut && is_http10 {
            client.end_by_reset();
        }
        let after = match (keeps, cut) {
            (true, _) => After::Kept,
            (false, true) => After::Cut,
            (false, false) if !head.keep_alive && body.is_read() && client.is_silent() => {
                client.say_end();
                After::Done
            }
            (false, false) => After::Closed,
        };
        (owned, after)
    }

    pub(crate) fn end(
        &self,
        client: &ClientConnection,
        head: &Head,
        context: &mut RequestContext,
        summary: Summary,
    ) {
        let bytes = client.input.bytes();
        let mut fields = std::mem::take(&mut context.fields);
        fields.clear();
        if self.log.is_on() || context.trace.is_some() {
            // The spans of the request's fields were given up for those of the answer.
            crate::wire::head::parse(bytes, &Default::default(), &mut fields);
        }
        let over = RequestSummary {
            method: text(head.method.of(bytes)).unwrap_or_default(),
            protocol: if head.minor_one { "HTTP/1.1" } else { "HTTP/1.0" },
            fields: &View::of(bytes, &fields),
            written: (context.status != 0).then_some(context.status),
            broken: summary.broken,
            received: summary.received,
            sent: summary.sent,
            at: client.rested,
        };
        end::end(&self.log, &over, context);
        context.fields = fields;
    }
}

/// Who asks for what.
fn note(
    context: &mut RequestContext,
    client: &ClientConnection,
    head: &Head,
    method: &str,
    view: &View<'_>,
) {
    context.info = Some(Arc::clone(&client.info));
    let target = String::from_utf8_lossy(head.target.of(view.bytes));
    if !target.starts_with('/') && target != "*" {
        context.asked.target.push('/');
    }
    context.asked.target.push_str(&target);
    context.asked.host.push_str(text(head.host.of(view.bytes)).unwrap_or_default());
    context.asked.idempotent = asked::is_idempotent(method);
    context.asked.expects = head.expects_continue;
    if head.upgrade
        && matches!(head.framing, Framing::None | Framing::Length(0))
        && let Some((upgrade, protocol)) = tunnel::asked_for(view)
    {
        context.asked.upgrade = Some(upgrade);
        context.asked.protocol.push_str(protocol);
    }
    asked::note_kind(view, context);
    identify::identify(view, context);
    identify::tell_root(context);
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}
