//! One request, from one endpoint to the next until one answers, or it is known that none will.

use super::answer::{self, Towards};
use super::client::Client;
use super::flow::{Broken, Flow, Reset};
use super::switched::Agreed;
use super::upload::{Fault, Upload};
use crate::buffer::Buffer;
use crate::lane::answer as meaning;
use crate::lane::fail::{self, Standing};
use crate::lane::life::Life;
use crate::lane::reply::Reply;
use crate::lane::{attempt, copy};
use crate::tunnel;
use crate::upstream::Endpoint;
use crate::upstream::conn::{self, Conn};
use crate::wire::answer::{Body, ResponseHead};
use crate::wire::view::View;
use http::HeaderMap;
use serin_config::model::Timeouts;
use serin_core::outcome::{Ending, Failure};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) struct Parts<'a> {
    pub(super) life: &'a mut Life,
    pub(super) client: Client<'a>,
    pub(super) upload: &'a mut Upload,
    pub(super) down: &'a mut Buffer,
    /// The request is HEAD.
    pub(super) asked_head: bool,
    /// What the client got of the answer's body.
    pub(super) sent: &'a mut u64,
}

/// How it ended.
pub(super) enum Asked {
    /// Serin has to answer.
    Reply(Reply),
    Passed {
        keeps: bool,
    },
    /// The client was told that the protocol changes.
    Switched(Agreed),
    Cut,
}

enum Next {
    Again,
    Over(Asked),
}

/// `out` is the head as every endpoint gets it; `keeps` says whether the client's connection is to
/// be kept.
pub(super) async fn carry(
    mut parts: Parts<'_>,
    mut out: Buffer,
    traceparent: Option<usize>,
    keeps: impl Fn() -> bool,
) -> Asked {
    loop {
        match parts.attempt(&mut out, traceparent, &keeps).await {
            Next::Again => {}
            Next::Over(asked) => return asked,
        }
    }
}

impl Parts<'_> {
    async fn attempt(
        &mut self,
        out: &mut Buffer,
        traceparent: Option<usize>,
        keeps: &impl Fn() -> bool,
    ) -> Next {
        let standing = self.standing();
        // The first follows the request's head at once.
        let now = if self.life.attempts == 0 { self.life.began } else { Instant::now() };
        if let Err(failure) = attempt::begin(self.life, standing, now) {
            return Next::Over(Asked::Reply(verdict(self.life, failure)));
        }
        if let Some(at) = traceparent.filter(|_| self.life.trace.is_some()) {
            out.overwrite(at, self.life.asked.traceparent.as_bytes());
        }
        let Some((endpoint, timeouts)) = lent(self.life) else {
            return Next::Over(Asked::Reply(Reply::failure(Failure::NoEndpoint)));
        };
        let upstream = match self.connection(&endpoint, (timeouts, now), standing).await {
            Ok(upstream) => upstream,
            Err(next) => return next,
        };
        let reused = upstream.reused;
        self.upload.rewind(upstream.frames_itself());
        let mut fields = std::mem::take(&mut self.life.fields);
        let times = (timeouts.response, timeouts.idle);
        let (upload, down) = (&mut *self.upload, &mut *self.down);
        let client = self.client.again();
        let mut flow = Flow::new(client, upstream, upload, down, &mut fields, times);
        copy::written_head_leaves(self.life, out.bytes());
        flow.upload.tell(std::mem::take(&mut self.life.tee), &flow.client);
        let head = match flow.send(out.bytes(), self.life.asked.trailers).await {
            Ok(()) => head_or_withdrawn(&mut flow, self.asked_head, self.life).await,
            Err(broken) => Err(broken),
        };
        self.life.tee = std::mem::take(&mut flow.upload.tee);
        let head = head.and_then(|head| switches_as_asked(head, &flow, self.life));
        let next = match head {
            Ok(head) => answer(self.life, flow, &head, (&endpoint, out), keeps, self.sent).await,
            Err(broken) => {
                drop(flow);
                self.broke(broken, reused)
            }
        };
        self.life.fields = fields;
        next
    }

    fn standing(&self) -> Standing {
        Standing { replayable: self.upload.is_replayable(), answered: false }
    }

    /// One that waits, or a new one.
    async fn connection(
        &mut self,
        endpoint: &Arc<Endpoint>,
        (timeouts, now): (Timeouts, Instant),
        standing: Standing,
    ) -> Result<Conn, Next> {
        // HTTP/2 has no upgrades.
        let http1 = self.life.asked.upgrade.is_some();
        let upstream = match conn::lend(endpoint, http1, now) {
            Some(upstream) => upstream,
            // On the heap: nearly no exchange needs it.
            None => match Box::pin(conn::connect(endpoint, http1, timeouts.connect)).await {
                Ok(upstream) => upstream,
                Err(failure) if fail::failed(self.life, standing, Ending::Failed(failure)) => {
                    return Err(Next::Again);
                }
                Err(failure) => {
                    return Err(Next::Over(Asked::Reply(verdict(self.life, failure))));
                }
            },
        };
        attempt::connected(self.life);
        if let Some(attempt) = &mut self.life.attempt {
            attempt.sent = true;
        }
        Ok(upstream)
    }

    /// The attempt broke off before its answer.
    fn broke(&mut self, broken: Broken, reused: bool) -> Next {
        let standing = self.standing();
        let failure = match broken {
            Broken::Client(fault) => {
                self.life.what = fail::what(Ending::ClientAborted);
                fail::end_attempt(self.life, Ending::ClientAborted, Instant::now());
                return Next::Over(told_off(fault));
            }
            Broken::Reset(Reset { silent, unseen, code: _ }) => {
                if unseen && fail::was_unseen(self.life, standing)
                    || !unseen && reused && silent && fail::was_stale(self.life, standing)
                {
                    return Next::Again;
                }
                Failure::Reset
            }
            Broken::Withdrawn => {
                if fail::withdraw(self.life, standing, Instant::now()) {
                    return Next::Again;
                }
                Failure::Timeout
            }
            Broken::Invalid => Failure::Invalid,
            Broken::Late | Broken::Stalled => Failure::Timeout,
        };
        if fail::failed(self.life, standing, Ending::Failed(failure)) {
            return Next::Again;
        }
        Next::Over(Asked::Reply(verdict(self.life, failure)))
    }
}

