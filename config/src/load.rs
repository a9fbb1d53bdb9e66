//! From a path to a checked configuration.
//!
//! Reading is bounded in every direction: how many files, how large, how deep, how many values.
//! Only regular files are opened, so no pipe can hold a reload up.

use crate::budget::Budget;
use crate::check::{self, Check};
use crate::fault::{Fault, Faults, Severity};
use crate::file::{File, Read as _, Reader};
use crate::hash;
use crate::model::Config;
use crate::report::Report;
use crate::source::{Place, Source};
use crate::yaml::{self, Node};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Ten thousand routes are three megabytes.
const LARGEST_FILE: u64 = 16 << 20;
const MOST_FILES: usize = 1_000;
/// Entries of a folder that are looked at, `*.yaml` or not.
const MOST_ENTRIES: usize = 100_000;

#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Look up the host names of endpoints. Off by default: a check says the same everywhere.
    pub resolve: bool,
    pub environment: Environment,
    pub files: Files,
}

/// Whether the files that a configuration names are opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Files {
    #[default]
    Read,
    /// Whoever wrote the text may not learn what lies on this machine's disk.
    Unread,
}

/// Where `${VAR}` is looked up.
#[derive(Debug, Clone, Default)]
pub enum Environment {
    #[default]
    Process,
    Fixed(BTreeMap<String, String>),
    /// Not for whoever wrote the text; what has a default gets that.
    Unread,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    pub config: Config,
    pub warnings: Vec<Fault>,
    /// Everything that was read, certificates and secrets too: what a reload has to watch.
    pub files: Vec<PathBuf>,
}

/// Reads a file, or every `*.yaml` of a folder.
pub fn load(path: &Path, options: &Options) -> Result<Loaded, Faults> {
    let mut report = Report::default();
    let mut files = vec![path.to_owned()];
    let mut sources = Vec::new();
    for found in listed(path, &mut report) {
        if let Some(text) = read(&found, &mut report) {
            let base = found.parent().map(Path::to_owned).unwrap_or_default();
            sources.push(Source::new(found.display().to_string(), base, text));
        }
        if found != *path {
            files.push(found);
        }
    }
    understand(sources, files, options, report)
}

/// Reads one text; relative paths in it are relative to the working directory.
pub fn from_str(name: &str, text: &str) -> Result<Loaded, Faults> {
    let mut report = Report::default();
    if text.len() as u64 > LARGEST_FILE {
        report.file(too_large(name.to_owned()));
        return understand(Vec::new(), Vec::new(), &Options::default(), report);
    }
    let source = Source::new(name.to_owned(), PathBuf::new(), text.to_owned());
    understand(vec![source], Vec::new(), &Options::default(), report)
}

/// What is wrong with a text that somebody else has sent: warnings, or every fault. Reads neither the
/// environment nor any file, and says what it could not look at.
pub fn check_text(name: &str, text: &str) -> Result<Vec<Fault>, Faults> {
    let options =
        Options { resolve: false, environment: Environment::Unread, files: Files::Unread };
    let mut report = Report::default();
    if text.len() as u64 > LARGEST_FILE {
        report.file(too_large(name.to_owned()));
        let (faults, more) = report.finish(&[], &[]);
        return Err(Faults { faults, more, files: Vec::new() });
    }
    let source = Source::new(name.to_owned(), PathBuf::new(), text.to_owned());
    let understood = understood(vec![source], &options, report);
    match understood.errors {
        0 => Ok(understood.faults),
        _ => Err(Faults { faults: understood.faults, more: understood.more, files: Vec::new() }),
    }
}

/// The files to read: the path itself, or what lies in it, by name.
fn listed(path: &Path, report: &mut Report) -> Vec<PathBuf> {
    let whole = |message: String, hint: Option<&str>| {
        Fault::of_file(path.display().to_string(), message, hint.map(str::to_owned))
    };
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => return vec![path.to_owned()],
        Err(error) => {
            let reason = check::plain(&error);
            report.file(whole(format!("cannot read the configuration: {reason}"), None));
            return Vec::new();
        }
    }
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) => {
            let reason = check::plain(&error);
            report.file(whole(format!("cannot read the folder: {reason}"), None));
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    for entry in entries.take(MOST_ENTRIES).flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // Hidden names are editors' and Kubernetes' own (`..data`).
        if name.starts_with('.') {
            continue;
        }
        if name.ends_with(".yaml") {
            found.push(entry.path());
        } else if name.ends_with(".yml") {
            let mut fault = Fault::of_file(
                entry.path().display().to_string(),
                "this file is not read".to_owned(),
                Some("rename it: in a folder only `*.yaml` is read".to_owned()),
            );
            fault.severity = Severity::Warning;
            report.file(fault);
        }
    }
    found.sort();
    if found.is_empty() {
        report.file(whole("there is no *.yaml in this folder".to_owned(), None));
    }
    if found.len() > MOST_FILES {
        let message = format!("there are more than {MOST_FILES} *.yaml files in this folder");
        report.file(whole(message, Some("is it the right folder?")));
        found.clear();
    }
    found
}

