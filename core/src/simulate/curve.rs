//! A quantity over the time of a scenario: a beginning, and what changes it.

use std::time::Duration;

#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    base: f64,
    /// In the order of their beginnings.
    changes: Vec<Change>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    pub at: Duration,
    pub to: f64,
    /// Zero: at once; otherwise a straight line.
    pub over: Duration,
    /// Afterwards it is as if it had never been.
    pub until: Option<Duration>,
}

impl Curve {
    pub fn constant(base: f64) -> Self {
        Self { base, changes: Vec::new() }
    }

    /// Changes may be added in any order; of two at the same time the later added wins.
    pub fn change(&mut self, change: Change) {
        self.changes.push(change);
        self.changes.sort_by_key(|change| change.at);
    }

    pub fn at(&self, time: Duration) -> f64 {
        let mut value = self.base;
        for change in self.changes.iter().take_while(|change| change.at <= time) {
            if change.until.is_some_and(|until| time >= until) {
                continue;
            }
            let passed = time.saturating_sub(change.at).as_secs_f64();
            let done = if change.over.is_zero() {
                1.0
            } else {
                (passed / change.over.as_secs_f64()).min(1.0)
            };
            value += (change.to - value) * done;
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_rises_in_a_line_and_forgets_what_was_for_a_while() {
        let minutes = |m: u32| Duration::from_secs(60 * u64::from(m));
        let mut curve = Curve::constant(1.0);
        curve.change(Change { at: minutes(10), to: 3.0, over: minutes(10), until: None });
        curve.change(Change {
            at: minutes(30),
            to: 100.0,
            over: Duration::ZERO,
            until: Some(minutes(31)),
        });
        assert_eq!(curve.at(minutes(5)), 1.0);
        assert_eq!(curve.at(minutes(15)), 2.0);
        assert_eq!(curve.at(minutes(30)), 100.0);
        assert_eq!(curve.at(minutes(31)), 3.0);
    }
}