/// A candidate that is about to answer may do so even after its rollback.
const ABOUT_TO_ANSWER: Duration = Duration::from_secs(1);

/// Waits for the head; of a candidate, no longer than a rollback takes to come.
async fn head_or_withdrawn(
    flow: &mut Flow<'_>,
    asked_head: bool,
    life: &Life,
) -> Result<ResponseHead, Broken> {
    let candidate = life.exchange.as_ref().filter(|e| e.is_candidate() && life.asked.idempotent);
    let candidate = candidate.filter(|_| flow.upload.is_done() && !life.stand_in);
    let began = flow.moved;
    let mut head = std::pin::pin!(flow.head(asked_head));
    let Some(exchange) = candidate else { return head.await };
    let withdrawn = async {
        exchange.withdrawn().await;
        tokio::time::sleep(ABOUT_TO_ANSWER.saturating_sub(began.elapsed())).await;
    };
    tokio::select! {
        biased;
        head = head.as_mut() => head,
        () = withdrawn => Err(Broken::Withdrawn),
    }
}

/// An endpoint that changes the protocol unasked, or to another one, cannot be understood.
fn switches_as_asked(
    head: ResponseHead,
    flow: &Flow<'_>,
    life: &Life,
) -> Result<ResponseHead, Broken> {
    let answer = View::of(flow.upstream.input.bytes(), flow.fields);
    let asked = &life.asked;
    let sound =
        head.status != 101 || asked.upgrade.is_some() && tunnel::agrees(&asked.protocol, &answer);
    sound.then_some(head).ok_or(Broken::Invalid)
}

/// The endpoint of the attempt under way.
fn lent(life: &Life) -> Option<(Arc<Endpoint>, Timeouts)> {
    let attempt = life.attempt.as_ref()?;
    let lease = attempt.lease.as_ref()?;
    Some((Arc::clone(lease.endpoint()), attempt.on.timeouts))
}

