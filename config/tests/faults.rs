//! What an operator sees for each mistake: the exact message, line and caret.
//!
//! The files in `faults/` hold cases: a name, the mistake, and after `----` what is printed.
//! A file's base surrounds each of its mistakes, which stands where the base has `@@`. To look at
//! the messages after a change, run the test with `BLESS=1` and read the diff.

mod support;

use serin_config::{Environment, Options, Style, load, render_all};
use std::fmt::Write as _;
use std::path::Path;
use support::Ground;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults");

#[test]
fn every_mistake_is_explained_as_recorded() {
    let ground = Ground::new();
    ground.certificate("both", &["shop.example.com", "other.example.com"]);
    ground.write("secrets/short", "abc\n");
    ground.write("secrets/empty", " \n");
    ground.write("secrets/binary", [0xff, 0xfe, 0x00]);
    ground.write("v1.yaml", "- 10.0.0.1:80\n- { address: 10.0.0.2:80, weight: 3, priority: 1 }\n");
    ground.write("broken.yaml", "- 10.0.0.1:80\n- 10.0.0.256:80\n");
    let bless = std::env::var_os("BLESS").is_some();
    let (mut count, mut wrong) = (0, String::new());
    for path in files() {
        let text = std::fs::read_to_string(&path).expect("a file of cases");
        let mut group = Group::parse(&text);
        for case in &mut group.cases {
            count += 1;
            let found = seen(&ground, &group.base, case);
            if found != case.expected {
                let _ =
                    write!(wrong, "#### {}\n{found}\nrecorded:\n{}\n", case.name, case.expected);
                case.expected = found;
            }
        }
        if bless {
            std::fs::write(&path, group.print()).expect("a file of cases");
        }
    }
    assert!(count >= 60, "only {count} cases");
    assert!(bless || wrong.is_empty(), "{wrong}");
}

fn files() -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(FOLDER).expect("the folder of cases");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

/// What `serin check` would print, with the folder's name taken out.
fn seen(ground: &Ground, base: &str, case: &Case) -> String {
    let path = ground.write("serin.yaml", fill(base, &case.mistake));
    let variables = [("PORT".to_owned(), "8080".to_owned())];
    let options =
        Options { environment: Environment::Fixed(variables.into()), ..Options::default() };
    let text = match load(&path, &options) {
        Ok(loaded) => render_all(&loaded.warnings, Style::Plain),
        Err(faults) => faults.to_string(),
    };
    let folder = format!("{}/", ground.path().display());
    text.replace(&folder, "").trim_end().to_owned()
}

/// The mistake in its place, as deep as the place is.
fn fill(base: &str, mistake: &str) -> String {
    let Some(line) = base.lines().find(|line| line.trim() == "@@") else {
        return mistake.to_owned();
    };
    let indent = &line[..line.len() - 2];
    let lines: Vec<String> = mistake.lines().map(|line| format!("{indent}{line}")).collect();
    base.replace(line, &lines.join("\n"))
}

struct Group {
    base: String,
    cases: Vec<Case>,
}

struct Case {
    name: String,
    mistake: String,
    expected: String,
}

impl Group {
    fn parse(text: &str) -> Self {
        let mut parts = text.split("#### ");
        let base = parts.next().unwrap_or_default().to_owned();
        let case = |part: &str| {
            let (name, rest) = part.split_once('\n').expect("a name");
            let (mistake, expected) = rest.split_once("----\n").unwrap_or((rest, ""));
            Case {
                name: name.to_owned(),
                mistake: mistake.trim_end().to_owned(),
                expected: expected.trim_end().to_owned(),
            }
        };
        Self { base, cases: parts.map(case).collect() }
    }

    fn print(&self) -> String {
        let mut text = self.base.clone();
        for case in &self.cases {
            let Case { name, mistake, expected } = case;
            let _ = write!(text, "#### {name}\n{mistake}\n----\n{expected}\n\n");
        }
        text
    }
}

#[test]
fn the_folder_of_cases_is_where_the_test_looks() {
    assert!(Path::new(FOLDER).is_dir());
}
