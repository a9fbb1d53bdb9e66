//! What a session, a rollout and its weight mean together for one request.

use crate::common::{Random, rollout, service, two, version};
use proptest::prelude::*;
use serin_core::assign::{Choice, Client, Session, Slots, Splitter, Token, bucket, choose};
use serin_core::ids::{Epoch, VersionName};
use serin_core::measure::Population;
use serin_core::split::{InForce, Scope, Sessions, Split};
use serin_core::weights::{BasisPoints, WHOLE};

const STABLE: u16 = 0;
const CANDIDATE: u16 = 1;
/// The epoch of [`rollout`].
const NOW: Epoch = Epoch(17);
const BEFORE: Epoch = Epoch(16);

fn with(weight: u16, change: impl FnOnce(&mut InForce)) -> Split {
    let mut split = rollout(weight);
    change(split.rollout.as_mut().expect("a rollout"));
    split
}

fn of_new_sessions(weight: u16) -> Split {
    with(weight, |r| r.of = Scope::NewSessions)
}

fn ended(sessions: Sessions) -> Split {
    with(0, |r| r.sessions = sessions)
}

/// What a cookie says, with the name that a [`Token`] only borrows.
#[derive(Debug)]
struct Cookie {
    version: VersionName,
    epoch: Epoch,
    key: u64,
}

impl Cookie {
    fn token(&self) -> Token<'_> {
        Token { version: &self.version, epoch: self.epoch, key: self.key }
    }
}

fn token(version_name: &str, epoch: Epoch, key: u64) -> Cookie {
    Cookie { version: version(version_name), epoch, key }
}

fn by_token(split: &Split, cookie: &Cookie) -> Choice {
    choose(split, Client::Cookie(Session::Token(cookie.token())))
}

fn new(split: &Split, key: u64) -> Choice {
    choose(split, Client::Cookie(Session::New { key }))
}

fn known(split: &Split, key: u64) -> Choice {
    choose(split, Client::Cookie(Session::Known { key }))
}

/// A user whose bucket in [`rollout`] lies within these edges.
fn user(low: u16, high: u16) -> u64 {
    (0..).find(|key| (low..high).contains(&bucket(0x5e81, *key))).expect("some user")
}

// --- every user ------------------------------------------------------------------------------

#[test]
fn a_weight_of_all_follows_the_bucket_whatever_the_session() {
    let (low, high) = (user(0, 1_000), user(1_000, WHOLE));
    let split = rollout(1_000);
    for (key, part) in [(low, CANDIDATE), (high, STABLE)] {
        assert_eq!(new(&split, key).part, part);
        assert_eq!(known(&split, key).part, part);
        assert_eq!(choose(&split, Client::Keyed { key }).part, part);
        for (name, epoch) in [("v41", NOW), ("v42", NOW), ("v41", BEFORE), ("v40", Epoch(0))] {
            let choice = by_token(&split, &token(name, epoch, key));
            assert_eq!((choice.part, choice.population), (part, Population::Judged));
            assert_eq!(choice.user, Some(key));
        }
    }
}

#[test]
fn a_token_is_renewed_only_when_it_says_something_else() {
    let split = rollout(1_000);
    let (low, high) = (user(0, 1_000), user(1_000, WHOLE));
    assert_eq!(new(&split, low).remember, Some(NOW));
    assert_eq!(known(&split, low).remember, Some(NOW));
    assert_eq!(by_token(&split, &token("v42", NOW, low)).remember, None);
    assert_eq!(by_token(&split, &token("v41", NOW, high)).remember, None);
    // Raised past the user's bucket, or lowered below it.
    assert_eq!(by_token(&split, &token("v41", NOW, low)).remember, Some(NOW));
    assert_eq!(by_token(&split, &token("v42", NOW, high)).remember, Some(NOW));
    // From an earlier rollout.
    assert_eq!(by_token(&split, &token("v41", BEFORE, high)).remember, Some(NOW));
}

// --- new sessions only -----------------------------------------------------------------------

#[test]
fn a_client_is_assigned_at_first_contact_and_stays() {
    let (low, high) = (user(0, 1_000), user(1_000, 5_000));
    let ten = of_new_sessions(1_000);
    assert_eq!(new(&ten, low).part, CANDIDATE);
    assert_eq!(new(&ten, high).part, STABLE);
    // The weight rises: who was new at 10% stays where it was put.
    let fifty = of_new_sessions(5_000);
    for (key, name, part) in [(low, "v42", CANDIDATE), (high, "v41", STABLE)] {
        let choice = by_token(&fifty, &token(name, NOW, key));
        assert_eq!(choice.part, part);
        assert_eq!(choice.population, Population::Judged);
        assert_eq!(choice.remember, None);
    }
    assert_eq!(new(&fifty, high).part, CANDIDATE);
}

#[test]
fn a_session_older_than_the_rollout_stays_on_stable_and_is_not_judged() {
    for weight in [1_000, WHOLE] {
        let split = of_new_sessions(weight);
        let low = user(0, 1_000);
        let without_cookie = known(&split, low);
        assert_eq!((without_cookie.part, without_cookie.population), (STABLE, Population::Rest));
        // It gets a token that says how old it is, and is recognised by it from then on.
        assert_eq!(without_cookie.remember, Some(Epoch(0)));
        for token in [token("v41", Epoch(0), low), token("v42", BEFORE, low)] {
            let choice = by_token(&split, &token);
            assert_eq!((choice.part, choice.population), (STABLE, Population::Rest));
            assert_eq!(choice.remember, None);
        }
    }
}

