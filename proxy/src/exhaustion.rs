//! What this process itself runs out of: descriptors, memory, local ports.
//!
//! Such a failure says nothing about the endpoint that was to be reached, nor about its version, so
//! neither health checks nor ejection nor verdicts count it. And the descriptors that are left are
//! shared out, so that idle clients cannot take those that backends need, nor backends those of
//! health checks, the admin API and the journal.
//!
//! Whose a descriptor may be is told by its number. The kernel always gives the lowest number that
//! is free, so a number at or above a bound means that everything below it is in use; and as
//! whoever may not have it gives it back, the numbers above the bound stay free for those who may.
//! That needs no count, and no lock.

use crate::clock;
use std::io;
use std::os::fd::RawFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// The bounds, as numbers of descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Descriptors {
    pub(crate) all: u64,
    /// Clients' connections stay below it.
    clients: u64,
    /// Connections to endpoints stay below it.
    endpoints: u64,
}

/// Kept from clients and endpoints: an eighth, within these.
const OWN: (u64, u64) = (8, 1024);
/// Kept from clients for endpoints: this part of all.
const FOR_ENDPOINTS: u64 = 4;

impl Descriptors {
    fn of(all: u64) -> Self {
        let endpoints = all.saturating_sub((all / 8).clamp(OWN.0, OWN.1));
        Self { all, clients: endpoints.saturating_sub(all / FOR_ENDPOINTS), endpoints }
    }

    /// The limit is asked for once; it is raised before.
    pub(crate) fn of_this_process() -> &'static Self {
        static ALL: OnceLock<Descriptors> = OnceLock::new();
        ALL.get_or_init(|| {
            let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
            Self::of(limit.unwrap_or(u64::MAX))
        })
    }

    /// So many connections a listener can have at most.
    pub(crate) fn most_clients(&self) -> u64 {
        self.clients
    }

    pub(crate) fn may_be_a_clients(&self, descriptor: RawFd) -> bool {
        is_below(descriptor, self.clients)
    }

    pub(crate) fn may_be_an_endpoints(&self, descriptor: RawFd) -> bool {
        is_below(descriptor, self.endpoints)
    }
}

fn is_below(descriptor: RawFd, bound: u64) -> bool {
    u64::try_from(descriptor).is_ok_and(|number| number < bound)
}

/// What there was none of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lack {
    Descriptors,
    Memory,
    Ports,
}

impl Lack {
    pub(crate) const ALL: [Self; 3] = [Self::Descriptors, Self::Memory, Self::Ports];

    /// `None` for every failure that is not this process's own.
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        const ENOMEM: i32 = 12;
        const ENFILE: i32 = 23;
        const EMFILE: i32 = 24;
        const EADDRNOTAVAIL: i32 = 99;
        const ENOBUFS: i32 = 105;
        match error.raw_os_error()? {
            EMFILE | ENFILE => Some(Self::Descriptors),
            ENOMEM | ENOBUFS => Some(Self::Memory),
            EADDRNOTAVAIL => Some(Self::Ports),
            _ => None,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Descriptors => "descriptors",
            Self::Memory => "memory",
            Self::Ports => "ports",
        }
    }

    /// Connections to endpoints that were not made for the lack of it.
    pub(crate) fn count(self) -> u64 {
        self.counted().0.load(Relaxed)
    }

    /// Counts it, and says so in the log once a second.
    pub(crate) fn tell(self) {
        let (count, said) = self.counted();
        count.fetch_add(1, Relaxed);
        let second = clock::micros(Instant::now()) / 1_000_000 + 1;
        if said.swap(second, Relaxed) != second {
            let lack = self.as_str();
            tracing::error!(
                lack,
                "this process has run out of {lack}, and cannot connect to endpoints; that is held against none of them"
            );
        }
    }

    fn counted(self) -> &'static (AtomicU64, AtomicU64) {
        static COUNTS: [(AtomicU64, AtomicU64); 3] =
            [const { (AtomicU64::new(0), AtomicU64::new(0)) }; 3];
        match self {
            Self::Descriptors => &COUNTS[0],
            Self::Memory => &COUNTS[1],
            Self::Ports => &COUNTS[2],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_leave_room_for_endpoints_and_both_for_the_process_itself() {
        for all in [64, 80, 256, 1_024, 20_000, 1_048_576, u64::MAX] {
            let Descriptors { clients, endpoints, .. } = Descriptors::of(all);
            assert!(clients < endpoints && endpoints < all, "{all}: {clients} {endpoints}");
            assert!(clients >= all / 2, "{all}: most are for clients");
        }
        let few = Descriptors::of(1_024);
        assert!(few.may_be_a_clients(0) && few.may_be_a_clients(639) && !few.may_be_a_clients(640));
        assert!(few.may_be_an_endpoints(895) && !few.may_be_an_endpoints(896));
    }

    #[test]
    fn only_what_is_this_processs_own_doing_is_a_lack() {
        let of = |code| Lack::of(&io::Error::from_raw_os_error(code));
        assert_eq!(of(24), Some(Lack::Descriptors));
        assert_eq!(of(12), Some(Lack::Memory));
        assert_eq!(of(99), Some(Lack::Ports));
        assert_eq!(of(111), None, "refused");
        assert_eq!(of(113), None, "no route");
    }
}
