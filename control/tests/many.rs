//! Many services in one process: those at rest cost next to nothing, and one that moves does not draw
//! the others.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod common;

use common::disk::Disk;
use common::world::{TICK, now, version};
use serin_config::model::Config;
use serin_control::{Actor, Command, Control, Options, Order, StartRollout, Stepped};
use serin_core::ids::{ServiceName, VersionName};
use serin_core::measure::{ServiceCounts, ServiceLatencies, VersionCounts};
use serin_core::plane::{BadSample, DataPlane, Readiness};
use serin_core::shadow::ShadowReport;
use serin_core::split::Split;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

const SERVICES: usize = 120;
const SECOND: Duration = Duration::from_secs(1);

fn name(number: usize) -> ServiceName {
    ServiceName::new(&format!("shop-{number}")).unwrap()
}

fn config() -> Arc<Config> {
    let service = |number: usize| {
        format!(
            "  {}:\n    stable: v1\n    versions: {{ v1: {{ endpoints: [\"127.0.0.1:1\"] }}, v2: {{ endpoints: [\"127.0.0.1:2\"] }} }}\n    rollout: {{ to: v2, steps: [ {{ weight: 10%, hold: 10m }} ] }}\n",
            name(number)
        )
    };
    let services: String = (0..SERVICES).map(service).collect();
    let text = format!(
        "version: 1\nlisteners: [ {{ name: http, address: \"127.0.0.1:0\", protocol: HTTP }} ]\nservices:\n{services}routes:\n  - {{ name: all, matches: [ {{ path: {{ prefix: / }} }} ], service: shop-0 }}\n"
    );
    let loaded = serin_config::from_str("many.yaml", &text);
    Arc::new(loaded.unwrap_or_else(|faults| panic!("{faults:?}")).config)
}

/// A data plane without requests.
#[derive(Default)]
struct Idle {
    looked: AtomicU64,
    looked_at_latencies: AtomicU64,
    ticks: AtomicU64,
    /// What a tick takes at least, in milliseconds.
    tick_takes: u64,
}

impl DataPlane for Idle {
    fn publish(&self, _: Arc<Split>) {}
    fn heartbeat(&self) {
        self.ticks.fetch_add(1, Relaxed);
        std::thread::sleep(Duration::from_millis(self.tick_takes));
    }
    fn counts(&self, _: &ServiceName) -> Option<ServiceCounts> {
        self.looked.fetch_add(1, Relaxed);
        let versions = ["v1", "v2"].map(|v| VersionCounts::new(version(v))).into();
        Some(ServiceCounts { versions, ..ServiceCounts::default() })
    }
    fn latencies(&self, _: &ServiceName) -> Option<ServiceLatencies> {
        self.looked_at_latencies.fetch_add(1, Relaxed);
        Some(ServiceLatencies::default())
    }
    fn readiness(&self, _: &ServiceName) -> Vec<Readiness> {
        ["v1", "v2"]
            .map(|v| Readiness { version: version(v), ready: 1, total: 1, troubles: Vec::new() })
            .into()
    }
    fn bad_samples(&self, _: &ServiceName, _: &VersionName) -> Vec<BadSample> {
        Vec::new()
    }
    fn shadow(&self, _: &ServiceName) -> Option<ShadowReport> {
        None
    }
}

fn begin() -> Order {
    let start = StartRollout {
        to: None,
        reason: String::new(),
        release: None,
        committed_at: None,
        supersede: false,
    };
    Order::new(Command::Start(start), Actor("test".into()))
}

struct Many {
    plane: Arc<Idle>,
    control: Stepped,
    at: Duration,
}

impl Many {
    fn start() -> Self {
        let plane = Arc::new(Idle::default());
        let at = SECOND;
        let disk = Box::new(Disk::default());
        let control = Stepped::start(config(), plane.clone(), disk, now(at, 0)).unwrap();
        let mut many = Self { plane, control, at };
        many.run(SECOND * 2);
        many
    }

    fn run(&mut self, time: Duration) {
        let until = self.at + time;
        while self.at < until {
            self.at += TICK;
            self.control.tick(now(self.at, 0));
        }
    }
}

#[test]
fn services_at_rest_are_looked_at_once_a_second_and_their_latencies_only_after_requests() {
    let mut many = Many::start();
    many.plane.looked.store(0, Relaxed);
    many.plane.looked_at_latencies.store(0, Relaxed);
    many.run(SECOND * 10);
    assert_eq!(many.plane.looked.load(Relaxed), 10 * SERVICES as u64);
    assert_eq!(many.plane.looked_at_latencies.load(Relaxed), 0);
}

#[test]
fn what_everybody_sees_of_services_at_rest_is_new_however_ticks_fall() {
    let mut many = Many::start();
    for step in 0..1_000 {
        many.at += TICK + Duration::from_millis(step % 7);
        many.control.tick(now(many.at, 0));
        let (seen, now) = (many.control.handle().snapshot().at, now(many.at, 0).wall);
        assert!(now.0 - seen.0.0 <= 150, "{} ms old", now.0 - seen.0.0);
    }
}

#[test]
fn a_service_that_moves_leaves_the_drawing_of_the_others_as_it_is() {
    let mut many = Many::start();
    let before = many.control.handle().snapshot();
    many.control.command(&name(7), begin(), now(many.at, 0)).unwrap();
    let after = many.control.handle().snapshot();
    let drawn = before.services.iter().zip(&after.services).filter(|(a, b)| !Arc::ptr_eq(a, b));
    let drawn: Vec<&str> = drawn.map(|(_, after)| after.name.as_str()).collect();
    assert_eq!(drawn, ["shop-7"]);
    assert!(after.service("shop-7").unwrap().rollout.is_some());
}

/// A tick takes longer than there is between two, as with very many rollouts: commands wait for each
/// other no more than before.
#[test]
fn commands_that_wait_are_answered_together_however_long_ticks_take() {
    const COMMANDS: usize = 40;
    let plane = Arc::new(Idle { tick_takes: 50, ..Idle::default() });
    let disk = Some(Box::new(Disk::default()) as Box<dyn serin_control::journal::Storage>);
    let options = Options { storage: disk, ..Options::default() };
    let control = Control::start(config(), plane.clone(), options).unwrap();
    let handle = control.handle();
    let before = plane.ticks.load(Relaxed);
    let commands = (0..COMMANDS).map(|number| {
        let handle = handle.clone();
        control.runtime().spawn(async move { handle.command(&name(number), begin()).await })
    });
    let commands: Vec<_> = commands.collect();
    control.runtime().block_on(async {
        for command in commands {
            command.await.unwrap().unwrap();
        }
    });
    let ticks = plane.ticks.load(Relaxed) - before;
    assert!(ticks < COMMANDS as u64 / 2, "{ticks} ticks for {COMMANDS} commands");
}
