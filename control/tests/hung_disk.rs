//! A disk that does not answer at all for a while, with more services than its queue has places:
//! what was lowered meanwhile is lowered for good, and until that is so everybody is told.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod common;

use common::disk::{Disk, Mood};
use serin_config::model::Config;
use serin_control::{Actor, Command, Control, Options, Order, Outcome, Snapshot};
use serin_core::ids::{ServiceName, VersionName};
use serin_core::measure::{ServiceCounts, ServiceLatencies, VersionCounts};
use serin_core::plane::{BadSample, DataPlane, Readiness};
use serin_core::shadow::ShadowReport;
use serin_core::split::Split;
use serin_core::weights::{BasisPoints, Weights};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(120);
/// More than the queue to the disk has places.
const MANY: usize = 260;
const FEW: usize = 5;

/// Remembers the candidates' weights, and serves nothing.
#[derive(Default)]
struct Plane(Mutex<BTreeMap<String, u16>>);

impl Plane {
    fn with_weight(&self) -> usize {
        self.0.lock().unwrap().values().filter(|weight| **weight > 0).count()
    }
}

impl DataPlane for Plane {
    fn publish(&self, split: Arc<Split>) {
        let weight = split.weights.of(&version("v2")).get();
        self.0.lock().unwrap().insert(split.service.to_string(), weight);
    }
    fn heartbeat(&self) {}
    fn counts(&self, _: &ServiceName) -> Option<ServiceCounts> {
        let versions = ["v1", "v2", "v3"].map(|v| VersionCounts::new(version(v))).into();
        Some(ServiceCounts { versions, ..ServiceCounts::default() })
    }
    fn latencies(&self, _: &ServiceName) -> Option<ServiceLatencies> {
        None
    }
    fn readiness(&self, _: &ServiceName) -> Vec<Readiness> {
        ["v1", "v2", "v3"].map(|v| Readiness::new(version(v), 1, 1)).into()
    }
    fn bad_samples(&self, _: &ServiceName, _: &VersionName) -> Vec<BadSample> {
        Vec::new()
    }
    fn shadow(&self, _: &ServiceName) -> Option<ShadowReport> {
        None
    }
}

fn version(name: &str) -> VersionName {
    VersionName::new(name).unwrap()
}

fn services(count: usize) -> impl Iterator<Item = ServiceName> {
    (0..count).map(|i| ServiceName::new(&format!("s{i}")).unwrap())
}

/// Services that are divided by hand.
fn config(count: usize) -> Arc<Config> {
    config_of(count, "")
}

fn config_of(count: usize, more: &str) -> Arc<Config> {
    let mut text = "version: 1\nlisteners: [ { name: http, address: \"127.0.0.1:0\", protocol: HTTP } ]\nservices:\n".to_owned();
    for service in services(count) {
        let version = |n| format!("v{n}: {{ endpoints: [\"127.0.0.1:{n}\"] }}");
        let versions = [1, 2, 3].map(version).join(", ");
        writeln!(text, "  {service}: {{ stable: v1, versions: {{ {versions} }}{more} }}").unwrap();
    }
    text.push_str("routes: [ { name: all, matches: [ { path: { prefix: / } } ], service: s0 } ]\n");
    let loaded = serin_config::from_str("test.yaml", &text);
    Arc::new(loaded.unwrap_or_else(|faults| panic!("{faults:?}")).config)
}

struct Running {
    plane: Arc<Plane>,
    services: usize,
    control: Control,
    runtime: tokio::runtime::Runtime,
}

impl Running {
    fn over(disk: &Disk, services: usize, stop_wait: Option<Duration>) -> Self {
        Self::of(config(services), disk, stop_wait)
    }

    fn of(config: Arc<Config>, disk: &Disk, stop_wait: Option<Duration>) -> Self {
        let services = config.services.len();
        let plane = Arc::new(Plane::default());
        let storage = Some(Box::new(disk.clone()) as Box<_>);
        let options = Options { storage, stop_wait, ..Options::default() };
        let control = Control::start(config, plane.clone(), options).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { plane, services, control, runtime }
    }

    fn weight(&self, service: &ServiceName, points: u16) -> Outcome {
        let candidate = BasisPoints::new(points).unwrap();
        let weights = Weights::two(version("v1"), version("v2"), candidate);
        let command = Command::Weights { weights, reason: String::new() };
        let order = Order::new(command, Actor("test".into()));
        self.runtime.block_on(self.control.handle().command(service, order)).unwrap()
    }

