//! Running one case under callgrind, and reading what it counted.

use crate::exchange::{self, Exchange};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// Instructions of one thread.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spent {
    /// Those of functions of this program.
    pub(crate) program: u64,
    /// Of these, those of functions of the workspace. The libraries are counted as a build for tests
    /// compiles them, several times what they are in a release: beside them a few percent of our own
    /// would not be seen.
    pub(crate) workspace: u64,
}

/// Instructions of the whole stretch that are this program's own.
pub(crate) fn count(case: &str) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let file = folder.path().join("out");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*measured_stretch*", "--compress-strings=no"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(&program)
        .args(["run", case])
        .output()
        .map_err(|e| format!("valgrind: {e}"))?;
    if !output.status.success() {
        return Err(format!("{case}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let profile = std::fs::read_to_string(&file).map_err(|e| format!("{case}: {e}"))?;
    match own(&profile, &program.display().to_string()).program {
        0 => Err(format!("{case}: callgrind has counted nothing; is the program stripped?")),
        count => Ok(count),
    }
}

/// What the serving thread of a proxy spends on so many exchanges, besides what it spends on as many
/// that warm it.
pub(crate) fn count_exchange(exchange: &Exchange, times: u64) -> Result<Spent, String> {
    let (warm, all) = (served(exchange, times)?, served(exchange, 2 * times)?);
    let more = all.into_iter().map(|(thread, all)| {
        let warm = warm.get(&thread).copied().unwrap_or_default();
        Spent {
            program: all.program.saturating_sub(warm.program),
            workspace: all.workspace.saturating_sub(warm.workspace),
        }
    });
    // The thread that has more to do for more exchanges is the one that serves. Another may do more
    // before there are any.
    let most = more.max_by_key(|spent| spent.program).unwrap_or_default();
    match most.workspace {
        0 => Err("callgrind has counted nothing; is the program stripped?".to_owned()),
        _ => Ok(most),
    }
}

fn served(exchange: &Exchange, times: u64) -> Result<BTreeMap<String, Spent>, String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let config = folder.path().join("serin.yaml");
    std::fs::write(&config, Exchange::config(exchange::origin()?)).map_err(|e| e.to_string())?;
    let mut proxy = Command::new("valgrind")
        .args(["--tool=callgrind", "--separate-threads=yes", "--compress-strings=no"])
        .arg(format!("--callgrind-out-file={}", folder.path().join("out").display()))
        .arg(&program)
        .arg("serve")
        .arg(&config)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("valgrind: {e}"))?;
    let asked = match proxy.stdout.take() {
        Some(out) => exchange.ask(out, times),
        None => Err("valgrind has no output".to_owned()),
    };
    // Closes its input first, at which it ends.
    let output = proxy.wait_with_output().map_err(|e| e.to_string())?;
    asked.map_err(|e| format!("{e}\n{}", String::from_utf8_lossy(&output.stderr)))?;
    threads(folder.path(), &program.display().to_string())
}

/// What each thread has spent, by its number.
fn threads(folder: &Path, object: &str) -> Result<BTreeMap<String, Spent>, String> {
    let failed = |e: std::io::Error| format!("{}: {e}", folder.display());
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        // `out-03` is the third thread's.
        if let Some((_, thread)) = path.to_string_lossy().rsplit_once("out-") {
            let profile = std::fs::read_to_string(&path).map_err(failed)?;
            all.insert(thread.to_owned(), own(&profile, object));
        }
    }
    Ok(all)
}

/// Costs of functions of one object. `ob=` says whose the following lines are; the line after
/// `calls=` is the cost of what was called, which is counted where it stands by itself.
fn own(profile: &str, object: &str) -> Spent {
    let (mut ours, mut skip, mut workspace, mut sum) = (false, false, false, Spent::default());
    for line in profile.lines() {
        if let Some(named) = line.strip_prefix("ob=") {
            ours = named == object;
        } else if let Some(named) = line.strip_prefix("fn=") {
            workspace = named.contains("serin_");
        } else if line.starts_with("calls=") {
            skip = true;
        } else if line.starts_with(|c: char| c.is_ascii_digit() || "+-*".contains(c)) {
            let cost = line.split(' ').nth(1).and_then(|cost| cost.parse::<u64>().ok());
            if !std::mem::take(&mut skip) && ours {
                sum.program += cost.unwrap_or(0);
                sum.workspace += if workspace { cost.unwrap_or(0) } else { 0 };
            }
        }
    }
    sum
}

/// The compiler that is asked for now, and for what machine.
pub(crate) fn compiler() -> Result<String, String> {
    let program = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let output = Command::new(program).arg("-vV").output().map_err(|e| format!("rustc: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let of = |label: &str| text.lines().find_map(|line| line.strip_prefix(label));
    match (of("release: "), of("host: ")) {
        (Some(release), Some(host)) => Ok(format!("rustc {release} {host}")),
        _ => Err(format!("rustc -vV said {text:?}")),
    }
}
