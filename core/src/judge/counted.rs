//! Which of the candidate's failures count as evidence.
//!
//! One user, one failure in five minutes: who retries what fails says the same again. And no client network
//! counts for more than its part of the traffic explains (`networks.rs`): what a few strangers ask for would
//! otherwise stay in the tests long after they have gone. A failure that does not count is neither good nor
//! bad. It may count later, when others fail as well.
//!
//! Of failures that the data plane says no more of than that they were, each counts.

use super::gained::Gain;
use super::networks::{Networks, count, failed_on_stable};
use crate::measure::{FAILURES_KEPT, FailedRequest, Network, Part, Sources};
use crate::time::Mono;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// A user's or a network's failures of so long are one, or as many as its part of the traffic explains.
const WINDOW: Duration = Duration::from_secs(300);
/// Failures that are remembered; of more, the oldest are forgotten.
const REMEMBERED: usize = 2 * FAILURES_KEPT;
/// What does not count within so long never does: later, stable has gone on to something else.
const CONCURRENT: Duration = Duration::from_secs(1);
/// Failures of one network that may come to count later; what more there are of them are repeated.
const WAITING: usize = 32;
/// Each network's part is looked at again when the others' have grown by it, but not for ever.
const ROUNDS: usize = 4;
/// As long as nobody is known to be answered well, so many failures count once for each network.
pub(super) const AT_FIRST: usize = 16;

/// Failures of the candidate: all, and those that were the first of their user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Failures {
    all: u64,
    first: u64,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Counted {
    /// Oldest first, without those that a user repeats.
    lately: VecDeque<Failure>,
    /// The moment of the newest failure that was read, and how many of that moment were.
    read: Option<(Mono, usize)>,
    /// By the counters; by the sample; and those that count.
    counters: Failures,
    sampled: u64,
    counted: Failures,
    /// Repeated within the window by a user, or by a network where users are not known.
    repeated: u64,
}

#[derive(Debug, Clone, Copy)]
struct Failure {
    at: Mono,
    network: Network,
    user: Option<u64>,
    first: bool,
    counts: bool,
}

impl Counted {
    /// What the counters gained, with those failures that count from now on. `news` is what is known of where
    /// failures came from, when that has changed.
    pub(super) fn add(&mut self, gained: Gain, news: Option<&Sources>, per_stable: f64) -> Gain {
        self.counters.all += gained.all.bad;
        self.counters.first += gained.first.bad;
        let mut more = Failures::default();
        if let Some(sources) = news {
            self.read_new(sources);
            more = self.release(sources, per_stable);
        }
        let unknown = self.counters.all.saturating_sub(self.sampled);
        self.sampled += unknown;
        more.all += unknown;
        more.first += unknown.min(gained.first.bad);
        more.all = more.all.min(self.counters.all - self.counted.all);
        more.first = more.first.min(more.all).min(self.counters.first - self.counted.first);
        self.counted.all += more.all;
        self.counted.first += more.first;
        more.instead_of(gained)
    }

    /// What is there at the first look is not this rollout's.
    pub(super) fn begin(&mut self, sources: Option<&Sources>) {
        let newest = sources.and_then(|sources| sources.failed.first());
        let of_then = |at: Mono| sources.map_or(0, |s| moment(&s.failed, at));
        self.read = Some(newest.map_or((Mono(0), 0), |newest| (newest.at, of_then(newest.at))));
    }

    /// Failures that are no harm of their own.
    pub(super) fn repeated(&self) -> u64 {
        let unknown = |failure: &&Failure| failure.user.is_none() && !failure.counts;
        self.repeated + self.lately.iter().filter(unknown).count() as u64
    }

    fn read_new(&mut self, sources: &Sources) {
        let (read, of_then) = self.read.unwrap_or((Mono(0), 0));
        let new = sources.failed.iter().take_while(|failure| failure.at > read).count();
        let late = moment(&sources.failed[new..], read).saturating_sub(of_then);
        let Some(newest) = sources.failed[..new + late].first() else { return };
        self.sampled += (new + late) as u64;
        for failed in sources.failed[..new + late].iter().rev() {
            self.note(failed);
        }
        self.read = Some((newest.at, moment(&sources.failed, newest.at)));
        while self.lately.front().is_some_and(|oldest| newest.at.since(oldest.at) > WINDOW)
            || self.lately.len() > REMEMBERED
        {
            let gone = self.lately.pop_front();
            self.repeated += u64::from(gone.is_some_and(|f| f.user.is_none() && !f.counts));
        }
    }

