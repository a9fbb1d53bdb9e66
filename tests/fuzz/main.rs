//! Input from outside, mutated: no input may panic, and each target has promises of its own.
//!
//! Each target begins with its corpus in `corpus/TARGET/`. A plain `cargo test` runs the corpus
//! and a fixed number of repeatable mutations of it; `./dev fuzz TARGET SECONDS` goes on for as
//! long as it is told, from another place each time. An input that breaks a promise is written
//! into the corpus, where it stays as a test.
//!
//! There is no coverage feedback, and no nightly compiler is needed.

mod answer;
mod chunked;
mod config;
mod cookie;
mod endpoints;
mod head;
mod hpack;
mod mutate;
mod path;
mod proxy;

use mutate::Mutator;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// What a plain test run adds to the corpus.
const ROUNDS: u64 = 3_000;

/// Runs one target: its corpus, then mutations of it.
fn fuzz(target: &str, words: &[&str], mut check: impl FnMut(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let corpus = corpus(&folder);
    assert!(!corpus.is_empty(), "no corpus in {}", folder.display());
    let mut guarded = |input: &[u8]| {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(input))) {
            let kept = folder.join(format!("broke-{}", serin_testkit::body_hash(input)));
            let written = std::fs::write(&kept, input);
            eprintln!("{target}: {} bytes kept in {} ({written:?})", input.len(), kept.display());
            resume_unwind(panic);
        }
    };
    corpus.iter().for_each(|input| guarded(input));
    let (seed, time) = effort();
    let mut mutator = Mutator::new(seed, &corpus, words);
    let begun = Instant::now();
    let mut rounds = 0u64;
    while time.map_or(rounds < ROUNDS, |time| begun.elapsed() < time) {
        guarded(&mutator.next());
        rounds += 1;
    }
    println!("{target}: {rounds} mutations of {} inputs, seed {seed}", corpus.len());
}

/// Where an input may be cut: everywhere when it is short, else at places spread over it and at its
/// last bytes, because trying every place of a long one is quadratic.
fn prefixes(input: &[u8]) -> impl Iterator<Item = usize> {
    const EVERYWHERE: usize = 512;
    let (length, last) = (input.len(), input.len().saturating_sub(64));
    let step = if length <= EVERYWHERE { 1 } else { length / 64 };
    (0..last).step_by(step).chain(last..length)
}

/// Where to begin, and for how long to go on if not for [`ROUNDS`].
fn effort() -> (u64, Option<Duration>) {
    let seconds = std::env::var("SERIN_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok());
    let Some(seconds) = seconds else { return (1, None) };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    (now.map_or(1, |now| now.as_nanos() as u64), Some(Duration::from_secs(seconds)))
}

fn corpus(folder: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder).expect("a corpus");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("an input")).collect()
}
