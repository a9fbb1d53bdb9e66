//! One request, from one endpoint to the next until one answers, or it is known that none will.

mod body_pace;
pub(crate) mod downstream;
mod framing;
pub(crate) mod relay;
mod replay;
pub(crate) mod request_body;

use crate::buffer::Buffer;
use crate::exchange::downstream::{Downstream, Towards};
use crate::exchange::relay::{Relay, RelayError, Reset};
use crate::exchange::request_body::{ClientError, RequestBody};
use crate::request::answer as meaning;
use crate::request::context::RequestContext;
use crate::request::fail::{self, ReplayState};
use crate::request::reply::Reply;
use crate::request::{attempt, copy};
use crate::tunnel::{self, Upgrade};
use crate::upstream::Endpoint;
use crate::upstream::conn::{self, Conn, Purpose, Speaks};
use crate::wire::answer::{Body, ResponseHead};
use crate::wire::view::View;
use http::HeaderMap;
use serin_config::model::Timeouts;
use serin_core::outcome::{Ending, Failure};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) struct Exchange<'a, D> {
    pub(crate) context: &'a mut RequestContext,
    pub(crate) client: &'a mut D,
    pub(crate) body: &'a mut RequestBody,
    pub(crate) down: &'a mut Buffer,
    /// The request is HEAD.
    pub(crate) asked_head: bool,
    /// What the client got of the answer's body.
    pub(crate) sent: &'a mut u64,
    /// It shares no connection: its answer may be one that cannot be read.
    pub(crate) alone: bool,
}

/// How it ended.
pub(crate) enum ExchangeResult {
    /// Serin has to answer.
    Reply(Reply),
    Passed {
        keeps: bool,
    },
    /// The client was told that the protocol changes.
    Switched(Agreed),
    Cut,
}

/// A tunnel that is agreed upon, and not yet open.
#[derive(Debug)]
pub(crate) struct Agreed {
    pub(crate) upstream: Conn,
    pub(crate) upgrade: Upgrade,
    /// For how long nothing may move.
    pub(crate) idle: Duration,
}

enum Next {
    Again,
    Over(ExchangeResult),
}

/// `out` is the head as every endpoint gets it; `keeps` says whether the client's connection is to
/// be kept.
pub(crate) async fn carry<D: Downstream>(
    mut exchange: Exchange<'_, D>,
    mut out: Buffer,
    traceparent: Option<usize>,
    keeps: impl Fn() -> bool,
) -> ExchangeResult {
    loop {
        match exchange.attempt(&mut out, traceparent, &keeps).await {
            Next::Again => {}
            Next::Over(asked) => return asked,
        }
    }
}

