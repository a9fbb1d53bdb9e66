//! The choice for one request: split, session and rollout together.
//!
//! The data plane parses and signs cookies; what a cookie *means* is decided here.

use super::split::{Slots, Splitter};
use super::sticky::bucket;
use crate::ids::{Epoch, VersionName};
use crate::measure::Population;
use crate::split::{InForce, Scope, Sessions, Split};
use crate::weights::BasisPoints;

/// What a session cookie says, once its signature is verified. A token whose version or release is
/// no longer listed is given as a [`Session::Known`] user without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    pub version: &'a VersionName,
    /// The rollout in which the user was assigned; 0 before the first.
    pub epoch: Epoch,
    /// Identifies the user, drawn at first contact.
    pub key: u64,
}

/// What a request says about who sent it.
#[derive(Debug)]
pub enum Client<'a> {
    /// No sessions: each request for itself.
    Unkeyed { splitter: &'a mut Splitter, slots: &'a Slots, random: u32 },
    /// By header or address.
    Keyed { key: u64 },
    /// By cookie.
    Cookie(Session<'a>),
}

#[derive(Debug)]
pub enum Session<'a> {
    /// First contact: nothing says that this user was here before. `key` is freshly drawn.
    New {
        key: u64,
    },
    /// The user has a session with the service, but none of our tokens. `key` is freshly drawn.
    Known {
        key: u64,
    },
    Token(Token<'a>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// Index into the split's weights. In a rollout 0 is stable and 1 the candidate.
    pub part: u16,
    pub population: Population,
    /// The user whose first failure counts; `None` where users cannot be told apart.
    pub user: Option<u64>,
    /// The epoch that a new token should carry; `None` when the one that came still says it all.
    pub remember: Option<Epoch>,
}

const STABLE: u16 = 0;
const CANDIDATE: u16 = 1;

/// Chooses a version. Forced cohorts never come here.
pub fn choose(split: &Split, client: Client<'_>) -> Choice {
    match client {
        Client::Unkeyed { splitter, slots, random } => Choice {
            part: splitter.next(slots, random),
            population: Population::Judged,
            user: None,
            remember: None,
        },
        Client::Keyed { key } => Choice {
            part: part_of_bucket(split, key),
            population: Population::Judged,
            user: Some(key),
            remember: None,
        },
        Client::Cookie(session) => by_cookie(split, session),
    }
}

fn by_cookie(split: &Split, session: Session<'_>) -> Choice {
    let Some(rollout) = &split.rollout else {
        return at_rest(split, session);
    };
    let key = match &session {
        Session::New { key } | Session::Known { key } => *key,
        Session::Token(token) => token.key,
    };
    let of_this_rollout = match session {
        Session::Token(token) if token.epoch == rollout.epoch => Some(token),
        Session::Token(_) | Session::New { .. } | Session::Known { .. } => None,
    };
    let (part, population) = match rollout.sessions {
        Sessions::Revoke => (STABLE, Population::Judged),
        Sessions::Drain => {
            (of_this_rollout.map_or(STABLE, |token| named(rollout, token)), Population::Judged)
        }
        Sessions::Honour => match rollout.of {
            Scope::All => (part_of_bucket(split, key), Population::Judged),
            Scope::NewSessions => match (&session, of_this_rollout) {
                (_, Some(token)) if rollout.weight > BasisPoints::ZERO => {
                    (named(rollout, token), Population::Judged)
                }
                (_, Some(_)) => (STABLE, Population::Judged),
                (Session::New { .. }, None) => (part_of_bucket(split, key), Population::Judged),
                (Session::Known { .. } | Session::Token(_), None) => (STABLE, Population::Rest),
            },
        },
    };
    Choice {
        part,
        population,
        user: Some(key),
        remember: token_to_set(split, rollout, &session, part, population),
    }
}

/// A service at rest still gives out tokens: they are how the next rollout knows old sessions.
fn at_rest(split: &Split, session: Session<'_>) -> Choice {
    let (key, remember) = match session {
        Session::New { key } | Session::Known { key } => (key, Some(Epoch::default())),
        Session::Token(token) => (token.key, None),
    };
    Choice {
        part: part_of_bucket(split, key),
        population: Population::Judged,
        user: Some(key),
        remember,
    }
}

fn named(rollout: &InForce, token: Token<'_>) -> u16 {
    if *token.version == rollout.candidate { CANDIDATE } else { STABLE }
}

/// The candidate owns the low buckets. At rest weights may name any versions: the last part owns
/// the low buckets there, and the parts before it follow upwards.
fn part_of_bucket(split: &Split, key: u64) -> u16 {
    if let Some(rollout) = &split.rollout {
        let on_candidate = bucket(rollout.salt, key) < rollout.weight.get();
        return if on_candidate { CANDIDATE } else { STABLE };
    }
    let bucket = bucket(0, key);
    let mut edge = 0;
    for (part, weight) in split.weights.parts().iter().enumerate().rev() {
        edge += weight.1.get();
        if bucket < edge {
            return part as u16;
        }
    }
    STABLE
}

fn token_to_set(
    split: &Split,
    rollout: &InForce,
    session: &Session<'_>,
    part: u16,
    population: Population,
) -> Option<Epoch> {
    match session {
        // An old session of a rollout of new sessions keeps its old epoch: that is what makes it old.
        Session::Known { .. } if population == Population::Rest => Some(Epoch::default()),
        Session::Token(_) if population == Population::Rest => None,
        Session::New { .. } | Session::Known { .. } => Some(rollout.epoch),
        Session::Token(token) => {
            let version = split.weights.parts().get(usize::from(part)).map(|(v, _)| v);
            let says_it_all = token.epoch == rollout.epoch && version == Some(token.version);
            (!says_it_all).then_some(rollout.epoch)
        }
    }
}
