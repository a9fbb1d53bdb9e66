//! What a backend does to a request. Pure: the dice are arguments.

use std::time::Duration;

/// A share of the requests, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Share(pub f64);

#[derive(Debug, Clone, PartialEq)]
pub struct Behaviour {
    /// The median time to the answer.
    pub latency: Duration,
    /// The 99th percentile; the curve between is log-normal. Below the median: no spread.
    pub latency_p99: Duration,
    pub errors: Share,
    pub error_status: u16,
    /// Never answered.
    pub hangs: Share,
    /// The connection is reset instead of an answer.
    pub resets: Share,
    /// The body comes in pieces over this time.
    pub slow_body: Duration,
    pub body_bytes: usize,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            latency: Duration::ZERO,
            latency_p99: Duration::ZERO,
            errors: Share(0.0),
            error_status: 500,
            hangs: Share(0.0),
            resets: Share(0.0),
            slow_body: Duration::ZERO,
            body_bytes: 0,
        }
    }
}

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fate {
    Answer { after: Duration, status: u16 },
    Hang,
    Reset { after: Duration },
}

impl Behaviour {
    /// `fault` and `time` are in [0, 1).
    pub(super) fn fate(&self, fault: f64, time: f64) -> Fate {
        let after = self.latency_at(time);
        let resets = self.hangs.0 + self.resets.0;
        if fault < self.hangs.0 {
            Fate::Hang
        } else if fault < resets {
            Fate::Reset { after }
        } else if fault < resets + self.errors.0 {
            Fate::Answer { after, status: self.error_status }
        } else {
            Fate::Answer { after, status: 200 }
        }
    }

    fn latency_at(&self, dice: f64) -> Duration {
        if self.latency_p99 <= self.latency || self.latency.is_zero() {
            return self.latency;
        }
        let sigma = (self.latency_p99.as_secs_f64() / self.latency.as_secs_f64()).ln() / 2.326;
        let factor = (sigma * normal_quantile(dice)).exp();
        self.latency.mul_f64(factor.min(100.0))
    }
}

/// The standard normal distribution's quantile, by Acklam's rational approximation in the middle
/// and clamped in the tails: good to 1e-3, which is plenty for made latencies.
fn normal_quantile(p: f64) -> f64 {
    let p = p.clamp(1e-4, 1.0 - 1e-4);
    let t = |p: f64| {
        let t = (-2.0 * p.ln()).sqrt();
        t - (2.515_517 + 0.802_853 * t + 0.010_328 * t * t)
            / (1.0 + 1.432_788 * t + 0.189_269 * t * t + 0.001_308 * t * t * t)
    };
    if p < 0.5 { -t(p) } else { t(1.0 - p) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_take_their_shares_and_the_rest_is_answered() {
        let behaviour = Behaviour {
            errors: Share(0.2),
            hangs: Share(0.1),
            resets: Share(0.1),
            ..Behaviour::default()
        };
        let fate = |dice| behaviour.fate(dice, 0.5);
        assert_eq!(fate(0.05), Fate::Hang);
        assert_eq!(fate(0.15), Fate::Reset { after: Duration::ZERO });
        assert_eq!(fate(0.35), Fate::Answer { after: Duration::ZERO, status: 500 });
        assert_eq!(fate(0.45), Fate::Answer { after: Duration::ZERO, status: 200 });
    }

    #[test]
    fn the_latency_curve_goes_through_its_median_and_its_99th_percentile() {
        let behaviour = Behaviour {
            latency: Duration::from_millis(10),
            latency_p99: Duration::from_millis(80),
            ..Behaviour::default()
        };
        let at = |dice| behaviour.latency_at(dice).as_secs_f64() * 1e3;
        assert!((at(0.5) - 10.0).abs() < 0.1, "{}", at(0.5));
        assert!((at(0.99) - 80.0).abs() < 1.0, "{}", at(0.99));
        assert!(at(0.1) < 10.0);
    }
}
