//! A disk that dies, fills up, refuses or dawdles when it is told to.
//!
//! It keeps what was synced apart from what was only written. When it dies, every sector that was
//! written since the last sync is kept or lost by the toss of a coin, as with a power cut; so is
//! every name that was given since.

use serin_control::journal::{Custody, Storage};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const SECTOR: usize = 512;

#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<Mutex<State>>);

type Names = BTreeMap<String, u64>;

#[derive(Debug, Clone, Default)]
struct State {
    files: BTreeMap<u64, FileState>,
    /// Which file has which name, now.
    names: Names,
    /// The names that a power cut can bring back, the durable ones first.
    earlier_names: Vec<Names>,
    replaced: BTreeMap<String, u64>,
    operations: u64,
    dies_at: Option<u64>,
    mood: Mood,
}

#[derive(Debug, Clone, Default)]
struct FileState {
    durable: Vec<u8>,
    now: Vec<u8>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mood {
    #[default]
    Well,
    /// No file can grow.
    Full,
    ReadOnly,
    /// Each sync takes this long.
    Slow(Duration),
    /// No sync comes back before it is well again.
    Hung,
    /// It is gone: the power was cut.
    Dead,
}

impl Disk {
    pub fn dies_at(&self, operation: u64) {
        self.state(|s| s.dies_at = Some(operation));
    }

    pub fn mood(&self, mood: Mood) {
        self.state(|s| s.mood = mood);
    }

    pub fn is_dead(&self) -> bool {
        self.state(|s| s.mood == Mood::Dead)
    }

    /// How many operations were asked of it.
    pub fn operations(&self) -> u64 {
        self.state(|s| s.operations)
    }

    /// How often another file took the place of this one.
    pub fn replaced(&self, file: &str) -> u64 {
        self.state(|s| s.replaced.get(file).copied().unwrap_or_default())
    }

    /// What a new start finds: another disk, with what the old one kept. `coin` decides.
    pub fn after_power_cut(&self, mut coin: impl FnMut() -> bool) -> Disk {
        self.state(|s| {
            let mut names = s.earlier_names.iter().chain([&s.names]);
            let mut found = names.next().unwrap_or(&s.names);
            for later in names {
                if !coin() {
                    break;
                }
                found = later;
            }
            let keep = |(name, id): (&String, &u64)| {
                let file = s.files.get(id)?;
                Some((name.clone(), kept(&file.durable, &file.now, &mut coin)))
            };
            Disk::of(found.iter().filter_map(keep).collect())
        })
    }

    /// What a new start finds after `kill -9`: the kernel still has everything that was written.
    pub fn after_kill(&self) -> Disk {
        self.state(|s| {
            let keep =
                |(name, id): (&String, &u64)| Some((name.clone(), s.files.get(id)?.now.clone()));
            Disk::of(s.names.iter().filter_map(keep).collect())
        })
    }

    fn of(contents: Vec<(String, Vec<u8>)>) -> Disk {
        let disk = Disk::default();
        contents.into_iter().for_each(|(name, bytes)| disk.put(&name, bytes));
        disk
    }

    pub fn bytes(&self, file: &str) -> Vec<u8> {
        self.state(|s| s.file(file).map(|f| f.now.clone()).unwrap_or_default())
    }

    /// As if it had always been there.
    pub fn put(&self, file: &str, bytes: Vec<u8>) {
        self.state(|s| {
            let id = s.fresh();
            s.files.insert(id, FileState { durable: bytes.clone(), now: bytes });
            s.names.insert(file.to_owned(), id);
            s.earlier_names.clear();
        });
    }

    fn state<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts one operation. The one at which the disk dies is begun, never reported.
    fn operate(&self, apply: impl FnOnce(&mut State) -> io::Result<()>) -> io::Result<()> {
        let dawdle = self.state(|s| {
            s.operations += 1;
            if s.mood == Mood::Dead {
                return Err(io::Error::other("the disk is gone"));
            }
            if s.dies_at == Some(s.operations) {
                let _ = apply(s);
                s.mood = Mood::Dead;
                return Err(io::Error::other("the disk is gone"));
            }
            if s.mood == Mood::ReadOnly {
                return Err(io::ErrorKind::ReadOnlyFilesystem.into());
            }
            apply(s)?;
            Ok(if let Mood::Slow(by) = s.mood { by } else { Duration::ZERO })
        })?;
        if !dawdle.is_zero() {
            std::thread::sleep(dawdle);
        }
        Ok(())
    }

    fn hang(&self) {
        while self.state(|s| s.mood == Mood::Hung) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl State {
    fn file(&self, name: &str) -> Option<&FileState> {
        self.files.get(self.names.get(name)?)
    }

    fn fresh(&self) -> u64 {
        self.files.keys().next_back().map_or(0, |last| last + 1)
    }

    /// Called before a name changes.
    fn keep_names(&mut self) {
        self.earlier_names.push(self.names.clone());
    }

    fn open(&mut self, name: &str) -> &mut FileState {
        if !self.names.contains_key(name) {
            self.keep_names();
            let id = self.fresh();
            self.names.insert(name.to_owned(), id);
        }
        let id = self.names.get(name).copied().unwrap_or_default();
        self.files.entry(id).or_default()
    }
}

/// The durable content with a random part of the sectors that were written since.
fn kept(durable: &[u8], now: &[u8], coin: &mut impl FnMut() -> bool) -> Vec<u8> {
    let longest = durable.len().max(now.len());
    let mut bytes = durable.to_vec();
    // The new length may have reached the disk or not; a sector beyond it has not.
    if coin() {
        bytes.resize(now.len(), 0);
    }
    for from in (0..longest).step_by(SECTOR) {
        let upto = (from + SECTOR).min(now.len()).min(bytes.len());
        if from < upto && bytes[from..upto] != now[from..upto] && coin() {
            bytes[from..upto].copy_from_slice(&now[from..upto]);
        }
    }
    bytes
}

impl Storage for Disk {
    fn read(&mut self, file: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.state(|s| s.file(file).map(|f| f.now.clone())))
    }

    fn write(&mut self, file: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.operate(|s| {
            let full = s.mood == Mood::Full;
            let content = &mut s.open(file).now;
            let from = usize::try_from(offset).map_err(io::Error::other)?;
            let upto = from + bytes.len();
            if content.len() < upto {
                if full {
                    return Err(io::ErrorKind::StorageFull.into());
                }
                content.resize(upto, 0);
            }
            content[from..upto].copy_from_slice(bytes);
            Ok(())
        })
    }

    fn truncate(&mut self, file: &str, len: u64) -> io::Result<()> {
        self.operate(|s| {
            let len = usize::try_from(len).map_err(io::Error::other)?;
            s.open(file).now.resize(len, 0);
            Ok(())
        })
    }

    fn sync(&mut self, file: &str) -> io::Result<()> {
        self.hang();
        self.operate(|s| {
            if s.dies_at == Some(s.operations) {
                return Ok(());
            }
            let file = s.open(file);
            file.durable = file.now.clone();
            s.earlier_names.clear();
            Ok(())
        })
    }

    fn leave(&mut self, file: &str, bytes: &[u8]) -> io::Result<()> {
        self.truncate(file, 0)?;
        self.write(file, 0, bytes)
    }

    fn custody(&mut self, _: &str, _: u64) -> Custody {
        Custody::Ours
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.operate(|s| {
            s.keep_names();
            let moved = s.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
            s.names.insert(to.to_owned(), moved);
            *s.replaced.entry(to.to_owned()).or_default() += 1;
            Ok(())
        })
    }
}
