//! A disk that takes its time, under control as the binary runs it: threads, real clocks, and a
//! queue to the disk. What lowers a weight does not wait for it; what raises one always does.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod common;

use common::disk::{Disk, Mood};
use common::world::*;
use serin_control::{Actor, Command, Control, Options, Order, Outcome, Refusal};
use serin_core::ids::{ServiceName, VersionName};
use serin_core::measure::{ServiceCounts, ServiceLatencies};
use serin_core::plane::{BadSample, DataPlane, Readiness};
use serin_core::shadow::ShadowReport;
use serin_core::split::Split;
use serin_core::weights::BasisPoints;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(60);
const STEPS: &str = "steps: [ { weight: 10%, hold: 10m }, { weight: 100%, hold: 10m } ], gates: [ { before: \"10%\", approval: true } ]";

/// A data plane that keeps, with every weight that it is given, what a power cut at that very
/// moment would have left of the journal.
struct Witness {
    sim: Arc<Sim>,
    disk: Disk,
    seen: Mutex<Vec<Seen>>,
}

struct Seen {
    weight: u16,
    at: Instant,
    left: Disk,
}

impl DataPlane for Witness {
    fn publish(&self, split: Arc<Split>) {
        let weight = split.weights.of(&version("v2")).get();
        let left = self.disk.after_power_cut(|| false);
        self.seen.lock().unwrap().push(Seen { weight, at: Instant::now(), left });
        self.sim.publish(split);
    }
    fn heartbeat(&self) {}
    fn counts(&self, service: &ServiceName) -> Option<ServiceCounts> {
        self.sim.counts(service)
    }
    fn latencies(&self, service: &ServiceName) -> Option<ServiceLatencies> {
        self.sim.latencies(service)
    }
    fn readiness(&self, service: &ServiceName) -> Vec<Readiness> {
        self.sim.readiness(service)
    }
    fn bad_samples(&self, service: &ServiceName, version: &VersionName) -> Vec<BadSample> {
        self.sim.bad_samples(service, version)
    }
    fn shadow(&self, service: &ServiceName) -> Option<ShadowReport> {
        self.sim.shadow(service)
    }
}

struct Threaded {
    witness: Arc<Witness>,
    disk: Disk,
    runtime: tokio::runtime::Runtime,
    control: Control,
}

impl Threaded {
    fn start() -> Self {
        let sim = Sim::new(traffic(1.0), vec![healthy("v1"), healthy("v2")]);
        let disk = Disk::default();
        let witness = Arc::new(Witness { sim, disk: disk.clone(), seen: Mutex::default() });
        let options = Options { storage: Some(Box::new(disk.clone())), ..Options::default() };
        let control = Control::start(config(STEPS), witness.clone(), options).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let this = Self { witness, disk, runtime, control };
        this.until("the rollout starts", |this| this.command(begin()).is_ok());
        this
    }

    fn command(&self, command: Command) -> Result<Outcome, Refusal> {
        let order = Order::new(command, Actor("test".into()));
        self.runtime.block_on(self.control.handle().command(&service(), order))
    }

    fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !holds(self) {
            assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn weight(&self) -> u16 {
        self.witness.sim.weight()
    }
}

/// The weight that a start from what was left on the disk would give the candidate.
fn resumed(left: &Disk) -> u16 {
    let sim = Sim::new(traffic(1.0), vec![healthy("v1"), healthy("v2")]);
    let _control = start(&config(STEPS), &sim, left, now(SECOND, 0)).unwrap();
    sim.weight()
}

fn weight(points: u16) -> Command {
    let weights = between(BasisPoints::new(points).unwrap());
    Command::Weights { weights, reason: String::new() }
}

#[test]
fn on_a_slow_disk_weights_go_down_at_once_and_never_up_before_they_are_durable() {
    let bench = Threaded::start();
    bench.disk.mood(Mood::Slow(SECOND / 10));
    for points in [500, 2_000, 4_000] {
        let began = Instant::now();
        bench.command(weight(points)).unwrap();
        println!("up to {points} after {:?}", began.elapsed());
        assert_eq!(bench.weight(), points);
    }

    bench.disk.mood(Mood::Slow(SECOND * 2));
    let began = Instant::now();
    let outcome = bench.command(Command::Abort { reason: "now".into() }).unwrap();
    bench.disk.mood(Mood::Well);
    assert_eq!(bench.weight(), 0);
    assert!(outcome.message.contains("not durable yet"), "{}", outcome.message);

    let seen = bench.witness.seen.lock().unwrap();
    let down = seen.iter().find(|s| s.weight == 0 && s.at > began).unwrap();
    println!("down after {:?}, on a disk that takes 2 s a write", down.at - began);
    assert_eq!(resumed(&down.left), 4_000, "it did not wait for the disk");
    let mut before = 0;
    for Seen { weight, left, .. } in seen.iter() {
        if *weight > before {
            assert_eq!(resumed(left), *weight, "{weight} was in force before it was durable");
        }
        before = *weight;
    }
    let Threaded { control, disk, .. } = &bench;
    control.stop();
    assert_eq!(resumed(&disk.after_power_cut(|| false)), 0, "and durable in the end");
}
