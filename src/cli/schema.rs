//! `serin schema`: the configuration as JSON Schema, for editors.

use super::Exit;
use super::output::{self, Format};

/// Print the JSON Schema of the configuration, for editors
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// It is JSON either way
    #[arg(short, long, value_enum, default_value = "json", hide_possible_values = true)]
    output: Format,
}

pub(crate) fn run(args: &Args) -> Exit {
    // A schema has one form, whatever is asked for.
    match args.output {
        Format::Json | Format::Text => output::json(&serin_config::schema()),
    }
    Exit::Done
}
