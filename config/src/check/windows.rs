//! `rollout.windows`: `Tue-Thu 14:00-17:00` and `Fri 14:00 - Mon 10:00`.

use super::Check;
use crate::file;
use crate::report::shown;
use crate::source::At;
use crate::suggest::nearest;
use serin_core::rollout::{TimeOfDay, Window, WindowEffect, WindowSpan};

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const DAY: u16 = 24 * 60;
const WEEK: usize = 7 * DAY as usize;
const EXAMPLE: &str = "write `Tue-Thu 14:00-17:00`, or `Fri 14:00 - Mon 10:00`";

pub(super) fn check(
    listed: Option<&At<Vec<At<file::Window>>>>,
    check: &mut Check<'_>,
) -> Vec<Window> {
    let Some(listed) = listed else { return Vec::new() };
    let windows: Vec<Window> =
        listed.value.iter().filter_map(|window| one(window, check)).collect();
    if windows.len() == listed.value.len() && never_open(&windows) {
        check
            .warning(listed.at, "no minute of the week is inside these windows")
            .label("the rollout could never advance")
            .hint("widen an `allow`, or narrow a `deny`");
    }
    windows
}

fn one(found: &At<file::Window>, check: &mut Check<'_>) -> Option<Window> {
    let time_zone = time_zone(found.time_zone.as_ref(), check);
    let (effect, text) = match (&found.allow, &found.deny) {
        (Some(allow), None) => (WindowEffect::Allow, allow),
        (None, Some(deny)) => (WindowEffect::Deny, deny),
        (None, None) if found.broken => return None,
        (Some(_), Some(_)) | (None, None) => {
            check
                .error(found.at, "a window either allows or denies")
                .hint("write one of `allow` and `deny`");
            return None;
        }
    };
    let span = match span(&text.value) {
        Ok(span) => span,
        Err(reason) => {
            check
                .error(text.at, format!("{} is not a window: {reason}", shown(&text.value)))
                .hint(EXAMPLE);
            return None;
        }
    };
    let reason = found.reason.as_ref().map(|reason| reason.value.clone());
    Some(Window { effect, span, time_zone: time_zone?, reason })
}

fn time_zone(found: Option<&At<String>>, check: &mut Check<'_>) -> Option<String> {
    let Some(found) = found else { return Some("UTC".to_owned()) };
    let known = jiff::tz::db();
    if let Ok(zone) = known.get(&found.value) {
        return Some(zone.iana_name().unwrap_or(&found.value).to_owned());
    }
    let names: Vec<String> = known.available().map(|name| name.as_str().to_owned()).collect();
    let city = format!("/{}", found.value);
    let by_city = names.iter().find(|name| name.ends_with(&city)).map(String::as_str);
    let near = by_city.or_else(|| nearest(&found.value, names.iter().map(String::as_str)));
    let draft = check.error(found.at, format!("{} is not a time zone", shown(&found.value)));
    match near {
        Some(near) => draft.hint(format!("did you mean `{near}`?")),
        None => draft.hint("write an IANA name like `Europe/Paris`, or `UTC`"),
    };
    None
}

fn span(text: &str) -> Result<WindowSpan, String> {
    // With the spaces around its dash, a span runs from one moment of the week to another.
    if let Some((begin, end)) = text.split_once(" - ") {
        let (first, from) = moment(begin)?;
        let (last, to) = moment(end)?;
        if (first, from) == (last, to) {
            return Err("it ends where it begins".to_owned());
        }
        return Ok(WindowSpan::Weekly { first, from, last, to });
    }
    let mut words = text.split_whitespace();
    let (days, times) = match (words.next(), words.next(), words.next()) {
        (Some(times), None, None) if times.contains(':') => (None, times),
        (Some(days), Some(times), None) => (Some(days), times),
        (Some(_), None, None) => return Err("it has no times".to_owned()),
        (None, ..) => return Err("it is empty".to_owned()),
        (Some(_), Some(_) | None, _) => return Err("it has too many parts".to_owned()),
    };
    let (first, last) = match days {
        None => (1, 7),
        Some(days) => match days.split_once('-') {
            Some((first, last)) => (day(first)?, day(last)?),
            None => (day(days)?, day(days)?),
        },
    };
    let (from, to) = times.split_once('-').ok_or("its times lack a `-`")?;
    let (from, to) = (time(from)?, time(to)?);
    if from == to {
        return Err("it ends where it begins".to_owned());
    }
    Ok(WindowSpan::Daily { first, last, from, to })
}