impl<D: Downstream> Exchange<'_, D> {
    async fn attempt(
        &mut self,
        out: &mut Buffer,
        traceparent: Option<usize>,
        keeps: &impl Fn() -> bool,
    ) -> Next {
        let standing = self.standing();
        // The first follows the request's head at once.
        let now = if self.context.attempts == 0 { self.context.began } else { Instant::now() };
        if let Err(failure) = attempt::begin(self.context, standing, now) {
            return Next::Over(ExchangeResult::Reply(verdict(self.context, failure)));
        }
        if let Some(at) = traceparent.filter(|_| self.context.trace.is_some()) {
            out.overwrite(at, self.context.asked.traceparent.as_bytes());
        }
        let Some((endpoint, timeouts)) = lent(self.context) else {
            return Next::Over(ExchangeResult::Reply(Reply::failure(Failure::NoEndpoint)));
        };
        let upstream = match self.connection(&endpoint, (timeouts, now), standing).await {
            Ok(upstream) => upstream,
            Err(next) => return next,
        };
        let reused = upstream.reused;
        self.body.rewind(upstream.frames_itself());
        let mut fields = std::mem::take(&mut self.context.fields);
        let times = (timeouts.response, timeouts.idle);
        let (body, down) = (&mut *self.body, &mut *self.down);
        let mut relay = Relay::new(&mut *self.client, upstream, body, down, &mut fields, times);
        copy::head_leaves(self.context, out.bytes());
        relay.body.tell(std::mem::take(&mut self.context.tap), &*relay.client);
        let head = match relay.send(out.bytes(), self.context.asked.trailers).await {
            Ok(()) => head_or_withdrawn(&mut relay, self.asked_head, self.context).await,
            Err(broken) => Err(broken),
        };
        self.context.tap = std::mem::take(&mut relay.body.tap);
        let head = head.and_then(|head| switches_as_asked(head, &relay, self.context));
        let next = match head {
            Ok(head) => {
                answer(self.context, relay, &head, (&endpoint, out), keeps, self.sent).await
            }
            Err(broken) => {
                drop(relay);
                self.broke(broken, reused)
            }
        };
        self.context.fields = fields;
        if let (Next::Again, Some(pause)) = (&next, fail::pause_before_retry(self.context)) {
            // On the heap: nearly no exchange needs it.
            Box::pin(tokio::time::sleep(pause)).await;
        }
        next
    }

    fn standing(&self) -> ReplayState {
        ReplayState { replayable: self.body.is_replayable(), answered: false }
    }

    /// One that waits, or a new one.
    async fn connection(
        &mut self,
        endpoint: &Arc<Endpoint>,
        (timeouts, now): (Timeouts, Instant),
        standing: ReplayState,
    ) -> Result<Conn, Next> {
        // HTTP/2 has no upgrades.
        let http1 = self.context.asked.upgrade.is_some();
        let purpose = Purpose::Client(self.client.info());
        let lent = if self.alone { None } else { conn::lend(endpoint, purpose, http1, now) };
        let upstream = match lent {
            Some(upstream) => Ok(upstream),
            // On the heap: nearly no exchange needs it.
            None => Box::pin(self.connect(endpoint, http1, timeouts.connect)).await,
        };
        let upstream = match upstream {
            Ok(upstream) => upstream,
            Err(failure) if fail::failed(self.context, standing, Ending::Failed(failure)) => {
                return Err(Next::Again);
            }
            Err(failure) => {
                return Err(Next::Over(ExchangeResult::Reply(verdict(self.context, failure))));
            }
        };
        attempt::connected(self.context);
        if let Some(attempt) = &mut self.context.attempt {
            attempt.sent = true;
        }
        Ok(upstream)
    }

    async fn connect(
        &self,
        endpoint: &Arc<Endpoint>,
        http1: bool,
        patience: Duration,
    ) -> Result<Conn, Failure> {
        let purpose = Purpose::Client(self.client.info());
        match self.alone {
            true => conn::connect_alone(endpoint, purpose, Speaks::Usual, patience).await,
            false => conn::connect(endpoint, purpose, http1, patience).await,
        }
    }

    /// The attempt broke off before its answer.
    fn broke(&mut self, broken: RelayError, reused: bool) -> Next {
        let standing = self.standing();
        let failure = match broken {
            RelayError::Client(fault) => {
                self.context.what = fail::what(Ending::ClientAborted);
                fail::end_attempt(self.context, Ending::ClientAborted, Instant::now());
                return Next::Over(told_off(fault));
            }
            RelayError::Reset(Reset { silent, unseen, unreadable, code: _ }) => {
                // Whose answer it was shows when each has a connection of its own.
                if unreadable && !self.alone && fail::was_stale(self.context, standing) {
                    self.alone = true;
                    return Next::Again;
                }
                if unseen && fail::was_refused(self.context, standing)
                    || !unseen && reused && silent && fail::was_stale(self.context, standing)
                {
                    return Next::Again;
                }
                if unseen { Failure::RefusedStream } else { Failure::Reset }
            }
            RelayError::Closed if fail::was_closed(self.context, standing) => return Next::Again,
            RelayError::Closed => Failure::RefusedStream,
            RelayError::Withdrawn => {
                if fail::withdraw(self.context, standing, Instant::now()) {
                    return Next::Again;
                }
                Failure::Timeout
            }
            RelayError::Invalid => Failure::Invalid,
            RelayError::Late | RelayError::Stalled => Failure::Timeout,
        };
        if fail::failed(self.context, standing, Ending::Failed(failure)) {
            return Next::Again;
        }
        Next::Over(ExchangeResult::Reply(verdict(self.context, failure)))
    }
}

