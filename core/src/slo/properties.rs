//! What holds for the objectives over every course of traffic.

use super::*;
use crate::ids::VersionName;
use crate::measure::{
    Histogram, ServiceCounts, ServiceLatencies, Tally, VersionCounts, VersionLatencies,
};
use crate::time::Mono;
use proptest::prelude::*;
use std::time::Duration;

/// Seconds, and what one of them has of good and bad.
type Stretch = (u64, u64, u64);

fn course() -> impl Strategy<Value = Vec<Stretch>> {
    prop::collection::vec((1u64..400, 0u64..500, 0u64..50), 1..12)
}

fn version() -> VersionName {
    VersionName::new("v1").expect("a name")
}

/// Everything watched, and each second's good and bad for the model.
fn watched(course: &[Stretch]) -> (ServiceSlo, Vec<(u64, u64)>, u64) {
    let mut slo = ServiceSlo::new(&Objectives::default(), Mono(0));
    let mut counts = VersionCounts::new(version());
    let mut seconds = Vec::new();
    let look = |slo: &mut ServiceSlo, counts: &VersionCounts, now: u64| {
        let counts = ServiceCounts { versions: vec![counts.clone()], ..Default::default() };
        slo.observe(&counts, None, Mono(now));
    };
    look(&mut slo, &counts, 0);
    for (lasts, good, bad) in course {
        for _ in 0..*lasts {
            let more = Tally { good: *good, bad: *bad, first_bad: *bad, excluded: 0 };
            counts.judged = counts.judged.plus(more);
            seconds.push((*good, *bad));
            look(&mut slo, &counts, seconds.len() as u64 * 1_000);
        }
    }
    let now = seconds.len() as u64 * 1_000;
    (slo, seconds, now)
}

/// The share of bad ones in the last seconds, as one would count them by hand.
fn by_hand(seconds: &[(u64, u64)], window: u64) -> (u64, u64) {
    let from = seconds.len().saturating_sub(window as usize);
    seconds[from..].iter().fold((0, 0), |(bad, of), (g, b)| (bad + b, of + g + b))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A window sees its own length, and at most a hundredth and two seconds more.
    #[test]
    fn a_window_is_what_one_counts_by_hand(course in course(), window in 1u64..3_000) {
        let (slo, seconds, now) = watched(&course);
        let allowed = 1.0 - Objectives::default().availability.objective;
        let Some(rate) = slo.burn_rate(&version(), Duration::from_secs(window), Mono(now)) else {
            // Nothing has come: there is no rate to speak of.
            prop_assert!(seconds.iter().all(|(good, bad)| good + bad == 0));
            return Ok(());
        };
        let shares: Vec<f64> = (window.saturating_sub(2)..=window + window / 100 + 2)
            .map(|window| by_hand(&seconds, window))
            .map(|(bad, of)| if of == 0 { 0.0 } else { bad as f64 / of as f64 })
            .collect();
        let least = shares.iter().copied().fold(f64::INFINITY, f64::min);
        let most = shares.iter().copied().fold(0.0, f64::max);
        let share = rate * allowed;
        prop_assert!(
            (least * 0.97 - 1e-3..=most * 1.03 + 1e-3).contains(&share),
            "{share} is not between {least} and {most}"
        );
    }

    #[test]
    fn what_is_stored_says_the_same(course in course(), window in 1u64..3_000) {
        let (slo, _, now) = watched(&course);
        let again = ServiceSlo::decode(&Objectives::default(), &slo.encode(), Duration::ZERO, Mono(7));
        let again = again.expect("what was stored is read");
        let window = Duration::from_secs(window);
        let rate = |slo: &ServiceSlo, now| slo.burn_rate(&version(), window, Mono(now));
        prop_assert_eq!(rate(&slo, now), rate(&again, 7));
        prop_assert_eq!(slo.budget_left(), again.budget_left());
    }

    #[test]
    fn a_budget_is_never_more_than_whole_and_a_failure_never_adds_to_it(course in course()) {
        let (slo, _, _) = watched(&course);
        let worse: Vec<Stretch> = course.iter().map(|(s, good, bad)| (*s, *good, bad + 1)).collect();
        let (worse, _, _) = watched(&worse);
        if let (Some(left), Some(less)) = (slo.budget_left(), worse.budget_left()) {
            prop_assert!(left <= 1.0 && less <= left, "{less} after {left}");
        }
    }

    /// A hang counts when its age passes the limit, and once: not again when it is answered.
    #[test]
    fn a_slow_request_burns_once_wherever_it_is_seen(answered in 0u64..200, hanging in 1u64..200) {
        let latency = Some(LatencyObjective { objective: 0.95, under: Duration::from_millis(500) });
        let objectives = Objectives { latency, ..Objectives::default() };
        let mut slo = ServiceSlo::new(&objectives, Mono(0));
        let counts = ServiceCounts { versions: vec![VersionCounts::new(version())], ..Default::default() };
        let mut seen = VersionLatencies {
            version: version(),
            judged: Histogram::default(),
            rest: Histogram::default(),
            waiting: Histogram::default(),
            timed: Vec::new(), waiting_timed: Vec::new(),
        };
        let mut now = 0;
        let mut look = |slo: &mut ServiceSlo, seen: &VersionLatencies| {
            let latencies = ServiceLatencies { versions: vec![seen.clone()] };
            slo.observe(&counts, Some(&latencies), Mono(now));
            now += 1_000;
            slo.burn(&BurnRule::defaults()[0], &version(), None, Mono(now - 1_000))
        };
        look(&mut slo, &seen);
        (0..answered).for_each(|_| seen.judged.record(Duration::from_millis(20)));
        (0..hanging).for_each(|_| seen.waiting.record(Duration::from_millis(700)));
        let hangs = look(&mut slo, &seen);
        prop_assert_eq!(hangs.samples, answered + hanging);
        prop_assert!(hangs.long.is_some_and(|rate| rate > 0.0));
        seen.waiting = Histogram::default();
        (0..hanging).for_each(|_| seen.judged.record(Duration::from_millis(900)));
        let ended = look(&mut slo, &seen);
        prop_assert_eq!(ended.samples, answered + hanging);
        prop_assert_eq!(ended.long, hangs.long);
    }
}
