//! What can be seen of files without reading them, and which folders hold them.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Links that are followed from one name.
const MOST_LINKS: usize = 40;

/// Device and number: two files of one name differ in it.
pub(super) type Inode = (u64, u64);

/// One moment of all files. Two looks differ when a file's content may differ.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Look(Vec<Option<Seen>>);

#[derive(Debug, PartialEq, Eq)]
struct Seen {
    inode: Inode,
    size: u64,
    written: (i64, i64),
    /// Also moves when rights change, and when a tool sets the time of writing back.
    changed: (i64, i64),
}

impl Look {
    /// Links are followed; what cannot be seen is not there.
    pub(super) fn at(files: &[PathBuf]) -> Self {
        Self(files.iter().map(|file| seen(file)).collect())
    }
}

fn seen(file: &Path) -> Option<Seen> {
    let found = std::fs::metadata(file).ok()?;
    Some(Seen {
        inode: (found.dev(), found.ino()),
        size: found.size(),
        written: (found.mtime(), found.mtime_nsec()),
        changed: (found.ctime(), found.ctime_nsec()),
    })
}

/// Every folder in which a change could mean another content for one of the files: where they
/// lie, where the links on the way to them lie, and the folders that are listed themselves.
pub(super) fn folders(files: &[PathBuf]) -> BTreeSet<(PathBuf, Inode)> {
    let mut names = BTreeSet::new();
    for file in files {
        let Ok(file) = std::path::absolute(file) else { continue };
        if file.is_dir() {
            names.insert(file.clone());
        }
        of_links(file, &mut names);
    }
    let real = names.into_iter().filter_map(|name| {
        let existing = name.ancestors().find_map(|a| Some((a, std::fs::metadata(a).ok()?)));
        let (folder, found) = existing?;
        Some((folder.to_owned(), (found.dev(), found.ino())))
    });
    real.collect()
}

/// The folder of a name, and those of every link on the way to what it stands for.
fn of_links(file: PathBuf, names: &mut BTreeSet<PathBuf>) {
    let mut open = vec![file];
    for _ in 0..MOST_LINKS {
        let Some(name) = open.pop() else { return };
        if let Some(parent) = name.parent() {
            names.insert(parent.to_owned());
        }
        for part in name.ancestors() {
            let (Ok(target), Some(parent)) = (std::fs::read_link(part), part.parent()) else {
                continue;
            };
            names.insert(parent.to_owned());
            let rest = name.strip_prefix(part).unwrap_or(Path::new(""));
            open.push(parent.join(target).join(rest));
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn every_link_on_the_way_is_attended() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("a path");
        let (mount, first) = (root.join("mount"), root.join("mount/..1"));
        std::fs::create_dir_all(&first).expect("folders");
        std::fs::write(first.join("serin.yaml"), "").expect("a file");
        symlink("..1", mount.join("..data")).expect("a link");
        symlink("..data/serin.yaml", mount.join("serin.yaml")).expect("a link");
        symlink("mount", root.join("current")).expect("a link");
        let file = root.join("current/serin.yaml");
        let found: Vec<PathBuf> = folders(&[file]).into_iter().map(|(path, _)| path).collect();
        for wanted in [&root, &mount, &first] {
            let inode = std::fs::metadata(wanted).expect("a folder").ino();
            let same = |path: &PathBuf| path.metadata().is_ok_and(|m| m.ino() == inode);
            assert!(found.iter().any(same), "{} is not among {found:?}", wanted.display());
        }
    }

    #[test]
    fn a_content_of_the_same_size_and_time_looks_different() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = [folder.path().join("a")];
        std::fs::write(&files[0], "one").expect("a file");
        let before = Look::at(&files);
        let time = std::fs::metadata(&files[0]).and_then(|m| m.modified()).expect("a time");
        std::thread::sleep(std::time::Duration::from_millis(20));
        std::fs::write(&files[0], "two").expect("a file");
        let file = std::fs::File::options().write(true).open(&files[0]).expect("a file");
        file.set_modified(time).expect("a time");
        assert_ne!(Look::at(&files), before);
    }
}
