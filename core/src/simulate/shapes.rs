//! Shapes that real failures have: storms that come and go, and nights that differ from mornings. They are drawn
//! from the seed and added to what versions are said to do.

use super::curve::Change;
use super::dice::Dice;
use super::traffic::{Behaviour, Traffic};
use std::time::Duration;

const A_DAY: f64 = 86_400.0;
/// In so many straight pieces a day swings.
const PIECES: u32 = 48;

/// Times in which many requests fail, on every version.
#[derive(Debug, Clone, PartialEq)]
pub struct Storms {
    pub per_day: f64,
    /// The share of requests that fail in one.
    pub errors: f64,
    /// From so long to so long.
    pub lasts: (Duration, Duration),
    /// By so much one version is reached before the others; which one, chance decides each time.
    pub shift: Duration,
}

/// Failures, and traffic with them, rise and fall over a day.
#[derive(Debug, Clone, PartialEq)]
pub struct Swing {
    /// At the height so many times as many as at the bottom.
    pub errors: f64,
    pub traffic: f64,
    pub over: Duration,
}

pub(super) fn draw_storms(
    storms: &Storms,
    behaviours: &mut [Behaviour],
    length: Duration,
    dice: &mut Dice,
) {
    let (least, most) = storms.lasts;
    let mut at = 0.0;
    while storms.per_day > 0.0 && !behaviours.is_empty() {
        at += dice.wait(storms.per_day / A_DAY);
        let from = Duration::from_secs_f64(at.min(1e9));
        if from > length {
            return;
        }
        let lasts = least + most.saturating_sub(least).mul_f64(dice.unit());
        let first = dice.below(behaviours.len());
        for (which, behaviour) in behaviours.iter_mut().enumerate() {
            let at = if which == first { from } else { from + storms.shift };
            let (to, over, until) = (storms.errors, Duration::ZERO, Some(at + lasts));
            behaviour.errors.change(Change { at, to, over, until });
        }
    }
}

/// Where in its turn the day begins, chance decides.
pub(super) fn draw_swing(
    swing: &Swing,
    (traffic, behaviours): (&mut Traffic, &mut [Behaviour]),
    length: Duration,
    dice: &mut Dice,
) {
    let piece = swing.over / PIECES;
    if piece.is_zero() {
        return;
    }
    let phase = dice.unit();
    let usual: Vec<f64> = behaviours.iter().map(|b| b.errors.at(Duration::ZERO)).collect();
    let rate = traffic.requests_per_second.at(Duration::ZERO);
    let mut number = 0;
    while piece * number <= length {
        let turn = f64::from(number) / f64::from(PIECES) + phase;
        let height = (std::f64::consts::TAU * turn).sin() / 2.0;
        let (at, over) = (piece * number, if number == 0 { Duration::ZERO } else { piece });
        let change = |to| Change { at, to, over, until: None };
        for (behaviour, usual) in behaviours.iter_mut().zip(&usual) {
            behaviour.errors.change(change(usual * swing.errors.max(1.0).powf(height)));
        }
        let times = swing.traffic.max(1.0).powf(height);
        traffic.requests_per_second.change(change(rate * times));
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::VersionName;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn two() -> Vec<Behaviour> {
        ["a", "b"]
            .into_iter()
            .filter_map(|name| Some(Behaviour::healthy(VersionName::new(name).ok()?)))
            .collect()
    }

    #[test]
    fn a_shifted_storm_reaches_each_version_for_as_long() {
        let mut versions = two();
        let lasts = (Duration::from_secs(30), Duration::from_secs(30));
        let storms = Storms { per_day: 24.0, errors: 0.2, lasts, shift: Duration::from_secs(3) };
        draw_storms(&storms, &mut versions, HOUR * 100, &mut Dice::new(7));
        let (mut alone, mut both) = (0, 0);
        for second in 0..360_000 {
            let at = Duration::from_secs(second);
            let stormy: Vec<bool> = versions.iter().map(|v| v.errors.at(at) > 0.1).collect();
            alone += u32::from(stormy[0] != stormy[1]);
            both += u32::from(stormy[0] && stormy[1]);
        }
        let storms = f64::from(both) / 27.0;
        assert!((70.0..130.0).contains(&storms), "{storms} in a hundred hours");
        assert!((f64::from(alone) / storms / 6.0 - 1.0).abs() < 0.2, "{alone} seconds alone");
    }

    #[test]
    fn a_swing_is_as_high_as_it_says() {
        let mut versions = two();
        let mut traffic = Traffic::usual(100.0);
        let swing = Swing { errors: 5.0, traffic: 3.0, over: HOUR * 24 };
        draw_swing(&swing, (&mut traffic, &mut versions), HOUR * 24, &mut Dice::new(3));
        let all: Vec<f64> = (0..24).map(|h| versions[0].errors.at(HOUR * h)).collect();
        let (low, high) = all.iter().fold((1.0_f64, 0.0_f64), |(l, h), e| (l.min(*e), h.max(*e)));
        assert!((4.0..=5.0).contains(&(high / low)), "{low} to {high}");
    }
}
