//! How many instructions the functions of every request and every tick execute, compared with
//! `baseline.txt`: 5% more of any is a failure.
//!
//! An instruction count is the same on a busy machine as on an idle one, which no time is. Each
//! case runs by itself under valgrind's callgrind, which counts only inside [`measured_stretch`],
//! and of that only what lies in this program: the C library chooses its copying by processor. Whole
//! requests are counted in a proxy that runs under it, see [`exchange`].
//! Another compiler makes other code, so a baseline is compared only with counts of its own; with
//! another one the counts are shown and nothing is judged. `./dev counts` runs it.

mod callgrind;
mod cases;
mod exchange;

use std::collections::BTreeMap;
use std::process::ExitCode;

const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions/baseline.txt");
/// Of the baseline's count.
const AT_MOST: f64 = 1.05;
/// Calls in one measured stretch.
const CALLS: u64 = 1_000;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).filter(|w| *w != "--bench").collect();
    let done = match words[..] {
        ["run", case] => cases::run(case, CALLS),
        ["serve", config] => exchange::serve(config),
        ["compare"] => compare(),
        ["bless"] => bless(),
        // `cargo test` and `cargo bench` start every bench without these words.
        _ => Ok(()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("{trouble}");
            ExitCode::FAILURE
        }
    }
}

/// Instructions a call, by case, and what compiled them.
#[derive(Debug, PartialEq)]
struct Counts {
    compiler: String,
    by_case: BTreeMap<String, u64>,
}

fn counted() -> Result<Counts, String> {
    let mut by_case = BTreeMap::new();
    for case in cases::NAMES {
        by_case.insert((*case).to_owned(), callgrind::count(case)? / CALLS);
    }
    for exchange in exchange::ALL {
        let spent = callgrind::count_exchange(exchange, CALLS)?;
        by_case.insert(exchange.name.to_owned(), spent.program / CALLS);
        by_case.insert(format!("{}, own code", exchange.name), spent.workspace / CALLS);
    }
    Ok(Counts { compiler: callgrind::compiler()?, by_case })
}

fn compare() -> Result<(), String> {
    let kept = std::fs::read_to_string(BASELINE).map_err(|e| format!("{BASELINE}: {e}"))?;
    let (kept, now) = (read(&kept)?, counted()?);
    let judged = kept.compiler == now.compiler;
    println!("{:<28} {:>12} {:>12} {:>8}", "instructions a call", "baseline", "now", "");
    let mut worse = Vec::new();
    for (case, count) in &now.by_case {
        let Some(before) = kept.by_case.get(case) else {
            println!("{case:<28} {:>12} {count:>12}", "-");
            worse.push(format!("{case} is not in the baseline"));
            continue;
        };
        let ratio = *count as f64 / (*before).max(1) as f64;
        println!("{case:<28} {before:>12} {count:>12} {:>+7.1}%", (ratio - 1.0) * 100.0);
        if ratio > AT_MOST {
            worse.push(format!("{case} executes {count} instructions, {before} before"));
        }
    }
    if !judged {
        println!(
            "not judged: the baseline is of {}, these counts are of {}",
            kept.compiler, now.compiler
        );
        return Ok(());
    }
    match worse.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "{}\nmake it cheaper, or write a new baseline: ./dev counts --bless",
            worse.join("\n")
        )),
    }
}

fn bless() -> Result<(), String> {
    let now = counted()?;
    std::fs::write(BASELINE, written(&now)).map_err(|e| format!("{BASELINE}: {e}"))?;
    print!("{}", written(&now));
    Ok(())
}

fn written(counts: &Counts) -> String {
    let mut text = format!(
        "# Instructions a call. Written by `./dev counts --bless`; the difference is part of a review.\ncompiler: {}\n",
        counts.compiler
    );
    for (case, count) in &counts.by_case {
        text.push_str(&format!("{case}: {count}\n"));
    }
    text
}

fn read(text: &str) -> Result<Counts, String> {
    let mut counts = Counts { compiler: String::new(), by_case: BTreeMap::new() };
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) =
            line.split_once(": ").ok_or_else(|| format!("{line:?} in {BASELINE}"))?;
        match name {
            "compiler" => value.clone_into(&mut counts.compiler),
            case => {
                let count = value.parse().map_err(|_| format!("{line:?} in {BASELINE}"))?;
                counts.by_case.insert(case.to_owned(), count);
            }
        }
    }
    Ok(counts)
}

/// Where callgrind begins and stops to count; it knows it by its name.
#[inline(never)]
fn measured_stretch(calls: u64, call: &mut dyn FnMut()) {
    for _ in 0..calls {
        call();
    }
}
