//! Running one case under callgrind, and reading what it counted.

use std::process::Command;

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
    match own(&profile, &program.display().to_string()) {
        0 => Err(format!("{case}: callgrind has counted nothing; is the program stripped?")),
        count => Ok(count),
    }
}

/// Costs of functions of one object. `ob=` says whose the following lines are; the line after
/// `calls=` is the cost of what was called, which is counted where it stands by itself.
fn own(profile: &str, object: &str) -> u64 {
    let (mut ours, mut skip, mut sum) = (false, false, 0);
    for line in profile.lines() {
        if let Some(named) = line.strip_prefix("ob=") {
            ours = named == object;
        } else if line.starts_with("calls=") {
            skip = true;
        } else if line.starts_with(|c: char| c.is_ascii_digit() || "+-*".contains(c)) {
            let cost = line.split(' ').nth(1).and_then(|cost| cost.parse::<u64>().ok());
            if !std::mem::take(&mut skip) && ours {
                sum += cost.unwrap_or(0);
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
