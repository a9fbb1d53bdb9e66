//! Which connections the admin address keeps when there are more of them than it has places.
//!
//! A newcomer always finds a place: of what is open, a connection that has not asked anything is
//! closed for it, the oldest first, and one of the same address when that address has its share. What
//! is being answered is never closed; so that this cannot fill all places, some are kept for probes
//! and for those who have just come. Time and sockets are not known here: ages are an order.

use super::auth::Peer;
use super::limits;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The bounds of one listener.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Open connections, over all addresses.
    pub(crate) open: usize,
    /// Open connections from one address.
    pub(crate) open_per_address: usize,
    /// Connections that are being answered, probes aside: the others stay for newcomers.
    pub(crate) answering: usize,
    pub(crate) streams: usize,
    pub(crate) streams_per_address: usize,
}

/// Whom connections are counted against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Network(IpAddr),
    User(Option<u32>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Doing {
    /// Has not sent a whole request head yet.
    Silent,
    /// Between two requests, or taking its answer.
    Idle,
    Answering,
    Streaming,
}

/// Why there was no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    Address,
    Everywhere,
}

#[derive(Debug)]
struct Place<T> {
    from: From,
    doing: Doing,
    /// Rises with everything that happens: the smaller, the longer ago.
    since: u64,
    held: T,
}

/// Connections by number. `T` ends a connection when it is dropped.
#[derive(Debug)]
pub(crate) struct Places<T> {
    bounds: Bounds,
    open: BTreeMap<u64, Place<T>>,
    moments: u64,
}

impl<T> Places<T> {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, open: BTreeMap::new(), moments: 0 }
    }

    /// Takes a connection in, and gives out what had to go for it.
    pub(crate) fn admit(&mut self, peer: Peer, held: T) -> (Result<u64, Full>, Option<(Doing, T)>) {
        let from = of(peer);
        let own = self.open.values().filter(|place| place.from == from).count();
        let (full, only) = match () {
            () if own >= self.bounds.open_per_address => (Some(Full::Address), Some(from)),
            () if self.open.len() >= self.bounds.open => (Some(Full::Everywhere), None),
            () => (None, None),
        };
        let gone = full.and_then(|_| self.least(only)).and_then(|id| self.open.remove(&id));
        let gone = gone.map(|place| (place.doing, place.held));
        if let (Some(full), None) = (full, &gone) {
            return (Err(full), None);
        }
        self.moments += 1;
        let place = Place { from, doing: Doing::Silent, since: self.moments, held };
        self.open.insert(self.moments, place);
        (Ok(self.moments), gone)
    }

    /// The connection that is missed least.
    fn least(&self, only: Option<From>) -> Option<u64> {
        let open = self.open.iter().filter(|(_, place)| match place.doing {
            Doing::Silent | Doing::Idle => only.is_none_or(|from| from == place.from),
            Doing::Answering | Doing::Streaming => false,
        });
        open.min_by_key(|(_, place)| (place.doing, place.since)).map(|(id, _)| *id)
    }

    /// A request is here. Says whether it may be answered now.
    pub(crate) fn answer(&mut self, id: u64, probe: bool) -> Result<(), Full> {
        let busy = self.open.values().filter(|place| match place.doing {
            Doing::Answering | Doing::Streaming => true,
            Doing::Silent | Doing::Idle => false,
        });
        if !probe && busy.count() >= self.bounds.answering {
            self.now(id, Doing::Idle);
            return Err(Full::Everywhere);
        }
        self.now(id, Doing::Answering);
        Ok(())
    }

    /// Its answer goes on for as long as the client likes.
    pub(crate) fn stream(&mut self, id: u64) -> Result<(), Full> {
        let from = self.open.get(&id).map(|place| place.from);
        let streams = || self.open.values().filter(|place| place.doing == Doing::Streaming);
        if streams().count() >= self.bounds.streams {
            return Err(Full::Everywhere);
        }
        let own = streams().filter(|place| Some(place.from) == from).count();
        if own >= self.bounds.streams_per_address {
            return Err(Full::Address);
        }
        self.now(id, Doing::Streaming);
        Ok(())
    }

    /// What it was doing is over; something else may have begun meanwhile.
    pub(crate) fn ended(&mut self, id: u64, what: Doing) {
        if self.open.get(&id).is_some_and(|place| place.doing == what) {
            self.now(id, Doing::Idle);
        }
    }

    pub(crate) fn leave(&mut self, id: u64) {
        self.open.remove(&id);
    }

    fn now(&mut self, id: u64, doing: Doing) {
        self.moments += 1;
        if let Some(place) = self.open.get_mut(&id) {
            (place.doing, place.since) = (doing, self.moments);
        }
    }
}

