//! Where requests come from, as the data plane notes it: the latest failures, and whom each version answers well.

use super::playing::Flying;
use crate::measure::{
    FAILURES_KEPT, FailedOnStable, FailedRequest, Network, SERVED_AT_FIRST, SERVED_EACH, Sources,
};
use crate::time::Mono;
use core::net::{IpAddr, Ipv4Addr};
use std::collections::VecDeque;
use std::sync::Arc;

const SERVED: usize = 512;
/// With so many of them noted what is known of the traffic is shown anew.
const NEWS: u32 = 64;
/// So many client networks there are.
const NETWORKS: u64 = 1_000;

#[derive(Debug, Default)]
pub(super) struct Origins {
    failed: VecDeque<FailedRequest>,
    failed_on_stable: VecDeque<FailedOnStable>,
    served: [Served; 2],
    /// Networks noted since it was shown.
    news: u32,
    shown: Option<Arc<Sources>>,
}

#[derive(Debug, Default)]
struct Served {
    good: u64,
    noted: u64,
    ring: VecDeque<Network>,
}

/// How a judged request ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    pub(super) at: Mono,
    pub(super) on_candidate: bool,
    /// Whether users can be told apart.
    pub(super) known: bool,
}

impl Origins {
    pub(super) fn note(&mut self, flying: &Flying, ended: Ended) {
        let Ended { at, on_candidate, known } = ended;
        let network = network_of(flying.user);
        if !flying.bad {
            self.news += u32::from(self.served[usize::from(on_candidate)].note(network));
            if self.news >= NEWS {
                self.shown = None;
            }
            return;
        }
        self.shown = None;
        if on_candidate {
            let user = known.then_some(flying.user);
            let (route, method, endpoint) = (None, "GET", None);
            self.failed.push_front(FailedRequest { at, network, user, route, method, endpoint });
            self.failed.truncate(FAILURES_KEPT);
        } else {
            self.failed_on_stable.push_front(FailedOnStable { at, network });
            self.failed_on_stable.truncate(FAILURES_KEPT);
        }
    }

    /// Another rollout, or another process.
    pub(super) fn begin(&mut self) {
        *self = Self::default();
    }

    pub(super) fn shown(&mut self) -> Arc<Sources> {
        let Self { failed, failed_on_stable, served, news, shown } = self;
        if shown.is_none() {
            *news = 0;
        }
        let sources = || {
            Arc::new(Sources {
                failed: failed.iter().cloned().collect(),
                failed_on_stable: failed_on_stable.iter().copied().collect(),
                served: served.iter().flat_map(|served| served.ring.iter().copied()).collect(),
            })
        };
        Arc::clone(shown.get_or_insert_with(sources))
    }
}

impl Served {
    fn note(&mut self, network: Network) -> bool {
        self.good += 1;
        let noted = self.noted < SERVED_AT_FIRST || self.good.is_multiple_of(SERVED_EACH);
        if noted {
            self.noted += 1;
            self.ring.push_back(network);
            if self.ring.len() > SERVED {
                self.ring.pop_front();
            }
        }
        noted
    }
}

/// A user stays where he is.
fn network_of(user: u64) -> Network {
    let number = user.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    Network::of(IpAddr::V4(Ipv4Addr::from(((number % NETWORKS) as u32 + 1) << 8)))
}
