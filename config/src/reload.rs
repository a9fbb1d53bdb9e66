//! Watching the files of a configuration: when is it time to read them again?
//!
//! The operating system's notifications only wake the watch up; what counts is a *look* at every
//! file (when it was changed, its size, its inode). So bind mounts and network disks that notify
//! nobody are served by the same code, by a slow poll; a notification about something else in the
//! same folder costs a look and nothing more; and a link that is swapped, as Kubernetes does with
//! `..data`, looks like what it is: another file under the same name.
//!
//! Reading waits until nothing has changed for a moment, but not for ever: a file that is written
//! all the time is read every second. Whoever reads also decides; what was read and refused leaves
//! the last good configuration in force, and this module watches on.

mod look;
mod patience;

use look::{Look, folders};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use patience::Patience;
use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Release},
};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often the files are looked at when nobody says that they have changed.
const POLL: Duration = Duration::from_secs(1);
/// At least so long between two looks, however many notifications come. Where there are so many
/// files that a look takes time, both wait longer: looking never takes more than a tenth of a core.
const GAP: Duration = Duration::from_millis(20);

/// Watches until it is dropped.
#[derive(Debug)]
pub struct Watch {
    told: Arc<Told>,
    /// One waiting word is as good as many.
    wake: SyncSender<()>,
}

/// What others tell the watch.
#[derive(Debug, Default)]
struct Told {
    files: Mutex<Option<Vec<PathBuf>>>,
    stop: AtomicBool,
}

impl Watch {
    /// Calls `read` on a thread of its own whenever a file has changed, never twice at once.
    pub fn start(files: Vec<PathBuf>, read: impl FnMut() + Send + 'static) -> io::Result<Self> {
        let (wake, woken) = sync_channel(1);
        let told = Arc::new(Told { files: Mutex::new(Some(files)), stop: AtomicBool::new(false) });
        let watching = Watching {
            told: Arc::clone(&told),
            files: Vec::new(),
            last: Look::default(),
            patience: Patience::default(),
            ears: Ears::open(wake.clone()),
        };
        std::thread::Builder::new()
            .name("serin-watch".to_owned())
            .spawn(move || watching.run(&woken, read))?;
        Ok(Self { told, wake })
    }

    /// From now on these are the files: what was read last, by whomever.
    pub fn follow(&self, files: Vec<PathBuf>) {
        *self.told.files.lock().unwrap_or_else(PoisonError::into_inner) = Some(files);
        let _ = self.wake.try_send(());
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.told.stop.store(true, Release);
        let _ = self.wake.try_send(());
    }
}

struct Watching {
    told: Arc<Told>,
    files: Vec<PathBuf>,
    last: Look,
    patience: Patience,
    ears: Ears,
}

impl Watching {
    fn run(mut self, woken: &Receiver<()>, mut read: impl FnMut()) {
        let mut again_at = Instant::now();
        let mut poll_at = again_at + POLL;
        let mut heard = true;
        loop {
            let look_at = if heard { again_at } else { poll_at };
            let until = self.patience.due().map_or(look_at, |due| due.min(look_at));
            match woken.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(()) => heard = true,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.told.stop.load(Acquire) {
                return;
            }
            self.take_up_files();
            let now = Instant::now();
            if now >= poll_at || (heard && now >= again_at) {
                self.look(now);
                let (looked, took) = (Instant::now(), now.elapsed());
                again_at = looked + GAP.max(took * 10);
                poll_at = looked + POLL.max(took * 100);
                heard = false;
            }
            if self.patience.due().is_some_and(|due| now >= due) {
                // What changes while it is read must look different afterwards.
                self.look(now);
                self.patience.read(now);
                read();
            }
        }
    }

    /// Somebody may have changed a file between reading it and naming it here, so new names are
    /// read once more.
    fn take_up_files(&mut self) {
        let named = self.told.files.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut files) = named else { return };
        files.sort();
        files.dedup();
        if files == self.files {
            return;
        }
        if files.iter().any(|file| !self.files.contains(file)) {
            self.patience.changed(Instant::now());
        }
        self.last = Look::at(&files);
        self.ears.attend(&folders(&files));
        self.files = files;
    }

    fn look(&mut self, now: Instant) {
        let look = Look::at(&self.files);
        if look != self.last {
            self.last = look;
            self.patience.changed(now);
            self.ears.attend(&folders(&self.files));
        }
    }
}

/// The operating system's notifications about folders; without them the poll is alone.
struct Ears {
    watcher: Option<RecommendedWatcher>,
    /// With what tells a folder from its successor of the same name.
    attended: BTreeSet<(PathBuf, look::Inode)>,
    complained: bool,
}

impl Ears {
    fn open(wake: SyncSender<()>) -> Self {
        let heard = move |event: notify::Result<notify::Event>| {
            // Looks and reads are heard, too, our own among them.
            let of_readers = event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_)));
            if !of_readers {
                let _ = wake.try_send(());
            }
        };
        let mut ears = Self { watcher: None, attended: BTreeSet::new(), complained: false };
        match notify::recommended_watcher(heard) {
            Ok(watcher) => ears.watcher = Some(watcher),
            Err(error) => ears.complain(&error),
        }
        ears
    }

    fn attend(&mut self, folders: &BTreeSet<(PathBuf, look::Inode)>) {
        let Some(watcher) = &mut self.watcher else { return };
        for gone in self.attended.difference(folders) {
            // The folder itself may be gone.
            let _ = watcher.unwatch(&gone.0);
        }
        let mut attended: BTreeSet<_> = self.attended.intersection(folders).cloned().collect();
        let mut fault = None;
        for new in folders.difference(&self.attended) {
            match watcher.watch(&new.0, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    attended.insert(new.clone());
                }
                Err(error) => fault = Some(error),
            }
        }
        self.attended = attended;
        if let Some(fault) = fault {
            self.complain(&fault);
        }
    }

    fn complain(&mut self, error: &notify::Error) {
        if !std::mem::replace(&mut self.complained, true) {
            tracing::warn!(%error, "no notifications about changed files; looking once a second");
        }
    }
}
