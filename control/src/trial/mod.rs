//! A configuration that a share of requests tries before everybody gets it.
//!
//! The data plane serves both and counts both; core's judge compares them. Either the new one is
//! reverted, and stays refused until somebody asks for it, or it is put in force by the same way as any
//! other. Here is what is on trial, what was found wanting, and what is said of both; who asks, serves
//! and puts in force is outside.

use crate::api::Canary;
use crate::controller::wall_now;
use crate::view::{CanarySideView, CanaryView, Timestamp};
use serin_config::model::Config;
use serin_core::judge::{Beside, ConfigurationJudge, ConfigurationVerdict, Standard};
use serin_core::measure::Part;
use serin_core::time::{Mono, Wall};
use std::sync::Arc;
use std::time::Instant;

/// As a rollout that says nothing about `regression` and `evidence`.
const MARGIN: f64 = 1.5;
const FALSE_ALARM: f64 = 0.001;
/// Errors that a configuration without any service is allowed.
const ALLOWED: f64 = 0.001;

/// What is tried, and what was found wanting.
#[derive(Debug, Default)]
pub struct Trials {
    running: Option<Trial>,
    /// The hash of what was reverted last. A file that still says the same is not taken up by itself.
    reverted: Option<String>,
    begun: u64,
}

/// One configuration on trial.
#[derive(Debug)]
pub struct Trial {
    /// Tells this one from those before and after it.
    pub number: u64,
    pub config: Arc<Config>,
    asked: Canary,
    judge: ConfigurationJudge,
    began: Instant,
    since: Wall,
}

impl Trials {
    /// Takes the place of any that runs.
    pub fn begin(&mut self, config: Arc<Config>, asked: Canary, before: &Config) -> &Trial {
        self.begun += 1;
        self.running.insert(Trial::new(self.begun, config, asked, before))
    }

    pub fn running(&self) -> Option<&Trial> {
        self.running.as_ref()
    }

    /// What the judge makes of the counts; `None` when another one runs by now, or none.
    pub fn look(&mut self, number: u64, counted: Beside) -> Option<ConfigurationVerdict> {
        let running = self.running.as_mut().filter(|running| running.number == number)?;
        let at = Mono(0).plus(running.began.elapsed());
        Some(running.judge.look(counted, at))
    }

    /// Ends it without a verdict.
    pub fn end(&mut self) -> Option<Trial> {
        self.running.take()
    }

    /// Ends it, and refuses it from now on.
    pub fn revert(&mut self) -> Option<Trial> {
        let over = self.running.take()?;
        self.reverted = Some(over.config.hash.clone());
        Some(over)
    }

    /// Another configuration is in force.
    pub fn forget(&mut self) {
        (self.running, self.reverted) = (None, None);
    }

    /// Whether a file that says this is left alone: it is on trial, or was reverted.
    pub fn knows(&self, hash: &str) -> bool {
        let tried = self.running.as_ref().is_some_and(|running| running.config.hash == hash);
        tried || self.reverted.as_deref() == Some(hash)
    }

    pub fn view(&self) -> Option<CanaryView> {
        self.running.as_ref().map(Trial::view)
    }
}

impl Trial {
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
        Self { number, config, asked, judge, began: Instant::now(), since: wall_now() }
    }

    pub fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// The configuration's, short enough for a sentence.
    pub fn name(&self) -> String {
        self.config.hash.chars().take(12).collect()
    }

    /// What came of the requests on both sides.
    pub fn numbers(&self) -> String {
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

/// What a configuration would change that every connection shares, and that cannot be different for
/// some requests.
pub fn untriable(old: &Config, new: &Config) -> Option<String> {
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
