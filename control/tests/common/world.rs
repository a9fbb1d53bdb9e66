//! A service on a simulated data plane, with control driven by hand: the same engine, journal and
//! decisions as in the binary, on a clock that only the test moves.

use super::disk::Disk;
use serin_config::model::Config;
use serin_control::{
    Actor, Command, Handle, Order, Outcome, Refusal, ServiceView, StartRollout, Stepped,
};
use serin_core::ids::{ServiceName, VersionName};
use serin_core::measure::{ServiceCounts, ServiceLatencies};
use serin_core::plane::{BadSample, DataPlane, Readiness};
use serin_core::shadow::ShadowReport;
use serin_core::simulate::{Behaviour, Curve, Plane, SessionKind, Traffic};
use serin_core::split::Split;
use serin_core::time::{Mono, Now, Wall};
use serin_core::weights::{BasisPoints, Weights};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub const MIDNIGHT: i64 = 1_795_219_200_000;
pub const TICK: Duration = Duration::from_millis(20);

pub fn service() -> ServiceName {
    ServiceName::new("shop").unwrap()
}

pub fn version(name: &str) -> VersionName {
    VersionName::new(name).unwrap()
}

/// v1 is stable and v2 planned; `rollout` is what follows `to: v2`, in one line of YAML.
pub fn config(rollout: &str) -> Arc<Config> {
    config_of("v2", rollout)
}

/// The same, of a file that says which release v2 is.
pub fn config_of(release: &str, rollout: &str) -> Arc<Config> {
    config_with("v1", release, "v2", rollout)
}

/// The same, of a file that says which version is stable and which one comes in.
pub fn config_with(stable: &str, release: &str, to: &str, rollout: &str) -> Arc<Config> {
    let text = format!(
        r#"
version: 1
listeners: [ {{ name: http, address: "127.0.0.1:0", protocol: HTTP }} ]
services:
  shop:
    stable: {stable}
    versions:
      v1: {{ endpoints: ["127.0.0.1:1"] }}
      v2: {{ release: {release}, endpoints: ["127.0.0.1:2"] }}
    rollout: {{ to: {to}, {rollout} }}
routes:
  - {{ name: all, matches: [ {{ path: {{ prefix: / }} }} ], service: shop }}
"#
    );
    let loaded = serin_config::from_str("test.yaml", &text);
    Arc::new(loaded.unwrap_or_else(|faults| panic!("{faults:?}")).config)
}

/// The simulated data plane as control knows data planes, with a record of what it was told.
#[derive(Debug)]
pub struct Sim {
    plane: Mutex<Plane>,
    pub published: Mutex<Vec<Arc<Split>>>,
}

impl Sim {
    pub fn new(traffic: Traffic, behaviours: Vec<Behaviour>) -> Arc<Self> {
        let split = Split::at_rest(service(), version("v1"));
        let plane = Mutex::new(Plane::new(traffic, behaviours, split, 7));
        Arc::new(Self { plane, published: Mutex::default() })
    }

    pub fn plane(&self) -> MutexGuard<'_, Plane> {
        self.plane.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn splits(&self) -> Vec<Arc<Split>> {
        self.published.lock().unwrap().clone()
    }

    /// The candidate's weight in force.
    pub fn weight(&self) -> u16 {
        let last = self.published.lock().unwrap().last().cloned();
        last.map_or(0, |split| split.weights.of(&version("v2")).get())
    }
}

impl DataPlane for Sim {
    fn publish(&self, split: Arc<Split>) {
        self.plane().publish(&split);
        self.published.lock().unwrap().push(split);
    }
    fn heartbeat(&self) {}
    fn counts(&self, _: &ServiceName) -> Option<ServiceCounts> {
        Some(self.plane().counts())
    }
    fn latencies(&self, _: &ServiceName) -> Option<ServiceLatencies> {
        Some(self.plane().latencies())
    }
    fn readiness(&self, _: &ServiceName) -> Vec<Readiness> {
        self.plane().readiness()
    }
    fn bad_samples(&self, _: &ServiceName, version: &VersionName) -> Vec<BadSample> {
        let bad = self.plane().counts().of(version).map_or(0, |v| v.judged.bad);
        let sample = |n: i64| {
            // The first is of long before any rollout.
            let at = Wall(if n == 0 { 0 } else { MIDNIGHT * 2 });
            BadSample { request_id: format!("r-{n}"), what: "503".into(), at }
        };
        (0..i64::try_from(bad.min(3)).unwrap()).map(sample).collect()
    }
    fn shadow(&self, _: &ServiceName) -> Option<ShadowReport> {
        None
    }
}