fn of(peer: Peer) -> From {
    match peer {
        Peer::Tcp { remote, .. } => From::Network(limits::network(remote.ip())),
        Peer::Unix { uid } => From::User(uid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds =
        Bounds { open: 6, open_per_address: 3, answering: 4, streams: 3, streams_per_address: 2 };

    fn from(last: u8) -> Peer {
        let address = std::net::SocketAddr::from(([10, 0, 0, last], 1));
        Peer::Tcp { remote: address, local: address }
    }

    fn places() -> Places<()> {
        Places::new(BOUNDS)
    }

    fn open(places: &mut Places<()>, last: u8) -> u64 {
        places.admit(from(last), ()).0.unwrap()
    }

    #[test]
    fn an_address_that_has_its_share_loses_its_oldest_silent_connection() {
        let mut places = places();
        let first: Vec<u64> = (0..3).map(|_| open(&mut places, 1)).collect();
        let other = open(&mut places, 2);
        places.answer(first[0], false).unwrap();
        open(&mut places, 1);
        assert!(!places.open.contains_key(&first[1]), "the oldest that is silent");
        assert!(places.open.contains_key(&first[0]) && places.open.contains_key(&other));
    }

    #[test]
    fn the_silent_go_before_those_that_have_asked() {
        let mut places = places();
        let asked = open(&mut places, 1);
        places.answer(asked, false).unwrap();
        places.ended(asked, Doing::Answering);
        let silent: Vec<u64> = (2..7).map(|last| open(&mut places, last)).collect();
        open(&mut places, 7);
        assert!(!places.open.contains_key(&silent[0]));
        assert!(places.open.contains_key(&asked));
    }

    #[test]
    fn an_address_that_is_answered_everywhere_gets_no_more() {
        let mut places = places();
        for _ in 0..3 {
            let id = open(&mut places, 1);
            places.answer(id, false).unwrap();
        }
        assert_eq!(places.admit(from(1), ()).0, Err(Full::Address));
        open(&mut places, 2);
    }

    #[test]
    fn a_newcomer_and_a_probe_are_served_when_all_that_may_be_answered_are() {
        let mut places = places();
        for last in 0..4 {
            let id = open(&mut places, last);
            places.answer(id, false).unwrap();
        }
        let late = open(&mut places, 9);
        assert_eq!(places.answer(late, false), Err(Full::Everywhere));
        assert_eq!(places.answer(late, true), Ok(()));
    }

    #[test]
    fn streams_are_bounded_by_address_and_altogether() {
        let mut places = places();
        let one: Vec<u64> = (0..3).map(|_| open(&mut places, 1)).collect();
        let streamed: Vec<_> = one.iter().map(|id| places.stream(*id)).collect();
        assert_eq!(streamed, [Ok(()), Ok(()), Err(Full::Address)]);
        let two: Vec<u64> = (0..2).map(|_| open(&mut places, 2)).collect();
        assert_eq!(places.stream(two[0]), Ok(()));
        assert_eq!(places.stream(two[1]), Err(Full::Everywhere));
        places.leave(one[0]);
        assert_eq!(places.stream(two[1]), Ok(()));
    }
}