    /// Everything at 10%, and then, on a disk that hangs, at 0%.
    fn lower_all_on(&self, disk: &Disk) -> Vec<Outcome> {
        services(self.services).for_each(|service| drop(self.weight(&service, 1_000)));
        assert_eq!(self.plane.with_weight(), self.services);
        disk.mood(Mood::Hung);
        services(self.services).map(|service| self.weight(&service, 0)).collect()
    }

    fn until(&self, what: &str, holds: impl Fn(&Snapshot) -> bool) {
        let began = Instant::now();
        while !holds(&self.control.handle().snapshot()) {
            assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn what_is_lowered_while_the_disk_hangs_is_told_and_is_durable_once_it_is_well() {
    let disk = Disk::default();
    let running = Running::over(&disk, MANY, None);
    let outcomes = running.lower_all_on(&disk);
    assert_eq!(running.plane.with_weight(), 0, "weights go down without the disk");
    for outcome in outcomes {
        let told = outcome.message.contains("not durable yet");
        assert!(told && !outcome.durable, "{outcome:?}");
    }
    running.until("all services are told of", |s| s.health.not_durable.len() == MANY);
    running.until("the disk is told of", |s| s.health.journal.is_some());
    let metrics = running.control.handle().metrics();
    assert!(metrics.contains(&format!("serin_journal_not_durable {MANY}\n")), "{metrics}");

    disk.mood(Mood::Well);
    running.until("all is written", |s| s.health.not_durable.is_empty());
    running.until("the disk is well", |s| s.health.journal.is_none());
    let again = Running::over(&disk.after_power_cut(|| false), MANY, None);
    assert_eq!(again.plane.with_weight(), 0, "aborts that were forgotten");
}

#[test]
fn a_stop_waits_for_a_disk_that_comes_back_and_not_for_ever_for_one_that_does_not() {
    let disk = Disk::default();
    let running = Running::over(&disk, FEW, None);
    running.lower_all_on(&disk);
    let healing = {
        let disk = disk.clone();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            disk.mood(Mood::Well);
        })
    };
    running.control.stop();
    healing.join().unwrap();
    let again = Running::over(&disk.after_power_cut(|| false), FEW, None);
    assert_eq!(again.plane.with_weight(), 0, "aborts that a stop has lost");
    drop(again);

    let disk = Disk::default();
    let running = Running::over(&disk, FEW, Some(Duration::from_millis(100)));
    running.lower_all_on(&disk);
    running.control.stop();
    // It came back, though the disk never did.
    disk.mood(Mood::Well);
}

/// A reload that takes a candidate's share from every service at once: how long it takes.
fn lower_all_by_a_reload(services: usize, disk: &Disk, mood: Mood) -> Duration {
    let stop_wait = Some(Duration::from_millis(100));
    let running = Running::of(planned(services, "to: v2"), disk, stop_wait);
    assert_eq!(running.plane.with_weight(), services);
    disk.mood(mood);
    let began = Instant::now();
    let next = planned(services, "to: v3, start: onChange, onBusy: supersede");
    running.control.handle().reconfigure_blocking(next, Vec::new()).unwrap();
    let took = began.elapsed();
    assert_eq!(running.plane.with_weight(), 0);
    running.control.stop();
    disk.mood(Mood::Well);
    took
}

fn planned(count: usize, plan: &str) -> Arc<Config> {
    config_of(count, &format!(", rollout: {{ {plan} }}"))
}

#[test]
fn what_one_moment_lowers_waits_for_a_hung_disk_once_and_not_each_in_turn() {
    /// Of each, were it to wait for itself.
    const EACH: Duration = Duration::from_millis(20);
    let disk = Disk::default();
    let running = Running::of(planned(MANY, "to: v2"), &disk, None);
    services(MANY).for_each(|service| drop(running.weight(&service, 1_000)));
    running.control.stop();
    let well = lower_all_by_a_reload(MANY, &disk.after_kill(), Mood::Well);
    let hung = lower_all_by_a_reload(MANY, &disk.after_kill(), Mood::Hung);
    println!(
        "{MANY} services lowered in {well:?} on a disk that is well, in {hung:?} on a hung one"
    );
    let in_turn = EACH * u32::try_from(MANY).unwrap();
    assert!(hung < well + in_turn / 2, "{hung:?}, {well:?} on a disk that is well");
}