/// A candidate that is about to answer may do so even after its rollback.
const ABOUT_TO_ANSWER: Duration = Duration::from_secs(1);

/// Waits for the head; of a candidate, no longer than a rollback takes to come.
async fn head_or_withdrawn<D: Downstream>(
    relay: &mut Relay<'_, D>,
    asked_head: bool,
    context: &RequestContext,
) -> Result<ResponseHead, RelayError> {
    let candidate = context.meter.as_ref().filter(|e| e.is_candidate() && context.asked.idempotent);
    let candidate = candidate.filter(|_| relay.body.is_done() && !context.stand_in);
    let began = relay.moved;
    let mut head = std::pin::pin!(relay.head(asked_head));
    let Some(meter) = candidate else { return head.await };
    let withdrawn = async {
        meter.withdrawn().await;
        tokio::time::sleep(ABOUT_TO_ANSWER.saturating_sub(began.elapsed())).await;
    };
    tokio::select! {
        biased;
        head = head.as_mut() => head,
        () = withdrawn => Err(RelayError::Withdrawn),
    }
}

/// An endpoint that changes the protocol unasked, or to another one, cannot be understood.
fn switches_as_asked<D>(
    head: ResponseHead,
    relay: &Relay<'_, D>,
    context: &RequestContext,
) -> Result<ResponseHead, RelayError> {
    let answer = View::of(relay.upstream.input.bytes(), relay.fields);
    let asked = &context.asked;
    let key = &asked.websocket_key;
    let agrees = || {
        tunnel::agrees(&asked.protocol, &answer)
            && (key.is_empty() || tunnel::accepts(key, &answer))
    };
    let sound = head.status != 101 || asked.upgrade.is_some() && agrees();
    sound.then_some(head).ok_or(RelayError::Invalid)
}

/// The endpoint of the attempt under way.
fn lent(context: &RequestContext) -> Option<(Arc<Endpoint>, Timeouts)> {
    let attempt = context.attempt.as_ref()?;
    let lease = attempt.lease.as_ref()?;
    Some((Arc::clone(lease.endpoint()), attempt.on.timeouts))
}