fn too_large(name: String) -> Fault {
    let message = format!("the file is larger than {} MiB", LARGEST_FILE >> 20);
    Fault::of_file(
        name,
        message,
        Some("split it: all *.yaml files of a folder are read".to_owned()),
    )
}

fn read(path: &Path, report: &mut Report) -> Option<String> {
    let name = path.display().to_string();
    match bytes(path) {
        Ok(bytes) if bytes.len() as u64 > LARGEST_FILE => report.file(too_large(name)),
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => return Some(text),
            Err(error) => report.file(not_text(name, &error)),
        },
        Err(reason) => {
            report.file(Fault::of_file(name, format!("cannot read the file: {reason}"), None));
        }
    }
    None
}

fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    let plain = |error: std::io::Error| check::plain(&error);
    let metadata = std::fs::metadata(path).map_err(plain)?;
    if !metadata.is_file() {
        return Err(format!("it is {}", check::kind(&metadata)));
    }
    let mut bytes = Vec::new();
    if metadata.len() <= LARGEST_FILE {
        let file = std::fs::File::open(path).map_err(plain)?;
        file.take(LARGEST_FILE + 1).read_to_end(&mut bytes).map_err(plain)?;
    } else {
        bytes.resize(LARGEST_FILE as usize + 1, 0);
    }
    Ok(bytes)
}

fn not_text(name: String, error: &std::string::FromUtf8Error) -> Fault {
    let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
    let mut fault = Fault::of_file(
        name,
        "the file is not UTF-8".to_owned(),
        Some("save it as UTF-8".to_owned()),
    );
    (fault.line, fault.column) = (line, column);
    fault
}

/// Text → tree → what the files say → what the program runs on.
fn understand(
    sources: Vec<Source>,
    mut files: Vec<PathBuf>,
    options: &Options,
    report: Report,
) -> Result<Loaded, Faults> {
    let Understood { config, faults, more, errors, read } = understood(sources, options, report);
    files.extend(read);
    files.sort();
    files.dedup();
    match config {
        Some(config) if errors == 0 => Ok(Loaded { config, warnings: faults, files }),
        Some(_) | None => Err(Faults { faults, more, files }),
    }
}

struct Understood {
    /// As far as it could be made; complete when there are no errors.
    config: Option<Config>,
    faults: Vec<Fault>,
    more: usize,
    errors: usize,
    /// Files beside the configuration itself.
    read: Vec<PathBuf>,
}

fn understood(sources: Vec<Source>, options: &Options, mut report: Report) -> Understood {
    let mut budget = Budget::default();
    let mut roots = Vec::with_capacity(sources.len());
    for (file, source) in (0u16..).zip(&sources) {
        roots.push(yaml::parse(file, source, &options.environment, &mut budget, &mut report));
    }
    let unread = report.errors() > 0 && roots.iter().any(Option::is_none) || sources.is_empty();
    let parts: Vec<File> =
        roots.iter().flatten().filter_map(|root| typed(root, &mut report)).collect();
    // What a broken file defines is unknown, and so is what rests on a value that is not looked at:
    // the checks would call it missing.
    let unread = unread || report.has_unknown();
    let mut check = Check::new(&mut report, &sources, options);
    let config = (!unread).then(|| check::config(parts, &mut check));
    check.tell_unread();
    let read = std::mem::take(&mut check.read);
    let hash = hash::of(roots.iter().flatten(), &read);
    let errors = report.errors();
    let (faults, more) = report.finish(&sources, &roots);
    Understood {
        config: config.map(|config| Config { hash, ..config }),
        faults,
        more,
        errors,
        read: read.into_iter().map(|(path, _)| path).collect(),
    }
}

fn typed(root: &Node, report: &mut Report) -> Option<File> {
    let owner = Place { end: root.at.start, ..root.at }.whole();
    File::read(root, &mut Reader { report, owner })
}
