//! Deploy windows: whether moving forward is allowed at a moment, and when it will be.
//!
//! A window is read off the local clock of its time zone, so it keeps its hours when daylight
//! saving begins or ends: an hour that happens twice is inside twice, and a window that lies in
//! an hour that never happens does not open that day. A window never forbids a rollback.

use super::plan::{TimeOfDay, Window, WindowEffect, WindowSpan};
use crate::time::Wall;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// How far ahead an opening is looked for: two of every weekly edge.
const DAYS_AHEAD: i32 = 15;
const DAY: i32 = 1440;
const WEEK: i32 = 7 * DAY;

#[derive(Debug, Clone, PartialEq)]
pub enum Windowed {
    Open,
    Closed {
        effect: WindowEffect,
        /// Why, as the file says.
        reason: Option<String>,
        /// `None` when it stays closed for two weeks.
        opens: Option<Wall>,
    },
}

/// No windows: always open. Otherwise a moment must be inside some `allow`, if there are any,
/// and inside no `deny`.
pub fn look(windows: &[Window], now: Wall) -> Windowed {
    match closed_by(windows, now) {
        None => Windowed::Open,
        Some((effect, reason)) => {
            Windowed::Closed { effect, reason, opens: next_opening(windows, now) }
        }
    }
}

/// Which effect closes a moment, and its reason.
fn closed_by(windows: &[Window], at: Wall) -> Option<(WindowEffect, Option<String>)> {
    let allows = || windows.iter().filter(|w| w.effect == WindowEffect::Allow);
    let mut denies = windows.iter().filter(|w| w.effect == WindowEffect::Deny);
    if let Some(deny) = denies.find(|w| contains(w, at)) {
        return Some((WindowEffect::Deny, deny.reason.clone()));
    }
    if allows().next().is_some() && !allows().any(|w| contains(w, at)) {
        let reason = allows().find_map(|w| w.reason.clone());
        return Some((WindowEffect::Allow, reason));
    }
    None
}

/// An unknown time zone or an impossible moment closes an `allow` and closes by a `deny`: when
/// in doubt, nothing moves.
fn contains(window: &Window, at: Wall) -> bool {
    let Some(local) = zone(window).and_then(|zone| local(&zone, at)) else {
        return window.effect == WindowEffect::Deny;
    };
    let day = i32::from(local.weekday().to_monday_one_offset());
    let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
    span_contains(window.span, day, minute)
}

fn zone(window: &Window) -> Option<TimeZone> {
    TimeZone::get(&window.time_zone).ok()
}

fn local(zone: &TimeZone, at: Wall) -> Option<DateTime> {
    Some(zone.to_datetime(Timestamp::from_millisecond(at.0).ok()?))
}

fn span_contains(span: WindowSpan, day: i32, minute: i32) -> bool {
    match span {
        WindowSpan::Daily { first, last, from, to } => {
            let (from, to) = (minutes(from), minutes(to));
            let on = |day: i32| days_include(first, last, day);
            if from < to {
                on(day) && (from..to).contains(&minute)
            } else {
                // Past midnight: the evening of its day, and the morning of the next.
                let before = if day == 1 { 7 } else { day - 1 };
                (on(day) && minute >= from) || (on(before) && minute < to)
            }
        }
        WindowSpan::Weekly { first, from, last, to } => {
            let at = |day: i32, minute: i32| (day - 1) * DAY + minute;
            let begin = at(i32::from(first), minutes(from));
            let length = (at(i32::from(last), minutes(to)) - begin).rem_euclid(WEEK);
            (at(day, minute) - begin).rem_euclid(WEEK) < length
        }
    }
}

fn days_include(first: u8, last: u8, day: i32) -> bool {
    let (first, last) = (i32::from(first), i32::from(last));
    if first <= last { (first..=last).contains(&day) } else { day >= first || day <= last }
}

fn minutes(time: TimeOfDay) -> i32 {
    i32::from(time.0)
}

