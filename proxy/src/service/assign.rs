//! The version of one request.
//!
//! `core` chooses by split and session; this adds what only the data plane knows: who asks,
//! whether the tripwire is up, and whether the harm budget has room. Whoever is turned away from the
//! candidate goes to stable, takes no part in the comparison, and gets no cookie that would
//! remember it.

use super::Service;
use super::harm::Reservation;
use super::publication::{Prepared, Publication};
use crate::meter::Counting;
use crate::route::Fields;
use crate::session::Known;
use crate::thread::ThreadId;
use crate::upstream::VersionRuntime;
use serin_core::assign::{Choice, Client, Session, Token, choose};
use serin_core::ids::Epoch;
use serin_core::measure::Population;
use serin_core::outcome::Outcome;
use serin_core::time::Wall;
use std::net::IpAddr;
use std::sync::Arc;

/// What a request says about who sent it.
#[derive(Clone, Copy)]
pub struct Who<'a> {
    pub headers: &'a dyn Fields,
    pub client_ip: IpAddr,
    /// The client speaks TLS, so a cookie may insist on it.
    pub secure: bool,
    /// Only asked by sessions with cookies.
    pub wall: &'a dyn Fn() -> Wall,
}

impl std::fmt::Debug for Who<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.client_ip)
    }
}

#[derive(Debug)]
pub struct Assigned {
    pub version: Arc<VersionRuntime>,
    pub counting: Counting,
    /// Whose first failure counts.
    pub user: Option<u64>,
    /// A `Set-Cookie` for the answer.
    pub set_cookie: Option<http::HeaderValue>,
    pub because: Because,
    pub thread: ThreadId,
    pub epoch: Epoch,
    pub candidacy: Option<Candidacy>,
}

/// Why this version, as the access log says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Because {
    /// The split's next, or the user's bucket.
    Split,
    /// The user's token.
    Session,
    /// A route forced it.
    Cohort,
    /// The candidate's turn, held back after a run of failures.
    Tripwire,
    /// The candidate's turn, held back because the harm budget is used up.
    Harm,
    /// The version's turn, but the configuration no longer lists it.
    Unlisted,
}

impl Because {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Split => "split",
            Self::Session => "session",
            Self::Cohort => "cohort",
            Self::Tripwire => "tripwire",
            Self::Harm => "harm",
            Self::Unlisted => "unlisted",
        }
    }
}

/// A request's stake in the rollout whose candidate it tries.
#[derive(Debug)]
pub struct Candidacy {
    publication: Arc<Publication>,
    reservation: Reservation,
}

impl Candidacy {
    /// Whether stable answers in the candidate's stead, as it was when the request was assigned: a
    /// rollback in between must not leave those in flight to their failures.
    pub(crate) fn rescues(&self) -> bool {
        self.publication.split.rollout.as_ref().is_some_and(|rollout| rollout.rescue)
    }

    /// Waits until the rollout has been taken back.
    pub(crate) async fn withdrawn(&self) {
        match self.publication.harm() {
            Some(harm) => harm.withdrawn().await,
            None => std::future::pending().await,
        }
    }

    pub(crate) fn settle(&mut self, outcome: Outcome, user: Option<u64>) {
        match outcome {
            Outcome::Good => {
                self.reservation.release();
                self.publication.candidate_good();
            }
            Outcome::Bad => {
                self.reservation.spend(user);
                self.publication.candidate_bad();
            }
            Outcome::Excluded => self.reservation.release(),
        }
    }
}

impl Assigned {
    /// A configuration on trial answers it: whatever is wrong there is not the candidate's doing, nor
    /// does it belong into the baseline. Stable's share still counts towards the objective.
    pub(crate) fn leave_out(&mut self) {
        self.counting = match (self.candidacy.take(), self.counting) {
            (Some(_), _) | (None, Counting::Cohort) => Counting::Cohort,
            (None, Counting::Judged | Counting::Rest) => Counting::Rest,
        };
    }
}

impl Service {
    /// Chooses a version by split and session. `random` is 64 fresh bits.
    pub fn assign(&self, thread: ThreadId, who: &Who<'_>, random: u64) -> Assigned {
        let prepared = self.prepared.load();
        let known = self.sessions.read(who, random, &self.versions);
        let choice = self.choose(&prepared, &known, thread, random);
        let (version, listed) = prepared.part(choice.part);
        let candidate = prepared.split().candidate();
        let standing = match candidate.filter(|candidate| listed && **candidate == version.name) {
            _ if !listed => Err(Because::Unlisted),
            Some(_) => stand(&prepared).map(Some),
            None => Ok(None),
        };
        let epoch = prepared.split().rollout.as_ref().map_or(Epoch::default(), |r| r.epoch);
        let assigned = |version: &Arc<VersionRuntime>, counting, because| Assigned {
            version: Arc::clone(version),
            counting,
            user: choice.user,
            set_cookie: None,
            because,
            thread,
            epoch,
            candidacy: None,
        };
        match standing {
            Err(because) => assigned(prepared.stable(), Counting::Rest, because),
            Ok(candidacy) => Assigned {
                candidacy,
                set_cookie: self.sessions.cookie(&known, &choice, version, who),
                ..assigned(version, counting(choice.population), because(&known))
            },
        }
    }

    /// A request that its route forces to a version.
    pub fn force(&self, thread: ThreadId, version: &Arc<VersionRuntime>) -> Assigned {
        Assigned {
            version: Arc::clone(version),
            counting: Counting::Cohort,
            user: None,
            set_cookie: None,
            because: Because::Cohort,
            thread,
            epoch: Epoch::default(),
            candidacy: None,
        }
    }

    fn choose(
        &self,
        prepared: &Prepared,
        known: &Known<'_>,
        thread: ThreadId,
        random: u64,
    ) -> Choice {
        let split = prepared.split();
        let client = match *known {
            Known::Nobody => {
                let (slots, random) = (prepared.slots(), random as u32);
                return self.shared.with_splitter(thread, |splitter| {
                    choose(split, Client::Unkeyed { splitter, slots, random })
                });
            }
            Known::Keyed(key) => Client::Keyed { key },
            Known::First { key } => Client::Cookie(Session::New { key }),
            Known::Before { key } => Client::Cookie(Session::Known { key }),
            Known::Token { version, epoch, key, .. } => {
                Client::Cookie(Session::Token(Token { version, epoch, key }))
            }
        };
        choose(split, client)
    }
}

/// The two brakes, before a request tries the candidate.
fn stand(prepared: &Prepared) -> Result<Candidacy, Because> {
    let publication = prepared.publication();
    if publication.is_tripped() {
        return Err(Because::Tripwire);
    }
    let harm = publication.harm().ok_or(Because::Unlisted)?;
    let Some(reservation) = harm.admit() else {
        harm.tell(&publication.split.service);
        return Err(Because::Harm);
    };
    Ok(Candidacy { publication: Arc::clone(publication), reservation })
}

fn counting(population: Population) -> Counting {
    match population {
        Population::Judged => Counting::Judged,
        Population::Rest => Counting::Rest,
    }
}

fn because(known: &Known<'_>) -> Because {
    match known {
        Known::Token { .. } => Because::Session,
        Known::Nobody | Known::Keyed(_) | Known::First { .. } | Known::Before { .. } => {
            Because::Split
        }
    }
}
