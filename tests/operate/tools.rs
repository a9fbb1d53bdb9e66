//! The binary, the repository, and the programs of others that may or may not be here.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub(crate) const SERIN: &str = env!("CARGO_BIN_EXE_serin");

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn read(path: &str) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

pub(crate) fn serin(arguments: &[&str]) -> Output {
    Command::new(SERIN).args(arguments).current_dir(root()).output().expect("the binary")
}

/// The program, or `None` and a line that says what was not tested. `./dev` installs what is
/// missing where it may; that a machine has no Prometheus says nothing about Serin.
pub(crate) fn program(name: &str, for_what: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|p| p.is_file());
    if found.is_none() {
        eprintln!("SKIPPED: {for_what}: no {name} (Debian: apt-get install prometheus)");
    }
    found
}

pub(crate) fn must(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let (stdout, stderr) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{stdout}{stderr}");
    stdout.into_owned()
}