    fn note(&mut self, failed: &FailedRequest) {
        let FailedRequest { at, network, user, .. } = *failed;
        let before = self.lately.iter().rev().find(|f| user.is_some() && f.user == user);
        let again = before.is_some_and(|before| at.since(before.at) <= WINDOW);
        let waiting = self.lately.iter().filter(|f| f.network == network && !f.counts).count();
        if again || waiting >= WAITING {
            self.repeated += 1;
            return;
        }
        let first = before.is_none();
        self.lately.push_back(Failure { at, network, user, first, counts: false });
    }

    /// As many of each network as may count, the oldest first, and soon: an outage that both share would otherwise
    /// speak against the candidate when it is over.
    fn release(&mut self, sources: &Sources, per_stable: f64) -> Failures {
        let mut more = Failures::default();
        let waits = self.lately.iter().any(|failure| !failure.counts);
        let Some((oldest, newest)) = self.lately.front().zip(self.lately.back()) else {
            return more;
        };
        if !waits {
            return more;
        }
        let on_stable = failed_on_stable(&sources.failed_on_stable, oldest.at, newest.at);
        let networks = Networks::new(sources.served.iter().copied(), on_stable, per_stable);
        let (newest, known) = (newest.at, networks.are_known());
        let late = |failure: &Failure| known && newest.since(failure.at) > CONCURRENT;
        for _ in 0..ROUNDS {
            let before = more.all;
            let mut may = self.allowances(&networks);
            for failure in &mut self.lately {
                let Some(left) = may.get_mut(&failure.network).filter(|left| **left > 0) else {
                    continue;
                };
                if !failure.counts && late(failure) {
                    continue;
                }
                *left -= 1;
                if !failure.counts {
                    failure.counts = true;
                    more.all += 1;
                    more.first += u64::from(failure.first);
                }
            }
            if more.all == before {
                break;
            }
        }
        more
    }

    /// For how many of its failures each network may count: by those of others that count, so that one cannot
    /// make room for another.
    fn allowances(&self, networks: &Networks) -> BTreeMap<Network, u64> {
        let by_network = count(self.lately.iter().map(|failure| failure.network));
        let counting = count(self.lately.iter().filter(|f| f.counts).map(|f| f.network));
        let all = self.lately.len();
        let all_counting: u64 = counting.values().sum();
        let counted = |(network, failures): (Network, u64)| {
            let failures_here = failures as f64;
            let may = match networks.are_known() {
                true => {
                    let others = all_counting - counting.get(&network).copied().unwrap_or(0);
                    let explained = networks.explained(network, others as f64);
                    explained.min(failures_here - networks.elsewhere(network))
                }
                // In its first seconds anybody may be the only one who fails. Not for long: who fails
                // everything is never known to answer anybody well.
                false if all < AT_FIRST => 1.0,
                false => failures_here,
            };
            (network, (may.max(0.0) + 1e-6) as u64)
        };
        by_network.into_iter().map(counted).collect()
    }
}

impl Failures {
    fn instead_of(self, gained: Gain) -> Gain {
        let Self { all, first } = self;
        let of = gained.all.of.saturating_sub(gained.all.bad) + all;
        let own = gained.own;
        Gain {
            all: Part { bad: all, of },
            first: Part { bad: first, of },
            own: Part {
                bad: (own.bad + all).saturating_sub(gained.all.bad),
                of: (own.of + all).saturating_sub(gained.all.bad),
            },
            ..gained
        }
    }
}

