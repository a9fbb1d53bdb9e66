//! When the health checks of a service are overruled.
//!
//! Checks that fail for most endpoints at once have a cause that the endpoints share: what they
//! depend on, the network between, the check itself. To serve nobody is then the worst answer, and
//! so is pressing everybody's requests onto the few that are left. While too few are ready, every
//! endpoint is tried as if it were healthy. Endpoints that failed requests stay ejected: that is
//! not the checks' doing. A service without checks is never overruled.

use super::group::Group;
use serin_core::time::Mono;

/// All endpoints of a service, of whatever version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct EndpointsState {
    pub(crate) total: u32,
    /// By themselves: healthy, and not ejected.
    pub(crate) ready: u32,
    /// Those that checks keep out.
    pub(crate) unhealthy: u32,
}

impl EndpointsState {
    #[must_use]
    pub(crate) fn and(self, group: &Group, now: Mono) -> Self {
        let (ready, total) = group.readiness(now);
        let unhealthy = group.members().iter().filter(|one| !one.is_healthy()).count() as u32;
        Self {
            total: self.total + total,
            ready: self.ready + ready,
            unhealthy: self.unhealthy + unhealthy,
        }
    }

    /// `below` is the share of endpoints under which checks are not believed.
    pub(crate) fn overrules(self, below: f64) -> bool {
        self.unhealthy > 0 && f64::from(self.ready) < below * f64::from(self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overrules(ready: u32, total: u32, unhealthy: u32) -> bool {
        EndpointsState { total, ready, unhealthy }.overrules(0.5)
    }

    #[test]
    fn checks_that_keep_out_more_than_half_are_overruled() {
        assert!(overrules(0, 3, 3));
        assert!(overrules(1, 3, 2));
        assert!(!overrules(2, 3, 1));
        assert!(!overrules(2, 4, 2), "a half is enough");
    }

    #[test]
    fn what_checks_are_no_reason_for_overrules_none() {
        assert!(!overrules(1, 3, 0), "two are ejected, or have no address");
        assert!(!overrules(0, 0, 0));
    }

    #[test]
    fn a_share_of_nothing_overrules_never() {
        assert!(!EndpointsState { total: 3, ready: 0, unhealthy: 3 }.overrules(0.0));
    }
}
