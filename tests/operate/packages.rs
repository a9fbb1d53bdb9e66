//! What the Debian package is made of: its configuration, manual pages and completions.

use crate::tools::{SERIN, must, read, root, serin};
use std::process::Command;

#[test]
fn what_the_package_takes_from_the_repository_is_there() {
    let manifest = read("Cargo.toml");
    let metadata = manifest.split("[package.metadata.deb]").nth(1).unwrap();
    let assets = metadata.split("assets = [").nth(1).unwrap().split("\n]").next().unwrap();
    let sources =
        assets.lines().filter_map(|line| line.trim().strip_prefix("[\"")?.split('"').next());
    let mut seen = 0;
    for source in sources.filter(|source| !source.starts_with("target/")) {
        let plain = source.trim_end_matches("*.md");
        assert!(root().join(plain).exists(), "{source}");
        seen += 1;
    }
    assert!(seen >= 4, "{assets}");
}

#[test]
fn the_configuration_of_the_package_serves_as_it_is() {
    let checked = serin(&["check", "examples/debian"]);
    assert_eq!(checked.status.code(), Some(0), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn every_verb_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    must(Command::new(SERIN).arg("man").arg(folder.path()));
    let help = String::from_utf8(serin(&["--help"]).stdout).unwrap();
    let commands = help.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let verbs = commands.lines().filter_map(|line| line.split_whitespace().next());
    let mut pages = 0;
    for verb in verbs.filter(|verb| *verb != "help") {
        let page = folder.path().join(format!("serin-{verb}.1"));
        let text = std::fs::read_to_string(&page).unwrap_or_else(|_| panic!("no page for {verb}"));
        assert!(text.contains(".SH SYNOPSIS"), "{text}");
        pages += 1;
    }
    assert!(pages > 10, "{help}");
}

#[test]
fn a_shell_takes_its_completions() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let text = must(Command::new(SERIN).args(["completions", shell]));
        assert!(text.contains("prometheus-rules"), "{shell}");
        let file = folder.path().join(shell);
        std::fs::write(&file, text).unwrap();
        if let Some(program) = std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .map(|folder| folder.join(shell))
            .find(|program| program.is_file())
        {
            must(Command::new(program).arg("-n").arg(&file));
        }
    }
}