/// The first edge after `now` at which nothing is closed. Something can only open at an edge
/// of a window, or where the local clock itself leaps.
fn next_opening(windows: &[Window], now: Wall) -> Option<Wall> {
    let mut edges: Vec<i64> = windows.iter().flat_map(|window| edges(window, now)).collect();
    edges.sort_unstable();
    edges.into_iter().map(Wall).find(|edge| *edge > now && closed_by(windows, *edge).is_none())
}

fn edges(window: &Window, now: Wall) -> Vec<i64> {
    let times = match window.span {
        WindowSpan::Daily { from, to, .. } | WindowSpan::Weekly { from, to, .. } => [from, to],
    };
    let Some(zone) = zone(window) else { return Vec::new() };
    let Some(today) = local(&zone, now).map(DateTime::date) else { return Vec::new() };
    let mut edges = Vec::new();
    for day in -1..=DAYS_AHEAD {
        let Ok(date) = today.checked_add(day.days()) else { continue };
        for time in times {
            let midnight = date.to_datetime(jiff::civil::Time::midnight());
            let Ok(civil) = midnight.checked_add(minutes(time).minutes()) else { continue };
            // Compatible: a time that does not exist is moved past the gap; of one that
            // happens twice both are edges.
            let ambiguous = zone.to_ambiguous_zoned(civil);
            let both = [ambiguous.clone().earlier(), ambiguous.later()];
            edges.extend(both.into_iter().flatten().map(|z| z.timestamp().as_millisecond()));
        }
    }
    edges.extend(leaps(&zone, now));
    edges
}

