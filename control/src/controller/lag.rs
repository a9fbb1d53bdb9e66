//! When this process's own threads are too late to be believed: what is told of it, and when.
//!
//! The data plane decides whether they are. A freeze of a moment is nobody's business; one that lasts is
//! an event, and its end is one when it has been over for a while.

use super::{Controller, bare};
use crate::event::{Event, EventKind};
use crate::journal::Durability;
use serin_core::time::{Mono, Now};
use std::time::Duration;

/// Told when it has lasted so long.
const LASTS: Duration = Duration::from_secs(2);
/// Over when it has been over for so long.
const OVER: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct LagWatch {
    /// Since when there is one, and when it was seen last; `None` when it is over.
    stretch: Option<(Mono, Mono)>,
    told: bool,
}

enum News {
    Late,
    OnTimeAgain,
}

impl LagWatch {
    fn look(&mut self, by: Option<Duration>, now: Mono) -> Option<News> {
        match (by, self.stretch) {
            (Some(_), stretch) => {
                let (since, _) = stretch.unwrap_or((now, now));
                self.stretch = Some((since, now));
                let lasts = !self.told && now.since(since) >= LASTS;
                lasts.then(|| {
                    self.told = true;
                    News::Late
                })
            }
            (None, Some((_, seen))) if now.since(seen) >= OVER => {
                self.stretch = None;
                std::mem::take(&mut self.told).then_some(News::OnTimeAgain)
            }
            (None, Some(_) | None) => None,
        }
    }
}

pub(super) fn sentence(by: Duration) -> String {
    format!(
        "own threads are up to {:.1} s late: latencies, timeouts and health checks count for nobody, and holds stand still",
        by.as_secs_f64()
    )
}

impl Controller {
    pub(super) fn watch_lag(&mut self, ticked: Duration, now: Now) {
        let shared = &mut self.shared;
        let by = shared.plane.own_lag(ticked);
        if by.is_some() != std::mem::replace(&mut shared.own_lag, by).is_some() {
            shared.changed();
        }
        let Some(news) = self.lag.look(by, now.mono) else { return };
        let event = match news {
            News::Late => Event {
                severity: Some("P2".to_owned()),
                ..bare(
                    EventKind::Warning,
                    format!("not observing: {}", sentence(by.unwrap_or_default())),
                    now,
                )
            },
            News::OnTimeAgain => {
                bare(EventKind::Warning, "observing again: own threads are on time".to_owned(), now)
            }
        };
        tracing::warn!(event = event.kind.as_str(), "{}", event.message);
        shared.tell(event, Durability::BestEffort);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freeze_of_a_moment_is_not_told_and_one_that_lasts_is_told_once() {
        let late = |ms: u64| (0..3_000).contains(&ms) || (20_000..21_000).contains(&ms);
        let mut watch = LagWatch::default();
        let mut told = Vec::new();
        for ms in (0..40_000).step_by(20) {
            let by = late(ms).then_some(Duration::from_millis(700));
            match watch.look(by, Mono(ms)) {
                Some(News::Late) => told.push((ms, "late")),
                Some(News::OnTimeAgain) => told.push((ms, "on time")),
                None => {}
            }
        }
        assert_eq!(told, [(2_000, "late"), (12_980, "on time")]);
    }
}
