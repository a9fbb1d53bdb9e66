//! The figures of a scenario, as a table in Markdown.

use crate::measure::{Figures, Row};
use crate::peer::Kind;
use crate::scenario::Scenario;

pub(crate) fn print(scenario: Scenario, rows: &[Row]) {
    println!("### {}\n", scenario.title());
    if scenario == Scenario::Idle {
        println!("| | KB a connection |\n|---|---|");
        for row in rows {
            println!("| {} | {:.1} |", row.kind.name(), median(row, |f| f.memory));
        }
        println!();
        return;
    }
    if scenario == Scenario::Fixed {
        return tails(rows);
    }
    let (named, line) = if scenario.mirrors() { (" copies sent |", "---|") } else { ("", "") };
    println!(
        "| | CPU µs/request | ÷ nginx | ÷ haproxy | requests/s | p50 µs | p99 µs | failed |{named}"
    );
    println!("|---|---|---|---|---|---|---|---|{line}");
    for row in rows {
        let cpu = median(row, |f| f.cpu);
        let copies = match scenario.mirrors() {
            true => format!(" {:.0}% |", 100.0 * median(row, |f| f.copies)),
            false => String::new(),
        };
        println!(
            "| {} | {cpu:.1} | {} | {} | {:.0} | {:.0} | {:.0} | {:.0} |{copies}",
            row.kind.name(),
            ratio(row, rows, Kind::Nginx, |f| f.cpu),
            ratio(row, rows, Kind::Haproxy, |f| f.cpu),
            median(row, |f| f.per_second),
            median(row, |f| f.p50),
            median(row, |f| f.p99),
            row.rounds.iter().map(|f| f.failed).sum::<f64>(),
        );
    }
    println!();
}

/// What others do on the machine only ever makes a tail longer: the shortest of all rounds is
/// nearest to the proxy's own, and the medians say how far the run can be trusted.
fn tails(rows: &[Row]) {
    println!("| | p50 µs | p99 µs | p99 ÷ nginx | shortest p99 µs | failed |");
    println!("|---|---|---|---|---|---|");
    for row in rows {
        println!(
            "| {} | {:.0} | {:.0} | {} | {:.0} | {:.0} |",
            row.kind.name(),
            median(row, |f| f.p50),
            median(row, |f| f.p99),
            ratio(row, rows, Kind::Nginx, |f| f.p99),
            row.rounds.iter().map(|f| f.p99).fold(f64::INFINITY, f64::min),
            row.rounds.iter().map(|f| f.failed).sum::<f64>(),
        );
    }
    println!();
}

fn median(row: &Row, of: impl Fn(&Figures) -> f64) -> f64 {
    middle(row.rounds.iter().map(of).collect())
}

/// The median of the ratios round by round, so that drift cancels out.
fn ratio(row: &Row, rows: &[Row], to: Kind, of: fn(&Figures) -> f64) -> String {
    let Some(other) = rows.iter().find(|r| r.kind == to) else { return "-".to_owned() };
    let ratios = row.rounds.iter().zip(&other.rounds).map(|(a, b)| of(a) / of(b)).collect();
    format!("{:.2}", middle(ratios))
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
