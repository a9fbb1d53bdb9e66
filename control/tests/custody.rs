//! Files that are taken away from under a running Serin: it notices, says so, raises nothing, and
//! goes on when they are back.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod common;

use common::world::*;
use serin_config::model::Config;
use serin_control::{Actor, Command, Control, Options, Order, Outcome, Refusal};
use serin_core::weights::BasisPoints;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
const STEPS: &str = "steps: [ { weight: 10%, hold: 10m } ]";

struct Kept {
    dir: tempfile::TempDir,
    sim: Arc<Sim>,
    control: Control,
    runtime: tokio::runtime::Runtime,
}

fn in_folder(dir: &tempfile::TempDir) -> (Arc<Sim>, Control) {
    let sim = Sim::new(traffic(1.0), vec![healthy("v1"), healthy("v2")]);
    let config = Config { state_dir: dir.path().join("state"), ..Config::clone(&config(STEPS)) };
    let control = Control::start(Arc::new(config), sim.clone(), Options::default()).unwrap();
    (sim, control)
}

impl Kept {
    /// At 20%.
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (sim, control) = in_folder(&dir);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let this = Self { dir, sim, control, runtime };
        this.weight(2_000).unwrap();
        this
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join("state").join(file)
    }

    fn weight(&self, points: u16) -> Result<Outcome, Refusal> {
        let weights = between(BasisPoints::new(points).unwrap());
        let order =
            Order::new(Command::Weights { weights, reason: String::new() }, Actor("test".into()));
        self.runtime.block_on(self.control.handle().command(&service(), order))
    }

    fn health(&self) -> String {
        self.control.handle().snapshot().health.journal.clone().unwrap_or_default()
    }

    fn until(&self, what: &str, holds: impl Fn(&str) -> bool) {
        let began = Instant::now();
        while !holds(&self.health()) {
            assert!(
                began.elapsed() < PATIENCE,
                "not within {PATIENCE:?}: {what}: {}",
                self.health()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn raises_nothing(&self) {
        let refused = self.weight(9_000);
        assert!(matches!(refused, Err(Refusal::NotDurable(_))), "{refused:?}");
        assert!(self.sim.weight() < 9_000);
    }

    fn resumed(self) -> u16 {
        self.control.stop();
        drop(self.control);
        in_folder(&self.dir).0.weight()
    }
}

#[test]
fn a_journal_that_is_moved_away_is_told_of_and_what_was_lowered_is_written_when_it_is_back() {
    let kept = Kept::start();
    std::fs::rename(kept.path("journal"), kept.path("elsewhere")).unwrap();
    kept.raises_nothing();
    kept.until("it is told", |health| health.contains("was deleted or moved away"));
    let lowered = kept.weight(1_000).unwrap();
    assert!(!lowered.durable && kept.sim.weight() == 1_000, "{lowered:?}");
    std::fs::rename(kept.path("elsewhere"), kept.path("journal")).unwrap();
    kept.until("it is well", str::is_empty);
    kept.weight(1_500).unwrap();
    kept.weight(500).unwrap();
    assert_eq!(kept.resumed(), 500);
}

#[test]
fn a_journal_that_was_replaced_is_told_of_and_left_alone() {
    let kept = Kept::start();
    let copy = std::fs::read(kept.path("journal")).unwrap();
    std::fs::write(kept.path("copy"), &copy).unwrap();
    std::fs::rename(kept.path("copy"), kept.path("journal")).unwrap();
    kept.until("it is told", |health| health.contains("was replaced by another file"));
    kept.raises_nothing();
    assert!(!kept.weight(1_000).unwrap().durable);
    let path = kept.path("journal");
    kept.control.stop();
    assert_eq!(std::fs::read(path).unwrap(), copy);
    assert_eq!(kept.resumed(), 2_000, "what is in the file that is there now");
}

#[test]
fn a_journal_that_was_cut_is_told_of() {
    let kept = Kept::start();
    std::fs::write(kept.path("journal"), b"").unwrap();
    kept.until("it is told", |health| health.contains("was cut by somebody else"));
    kept.raises_nothing();
}

#[test]
fn without_its_lock_nothing_rises_and_what_is_lowered_is_written() {
    let kept = Kept::start();
    std::fs::remove_file(kept.path("lock")).unwrap();
    kept.until("it is told", |health| health.contains("lock was deleted"));
    kept.raises_nothing();
    kept.weight(1_000).unwrap();
    assert_eq!(kept.resumed(), 1_000);
}
