//! Quantities as people read them, and text that fits its width.

use serin_control::{RolloutState, ServiceView, WaitingFor};
use serin_core::weights::WHOLE;

/// `1h 18m`, `45s`: the two largest units.
pub(crate) fn duration(seconds: u64) -> String {
    let units = [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")];
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (unit, name) in units {
        if rest >= unit {
            parts.push(format!("{}{name}", rest / unit));
            rest %= unit;
        } else if !parts.is_empty() {
            break;
        }
        if parts.len() == 2 {
            break;
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

/// Basis points: `10%`, `0.5%`.
pub(crate) fn weight(points: u16) -> String {
    match serin_core::weights::BasisPoints::new(points) {
        Some(points) => points.to_string(),
        None => format!("{points} basis points"),
    }
}

/// A share: `97.2%`, and more places only where they are all there is.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent.abs() {
        0.0 => "0%".to_owned(),
        p if (99.95..100.0).contains(&p) => format!("{percent:.3}%"),
        p if p >= 10.0 => format!("{}%", trimmed(percent, 1)),
        p if p >= 0.01 => format!("{percent:.2}%"),
        _ => format!("{percent:.4}%"),
    }
}

/// A number without empty decimals.
pub(crate) fn trimmed(number: f64, places: usize) -> String {
    let text = format!("{number:.places$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

pub(crate) fn milliseconds(ms: f64) -> String {
    match ms {
        ms if ms >= 10_000.0 => format!("{:.1} s", ms / 1000.0),
        ms if ms >= 100.0 => format!("{ms:.0} ms"),
        ms if ms >= 1.0 => format!("{} ms", trimmed(ms, 1)),
        ms => format!("{ms:.2} ms"),
    }
}

/// `1 request`, `2 requests`.
pub(crate) fn counted(n: u64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// How a service stands that has had no rollout, before stable's name.
pub(crate) fn rest(service: &ServiceView) -> &'static str {
    let whole = service.weights.get(&service.stable).is_some_and(|points| *points == WHOLE);
    if whole { "at rest on" } else { "divided by hand, stable is" }
}

pub(crate) fn state(state: RolloutState) -> &'static str {
    match state {
        RolloutState::Pending => "pending",
        RolloutState::Dark => "dark",
        RolloutState::Running => "running",
        RolloutState::Holding => "holding",
        RolloutState::Paused => "paused",
        RolloutState::Inconclusive => "inconclusive",
        RolloutState::RolledBack => "rolled back",
        RolloutState::Superseded => "superseded",
        RolloutState::Complete => "complete",
    }
}

pub(crate) fn waiting(waiting: WaitingFor) -> &'static str {
    match waiting {
        WaitingFor::Hold => "the step's hold",
        WaitingFor::Evidence => "evidence",
        WaitingFor::Approval => "an approval (serin rollout approve)",
        WaitingFor::Checklist => "its checklist (serin rollout tick)",
        WaitingFor::Webhook => "a webhook's consent",
        WaitingFor::Shadow => "the shadow's comparisons",
        WaitingFor::Window => "its deploy window",
        WaitingFor::Budget => "a confirmation, because the error budget is low",
        WaitingFor::Freeze => "the end of the freeze (serin freeze off)",
        WaitingFor::Readiness => "endpoints of the candidate",
        WaitingFor::Operator => "an operator (serin rollout resume, promote or abort)",
        WaitingFor::Journal => "the journal, which cannot be written",
        WaitingFor::SharedCause => "stable, which is failing too",
    }
}

/// A label and its text in lines of at most `width` characters, broken between words. The text
/// begins at the column `INDENT` in every line.
pub(crate) fn field(label: &str, text: &str, width: usize) -> Vec<String> {
    const INDENT: usize = 14;
    let width = width.max(INDENT + 20);
    let mut lines = Vec::new();
    let mut line = format!("  {label:<0$}", INDENT - 3);
    for word in plain(text).split_whitespace() {
        let full = line.chars().count() + 1 + word.chars().count() > width;
        if full && line.chars().count() >= INDENT {
            lines.push(std::mem::replace(&mut line, " ".repeat(INDENT - 1)));
        }
        line.push(' ');
        line.push_str(word);
    }
    lines.push(line);
    lines
}

/// What comes from outside, without anything a terminal would obey.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_short_and_say_their_unit() {
        assert_eq!(duration(0), "0s");
        assert_eq!(duration(4699), "1h 18m");
        assert_eq!(duration(3601), "1h");
        assert_eq!(duration(86_400 * 30), "30d");
        assert_eq!(percent(0.972), "97.2%");
        assert_eq!(percent(0.0012), "0.12%");
        assert_eq!(percent(0.999), "99.9%");
        assert_eq!(percent(0.9999), "99.990%");
        assert_eq!(percent(0.0), "0%");
        assert_eq!(milliseconds(12.34), "12.3 ms");
        assert_eq!(milliseconds(1234.0), "1234 ms");
        assert_eq!(counted(1, "request"), "1 request");
    }

    #[test]
    fn text_is_broken_between_words_and_indented() {
        let lines = field("says", "one two three four five six seven", 34);
        assert_eq!(lines, ["  says        one two three four", "              five six seven"]);
        assert_eq!(field("says", &"x".repeat(90), 40).len(), 1, "a long word stays whole");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(plain("a\x1b[2Jb\nc"), "a [2Jb c");
    }
}