/// Passes the answer on, whose head is at the beginning of what was read.
async fn answer<D: Downstream>(
    context: &mut RequestContext,
    mut relay: Relay<'_, D>,
    head: &ResponseHead,
    (endpoint, out): (&Arc<Endpoint>, &mut Buffer),
    keeps: &impl Fn() -> bool,
    sent: &mut u64,
) -> Next {
    let standing = ReplayState { replayable: relay.body.is_replayable(), answered: false };
    let view = View::of(relay.upstream.input.bytes(), relay.fields);
    let grpc = meaning::grpc_status(&view);
    if meaning::head_came(context, head.status, grpc, standing, relay.moved) {
        return Next::Again;
    }
    if !context.asked.websocket_key.is_empty() && (200..300).contains(&head.status) {
        // Over HTTP/2 that would mean that the tunnel is open.
        fail::end_attempt(context, Ending::Answered { status: head.status, grpc }, Instant::now());
        let reply = Reply::text(502, "the backend did not change the protocol");
        return Next::Over(ExchangeResult::Reply(reply));
    }
    // It is not sent again.
    out.clear();
    out.rest();
    copy::answer_came(context, head.status, &view, || relay.moved);
    let chunks = relay.client.takes_chunks();
    // They follow a body of chunks or of HTTP/2, and reach HTTP/1 in chunks alone.
    let may_follow = match head.body {
        Body::Chunked => true,
        Body::UntilEnd => relay.upstream.frames_itself(),
        Body::Length(_) => relay.upstream.frames_itself() && !chunks,
        Body::None => false,
    };
    let trailers = may_follow && relay.client.takes_trailers(context.asked.trailers);
    // Who cannot read chunks takes the connection's end for that of a body without a length.
    let keeps = keeps() && relay.body.is_read() && (chunks || head.body.is_sized());
    let towards = Towards { keeps, chunks, trailers };
    let begun = relay.client.head(head, &view, context, towards, relay.down);
    relay.upstream.input.advance(head.length);
    if let (Ok(()), 101, Some(upgrade)) = (begun, head.status, context.asked.upgrade) {
        return match relay.flush().await {
            Ok(()) => {
                let (upstream, idle) = (relay.upstream, relay.idle);
                Next::Over(ExchangeResult::Switched(Agreed { upstream, upgrade, idle }))
            }
            Err(broken) => {
                cut(context, head.status, broken);
                Next::Over(ExchangeResult::Cut)
            }
        };
    }
    let passed = match begun {
        Ok(()) => {
            relay.body.tap = std::mem::take(&mut context.tap);
            let passed = relay.body(head.body, sent, context).await;
            context.tap = std::mem::take(&mut relay.body.tap);
            passed
        }
        Err(broken) => Err(broken),
    };
    let passed = passed.and_then(|trailers| relay.client.finish(trailers));
    if let Err(broken) = passed {
        relay.client.abort(break_off(context, broken));
        cut(context, head.status, broken);
        return Next::Over(ExchangeResult::Cut);
    }
    let whole = relay.body.is_done() && !relay.body.refused;
    // What has not left is a request that has not ended: the rest of it would be read as the next.
    let keeps_upstream = head.keeps || relay.upstream.frames_itself();
    if whole
        && context.asked.upgrade.is_none()
        && keeps_upstream
        && relay.upstream.input.is_empty()
        && !relay.upstream.is_behind()
    {
        let purpose = Purpose::Client(relay.client.info());
        conn::put_back(endpoint, purpose, relay.upstream, relay.moved + relay.idle);
    }
    Next::Over(ExchangeResult::Passed { keeps: keeps && whole })
}

/// What a gRPC client is told that an answer of the endpoint's ends with.
fn break_off(context: &RequestContext, broken: RelayError) -> Option<HeaderMap> {
    let code = match broken {
        RelayError::Client(_) => return None,
        RelayError::Reset(reset) => reset.code,
        RelayError::Closed
        | RelayError::Invalid
        | RelayError::Late
        | RelayError::Stalled
        | RelayError::Withdrawn => None,
    };
    context.asked.grpc.then(|| meaning::broken_off(code))
}

/// An answer broke off in the middle.
fn cut(context: &mut RequestContext, status: u16, broken: RelayError) {
    let ending = match broken {
        RelayError::Client(_) => Ending::ClientAborted,
        RelayError::Closed
        | RelayError::Reset(_)
        | RelayError::Invalid
        | RelayError::Late
        | RelayError::Stalled
        | RelayError::Withdrawn => Ending::Truncated { status },
    };
    context.what = fail::what(ending);
    fail::end_attempt(context, ending, Instant::now());
}

/// What a client is told about its own body.
fn told_off(fault: ClientError) -> ExchangeResult {
    let (status, why) = match fault {
        ClientError::Gone => return ExchangeResult::Cut,
        ClientError::Invalid => (400, "the request body is not framed soundly"),
        ClientError::TooLarge => (413, "the request body is too large"),
        ClientError::TooSlow => (408, "the request body came too slowly"),
        ClientError::Unsayable => (400, "the request target is invalid"),
    };
    ExchangeResult::Reply(Reply::refused(status, why))
}

fn verdict(context: &mut RequestContext, failure: Failure) -> Reply {
    context.verdict.take().unwrap_or_else(|| Reply::failure(failure)).closing()
}