/// How many of one moment there are, in a list that is newest first.
fn moment(failed: &[FailedRequest], at: Mono) -> usize {
    failed.iter().take_while(|failure| failure.at >= at).filter(|failure| failure.at == at).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::{IpAddr, Ipv4Addr};

    const SECOND: u64 = 1_000;

    fn network(n: u32) -> Network {
        Network::of(IpAddr::V4(Ipv4Addr::from(n << 8)))
    }

    /// A candidate of which failures are told one by one.
    #[derive(Default)]
    struct Told {
        counted: Counted,
        sources: Sources,
        sum: Part,
    }

    impl Told {
        /// Forty networks that are answered well.
        fn among_everybody() -> Self {
            let served = (0..400).map(|n| network(1_000 + n % 40)).collect();
            Self { sources: Sources { served, ..Sources::default() }, ..Self::default() }
        }

        fn fails(&mut self, at: u64, from: u32, user: Option<u64>) {
            let (route, method, endpoint) = (None, "GET", None);
            let failed = FailedRequest {
                at: Mono(at),
                network: network(from),
                user,
                route,
                method,
                endpoint,
            };
            self.sources.failed.insert(0, failed);
            self.sources.failed.truncate(FAILURES_KEPT);
            let one = Part { bad: 1, of: 1 };
            let gained = Gain { all: one, first: one, own: one, ..Gain::default() };
            self.sum = self.sum.plus(self.counted.add(gained, Some(&self.sources), 0.1).all);
        }
    }

    #[test]
    fn a_users_failures_of_five_minutes_are_one() {
        let mut told = Told::among_everybody();
        (0..250).for_each(|second| told.fails(second * SECOND, 1_001, Some(7)));
        assert_eq!((told.sum, told.counted.repeated()), (Part { bad: 1, of: 1 }, 249));
        told.fails(302 * SECOND, 1_001, Some(7));
        assert_eq!(told.sum.bad, 2);
    }

    #[test]
    fn where_users_are_not_known_a_network_is_one() {
        let mut told = Told::among_everybody();
        (0..200).for_each(|second| told.fails(second * SECOND, 7, None));
        assert_eq!((told.sum.bad, told.counted.repeated()), (1, 199));
    }

    #[test]
    fn no_flood_makes_room_for_itself_or_for_another_network() {
        let mut told = Told::among_everybody();
        for second in 0..1_000 {
            told.fails(second * 200, 7, Some(second));
            told.fails(second * 200, 8, Some(10_000 + second));
        }
        assert!(told.sum.bad <= 4, "{:?}", told.sum);
    }

    #[test]
    fn what_everybody_meets_counts_and_lets_the_busy_count_for_their_part() {
        let mut told = Told::among_everybody();
        told.sources.served.extend(vec![network(7); 400]);
        (0..10).for_each(|n| told.fails(n * SECOND, 7, Some(n)));
        assert!(told.sum.bad <= 2, "alone: {:?}", told.sum);
        let before = told.sum.bad;
        (0..10).for_each(|n| {
            told.fails((10 + n) * SECOND, 1_000 + n as u32, Some(100 + n));
            told.fails((10 + n) * SECOND + 1, 7, Some(200 + n));
        });
        assert!(told.sum.bad - before >= 18, "half of the failures: {:?}", told.sum);
    }

    #[test]
    fn what_did_not_count_at_its_time_never_does() {
        let mut told = Told::among_everybody();
        (0..20).for_each(|n| told.fails(n * 10, 1_007, Some(n)));
        assert_eq!(told.sum.bad, 1);
        (0..40).for_each(|n| told.fails(60 * SECOND + n * 10, 1_000 + n as u32, Some(100 + n)));
        assert!(told.sum.bad <= 42, "{:?}", told.sum);
    }

    #[test]
    fn behind_one_balancer_everything_counts() {
        let mut told = Told::default();
        (0..15).for_each(|n| told.fails(n * 10, 1, None));
        assert_eq!(told.sum.bad, 1, "nothing is known yet");
        told.fails(200, 1, None);
        assert_eq!(told.sum.bad, 16, "and it is time to count them all");
    }

    #[test]
    fn what_nobody_tells_more_of_counts() {
        let mut counted = Counted::default();
        let gained = Part { bad: 9, of: 20 };
        let gain = Gain { all: gained, first: gained, own: gained, ..Gain::default() };
        assert_eq!(counted.add(gain, None, 0.1).all, gained);
    }
}
