//! `serin man`: one page for each verb, made from what `--help` says.

use super::{Exit, output};
use std::path::{Path, PathBuf};

/// Write the manual pages into a folder
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder; it is made when it is not there
    folder: PathBuf,
}

pub(crate) fn run(args: &Args, command: clap::Command) -> Exit {
    match write(&args.folder, command) {
        Ok(()) => Exit::Done,
        Err(fault) => {
            output::note(&format!("error: cannot write to {}: {fault}", args.folder.display()));
            Exit::Error
        }
    }
}

fn write(folder: &Path, command: clap::Command) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(command, folder)
}
