//! A file of Prometheus rules as values, and as the YAML that Prometheus reads.
//!
//! The text is made to be read by people: expressions keep their line breaks, and every other
//! string is quoted as JSON, which YAML understands in one way only.

use serin_core::slo::Severity;
use std::fmt::Write;
use std::time::Duration;

/// Whose series the rules look at.
pub(super) struct Scrape {
    pub(super) job: String,
}

pub(super) struct File {
    /// Each alert links to the heading of its name in there.
    pub(super) runbook: String,
    pub(super) groups: Vec<Group>,
}

pub(super) struct Group {
    pub(super) name: String,
    pub(super) rules: Vec<Rule>,
}

pub(super) enum Rule {
    Record { name: String, expr: String },
    Alert(Alert),
}

pub(super) struct Alert {
    /// One heading of the runbook.
    pub(super) name: &'static str,
    pub(super) expr: String,
    pub(super) lasting: Duration,
    pub(super) severity: Severity,
    /// Two alerts of one name must differ in these.
    pub(super) labels: Vec<(&'static str, String)>,
    pub(super) summary: String,
    pub(super) description: String,
}

impl Scrape {
    /// `metric{job="serin",…}`: every selector is held to one job, so that staging scraped by the
    /// same Prometheus alerts nobody about production.
    pub(super) fn select(&self, metric: &str, matchers: &str) -> String {
        let comma = if matchers.is_empty() { "" } else { "," };
        format!("{metric}{{job={}{comma}{matchers}}}", quoted(&self.job))
    }
}

impl File {
    pub(super) fn yaml(&self) -> String {
        let mut text = String::from(
            "# Made by `serin export prometheus-rules` from the configuration. Make it again when that changes.\ngroups:\n",
        );
        for group in self.groups.iter().filter(|group| !group.rules.is_empty()) {
            line(&mut text, &format!("  - name: {}", quoted(&group.name)));
            line(&mut text, "    rules:");
            group.rules.iter().for_each(|rule| rule.append(&self.runbook, &mut text));
        }
        text
    }
}

impl Rule {
    fn append(&self, runbook: &str, text: &mut String) {
        match self {
            Self::Record { name, expr } => {
                line(text, &format!("      - record: {name}"));
                expression(text, expr);
            }
            Self::Alert(alert) => alert.append(runbook, text),
        }
    }
}

impl Alert {
    fn append(&self, runbook: &str, text: &mut String) {
        line(text, &format!("      - alert: {}", self.name));
        expression(text, &self.expr);
        if !self.lasting.is_zero() {
            line(text, &format!("        for: {}", spoken(self.lasting)));
        }
        line(text, "        labels:");
        line(text, &format!("          severity: {}", self.severity.as_str()));
        for (key, value) in &self.labels {
            line(text, &format!("          {key}: {}", quoted(value)));
        }
        line(text, "        annotations:");
        let link = format!("{runbook}#{}", self.name.to_lowercase());
        let notes = [
            ("summary", &self.summary),
            ("description", &self.description),
            ("runbook_url", &link),
        ];
        for (key, value) in notes {
            line(text, &format!("          {key}: {}", quoted(value)));
        }
    }
}

fn expression(text: &mut String, expr: &str) {
    line(text, "        expr: |-");
    expr.lines().for_each(|part| line(text, &format!("          {part}")));
}

fn line(text: &mut String, line: &str) {
    let _infallible = writeln!(text, "{line}");
}

/// As JSON, YAML and PromQL all read it.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// `5m`, `1h`, `90s`: as Prometheus writes durations, and as the configuration does.
pub(super) fn spoken(duration: Duration) -> String {
    match duration.as_secs() {
        s if s > 0 && s % 86_400 == 0 => format!("{}d", s / 86_400),
        s if s > 0 && s % 3_600 == 0 => format!("{}h", s / 3_600),
        s if s > 0 && s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}
