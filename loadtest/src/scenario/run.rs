//! Performing a scenario: backends up, proxy up, load on, faults and calls at their times.

use super::admin;
use super::expect::{Finding, judge};
use super::file::{Act, Scenario};
use super::process::Serin;
use super::watch::Sightings;
use crate::backend::Backend;
use crate::client::{Pool, PoolOptions, client_tls};
use crate::drive::{Course, Run, Visit, drive};
use crate::mix::{Mix, Request};
use crate::record::Record;
use crate::target::Target;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

#[derive(Debug)]
pub struct Outcome {
    pub name: String,
    pub findings: Vec<Finding>,
    pub record: Record,
    pub sightings: Sightings,
    pub lasted: Duration,
    /// What went wrong with the scenario itself: a refused admin call, a backend that did not start.
    pub troubles: Vec<String>,
    /// What the proxy wrote, when it was ours.
    pub log: String,
}

impl Outcome {
    pub fn passed(&self) -> bool {
        self.troubles.is_empty() && self.findings.iter().all(|f| f.met)
    }
}

/// How often the admin API is asked for the state.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Load goes on for so long after the last state that a scenario waits for.
const AFTERMATH: Duration = Duration::from_secs(1);

type Backends = RefCell<BTreeMap<String, Backend>>;

/// Where a scenario is performed.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The proxy, for scenarios that start their own.
    pub binary: PathBuf,
    /// What the scenario's paths are relative to.
    pub folder: PathBuf,
    /// Every `within` is so many times as long: on a machine that is slow or shared, what happens is
    /// of interest and how soon is not.
    pub patience: u32,
}

/// Lives on a `LocalSet`. `progress` gets a line a second.
pub async fn run(
    scenario: &Scenario,
    setting: &Setting,
    progress: impl Fn(&str) + 'static,
) -> Result<Outcome, String> {
    let folder = setting.folder.as_path();
    let backends = start_backends(scenario)?;
    let addresses: Vec<(String, SocketAddr)> =
        backends.iter().map(|(name, b)| (name.clone(), b.address())).collect();
    let mut serin = None;
    if let Some(config) = &scenario.serin {
        let config = folder.join(config);
        let started = Serin::start(&setting.binary, &config, scenario.threads, &addresses);
        let mut started = started.map_err(|e| e.to_string())?;
        started.ready().await.map_err(|e| e.to_string())?;
        serin = Some(started);
    }
    let url = match (&serin, &scenario.url) {
        (Some(serin), _) => format!("http://{}", serin.http),
        (None, Some(url)) => url.clone(),
        (None, None) => return Err("no proxy".to_owned()),
    };
    let admin = match (&serin, &scenario.admin) {
        (Some(serin), _) => Some(serin.admin),
        (None, Some(admin)) => Some(admin.parse().map_err(|e| format!("admin {admin}: {e}"))?),
        (None, None) => None,
    };
    let target = Target::parse(&url).map_err(|e| e.to_string())?;
    let stage = Rc::new(Stage {
        backends: RefCell::new(backends),
        admin,
        service: scenario.service.clone(),
        until: scenario.until.clone(),
        sightings: RefCell::default(),
        troubles: RefCell::default(),
    });
    let (pool, mix, course) = load(scenario, folder, target)?;
    let acts = scenario.course.clone();
    let started = {
        let stage = Rc::clone(&stage);
        move |run: Rc<Run>| {
            tokio::task::spawn_local(perform(Rc::clone(&stage), Rc::clone(&run), acts));
            tokio::task::spawn_local(look(Rc::clone(&stage), Rc::clone(&run)));
            tokio::task::spawn_local(tell(stage, run, progress));
        }
    };
    let run = drive(Rc::new(pool), Rc::new(mix), &course, started).await;
    let run = run.map_err(|e| e.to_string())?;
    let log = serin.map(|s| s.log()).unwrap_or_default();
    Ok(outcome(scenario, setting.patience, &stage, &run, log))
}

fn outcome(scenario: &Scenario, patience: u32, stage: &Stage, run: &Run, log: String) -> Outcome {
    let record = run.record.borrow().clone();
    let sightings = stage.sightings.borrow().clone();
    let findings = scenario.expect.iter().map(|e| judge(e, patience, &record, &sightings));
    let findings = findings.collect();
    Outcome {
        name: scenario.name.clone(),
        findings,
        lasted: run.began.elapsed(),
        record,
        sightings,
        troubles: stage.troubles.borrow().clone(),
        log,
    }
}

struct Stage {
    backends: Backends,
    admin: Option<SocketAddr>,
    service: Option<String>,
    until: Vec<String>,
    sightings: RefCell<Sightings>,
    troubles: RefCell<Vec<String>>,
}