fn moment(text: &str) -> Result<(u8, TimeOfDay), String> {
    let (day_text, time_text) = text.trim().split_once(' ').ok_or("a day or a time is missing")?;
    Ok((day(day_text)?, time(time_text.trim())?))
}

fn day(text: &str) -> Result<u8, String> {
    let three: String = text.chars().take(3).collect();
    let long = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let lower = text.to_ascii_lowercase();
    let whole = text.len() == 3 || long.contains(&lower.as_str());
    let found = DAYS.iter().position(|day| day.eq_ignore_ascii_case(&three)).filter(|_| whole);
    match found {
        Some(at) => Ok(u8::try_from(at).unwrap_or_default() + 1),
        None => Err(format!("{} is not a day", shown(text))),
    }
}

fn time(text: &str) -> Result<TimeOfDay, String> {
    let parsed = text.split_once(':').and_then(|(hours, minutes)| {
        let digits = |s: &str, n: usize| s.len() <= n && s.bytes().all(|b| b.is_ascii_digit());
        (digits(hours, 2) && minutes.len() == 2 && digits(minutes, 2)).then_some(())?;
        let (hours, minutes) = (hours.parse::<u16>().ok()?, minutes.parse::<u16>().ok()?);
        (minutes < 60 && hours * 60 + minutes <= DAY).then_some(TimeOfDay(hours * 60 + minutes))
    });
    parsed.ok_or_else(|| format!("{} is not a time of day", shown(text)))
}

/// Whether no minute of a week is open. Said only of windows of one zone: across zones it
/// depends on the season.
fn never_open(windows: &[Window]) -> bool {
    let Some(first) = windows.first() else { return false };
    if windows.iter().any(|window| window.time_zone != first.time_zone) {
        return false;
    }
    let any_allow = windows.iter().any(|window| window.effect == WindowEffect::Allow);
    let mut open = vec![!any_allow; WEEK];
    for (effect, value) in [(WindowEffect::Allow, true), (WindowEffect::Deny, false)] {
        for window in windows.iter().filter(|window| window.effect == effect) {
            minutes(window.span).for_each(|minute| open[minute % WEEK] = value);
        }
    }
    !open.contains(&true)
}

/// The minutes of the week inside a span, some past its end.
fn minutes(span: WindowSpan) -> Box<dyn Iterator<Item = usize>> {
    let at =
        |day: u8, time: TimeOfDay| usize::from(day - 1) * usize::from(DAY) + usize::from(time.0);
    match span {
        WindowSpan::Weekly { first, from, last, to } => {
            let (begin, end) = (at(first, from), at(last, to));
            let end = if end <= begin { end + WEEK } else { end };
            Box::new(begin..end)
        }
        WindowSpan::Daily { first, last, from, to } => {
            let days = if last >= first { last - first } else { last + 7 - first };
            Box::new((0..=days).flat_map(move |day| {
                let begin = at(first, from) + usize::from(day) * usize::from(DAY);
                let length = if to > from { to.0 - from.0 } else { to.0 + DAY - from.0 };
                begin..begin + usize::from(length)
            }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times_as_operators_write_them() {
        let daily = |first, last, from, to| WindowSpan::Daily {
            first,
            last,
            from: TimeOfDay(from),
            to: TimeOfDay(to),
        };
        assert_eq!(span("Tue-Thu 14:00-17:00"), Ok(daily(2, 4, 840, 1020)));
        assert_eq!(span("Sun 9:00-24:00"), Ok(daily(7, 7, 540, 1440)));
        assert_eq!(span("22:00-06:00"), Ok(daily(1, 7, 1320, 360)));
        assert_eq!(
            span("Fri 14:00 - Mon 10:00"),
            Ok(WindowSpan::Weekly { first: 5, from: TimeOfDay(840), last: 1, to: TimeOfDay(600) })
        );
        for wrong in [
            "",
            "Tue",
            "Tue 14:00",
            "Tue 25:00-26:00",
            "Tuk 1:00-2:00",
            "Mon 1:00-1:00",
            "Mon 1:60-2:00",
            "Mon - Tue",
            "Monkey 1:00-2:00",
            "Mon 1:00 2:00-3:00",
        ] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }
}
