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
use crate::request::answer::{self as meaning, Following};
use crate::request::arrived::Arrived;
use crate::request::attempt::{Answer, Attempt};
use crate::request::attempts::Attempts;
use crate::request::fail::ReplayState;
use crate::request::reply::Reply;
use crate::tunnel::{self, Upgrade};
use crate::upstream::Endpoint;
use crate::upstream::conn::{self, Conn, Purpose, Speaks};
use crate::wire::answer::{Body, ResponseHead};
use crate::wire::view::View;
use http::HeaderMap;
use serin_core::outcome::{Ending, Failure};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) struct Exchange<'a, D> {
    pub(crate) attempts: &'a mut Attempts,
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
    Switched(Box<Agreed>),
    Cut,
}

/// A tunnel that is agreed upon, and not yet open.
pub(crate) struct Agreed {
    pub(crate) attempt: Attempt,
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
        let (standing, now) = (self.standing(), self.attempts.begins());
        let mut attempt = match self.attempts.begin(standing, now) {
            Ok(attempt) => attempt,
            Err(failure) => return failed_for_good(failure),
        };
        let request = self.attempts.request();
        if let Some(at) = traceparent.filter(|_| request.trace.is_some()) {
            out.overwrite(at, request.scratch.traceparent.as_bytes());
        }
        let upstream = match self.connection(&mut attempt, now).await {
            Ok(upstream) => upstream,
            Err(failure) => return self.failed(attempt, failure),
        };
        let reused = upstream.reused;
        self.body.rewind(upstream.frames_itself());
        let mut fields = std::mem::take(self.attempts.fields());
        let timeouts = attempt.on.timeouts;
        let times = (timeouts.response, timeouts.idle);
        let (body, down) = (&mut *self.body, &mut *self.down);
        let mut relay = Relay::new(&mut *self.client, upstream, body, down, &mut fields, times);
        self.attempts.head_leaves(&attempt, out.bytes());
        relay.body.tell(std::mem::take(&mut self.attempts.tap), &*relay.client);
        let head = match relay.send(out.bytes(), self.attempts.request().trailers).await {
            Ok(()) => head_or_withdrawn(&mut relay, self.asked_head, self.attempts).await,
            Err(broken) => Err(broken),
        };
        self.attempts.tap = std::mem::take(&mut relay.body.tap);
        let head = head.and_then(|head| switches_as_asked(head, &relay, self.attempts.request()));
        let next = match head {
            Ok(head) => answer(self.attempts, attempt, relay, &head, out, keeps, self.sent).await,
            Err(broken) => {
                drop(relay);
                self.broke(attempt, broken, reused)
            }
        };
        *self.attempts.fields() = fields;
        if let (Next::Again, Some(pause)) = (&next, self.attempts.pause_before_retry()) {
            // On the heap: nearly no exchange needs it.
            Box::pin(tokio::time::sleep(pause)).await;
        }
        next
    }

    fn standing(&self) -> ReplayState {
        ReplayState { replayable: self.body.is_replayable(), answered: false }
    }

    /// One that waits, or a new one.
    async fn connection(&mut self, attempt: &mut Attempt, now: Instant) -> Result<Conn, Failure> {
        // HTTP/2 has no upgrades.
        let http1 = self.attempts.request().upgrade.is_some();
        let endpoint = attempt.endpoint();
        let purpose = match self.client.has_hardly_a_window() {
            true => Purpose::Shut(self.client.info()),
            false => Purpose::Client(self.client.info()),
        };
        let anew = self.alone || self.attempts.connects_anew();
        let lent = if anew { None } else { conn::lend(endpoint, purpose, http1, now) };
        let upstream = match lent {
            Some(upstream) => upstream,
            // On the heap: nearly no exchange needs it.
            None => {
                Box::pin(self.connect(endpoint, purpose, http1, attempt.on.timeouts.connect))
                    .await?
            }
        };
        self.attempts.connected(attempt);
        Ok(upstream)
    }

    async fn connect(
        &self,
        endpoint: &Arc<Endpoint>,
        purpose: Purpose<'_>,
        http1: bool,
        patience: Duration,
    ) -> Result<Conn, Failure> {
        if endpoint.is_told_of_clients() {
            self.client.learn_server();
        }
        match self.alone {
            true => conn::connect_alone(endpoint, purpose, Speaks::Usual, patience).await,
            false => conn::connect(endpoint, purpose, http1, patience).await,
        }
    }

    /// The attempt broke off before its answer.
    fn broke(&mut self, mut attempt: Attempt, broken: RelayError, reused: bool) -> Next {
        let standing = self.standing();
        let failure = match broken {
            RelayError::Client(fault) => {
                self.attempts.broke_off(attempt, Ending::ClientAborted);
                return Next::Over(told_off(fault));
            }
            RelayError::Reset(Reset { silent, http2, unseen, unreadable, code: _ }) => {
                // Whose answer it was shows when each has a connection of its own.
                if unreadable && !self.alone && self.attempts.was_anothers(&mut attempt, standing) {
                    self.alone = true;
                    return Next::Again;
                }
                let died = !unseen && reused && silent;
                if unseen && self.attempts.was_refused(&mut attempt, standing)
                    || died && !http2 && self.attempts.was_stale(&mut attempt, standing)
                    || died && http2 && self.attempts.was_lost(&mut attempt, standing)
                {
                    return Next::Again;
                }
                if unseen { Failure::RefusedStream } else { Failure::Reset }
            }
            RelayError::Closed if self.attempts.was_closed(&mut attempt, standing) => {
                return Next::Again;
            }
            RelayError::Closed => Failure::RefusedStream,
            RelayError::Withdrawn if self.attempts.may_withdraw(standing) => {
                self.attempts.withdraw(attempt, Instant::now());
                return Next::Again;
            }
            RelayError::Withdrawn => Failure::Timeout,
            RelayError::Invalid => Failure::Invalid,
            RelayError::Late | RelayError::Stalled => Failure::Timeout,
        };
        self.failed(attempt, failure)
    }

    fn failed(&mut self, attempt: Attempt, failure: Failure) -> Next {
        let standing = self.standing();
        if self.attempts.failed(attempt, standing, failure) {
            return Next::Again;
        }
        failed_for_good(failure)
    }
}

