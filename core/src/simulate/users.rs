//! The people who send requests, and what their browsers remember.

use super::dice::Dice;
use super::traffic::HeavyUsers;
use crate::assign::{Choice, Client, Session, Slots, Splitter, Token, choose};
use crate::ids::{Epoch, VersionName};
use crate::split::Split;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionKind {
    None,
    Cookie,
    /// By header or address.
    Keyed,
}

#[derive(Debug)]
pub(super) struct Users {
    kind: SessionKind,
    pool: Vec<User>,
    /// The share of requests that are the first of somebody.
    new: f64,
    splitter: Splitter,
    next_key: u64,
}

#[derive(Debug)]
struct User {
    key: u64,
    /// Version and epoch of the cookie.
    token: Option<(VersionName, Epoch)>,
}

/// Who sends the next request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sender {
    pub(super) at: usize,
    pub(super) key: u64,
    pub(super) first_contact: bool,
}

impl Users {
    /// `count` of them are there already, with sessions on `stable`.
    pub(super) fn new(
        kind: SessionKind,
        count: usize,
        new: f64,
        stable: &VersionName,
        dice: &mut Dice,
    ) -> Self {
        let mut users = Self {
            kind,
            pool: Vec::with_capacity(count.max(1)),
            new,
            splitter: Splitter::new(dice.draw()),
            next_key: 1,
        };
        for _ in 0..count.max(1) {
            let key = users.draw_key();
            users.pool.push(User { key, token: Some((stable.clone(), Epoch::default())) });
        }
        users
    }

    /// Keys count up: a hash spreads them, and equal ones cannot be drawn.
    fn draw_key(&mut self) -> u64 {
        self.next_key += 1;
        self.next_key
    }

    /// As many leave as come, so that there are always as many.
    pub(super) fn next(&mut self, heavy: Option<HeavyUsers>, dice: &mut Dice) -> Sender {
        let all = self.pool.len();
        let among = match heavy.filter(|heavy| dice.chance(heavy.of)) {
            Some(heavy) => ((all as f64 * heavy.share).ceil() as usize).clamp(1, all),
            None => all,
        };
        let at = dice.below(among);
        let first_contact = dice.chance(self.new);
        if first_contact {
            let key = self.draw_key();
            self.pool[at] = User { key, token: None };
        }
        Sender { at, key: self.pool[at].key, first_contact }
    }

    /// Somebody asks again, unless he has left.
    pub(super) fn again(&self, at: usize, key: u64) -> Option<Sender> {
        let stays = self.pool.get(at).is_some_and(|user| user.key == key);
        stays.then_some(Sender { at, key, first_contact: false })
    }

    pub(super) fn choose(
        &mut self,
        sender: Sender,
        split: &Split,
        slots: &Slots,
        dice: &mut Dice,
    ) -> Choice {
        let user = &mut self.pool[sender.at];
        let client = match self.kind {
            SessionKind::None => {
                let random = (dice.draw() >> 32) as u32;
                Client::Unkeyed { splitter: &mut self.splitter, slots, random }
            }
            SessionKind::Keyed => Client::Keyed { key: user.key },
            SessionKind::Cookie => Client::Cookie(match &user.token {
                Some((version, epoch)) => {
                    Session::Token(Token { version, epoch: *epoch, key: user.key })
                }
                None => Session::New { key: user.key },
            }),
        };
        let choice = choose(split, client);
        if let Some(epoch) = choice.remember {
            let part = split.weights.parts().get(usize::from(choice.part));
            user.token = part.map(|(version, _)| (version.clone(), epoch));
        }
        choice
    }
}
