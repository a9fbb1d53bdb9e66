//! `serin check`: every fault of a configuration, with its line and a caret.

use super::Exit;
use super::output::{self, Format};
use serde::Serialize;
use serin_config::{Fault, Options, render_all};
use std::path::PathBuf;

/// Check a configuration: every fault with its line, and what to write instead
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A file, or a folder whose *.yaml files are read together
    path: PathBuf,
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
    /// Look up the host names of endpoints too
    #[arg(long)]
    resolve: bool,
}

#[derive(Debug, Serialize)]
struct Answer<'a> {
    ok: bool,
    faults: &'a [Fault],
    /// Found beyond those listed.
    more: usize,
}

pub(crate) fn run(args: &Args) -> Exit {
    let options = Options { resolve: args.resolve, ..Options::default() };
    let (faults, more, summary) = match serin_config::load(&args.path, &options) {
        Ok(loaded) => {
            let lines = loaded.config.copies().into_iter().map(|copies| format!("\n{copies}"));
            let summary = loaded.config.summary() + &lines.collect::<String>();
            (loaded.warnings, 0, Some(summary))
        }
        Err(refused) => (refused.faults, refused.more, None),
    };
    match args.output {
        Format::Json => output::json(&Answer { ok: summary.is_some(), faults: &faults, more }),
        Format::Text => {
            if !faults.is_empty() {
                output::note(&render_all(&faults, output::style_of(&std::io::stderr())));
            }
            match &summary {
                Some(summary) => output::line(&format!("ok: {summary}")),
                None => output::note(&refusal(&faults, more)),
            }
        }
    }
    if summary.is_some() { Exit::Done } else { Exit::InvalidConfiguration }
}

/// The last line, which is the one a terminal still shows after a long list.
fn refusal(faults: &[Fault], more: usize) -> String {
    let errors = faults.iter().filter(|f| f.severity == serin_config::Severity::Error).count();
    let warnings = faults.len() - errors;
    let mut text = format!("invalid: {}", counted(errors, "error"));
    if warnings > 0 {
        text.push_str(&format!(", {}", counted(warnings, "warning")));
    }
    if more > 0 {
        text.push_str(&format!(", and {more} more"));
    }
    text
}

fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