impl Stage {
    /// One of the states of `until` was reached, and what follows it had its time to show.
    fn is_over(&self, at: Duration) -> bool {
        let sightings = self.sightings.borrow();
        let reached = self.until.iter().filter_map(|s| sightings.first(s, Duration::ZERO));
        reached.map(|s| s.at).min().is_some_and(|reached| at >= reached + AFTERMATH)
    }

    fn trouble(&self, what: String) {
        self.troubles.borrow_mut().push(what);
    }
}

fn start_backends(scenario: &Scenario) -> Result<BTreeMap<String, Backend>, String> {
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let start = |(name, file): (&String, &super::file::BehaviourFile)| {
        let backend = Backend::start(name, anywhere, file.behaviour());
        Ok((name.clone(), backend.map_err(|e| format!("backend {name}: {e}"))?))
    };
    scenario.backends.iter().map(start).collect()
}

fn load(scenario: &Scenario, folder: &Path, target: Target) -> Result<(Pool, Mix, Course), String> {
    let traffic = &scenario.traffic;
    let mix = match &traffic.mix {
        None => Mix::one(Request::get(&traffic.path)),
        Some(path) => {
            let path = folder.join(path);
            let named = |e: String| format!("{}: {e}", path.display());
            let text = std::fs::read_to_string(&path).map_err(|e| named(e.to_string()))?;
            Mix::parse(&text).map_err(|e| named(e.to_string()))?
        }
    };
    let options = PoolOptions {
        connections: traffic.connections,
        streams: traffic.streams,
        timeout: traffic.timeout,
        fresh: false,
    };
    let version_by = scenario.version_by.clone();
    let protocol = traffic.protocol.unwrap_or(target.protocol);
    let tls = target.tls.then(|| client_tls(None, protocol)).transpose()?;
    let pool = Pool::new(target, protocol, tls, Vec::new(), version_by, &options);
    let course = Course {
        stretches: traffic.stretches(),
        spacing: traffic.spacing(),
        seed: traffic.seed,
        users: traffic.users,
        visit: Visit { requests: traffic.visit.max(1), think: traffic.think },
    };
    Ok((pool, mix, course))
}

async fn perform(stage: Rc<Stage>, run: Rc<Run>, mut acts: Vec<Act>) {
    acts.sort_by_key(|act| act.at);
    for act in acts {
        tokio::time::sleep_until((run.began + act.at).into()).await;
        if let Some(name) = &act.backend {
            change(&stage, name, &act);
        }
        if let Some(call) = &act.admin {
            let Some(admin) = stage.admin else {
                stage.trouble(format!("{}: no admin address is known", call.path));
                continue;
            };
            match admin::call(admin, &call.method, &call.path, &call.body).await {
                Ok((200..300, _)) => {}
                Ok((status, said)) => {
                    stage.trouble(format!("{} {}: {status} {said}", call.method, call.path));
                }
                Err(trouble) => stage.trouble(trouble),
            }
        }
    }
}

fn change(stage: &Stage, name: &str, act: &Act) {
    let mut backends = stage.backends.borrow_mut();
    let Some(backend) = backends.get_mut(name) else { return };
    if let Some(behaviour) = &act.becomes {
        backend.behave(behaviour.behaviour());
    }
    if act.crash {
        backend.crash();
    }
    if act.revive
        && let Err(error) = backend.revive()
    {
        stage.trouble(format!("backend {name}: {error}"));
    }
}

async fn look(stage: Rc<Stage>, run: Rc<Run>) {
    let (Some(admin), Some(service)) = (stage.admin, &stage.service) else { return };
    let path = format!("/v1/services/{service}");
    loop {
        let answer = admin::call(admin, "GET", &path, &serde_json::Value::Null).await;
        let at = run.began.elapsed();
        match answer {
            Ok((200, service)) => stage.sightings.borrow_mut().add(at, &service),
            Ok(_) | Err(_) => stage.sightings.borrow_mut().silent += 1,
        }
        if stage.is_over(at) {
            run.stop();
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn tell(stage: Rc<Stage>, run: Rc<Run>, progress: impl Fn(&str)) {
    for second in 1.. {
        tokio::time::sleep_until((run.began + Duration::from_secs(second)).into()).await;
        let record = run.record.borrow();
        let sightings = stage.sightings.borrow();
        let last = sightings.all.last();
        let state = last.and_then(|s| s.state.as_deref()).unwrap_or("no rollout");
        let weight = last
            .and_then(|s| s.weight)
            .map_or(String::new(), |w| format!(" at {}%", w as f64 / 100.0));
        progress(&format!(
            "{second:>4} s  {:>7} requests  {:>5} failed  {state}{weight}",
            record.total.requests, record.total.failures
        ));
    }
}
