//! What is counted, for whoever scrapes it: each metric is declared once, and the exposition, the list in
//! the documentation and its test come from that.
//!
//! Nothing is kept here. Who counts is a [`Metered`]; with each scrape it says its samples, and
//! [`Samples`] writes them in Prometheus' text format. Labels are names of the configuration, never of a
//! request: whoever declares a metric answers for that.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric, declared by [`metrics!`](crate::metrics!).
#[derive(Debug)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    pub help: &'static str,
    /// In the order of the exposition.
    pub labels: &'static [&'static str],
}

/// Declares metrics, and a list of all of them.
#[macro_export]
macro_rules! metrics {
    (
        $(#[$about:meta])*
        $vis:vis $all:ident {
            $( $id:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal; )*
        }
    ) => {
        $(
            static $id: $crate::metrics::Metric = $crate::metrics::Metric {
                name: $name,
                kind: $crate::metrics::Kind::$kind,
                help: $help,
                labels: &[$($label),*],
            };
        )*
        $(#[$about])*
        $vis static $all: &[&$crate::metrics::Metric] = &[$(&$id),*];
    };
}

/// Somebody who counts.
pub trait Metered: Send + Sync {
    fn read(&self, samples: &mut Samples);
}

/// What one scrape finds.
#[derive(Debug, Default)]
pub struct Samples {
    families: BTreeMap<&'static str, Family>,
    /// Of all samples: the values of their labels, each ended by a zero byte, so that samples sort by them.
    labels: String,
}

#[derive(Debug)]
struct Family {
    metric: &'static Metric,
    samples: Vec<(Range<usize>, Value)>,
}

#[derive(Debug)]
enum Value {
    Number(f64),
    Histogram { buckets: Vec<(f64, u64)>, sum: f64, count: u64 },
}

impl Samples {
    pub fn counter(&mut self, metric: &'static Metric, labels: &[&str], value: u64) {
        self.add(metric, labels, Value::Number(value as f64));
    }

    /// A counter of something that is no whole number: seconds.
    pub fn total(&mut self, metric: &'static Metric, labels: &[&str], value: f64) {
        self.add(metric, labels, Value::Number(value));
    }

    pub fn gauge(&mut self, metric: &'static Metric, labels: &[&str], value: f64) {
        self.add(metric, labels, Value::Number(value));
    }

    /// 1 or 0.
    pub fn switch(&mut self, metric: &'static Metric, labels: &[&str], value: bool) {
        self.gauge(metric, labels, f64::from(u8::from(value)));
    }

    /// Edges in rising order, with what lies below each of them.
    pub fn histogram(
        &mut self,
        metric: &'static Metric,
        labels: &[&str],
        buckets: Vec<(f64, u64)>,
        sum: f64,
        count: u64,
    ) {
        self.add(metric, labels, Value::Histogram { buckets, sum, count });
    }

    fn add(&mut self, metric: &'static Metric, labels: &[&str], value: Value) {
        debug_assert_eq!(metric.labels.len(), labels.len(), "labels of {}", metric.name);
        let start = self.labels.len();
        for label in labels {
            match label.contains('\0') {
                true => self.labels.push_str(&label.replace('\0', "\u{fffd}")),
                false => self.labels.push_str(label),
            }
            self.labels.push('\0');
        }
        let new = || Family { metric, samples: Vec::new() };
        let family = self.families.entry(metric.name).or_insert_with(new);
        family.samples.push((start..self.labels.len(), value));
    }

    /// How many series there are.
    pub fn series(&self) -> usize {
        self.families.values().map(|family| family.samples.len()).sum()
    }

    /// Prometheus' text format: metrics by name, and samples of each by their labels.
    pub fn text(mut self) -> String {
        let mut text = String::with_capacity(self.labels.len() * 3);
        for (name, Family { metric, samples }) in &mut self.families {
            let _infallible = write!(text, "# HELP {name} ");
            escaped(&mut text, metric.help, false);
            let _infallible = writeln!(text, "\n# TYPE {name} {}", metric.kind.as_str());
            samples.sort_by(|(a, _), (b, _)| self.labels[a.clone()].cmp(&self.labels[b.clone()]));
            for (at, (labels, value)) in samples.iter().enumerate() {
                let values = &self.labels[labels.clone()];
                // What is said twice is what was said last.
                if samples.get(at + 1).is_some_and(|(next, _)| self.labels[next.clone()] == *values)
                {
                    continue;
                }
                match value {
                    Value::Number(value) => line(&mut text, metric, "", values, None, *value),
                    Value::Histogram { buckets, sum, count } => {
                        let end = (f64::INFINITY, *count);
                        for (edge, below) in buckets.iter().chain([&end]) {
                            line(&mut text, metric, "_bucket", values, Some(*edge), *below as f64);
                        }
                        line(&mut text, metric, "_sum", values, None, *sum);
                        line(&mut text, metric, "_count", values, None, *count as f64);
                    }
                }
            }
        }
        text
    }
}

fn line(
    text: &mut String,
    metric: &Metric,
    suffix: &str,
    values: &str,
    edge: Option<f64>,
    value: f64,
) {
    text.push_str(metric.name);
    text.push_str(suffix);
    let mut before = '{';
    for (label, value) in metric.labels.iter().zip(values.split('\0')) {
        let _infallible = write!(text, "{before}{label}=\"");
        escaped(text, value, true);
        text.push('"');
        before = ',';
    }
    if let Some(edge) = edge {
        let _infallible = match edge.is_finite() {
            true => write!(text, "{before}le=\"{edge}\""),
            false => write!(text, "{before}le=\"+Inf\""),
        };
        before = ',';
    }
    if before == ',' {
        text.push('}');
    }
    let _infallible = writeln!(text, " {value}");
}

fn escaped(text: &mut String, value: &str, quoted: bool) {
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '"' if quoted => text.push_str("\\\""),
            c => text.push(c),
        }
    }
}
