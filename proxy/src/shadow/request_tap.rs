//! The serving thread's side: one of these for each request, and no wait in it.
//!
//! It is told what passes, in the order in which it passes: of a body as it is read, once. It decides
//! once, with the first attempt; later attempts of the same request make no second copy.

use super::copy::Copy;
use super::counts::Dropped;
use super::head::{self, Seen, is_safe};
use super::memory::{Held, Slot};
use super::mirror::Mirror;
use super::mirror_worker::{Job, Message};
use super::response_pair::{Answer, Body, Heard, Primary, ResponsePair};
use crate::route::{Fields, Route};
use crate::thread::random;
use crate::upstream::VersionRuntime;
use bytes::Bytes;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a piece of a body takes beside its bytes: whoever sends one byte at a time pays for each.
const PIECE_COST: usize = 2 * size_of::<Bytes>();

/// A request's head as it is sent to the primary, but for its fields.
#[derive(Clone, Copy)]
pub(crate) struct Head<'a> {
    pub(crate) method: &'a str,
    /// As it was validated.
    pub(crate) host: &'a str,
    /// Path and query.
    pub(crate) target: &'a str,
    /// Serin makes spans of it.
    pub(crate) sampled: bool,
}

#[derive(Debug, Default)]
pub(crate) enum RequestTap {
    #[default]
    Unasked,
    Off,
    On(Box<Copying>),
}

#[derive(Debug)]
pub(crate) struct Copying {
    mirror: Arc<Mirror>,
    pair: Arc<ResponsePair>,
    /// Until its body is whole.
    copy: Option<Copy>,
    /// Bytes of the body that are in the copy, and how far this attempt has come.
    taken: u64,
    at: u64,
    /// When the request had left whole.
    left: Option<Instant>,
    heard: Option<Heard>,
    over: bool,
}

impl RequestTap {
    /// A head leaves for the primary. Only the first of a request is looked at. Its fields, line by
    /// line, are asked for where there is a copy.
    pub(crate) fn begin<'l>(
        &mut self,
        mirror: Option<&Arc<Mirror>>,
        route: &Route,
        on: &VersionRuntime,
        head: &Head<'_>,
        lines: impl FnOnce() -> Cow<'l, [u8]>,
    ) {
        match self {
            Self::Unasked => {
                let copying = mirror.and_then(|mirror| begin(mirror, route, on, head, lines));
                *self = copying.map_or(Self::Off, |copying| Self::On(Box::new(copying)));
            }
            Self::Off => {}
            Self::On(copying) => copying.at = 0,
        }
    }

    /// A piece of the request's body passes.
    pub(crate) fn body(&mut self, piece: &Bytes) {
        let Self::On(copying) = self else { return };
        if let Err(why) = copying.take(piece) {
            self.give_up(why);
        }
    }

    /// The same, of a buffer that is used again.
    pub(crate) fn body_piece(&mut self, piece: &[u8]) {
        if let Self::On(_) = self {
            self.body(&Bytes::copy_from_slice(piece));
        }
    }

    /// No head has left yet.
    pub(crate) fn is_unasked(&self) -> bool {
        matches!(self, Self::Unasked)
    }

    /// The request's body has come whole, or there is none: the copy may leave.
    /// `now` is asked for only then.
    pub(crate) fn ended(&mut self, now: impl FnOnce() -> Instant) {
        let Self::On(copying) = self else { return };
        let Some(mut copy) = copying.copy.take() else { return };
        let now = now();
        copying.left = Some(now);
        copy.framed |= copying.taken > 0;
        let due = now + copying.mirror.config.timeout;
        let job = Job { copy, pair: Arc::clone(&copying.pair), due };
        if !copying.mirror.shadows.hand(Message::Copy(job)) {
            self.give_up(Dropped::Full);
        }
    }

    fn give_up(&mut self, why: Dropped) {
        if let Self::On(copying) = self {
            copying.over = true;
            copying.mirror.drop_one(why);
        }
        *self = Self::Off;
    }

    /// The head of the answer that the client gets, and whose it is.
    pub(crate) fn answer_head(
        &mut self,
        status: u16,
        fields: &dyn Fields,
        by: &Arc<VersionRuntime>,
        now: impl FnOnce() -> Instant,
    ) {
        let Self::On(copying) = self else { return };
        let took = copying.left.map(|left| now().saturating_duration_since(left));
        copying.heard = Some(copying.hear(status, fields, by, took));
    }

    /// A piece of its body, in a buffer that is used again: what is kept of it is copied.
    pub(crate) fn answer_piece(&mut self, piece: &[u8]) {
        let own = || Bytes::copy_from_slice(piece);
        let Self::On(copying) = self else { return };
        if let Some(Heard { answer, .. }) = &mut copying.heard {
            answer.body.add(piece, own, copying.mirror.config.max_body, &mut answer.held);
        }
    }

    /// The request is over. `broken`: the client did not get the whole answer.
    pub(crate) fn over(&mut self, broken: bool) {
        if let Self::On(copying) = self {
            copying.over(broken);
            *self = Self::Off;
        }
    }
}

