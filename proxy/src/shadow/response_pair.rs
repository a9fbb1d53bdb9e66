//! Two answers to one request, until both are there.
//!
//! The serving thread leaves the primary's, the mirror's worker the shadow's; whoever comes second finds both.
//! What nobody waits for any more goes away with its last owner.

use super::copy::Copy;
use super::memory::Held;
use crate::upstream::VersionRuntime;
use bytes::Bytes;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct ResponsePair(Mutex<Halves>);

#[derive(Debug, Default)]
struct Halves {
    primary: Option<Primary>,
    shadow: Option<Box<Answered>>,
}

#[derive(Debug)]
pub(super) enum Primary {
    Whole(Heard),
    /// There is none, or it broke off.
    Gone,
}

/// The primary's answer, and whose it was.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) answer: Answer,
    pub(super) by: Arc<VersionRuntime>,
}

/// The copy with the shadow's answer.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) copy: Copy,
    pub(super) answer: Answer,
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Those that are compared, in the order of the rules; several lines of one name are joined.
    pub(super) headers: Vec<Option<Vec<u8>>>,
    /// `content-encoding`, when it is not `identity`.
    pub(super) encoding: Option<Vec<u8>>,
    pub(super) body: Body,
    /// To the head; unknown when the request's body was still on its way.
    pub(super) took: Option<Duration>,
    pub(super) held: Option<Held>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    /// Nobody wanted it.
    Unread,
    Whole(Whole),
    /// It has at least so many bytes, and they were not kept.
    Longer(u64),
}

/// The length is kept, because a body may come byte by byte.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Whole {
    pieces: Vec<Bytes>,
    pub(super) length: u64,
}

impl Whole {
    pub(super) fn concat(&self) -> Vec<u8> {
        self.pieces.concat()
    }
}

impl ResponsePair {
    /// Says whether the shadow's answer waits already.
    pub(super) fn heard(&self, primary: Primary) -> bool {
        let mut halves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        halves.primary = Some(primary);
        halves.shadow.is_some()
    }

    pub(super) fn answered(&self, answered: Box<Answered>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).shadow = Some(answered);
    }

    /// Both, once.
    pub(super) fn take(&self) -> Option<(Primary, Box<Answered>)> {
        let mut halves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let primary = halves.primary.take()?;
        match halves.shadow.take() {
            Some(shadow) => Some((primary, shadow)),
            None => {
                halves.primary = Some(primary);
                None
            }
        }
    }
}

impl Body {
    /// One that is still to come; where nothing can be held, only its length is.
    pub(super) fn begin(held: Option<&Held>) -> Self {
        match held {
            Some(_) => Self::Whole(Whole::default()),
            None => Self::Longer(0),
        }
    }

    /// Takes over one more piece while it stays within the limit and there is room.
    /// `own` is called only when the piece is kept.
    pub(super) fn add(
        &mut self,
        piece: &[u8],
        own: impl FnOnce() -> Bytes,
        most: u64,
        held: &mut Option<Held>,
    ) {
        match self {
            Self::Unread => {}
            Self::Longer(length) => *length += piece.len() as u64,
            Self::Whole(whole) => {
                let length = whole.length + piece.len() as u64;
                let room = held.as_mut().is_some_and(|held| held.grow(piece.len()));
                if length > most || !room {
                    *self = Self::Longer(length);
                    *held = None;
                } else {
                    whole.pieces.push(own());
                    whole.length = length;
                }
            }
        }
    }
}