/// "As long as the weight allows": nothing allows it at 0.
#[test]
fn no_session_keeps_a_candidate_whose_weight_is_nothing() {
    for scope in [Scope::All, Scope::NewSessions] {
        let split = with(0, |r| r.of = scope);
        let choice = by_token(&split, &token("v42", NOW, user(0, 1_000)));
        assert_eq!((choice.part, choice.remember), (STABLE, Some(NOW)));
    }
}

#[test]
fn a_step_of_all_after_one_of_new_sessions_moves_nobody_back() {
    let low = user(0, 1_000);
    let choice = by_token(&rollout(5_000), &token("v42", NOW, low));
    assert_eq!((choice.part, choice.remember), (CANDIDATE, None));
}

// --- after a rollback ------------------------------------------------------------------------

#[test]
fn revoking_sends_everyone_to_stable_now() {
    for scope in [Scope::All, Scope::NewSessions] {
        let mut split = ended(Sessions::Revoke);
        split.rollout.as_mut().unwrap().of = scope;
        let low = user(0, 1_000);
        assert_eq!(new(&split, low).part, STABLE);
        assert_eq!(known(&split, low).part, STABLE);
        let choice = by_token(&split, &token("v42", NOW, low));
        assert_eq!((choice.part, choice.remember), (STABLE, Some(NOW)));
        assert_eq!(by_token(&split, &token("v41", NOW, low)).remember, None);
    }
}

#[test]
fn draining_lets_open_sessions_finish_and_admits_nobody() {
    let split = ended(Sessions::Drain);
    let low = user(0, 1_000);
    assert_eq!(by_token(&split, &token("v42", NOW, low)).part, CANDIDATE);
    assert_eq!(by_token(&split, &token("v42", NOW, low)).remember, None);
    assert_eq!(by_token(&split, &token("v41", NOW, low)).part, STABLE);
    assert_eq!(by_token(&split, &token("v42", BEFORE, low)).part, STABLE);
    assert_eq!(new(&split, low).part, STABLE);
    assert_eq!(known(&split, low).part, STABLE);
    assert_eq!(choose(&split, Client::Keyed { key: low }).part, STABLE);
}

// --- at rest ---------------------------------------------------------------------------------

#[test]
fn a_service_at_rest_gives_out_tokens_and_honours_none() {
    let split = Split::at_rest(service(), version("v41"));
    assert_eq!(new(&split, 1).remember, Some(Epoch(0)));
    assert_eq!(known(&split, 1).remember, Some(Epoch(0)));
    let choice = by_token(&split, &token("v42", NOW, 1));
    assert_eq!((choice.part, choice.remember, choice.user), (STABLE, None, Some(1)));
}

#[test]
fn requests_without_sessions_follow_the_exact_split_and_have_no_user() {
    let (split, slots) = (rollout(1_000), Slots::new(&two(1_000)));
    let mut random = Random(1);
    let mut splitter = Splitter::new(random.next());
    let mut candidates = 0;
    for _ in 0..1_000 {
        let random = random.word();
        let client = Client::Unkeyed { splitter: &mut splitter, slots: &slots, random };
        let choice = choose(&split, client);
        assert_eq!((choice.user, choice.remember), (None, None));
        assert_eq!(choice.population, Population::Judged);
        candidates += choice.part;
    }
    assert!((99..=101).contains(&candidates), "{candidates} of 1,000");
}

// --- whatever comes --------------------------------------------------------------------------

fn any_split() -> impl Strategy<Value = Split> {
    let scope = prop_oneof![Just(Scope::All), Just(Scope::NewSessions)];
    let sessions =
        prop_oneof![Just(Sessions::Honour), Just(Sessions::Drain), Just(Sessions::Revoke)];
    let weight = prop_oneof![Just(0), Just(WHOLE), 0..=WHOLE];
    (weight, scope, sessions).prop_map(|(weight, of, sessions)| {
        let weight = if sessions == Sessions::Honour { weight } else { 0 };
        with(weight, |r| {
            r.of = of;
            r.sessions = sessions;
        })
    })
}

fn any_token() -> impl Strategy<Value = Cookie> {
    let name = prop_oneof![Just("v40"), Just("v41"), Just("v42")];
    (name, 0..19u64, any::<u64>()).prop_map(|(name, epoch, key)| token(name, Epoch(epoch), key))
}

proptest! {
    #[test]
    fn a_choice_is_a_part_of_the_split(split in any_split(), token in any_token()) {
        let clients = [
            Client::Keyed { key: token.key },
            Client::Cookie(Session::New { key: token.key }),
            Client::Cookie(Session::Known { key: token.key }),
            Client::Cookie(Session::Token(token.token())),
        ];
        for client in clients {
            let choice = choose(&split, client);
            prop_assert!(usize::from(choice.part) < split.weights.parts().len());
            let draining = split.rollout.as_ref().unwrap().sessions == Sessions::Drain;
            let weight = split.rollout.as_ref().unwrap().weight;
            let allowed = weight > BasisPoints::ZERO || draining;
            prop_assert!(choice.part == STABLE || allowed, "{choice:?}");
        }
    }

    /// The token that a choice asks for leads to the same choice again and asks for no other one.
    #[test]
    fn a_token_once_given_settles_it(split in any_split(), token in any_token()) {
        let sessions = [
            Session::New { key: token.key },
            Session::Known { key: token.key },
            Session::Token(token.token()),
        ];
        for session in sessions {
            let first = choose(&split, Client::Cookie(session));
            let Some(epoch) = first.remember else { continue };
            let name = &split.weights.parts()[usize::from(first.part)].0;
            let given = Cookie { version: name.clone(), epoch, key: token.key };
            let second = by_token(&split, &given);
            prop_assert_eq!(second.part, first.part);
            prop_assert_eq!(second.population, first.population);
            prop_assert_eq!(second.user, first.user);
            prop_assert_eq!(second.remember, None);
        }
    }
}