fn failed_for_good(failure: Failure) -> Next {
    Next::Over(ExchangeResult::Reply(Reply::failure(failure).closing()))
}

/// A candidate that is about to answer may do so even after its rollback.
const ABOUT_TO_ANSWER: Duration = Duration::from_secs(1);

/// Waits for the head; of a candidate, no longer than a rollback takes to come.
async fn head_or_withdrawn<D: Downstream>(
    relay: &mut Relay<'_, D>,
    asked_head: bool,
    attempts: &Attempts,
) -> Result<ResponseHead, RelayError> {
    let candidate = attempts.withdrawable().filter(|_| relay.body.is_done());
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
    request: &Arrived,
) -> Result<ResponseHead, RelayError> {
    let answer = View::of(relay.upstream.input.bytes(), relay.fields);
    let (protocol, key) = (&request.scratch.protocol, &request.scratch.websocket_key);
    let agrees =
        || tunnel::agrees(protocol, &answer) && (key.is_empty() || tunnel::accepts(key, &answer));
    let sound = head.status != 101 || request.upgrade.is_some() && agrees();
    sound.then_some(head).ok_or(RelayError::Invalid)
}

/// Passes the answer on, whose head is at the beginning of what was read.
async fn answer<D: Downstream>(
    attempts: &mut Attempts,
    mut attempt: Attempt,
    mut relay: Relay<'_, D>,
    head: &ResponseHead,
    out: &mut Buffer,
    keeps: &impl Fn() -> bool,
    sent: &mut u64,
) -> Next {
    let standing = ReplayState { replayable: relay.body.is_replayable(), answered: false };
    let view = View::of(relay.upstream.input.bytes(), relay.fields);
    let mut said = Answer { status: head.status, grpc: meaning::grpc_status(&view) };
    if attempts.head_came(&mut attempt, said, standing, relay.moved) {
        attempts.end_attempt(attempt, said.ending(), relay.moved);
        return Next::Again;
    }
    let request = attempts.request();
    if !request.scratch.websocket_key.is_empty() && (200..300).contains(&head.status) {
        // Over HTTP/2 that would mean that the tunnel is open.
        attempts.end_attempt(attempt, said.ending(), Instant::now());
        let reply = Reply::text(502, "the backend did not change the protocol");
        return Next::Over(ExchangeResult::Reply(reply));
    }
    let (upgrade, asks_trailers) = (request.upgrade, request.trailers);
    // It is not sent again.
    out.clear();
    out.rest();
    attempts.tap.answer_head(head.status, &view, &attempt.on, || relay.moved);
    let chunks = relay.client.takes_chunks();
    // They follow a body of chunks or of HTTP/2, and reach HTTP/1 in chunks alone.
    let may_follow = match head.body {
        Body::Chunked => true,
        Body::UntilEnd => relay.upstream.frames_itself(),
        Body::Length(_) => relay.upstream.frames_itself() && !chunks,
        Body::None => false,
    };
    let reads = relay.client.takes_trailers(asks_trailers);
    // Who cannot read chunks takes the connection's end for that of a body without a length.
    let keeps = keeps() && relay.body.is_read() && (chunks || head.body.is_sized());
    let towards = Towards { keeps, chunks, trailers: may_follow && reads };
    attempts.status = Some(head.status);
    let begun = relay.client.head(head, &view, attempts.answering(&attempt), towards, relay.down);
    let begun = begun.map(|told| attempts.status = Some(told));
    relay.upstream.input.advance(head.length);
    if let (Ok(()), 101, Some(upgrade)) = (begun, head.status, upgrade) {
        return match relay.flush().await {
            Ok(()) => {
                let (upstream, idle) = (relay.upstream, relay.idle);
                let agreed = Box::new(Agreed { attempt, upstream, upgrade, idle });
                Next::Over(ExchangeResult::Switched(agreed))
            }
            Err(broken) => {
                attempts.broke_off(attempt, cut(head.status, broken));
                Next::Over(ExchangeResult::Cut)
            }
        };
    }
    let passed = match begun {
        Ok(()) => {
            relay.body.tap = std::mem::take(&mut attempts.tap);
            let edits = &attempts.route().response;
            let mut following = Following { edits, reads, grpc: said.grpc };
            let passed = relay.body(head.body, sent, &mut following).await;
            said.grpc = following.grpc;
            attempts.tap = std::mem::take(&mut relay.body.tap);
            passed
        }
        Err(broken) => Err(broken),
    };
    let passed = passed.and_then(|trailers| relay.client.finish(trailers));
    if let Err(broken) = passed {
        relay.client.abort(break_off(attempts.request().grpc, broken));
        attempts.broke_off(attempt, cut(head.status, broken));
        return Next::Over(ExchangeResult::Cut);
    }
    let whole = relay.body.is_done() && !relay.body.refused;
    // What has not left is a request that has not ended: the rest of it would be read as the next.
    let keeps_upstream = head.keeps || relay.upstream.frames_itself();
    if whole
        && upgrade.is_none()
        && keeps_upstream
        && relay.upstream.input.is_empty()
        && !relay.upstream.is_behind()
    {
        let purpose = Purpose::Client(relay.client.info());
        conn::put_back(attempt.endpoint(), purpose, relay.upstream, relay.moved + relay.idle);
    }
    attempts.end_attempt(attempt, said.ending(), relay.moved);
    Next::Over(ExchangeResult::Passed { keeps: keeps && whole })
}

/// What a gRPC client is told that an answer of the endpoint's ends with.
fn break_off(grpc: bool, broken: RelayError) -> Option<HeaderMap> {
    let code = match broken {
        RelayError::Client(_) => return None,
        RelayError::Reset(reset) => reset.code,
        RelayError::Closed
        | RelayError::Invalid
        | RelayError::Late
        | RelayError::Stalled
        | RelayError::Withdrawn => None,
    };
    grpc.then(|| meaning::broken_off(code))
}

/// What an attempt ends with whose answer broke off in the middle.
fn cut(status: u16, broken: RelayError) -> Ending {
    match broken {
        RelayError::Client(_) => Ending::ClientAborted,
        RelayError::Closed
        | RelayError::Reset(_)
        | RelayError::Invalid
        | RelayError::Late
        | RelayError::Stalled
        | RelayError::Withdrawn => Ending::Truncated { status },
    }
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
