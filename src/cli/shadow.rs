//! `serin shadow`: what copies came to, and where the shadow's answers differ.

use super::remote::{Remote, finish};
use super::words::{self, field};
use super::{Exit, output};
use crate::client::{Failure, segment};
use serin_control::{BesideView, DifferenceView, ShadowView};

/// Show what a service's copies came to, and where answers differ
///
/// Differences are grouped by route and place, the most frequent first, each with its latest
/// sample. With -o json all samples that are kept.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    service: String,
    #[command(flatten)]
    remote: Remote,
}

/// Groups that are shown as text.
const SHOWN: usize = 20;

pub(crate) fn run(args: &Args) -> Exit {
    finish(show(args))
}

fn show(args: &Args) -> Result<Exit, Failure> {
    let client = args.remote.client()?;
    let path = format!("/v1/services/{}/shadow", segment(&args.service));
    let view: ShadowView = client.get(&path)?.read()?;
    if args.remote.is_json() {
        output::json(&view);
    } else {
        output::line(&text(&view, output::width()).join("\n"));
    }
    Ok(Exit::Done)
}

fn text(view: &ShadowView, width: usize) -> Vec<String> {
    let results = view.results;
    let compared = results.same + results.different;
    let mut lines =
        vec![format!("{}: {} of requests to {}", view.service, words::weight(view.share), view.to)];
    let mut say = |label: &str, text: String| lines.extend(field(label, &text, width));
    say("copies", copies(view));
    say(
        "compared",
        match results.different {
            _ if compared == 0 => "none yet".to_owned(),
            0 => format!("{compared}, all the same"),
            different => {
                let share = words::percent(different as f64 / compared as f64);
                format!("{compared}, {different} differ ({share})")
            }
        },
    );
    let dropped = view.dropped.iter().filter(|(_, count)| **count > 0);
    let dropped: Vec<_> = dropped.map(|(why, count)| format!("{why} {count}")).collect();
    if !dropped.is_empty() {
        say("dropped", dropped.join(", "));
    }
    if let Some(beside) = view.latency {
        say("latency", latency(beside));
    }
    if !view.noise.is_empty() {
        let paths: Vec<_> = view.noise.iter().map(|p| format!("{} {}", p.route, p.path)).collect();
        say("noise", paths.join(", "));
    }
    for difference in view.differences.iter().take(SHOWN) {
        lines.push(String::new());
        lines.extend(group(difference, width));
    }
    let more = view.differences.len().saturating_sub(SHOWN) as u64 + view.not_kept;
    if more > 0 {
        lines.push(format!("\nand {}", words::counted(more, "more difference")));
    }
    lines
}

fn copies(view: &ShadowView) -> String {
    let results = view.results;
    let sent = results.same + results.different + results.answered + results.failed;
    format!(
        "{sent} ended, {} failed, {} answered and not compared, {} in flight",
        results.failed, results.answered, view.in_flight
    )
}

fn latency(beside: BesideView) -> String {
    let ms = words::milliseconds;
    let (stable, shadow) = (beside.stable, beside.shadow);
    format!(
        "p50 {} (stable {}), p95 {} ({}), p99 {} ({})",
        ms(shadow.p50_ms),
        ms(stable.p50_ms),
        ms(shadow.p95_ms),
        ms(stable.p95_ms),
        ms(shadow.p99_ms),
        ms(stable.p99_ms)
    )
}

fn group(difference: &DifferenceView, width: usize) -> Vec<String> {
    let times = words::counted(difference.count, "time");
    let mut lines = vec![format!("{} {}: {times}", difference.route, difference.path)];
    if let Some(sample) = difference.samples.first() {
        lines.extend(field("stable", &sample.stable, width));
        lines.extend(field("shadow", &sample.shadow, width));
        let request = format!("{}  {}  {}", sample.request, sample.request_id, sample.at);
        lines.extend(field("request", &request, width));
    }
    lines
}
