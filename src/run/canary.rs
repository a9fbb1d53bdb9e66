//! A configuration on trial: from whoever asks for it to the data plane that serves it, and from the
//! verdict to what is in force.
//!
//! What the files say is read once, when it begins: a change in between ends it.

use super::parts::Parts;
use serin_config::Fault;
use serin_config::model::Config;
use serin_control::api::{Canary, NoCanary};
use serin_control::trial::{Trial, Trials, untriable};
use serin_core::judge::ConfigurationVerdict;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

const LOOK: Duration = Duration::from_millis(50);

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
        let say = format!("{} of requests, for {:?}", asked.share, asked.lasts);
        let (number, name) = {
            let mut trials = self.trials();
            let trial = trials.begin(config, asked, &before);
            (trial.number, trial.name())
        };
        self.show_canary();
        self.control.handle().reload_told(format!("configuration {name} is on trial: {say}"));
        self.watch_canary(number);
        Ok(loaded.warnings)
    }

    /// Goes back to what is in force; says whether there was a canary. Blocks.
    pub(super) fn end_canary(&self) -> bool {
        let _alone = self.changing();
        self.end("somebody ended it", Trials::revert)
    }

    /// Ends a canary without a verdict; says whether there was one. For who holds `changing`.
    pub(super) fn supersede(&self, why: &str) -> bool {
        self.end(why, Trials::end)
    }

    fn end(&self, why: &str, how: fn(&mut Trials) -> Option<Trial>) -> bool {
        let over = how(&mut self.trials());
        let Some(over) = over else { return false };
        self.proxy.end_trial();
        self.show_canary();
        let (name, numbers) = (over.name(), over.numbers());
        let text = format!("the canary of configuration {name} is over: {why}; {numbers}");
        self.control.handle().reload_told(text);
        true
    }

    /// Whether a file that says this is left alone: it is on trial, or was reverted.
    pub(super) fn is_canary(&self, hash: &str) -> bool {
        self.trials().knows(hash)
    }

    pub(super) fn has_canary(&self) -> bool {
        self.trials().running().is_some()
    }

    /// Another configuration is in force.
    pub(super) fn forget_canary(&self) {
        self.trials().forget();
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
        let counted = self.proxy.tried().filter(|_| !self.proxy.is_going());
        let verdict = counted.and_then(|counted| self.trials().look(number, counted));
        match verdict {
            None => {}
            Some(ConfigurationVerdict::GoOn) => {
                self.show_canary();
                return true;
            }
            Some(ConfigurationVerdict::Revert { evidence, needed }) => {
                self.revert(&format!("evidence {evidence:.0}, {needed:.0} needed"));
            }
            Some(ConfigurationVerdict::Keep) => self.keep(),
        }
        false
    }

    fn revert(&self, why: &str) {
        let over = self.trials().revert();
        let Some(over) = over else { return };
        self.proxy.end_trial();
        self.show_canary();
        let (name, took, numbers) = (over.name(), over.seconds(), over.numbers());
        let text = format!(
            "the canary of configuration {name} was reverted after {took:.1} s: {numbers}; {why}"
        );
        tracing::error!("{text}");
        self.control.handle().reload_failed(text);
    }

    fn keep(&self) {
        let kept = |trial: &Trial| -> (Arc<Config>, String) {
            let (name, numbers) = (trial.name(), trial.numbers());
            let text = format!("the canary of configuration {name} is kept: {numbers}");
            (Arc::clone(&trial.config), text)
        };
        let kept = self.trials().running().map(kept);
        let Some((config, text)) = kept else { return };
        match self.put_in_force(&config, &[]) {
            Ok(_) => self.control.handle().reload_told(text),
            Err(refused) => {
                let first = refused.errors().next().map(Fault::line).unwrap_or_default();
                self.revert(&format!("it could not be put in force: {first}"));
            }
        }
    }

    fn show_canary(&self) {
        let view = self.trials().view();
        self.control.handle().show_canary(view);
    }

    fn trials(&self) -> MutexGuard<'_, Trials> {
        self.trials.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
