//! A configuration that a share of requests tries before everybody gets it.
//!
//! The data plane serves both and counts both; core's judge compares them, twenty times a second.
//! Either the new one is reverted, and stays refused until somebody asks for it, or it is put in force
//! by the same way as any other. What the files say is read once, when it begins: a change in
//! between ends it.

use super::parts::Parts;
use serin_config::Fault;
use serin_config::model::Config;
use serin_control::api::{Canary, NoCanary};
use serin_control::{CanarySideView, CanaryView, Timestamp};
use serin_core::judge::{Beside, ConfigurationJudge, ConfigurationVerdict, Standard};
use serin_core::measure::Part;
use serin_core::time::{Mono, Wall};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const LOOK: Duration = Duration::from_millis(50);
/// As a rollout that says nothing about `regression` and `evidence`.
const MARGIN: f64 = 1.5;
const FALSE_ALARM: f64 = 0.001;
/// Errors that a configuration without any service is allowed.
const ALLOWED: f64 = 0.001;

/// What is tried, and what was found wanting.
#[derive(Debug, Default)]
pub(super) struct Canaries {
    running: Option<Running>,
    /// The hash of what was reverted last. A file that still says the same is not taken up by itself.
    reverted: Option<String>,
    begun: u64,
}

#[derive(Debug)]
struct Running {
    number: u64,
    config: Arc<Config>,
    asked: Canary,
    judge: ConfigurationJudge,
    began: Instant,
    since: Wall,
}

impl Parts {
    /// Reads the files, and lets so many requests try what they say. Blocks.
    pub(super) fn begin_canary(self: &Arc<Self>, asked: Canary) -> Result<Vec<Fault>, NoCanary> {
        let _alone = self.changing();
        let unfit = |why: String| Err(NoCanary::Unfit(why));
        if self.proxy.is_going() {
            return unfit("this process has handed over already, or is shutting down".to_owned());
        }
        let loaded = self.read().map_err(NoCanary::Invalid)?;
        let (config, before) = (Arc::new(loaded.config), self.control.handle().config());
        if config.hash == before.hash {
            let why = "the files say what is in force: there is nothing to try. A changed file is taken up by itself; `serin run --no-watch` leaves it to a reload";
            return unfit(why.to_owned());
        }
        if let Some(what) = untriable(&before, &config) {
            return unfit(format!(
                "{what} cannot be tried by a share of requests; reload without a canary, or change it by itself first"
            ));
        }
        self.may_take(&config).map_err(NoCanary::Invalid)?;
        self.supersede("another canary begins");
        let tried = self.proxy.try_out(&config, asked.share);
        tried.map_err(|e| NoCanary::Unfit(e.to_string()))?;
        let number = {
            let mut canaries = self.canaries();
            canaries.begun += 1;
            canaries.running = Some(Running::new(canaries.begun, config, asked, &before));
            canaries.begun
        };
        self.show_canary();
        let say = format!("{} of requests, for {:?}", asked.share, asked.lasts);
        let hash = self.canaries().running.as_ref().map(Running::name).unwrap_or_default();
        self.control.handle().reload_told(format!("configuration {hash} is on trial: {say}"));
        self.watch_canary(number);
        Ok(loaded.warnings)
    }

    /// Goes back to what is in force; says whether there was a canary. Blocks.
    pub(super) fn end_canary(&self) -> bool {
        let _alone = self.changing();
        let tried = self.canaries().running.as_ref().map(|running| running.config.hash.clone());
        let ended = self.supersede("somebody ended it");
        if ended {
            self.canaries().reverted = tried;
        }
        ended
    }

    /// Ends a canary without a verdict; says whether there was one. For who holds `changing`.
    pub(super) fn supersede(&self, why: &str) -> bool {
        let Some(over) = self.canaries().running.take() else { return false };
        self.proxy.end_trial();
        self.show_canary();
        let text = format!(
            "the canary of configuration {} is over: {why}; {}",
            over.name(),
            over.numbers()
        );
        self.control.handle().reload_told(text);
        true
    }

    /// Whether a file that says this is left alone: it is on trial, or was reverted.
    pub(super) fn is_canary(&self, hash: &str) -> bool {
        let canaries = self.canaries();
        let tried = canaries.running.as_ref().is_some_and(|running| running.config.hash == hash);
        tried || canaries.reverted.as_deref() == Some(hash)
    }

    pub(super) fn has_canary(&self) -> bool {
        self.canaries().running.is_some()
    }

    /// Another configuration is in force.
    pub(super) fn forget_canary(&self) {
        let mut canaries = self.canaries();
        (canaries.running, canaries.reverted) = (None, None);
        drop(canaries);
        self.show_canary();
    }

