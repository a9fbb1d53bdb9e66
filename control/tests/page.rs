//! The page's built files, which are committed so that cargo needs no Node, belong to its sources.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Its sources, relative to `control/page/`; `stamp.mjs` lists the same.
const SOURCES: [&str; 6] =
    ["index.html", "package-lock.json", "tsconfig.json", "vite.config.ts", "public", "src"];

/// What a browser loads before it shows anything, not compressed.
const MOST: u64 = 150_000;

#[test]
fn the_built_page_was_made_from_these_sources() {
    let stamp = std::fs::read_to_string(page().join("dist/stamp")).expect("a stamp");
    let stamped: BTreeMap<&str, &str> = stamp
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(sum, path)| (path, sum))
        .collect();
    let files = SOURCES.iter().chain(&["dist"]).flat_map(|name| files(&page().join(name)));
    let found: BTreeMap<String, String> = files
        .map(|path| {
            let name = path.strip_prefix(page()).expect("inside").display().to_string();
            (name, fnv(&std::fs::read(&path).expect("a file")))
        })
        .filter(|(name, _)| name != "dist/stamp")
        .collect();
    let found: BTreeMap<&str, &str> = found.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let changed: Vec<_> =
        found.iter().filter(|(name, sum)| stamped.get(*name) != Some(sum)).collect();
    assert!(changed.is_empty(), "changed since the page was built; run ./dev page: {changed:?}");
    assert_eq!(stamped.len(), found.len(), "files have gone; run ./dev page");
}

#[test]
fn the_page_is_small() {
    let built = files(&page().join("dist")).into_iter().filter(|p| !p.ends_with("stamp"));
    let size: u64 = built.map(|path| path.metadata().expect("a file").len()).sum();
    assert!(size < MOST, "{size} bytes");
}

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("page")
}

fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = std::fs::read_dir(path).expect("a folder");
    entries.flat_map(|entry| files(&entry.expect("an entry").path())).collect()
}

/// FNV-1a with 64 bits: against forgetting, not against forgery.
fn fnv(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}