/// One that nobody ended was left by its client.
impl Drop for Copying {
    fn drop(&mut self) {
        self.over(true);
    }
}

fn begin<'l>(
    mirror: &Arc<Mirror>,
    route: &Route,
    on: &VersionRuntime,
    head: &Head<'_>,
    lines: impl FnOnce() -> Cow<'l, [u8]>,
) -> Option<Copying> {
    // A version is not compared with itself.
    if on.name == mirror.to.name || !mirror.copies(head.method, &route.name, random()) {
        return None;
    }
    let refuse = |why| {
        mirror.drop_one(why);
        None
    };
    let Some(slot) = Slot::take(&mirror.standing, mirror.config.max_in_flight) else {
        return refuse(Dropped::Full);
    };
    let (lines, mut written) = (lines(), mirror.shadows.spare().take());
    let Seen { linked, length } = head::write(head, &lines, &mirror.omitted, &mut written);
    if length.is_some_and(|length| length > mirror.config.max_body) {
        return refuse(Dropped::BodyTooLarge);
    }
    let again = (mirror.asks_for_noise() && length.is_none() && is_safe(head.method)).then(|| {
        let mut again = Vec::new();
        head::write(head, &lines, &mirror.omitted_again, &mut again);
        again
    });
    let bytes = written.len() + again.as_ref().map_or(0, Vec::len);
    let Some(held) = Held::new(mirror.shadows.memory(), bytes) else {
        return refuse(Dropped::Full);
    };
    let copy = Copy {
        mirror: Arc::clone(mirror),
        route: route.name.clone(),
        head: written,
        again,
        linked,
        body: Vec::new(),
        framed: length.is_some(),
        slot: Some(slot),
        held: Some(held),
    };
    Some(Copying {
        mirror: Arc::clone(mirror),
        pair: Arc::default(),
        copy: Some(copy),
        taken: 0,
        at: 0,
        left: None,
        heard: None,
        over: false,
    })
}

impl Copying {
    fn over(&mut self, broken: bool) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        if self.copy.take().is_some() {
            return self.mirror.drop_one(Dropped::ClientGone);
        }
        let primary = match self.heard.take().filter(|_| !broken) {
            Some(heard) => Primary::Whole(heard),
            None => Primary::Gone,
        };
        if self.pair.heard(primary) {
            // Lost when the queue is full: an answer that is not compared, and not counted.
            let _ = self.mirror.shadows.hand(Message::Heard(Arc::clone(&self.pair)));
        }
    }

    fn take(&mut self, piece: &Bytes) -> Result<(), Dropped> {
        let begins = self.at;
        self.at += piece.len() as u64;
        let Some(copy) = &mut self.copy else { return Ok(()) };
        if self.at <= self.taken {
            return Ok(());
        }
        if self.at > self.mirror.config.max_body {
            return Err(Dropped::BodyTooLarge);
        }
        let known = (self.taken - begins.min(self.taken)) as usize;
        let new = piece.slice(known..);
        if !copy.held.as_mut().is_some_and(|held| held.grow(new.len() + PIECE_COST)) {
            return Err(Dropped::Full);
        }
        self.taken = self.at;
        copy.body.push(new);
        Ok(())
    }

    fn hear(
        &self,
        status: u16,
        fields: &dyn Fields,
        by: &Arc<VersionRuntime>,
        took: Option<Duration>,
    ) -> Heard {
        let mirror = &self.mirror;
        let most = mirror.config.max_body;
        let wanted = mirror.wants_bodies();
        let mut held = None;
        let mut body = Body::Unread;
        if wanted {
            let length = fields.first("content-length").and_then(|v| std::str::from_utf8(v).ok());
            let length = length.and_then(|length| length.parse::<u64>().ok()).unwrap_or(0);
            held = Held::new(mirror.shadows.memory(), 0).filter(|_| length <= most);
            body = Body::begin(held.as_ref());
        }
        let (headers, encoding) = match &mirror.rules {
            Some(rules) => (rules.headers_of(fields), rules.encoding_of(fields)),
            None => (Vec::new(), None),
        };
        let answer = Answer { status, headers, encoding, body, took, held };
        Heard { answer, by: Arc::clone(by) }
    }
}