    fn watch_canary(self: &Arc<Self>, number: u64) {
        let parts = Arc::downgrade(self);
        let look = move || {
            while let Some(parts) = parts.upgrade()
                && parts.look_at_canary(number)
            {
                drop(parts);
                std::thread::sleep(LOOK);
            }
        };
        let started = std::thread::Builder::new().name("serin-canary".to_owned()).spawn(look);
        if let Err(error) = started {
            tracing::error!(%error, "a configuration on trial cannot be watched");
            self.supersede("it cannot be watched");
        }
    }

    /// Says whether to look again.
    fn look_at_canary(&self, number: u64) -> bool {
        let _alone = self.changing();
        let Some(counted) = self.proxy.tried().filter(|_| !self.proxy.is_going()) else {
            return false;
        };
        let verdict = {
            let mut canaries = self.canaries();
            let running = canaries.running.as_mut().filter(|running| running.number == number);
            let Some(running) = running else { return false };
            running.judge.look(counted, running.at())
        };
        match verdict {
            ConfigurationVerdict::GoOn => {
                self.show_canary();
                return true;
            }
            ConfigurationVerdict::Revert { evidence, needed } => {
                self.revert(&format!("evidence {evidence:.0}, {needed:.0} needed"));
            }
            ConfigurationVerdict::Keep => self.keep(),
        }
        false
    }

    fn revert(&self, why: &str) {
        let Some(over) = self.canaries().running.take() else { return };
        self.proxy.end_trial();
        self.canaries().reverted = Some(over.config.hash.clone());
        self.show_canary();
        let took = over.began.elapsed().as_secs_f64();
        let text = format!(
            "the canary of configuration {} was reverted after {took:.1} s: {}; {why}",
            over.name(),
            over.numbers()
        );
        tracing::error!("{text}");
        self.control.handle().reload_failed(text);
    }

    fn keep(&self) {
        let Some((config, text)) = self.canaries().running.as_ref().map(|running| {
            let (name, numbers) = (running.name(), running.numbers());
            (
                running.config.clone(),
                format!("the canary of configuration {name} is kept: {numbers}"),
            )
        }) else {
            return;
        };
        match self.put_in_force(&config, &[]) {
            Ok(_) => self.control.handle().reload_told(text),
            Err(refused) => {
                let first = refused.errors().next().map(Fault::line).unwrap_or_default();
                self.revert(&format!("it could not be put in force: {first}"));
            }
        }
    }

    fn show_canary(&self) {
        let view = self.canaries().running.as_ref().map(Running::view);
        self.control.handle().show_canary(view);
    }

    fn canaries(&self) -> MutexGuard<'_, Canaries> {
        self.canaries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn new(number: u64, config: Arc<Config>, asked: Canary, before: &Config) -> Self {
        let allowed = before.services.values().map(|s| 1.0 - s.objectives.availability.objective);
        let standard = Standard {
            margin: MARGIN,
            // The strictest of them: what is tried may break any.
            allowed: allowed.reduce(f64::min).unwrap_or(ALLOWED),
            false_alarm: FALSE_ALARM,
            lasts: asked.lasts,
        };
        let judge = ConfigurationJudge::new(standard, Mono(0));
        Self { number, config, asked, judge, began: Instant::now(), since: wall() }
    }

    fn at(&self) -> Mono {
        Mono(0).plus(self.began.elapsed())
    }

    fn name(&self) -> String {
        self.config.hash.chars().take(12).collect()
    }

    fn numbers(&self) -> String {
        let Beside { old, new } = self.judge.seen();
        format!("{} failed under it, {} under the old one", share(new), share(old))
    }

    fn view(&self) -> CanaryView {
        let side = |part: Part| CanarySideView { requests: part.of, errors: part.bad };
        let Beside { old, new } = self.judge.seen();
        let lasts = i64::try_from(self.asked.lasts.as_millis()).unwrap_or(i64::MAX);
        CanaryView {
            hash: self.config.hash.clone(),
            share: self.asked.share.get(),
            since: Timestamp(self.since),
            until: Timestamp(Wall(self.since.0.saturating_add(lasts))),
            old: side(old),
            new: side(new),
        }
    }
}

fn share(part: Part) -> String {
    let percent = part.share().map_or_else(String::new, |s| format!(" ({:.1}%)", s * 100.0));
    format!("{} of {} requests{percent}", part.bad, part.of)
}

/// What every connection shares cannot be different for some requests.
fn untriable(old: &Config, new: &Config) -> Option<String> {
    let mut what = Vec::new();
    for listener in new.listeners.iter().chain(&old.listeners) {
        let before = old.listeners.iter().find(|l| l.name == listener.name);
        let after = new.listeners.iter().find(|l| l.name == listener.name);
        let said = format!("listener {}", listener.name);
        if before != after && !what.contains(&said) {
            what.push(said);
        }
    }
    if old.admin != new.admin {
        what.push("admin".to_owned());
    }
    if old.state_dir != new.state_dir {
        what.push("state.dir".to_owned());
    }
    (!what.is_empty()).then(|| format!("a change of {}", what.join(", ")))
}

fn wall() -> Wall {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
