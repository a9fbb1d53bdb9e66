//! The four numbers of software delivery, from the rollouts that ended.

use crate::journal::schema::Rollout;
use crate::view::Dora;
use serin_core::rollout::Phase;
use serin_core::time::Wall;
use std::time::Duration;

/// Over the last `period` before `now`. What an operator aborted or replaced before it did harm is
/// neither a deployment nor a failure.
pub(crate) fn dora<'a>(
    rollouts: impl Iterator<Item = &'a Rollout>,
    now: Wall,
    period: Duration,
) -> Dora {
    let from = now.0.saturating_sub(i64::try_from(period.as_millis()).unwrap_or(i64::MAX));
    let within = |at: Option<Wall>| at.is_some_and(|at| (from..=now.0).contains(&at.0));
    let all: Vec<&Rollout> = rollouts.collect();
    let is_complete = |r: &&&Rollout| within(completed_at(r));
    let has_failed = |r: &&&Rollout| r.state == Phase::RolledBack && r.blamed && within(r.ended_at);
    let completed: Vec<&&Rollout> = all.iter().filter(is_complete).collect();
    let failed: Vec<&&Rollout> = all.iter().filter(has_failed).collect();
    // One that completed and was taken back later is one change.
    let changes = all.iter().filter(|r| is_complete(r) || has_failed(r)).count();
    let days = period.as_secs_f64() / 86_400.0;
    Dora {
        days,
        deployments: completed.len() as u64,
        deployments_per_day: if days > 0.0 { completed.len() as f64 / days } else { 0.0 },
        lead_time_seconds: median(
            completed.iter().filter_map(|r| seconds(r.committed_at?, completed_at(r)?)).collect(),
        ),
        change_failure_ratio: (changes > 0).then(|| failed.len() as f64 / changes as f64),
        time_to_restore_seconds: median(
            failed.iter().filter_map(|r| seconds(r.harmed_at?, r.ended_at?)).collect(),
        ),
    }
}

/// Also of one that was taken back after it.
fn completed_at(rollout: &Rollout) -> Option<Wall> {
    rollout.completed_at.or(rollout.ended_at.filter(|_| rollout.state == Phase::Complete))
}

/// `None` when the clock makes no sense of it.
fn seconds(from: Wall, to: Wall) -> Option<f64> {
    (to >= from).then(|| (to.0 - from.0) as f64 / 1000.0)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        return values.get(middle).copied();
    }
    let (below, above) = (values.get(middle.checked_sub(1)?)?, values.get(middle)?);
    Some((below + above) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::schema::Harm;

    const HOUR: i64 = 3_600_000;

    fn rollout(state: Phase, ended_hour: i64) -> Rollout {
        Rollout {
            id: format!("shop-{ended_hour}"),
            service: "shop".to_owned(),
            from: "v1".to_owned(),
            to: "v2".to_owned(),
            release: "v2".to_owned(),
            state,
            reason: String::new(),
            start_reason: String::new(),
            started_by: "test".to_owned(),
            started_at: Wall((ended_hour - 2) * HOUR),
            ended_at: Some(Wall(ended_hour * HOUR)),
            completed_at: None,
            committed_at: None,
            severity: None,
            blamed: state == Phase::RolledBack,
            harmed_at: None,
            failures: None,
            comparison: None,
            reached: 1000,
            harm: Harm::default(),
            timeline: Vec::new(),
        }
    }

    fn over_two_days(rollouts: &[Rollout]) -> Dora {
        dora(rollouts.iter(), Wall(100 * HOUR), Duration::from_secs(48 * 3600))
    }

    #[test]
    fn the_numbers_are_of_what_ended_within_the_period() {
        let mut committed = rollout(Phase::Complete, 90);
        committed.committed_at = Some(Wall(80 * HOUR));
        let mut failed = rollout(Phase::RolledBack, 95);
        failed.harmed_at = Some(Wall(95 * HOUR - 4_000));
        let old = rollout(Phase::Complete, 10);
        let numbers = over_two_days(&[old, committed, rollout(Phase::Complete, 91), failed]);
        assert_eq!(numbers.deployments, 2);
        assert_eq!(numbers.deployments_per_day, 1.0);
        assert_eq!(numbers.lead_time_seconds, Some(10.0 * 3600.0));
        assert_eq!(numbers.change_failure_ratio, Some(1.0 / 3.0));
        assert_eq!(numbers.time_to_restore_seconds, Some(4.0));
    }

    #[test]
    fn a_change_that_is_taken_back_was_one_deployment_and_failed() {
        let mut undone = rollout(Phase::RolledBack, 95);
        undone.completed_at = Some(Wall(90 * HOUR));
        undone.committed_at = Some(Wall(89 * HOUR));
        undone.harmed_at = Some(Wall(94 * HOUR));
        let numbers = over_two_days(&[undone.clone(), rollout(Phase::Complete, 91)]);
        assert_eq!((numbers.deployments, numbers.change_failure_ratio), (2, Some(0.5)));
        assert_eq!(numbers.lead_time_seconds, Some(3600.0));
        assert_eq!(numbers.time_to_restore_seconds, Some(3600.0));
        undone.completed_at = Some(Wall(10 * HOUR));
        let later = over_two_days(&[undone]);
        assert_eq!((later.deployments, later.change_failure_ratio), (0, Some(1.0)));
    }

    #[test]
    fn without_rollouts_there_are_no_ratios() {
        let numbers = over_two_days(&[]);
        assert_eq!((numbers.change_failure_ratio, numbers.lead_time_seconds), (None, None));
        let mut aborted = rollout(Phase::RolledBack, 95);
        aborted.blamed = false;
        assert_eq!(over_two_days(&[aborted]).change_failure_ratio, None);
    }
}