/// Passes the answer on, whose head is at the beginning of what was read.
async fn answer(
    life: &mut Life,
    mut flow: Flow<'_>,
    head: &ResponseHead,
    (endpoint, out): (&Arc<Endpoint>, &mut Buffer),
    keeps: &impl Fn() -> bool,
    sent: &mut u64,
) -> Next {
    let standing = Standing { replayable: flow.upload.is_replayable(), answered: false };
    let view = View::of(flow.upstream.input.bytes(), flow.fields);
    let grpc = meaning::grpc_status(&view);
    if meaning::head_came(life, head.status, grpc, standing, flow.moved) {
        return Next::Again;
    }
    // It is not sent again.
    out.clear();
    out.rest();
    copy::answer_came(life, head.status, &view, || flow.moved);
    let chunks = flow.client.takes_chunks();
    // They follow a body of chunks or of HTTP/2, and reach HTTP/1 in chunks alone.
    let may_follow = match head.body {
        Body::Chunked => true,
        Body::UntilEnd => flow.upstream.frames_itself(),
        Body::Length(_) => flow.upstream.frames_itself() && !chunks,
        Body::None => false,
    };
    let trailers = may_follow && flow.client.takes_trailers(life.asked.trailers);
    // Who cannot read chunks takes the connection's end for that of a body without a length.
    let keeps = keeps() && flow.upload.is_read() && (chunks || head.body.is_sized());
    let begun = match &mut flow.client {
        Client::Http1(link) => {
            let is_whole = head.body.is_within(view.bytes.len() - head.length);
            link.is_last = !keeps && is_whole && head.status != 101;
            let towards = Towards { keeps, chunks, trailers };
            answer::write(head, &view, life, towards, flow.down);
            Ok(())
        }
        Client::Http2(stream) => match answer::head_of(head, &view, life, trailers) {
            Some(response) => {
                // What trailers may follow has no last byte.
                let length = head.body.length().map(|length| length.filter(|_| !trailers));
                stream.answer(response, length).map_err(|_| Broken::Client(Fault::Gone))
            }
            None => Err(Broken::Invalid),
        },
    };
    flow.upstream.input.advance(head.length);
    if let (Ok(()), 101, Some(upgrade)) = (begun, head.status, life.asked.upgrade) {
        return match flow.flush().await {
            Ok(()) => {
                let (upstream, idle) = (flow.upstream, flow.idle);
                Next::Over(Asked::Switched(Agreed { upstream, upgrade, idle }))
            }
            Err(broken) => {
                cut(life, head.status, broken);
                Next::Over(Asked::Cut)
            }
        };
    }
    let passed = match begun {
        Ok(()) => {
            flow.upload.tee = std::mem::take(&mut life.tee);
            let passed = flow.body(head.body, sent, life).await;
            life.tee = std::mem::take(&mut flow.upload.tee);
            passed
        }
        Err(broken) => Err(broken),
    };
    let passed = passed.and_then(|trailers| flow.client.finish(trailers));
    if let Err(broken) = passed {
        flow.client.break_off(break_off(life, broken));
        cut(life, head.status, broken);
        return Next::Over(Asked::Cut);
    }
    let whole = flow.upload.is_done() && !flow.upload.refused;
    // What has not left is a request that has not ended: the rest of it would be read as the next.
    let keeps_upstream = head.keeps || flow.upstream.frames_itself();
    if whole
        && life.asked.upgrade.is_none()
        && keeps_upstream
        && flow.upstream.input.is_empty()
        && !flow.upstream.is_behind()
    {
        conn::put_back(endpoint, flow.upstream, flow.moved + flow.idle);
    }
    Next::Over(Asked::Passed { keeps: keeps && whole })
}

/// What a gRPC client is told that an answer of the endpoint's ends with.
fn break_off(life: &Life, broken: Broken) -> Option<HeaderMap> {
    let code = match broken {
        Broken::Client(_) => return None,
        Broken::Reset(reset) => reset.code,
        Broken::Invalid | Broken::Late | Broken::Stalled | Broken::Withdrawn => None,
    };
    life.asked.grpc.then(|| meaning::broken_off(code))
}

/// An answer broke off in the middle.
fn cut(life: &mut Life, status: u16, broken: Broken) {
    let ending = match broken {
        Broken::Client(_) => Ending::ClientAborted,
        Broken::Reset(_) | Broken::Invalid | Broken::Late | Broken::Stalled | Broken::Withdrawn => {
            Ending::Truncated { status }
        }
    };
    life.what = fail::what(ending);
    fail::end_attempt(life, ending, Instant::now());
}

/// What a client is told about its own body.
fn told_off(fault: Fault) -> Asked {
    let (status, why) = match fault {
        Fault::Gone => return Asked::Cut,
        Fault::Invalid => (400, "the request body is not framed soundly"),
        Fault::TooLarge => (413, "the request body is too large"),
        Fault::TooSlow => (408, "the request body came too slowly"),
        Fault::Unsayable => (400, "the request target is invalid"),
    };
    Asked::Reply(Reply::refused(status, why))
}

fn verdict(life: &mut Life, failure: Failure) -> Reply {
    life.verdict.take().unwrap_or_else(|| Reply::failure(failure)).closing()
}
