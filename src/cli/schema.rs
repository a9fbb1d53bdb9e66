//! `serin schema`: the configuration as JSON Schema, for editors.

use super::{Exit, output};

/// Print the JSON Schema of the configuration, for editors
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args) -> Exit {
    output::json(&serin_config::schema());
    Exit::Done
}