/// So much to the candidate, the rest to stable.
pub fn between(candidate: BasisPoints) -> Weights {
    Weights::two(version("v1"), version("v2"), candidate)
}

pub fn traffic(per_second: f64) -> Traffic {
    Traffic {
        requests_per_second: Curve::constant(per_second),
        sessions: SessionKind::None,
        users: 1000,
        new_sessions: 0.1,
        idempotent: 1.0,
        timeout: Duration::from_secs(5),
        ..Traffic::usual(per_second)
    }
}

pub fn healthy(name: &str) -> Behaviour {
    Behaviour::healthy(version(name))
}

pub fn failing(name: &str, share: f64) -> Behaviour {
    Behaviour { errors: Curve::constant(share), ..healthy(name) }
}

pub struct World {
    pub config: Arc<Config>,
    pub sim: Arc<Sim>,
    pub disk: Disk,
    pub control: Stepped,
    pub at: Duration,
    /// Added to the wall clock alone.
    pub skew: i64,
}

impl World {
    pub fn new(config: Arc<Config>, sim: Arc<Sim>) -> Self {
        let disk = Disk::default();
        let at = Duration::from_secs(1);
        let control = start(&config, &sim, &disk, now(at, 0)).unwrap();
        let mut world = Self { config, sim, disk, control, at, skew: 0 };
        world.run(TICK * 3);
        world
    }

    pub fn now(&self) -> Now {
        now(self.at, self.skew)
    }

    pub fn tick(&mut self) {
        self.at += TICK;
        self.sim.plane().advance(self.at);
        self.control.tick(self.now());
    }

    pub fn run(&mut self, time: Duration) {
        let until = self.at + time;
        while self.at < until {
            self.tick();
        }
    }

    /// Ticks until it holds; `None` when it does not within so long.
    pub fn until(
        &mut self,
        at_most: Duration,
        mut holds: impl FnMut(&Self) -> bool,
    ) -> Option<Duration> {
        let began = self.at;
        while self.at < began + at_most {
            if holds(self) {
                return Some(self.at - began);
            }
            self.tick();
        }
        None
    }

    pub fn command(&mut self, command: Command) -> Result<Outcome, Refusal> {
        self.order(Order::new(command, Actor("test".into())))
    }

    pub fn order(&mut self, order: Order) -> Result<Outcome, Refusal> {
        let now = self.now();
        self.control.command(&service(), order, now)
    }

    pub fn start(&mut self) -> Result<Outcome, Refusal> {
        self.command(begin())
    }

    pub fn view(&self) -> ServiceView {
        self.handle().snapshot().service("shop").unwrap().clone()
    }

    pub fn handle(&self) -> Handle {
        self.control.handle()
    }

    pub fn weight(&self) -> u16 {
        self.sim.weight()
    }

    pub fn state(&self) -> &'static str {
        self.view().rollout.map_or("none", |r| r.state.as_str())
    }

    /// The process dies; the next one finds `disk` and has a monotonic clock of its own.
    pub fn restart_with(&mut self, disk: Disk, downtime: Duration) {
        self.at += downtime;
        self.disk = disk;
        self.sim.plane().restart(self.at);
        self.control = start(&self.config, &self.sim, &self.disk, self.now()).unwrap();
    }
}

pub fn begin() -> Command {
    let reason = "a test".to_owned();
    Command::Start(StartRollout {
        to: None,
        reason,
        release: None,
        committed_at: None,
        supersede: false,
    })
}

pub fn start(
    config: &Arc<Config>,
    sim: &Arc<Sim>,
    disk: &Disk,
    now: Now,
) -> Result<Stepped, serin_control::StartError> {
    let plane: Arc<dyn DataPlane> = Arc::clone(sim) as Arc<dyn DataPlane>;
    Stepped::start(Arc::clone(config), plane, Box::new(disk.clone()), now)
}

pub fn now(at: Duration, skew: i64) -> Now {
    let ms = u64::try_from(at.as_millis()).unwrap();
    Now { mono: Mono(ms), wall: Wall(MIDNIGHT + i64::try_from(ms).unwrap() + skew) }
}