/// Where daylight saving begins or ends.
fn leaps(zone: &TimeZone, now: Wall) -> Vec<i64> {
    let Ok(from) = Timestamp::from_millisecond(now.0) else { return Vec::new() };
    let until = now.0.saturating_add(i64::from(DAYS_AHEAD) * i64::from(DAY) * 60_000);
    let leaps = zone.following(from).map(|t| t.timestamp().as_millisecond());
    leaps.take_while(|at| *at <= until).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PARIS: &str = "Europe/Paris";

    fn window(effect: WindowEffect, span: WindowSpan) -> Window {
        Window { effect, span, time_zone: PARIS.into(), reason: None }
    }

    fn tue_to_thu() -> Window {
        let (from, to) = (TimeOfDay(14 * 60), TimeOfDay(17 * 60));
        window(WindowEffect::Allow, WindowSpan::Daily { first: 2, last: 4, from, to })
    }

    fn weekend() -> Window {
        let (from, to) = (TimeOfDay(14 * 60), TimeOfDay(10 * 60));
        window(WindowEffect::Deny, WindowSpan::Weekly { first: 5, from, last: 1, to })
    }

    fn at(text: &str) -> Wall {
        let zoned: jiff::Zoned = format!("{text}[{PARIS}]").parse().unwrap();
        Wall(zoned.timestamp().as_millisecond())
    }

    fn opens(windows: &[Window], now: Wall) -> Option<Wall> {
        match look(windows, now) {
            Windowed::Open => Some(now),
            Windowed::Closed { opens, .. } => opens,
        }
    }

    #[test]
    fn a_weekly_deny_closes_from_friday_afternoon_to_monday_morning() {
        let deny = [weekend()];
        assert_eq!(look(&deny, at("2026-11-20T13:59")), Windowed::Open);
        for closed in
            ["2026-11-20T14:00", "2026-11-21T03:00", "2026-11-22T23:59", "2026-11-23T09:59"]
        {
            assert_eq!(opens(&deny, at(closed)), Some(at("2026-11-23T10:00")), "{closed}");
        }
        assert_eq!(look(&deny, at("2026-11-23T10:00")), Windowed::Open);
    }

    #[test]
    fn an_allow_opens_only_inside_and_a_deny_wins_over_it() {
        let windows = [tue_to_thu(), weekend()];
        assert_eq!(look(&windows, at("2026-11-24T14:00")), Windowed::Open);
        assert_eq!(look(&windows, at("2026-11-24T16:59")), Windowed::Open);
        assert_eq!(opens(&windows, at("2026-11-24T17:00")), Some(at("2026-11-25T14:00")));
        assert_eq!(opens(&windows, at("2026-11-20T15:00")), Some(at("2026-11-24T14:00")));
    }

    #[test]
    fn a_window_keeps_its_local_hours_over_daylight_saving() {
        // Clocks go back on Sunday 25 October 2026 and forward on Sunday 28 March 2027.
        let deny = [weekend()];
        assert_eq!(opens(&deny, at("2026-10-24T12:00")), Some(at("2026-10-26T10:00")));
        assert_eq!(opens(&deny, at("2027-03-27T12:00")), Some(at("2027-03-29T10:00")));
    }

    #[test]
    fn an_hour_that_never_happens_opens_no_window() {
        let (from, to) = (TimeOfDay(2 * 60), TimeOfDay(3 * 60));
        let night =
            [window(WindowEffect::Allow, WindowSpan::Daily { first: 7, last: 7, from, to })];
        // Sunday 28 March 2027 has no 02:00 in Paris.
        assert_eq!(opens(&night, at("2027-03-27T12:00")), Some(at("2027-04-04T02:00")));
    }

    #[test]
    fn an_hour_that_happens_twice_is_inside_twice() {
        let (from, to) = (TimeOfDay(2 * 60), TimeOfDay(3 * 60));
        let night =
            [window(WindowEffect::Allow, WindowSpan::Daily { first: 7, last: 7, from, to })];
        let first = at("2026-10-25T02:30+02:00");
        let second = at("2026-10-25T02:30+01:00");
        assert_eq!(second.0 - first.0, 3_600_000);
        assert_eq!(look(&night, first), Windowed::Open);
        assert_eq!(look(&night, second), Windowed::Open);
        assert_eq!(look(&night, Wall(second.0 + 1_800_000)), {
            let opens = Some(at("2026-11-01T02:00"));
            Windowed::Closed { effect: WindowEffect::Allow, reason: None, opens }
        });
    }

    #[test]
    fn a_nightly_window_reaches_into_the_next_morning() {
        let (from, to) = (TimeOfDay(22 * 60), TimeOfDay(2 * 60));
        let night =
            [window(WindowEffect::Allow, WindowSpan::Daily { first: 5, last: 5, from, to })];
        assert_eq!(look(&night, at("2026-11-20T23:00")), Windowed::Open);
        assert_eq!(look(&night, at("2026-11-21T01:59")), Windowed::Open);
        assert_ne!(look(&night, at("2026-11-21T02:00")), Windowed::Open);
        assert_ne!(look(&night, at("2026-11-20T01:00")), Windowed::Open);
    }

    #[test]
    fn a_zone_nobody_knows_keeps_everything_closed() {
        let unknown = |effect| Window { time_zone: "Mars/Olympus".into(), effect, ..tue_to_thu() };
        for effect in [WindowEffect::Allow, WindowEffect::Deny] {
            let windows = [unknown(effect)];
            assert!(matches!(look(&windows, at("2026-11-24T15:00")), Windowed::Closed { .. }));
        }
    }

    proptest! {
        /// What is promised as the opening is open, and no minute before it is.
        #[test]
        fn the_opening_is_the_first_open_minute(start in 0i64..(400 * 1440), skip in 0usize..6000) {
            let windows = [tue_to_thu(), weekend()];
            let now = Wall(at("2026-06-01T00:00").0 + start * 60_000);
            if let Windowed::Closed { opens, .. } = look(&windows, now) {
                let opens = opens.unwrap();
                prop_assert_eq!(closed_by(&windows, opens), None);
                let between = Wall(now.0 + (skip as i64) * 60_000);
                if between < opens {
                    prop_assert!(closed_by(&windows, between).is_some());
                }
            }
        }
    }
}
