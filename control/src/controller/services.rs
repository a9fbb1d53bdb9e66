//! The runs of all services, by name. Which of them have something under way is known beside them: a
//! thousand at rest are not walked through fifty times a second.

use super::ServiceRun;
use serin_core::ids::ServiceName;
use serin_core::time::Mono;
use std::collections::BTreeSet;

/// A service at rest has its turn once a second, each at a moment of its own: a thousand of them cost next to
/// nothing, and nothing of theirs can be taken back.
const SECOND: u64 = 1_000;
/// Moments of a second: as many as there are ticks.
const MOMENTS: usize = 50;
const APART: u64 = SECOND / MOMENTS as u64;

#[derive(Debug, Default)]
pub(super) struct Services {
    /// In the order of their names.
    runs: Vec<ServiceRun>,
    /// Places of those that are awake.
    awake: BTreeSet<usize>,
}

impl FromIterator<ServiceRun> for Services {
    fn from_iter<T: IntoIterator<Item = ServiceRun>>(runs: T) -> Self {
        let mut services = Self { runs: runs.into_iter().collect(), awake: BTreeSet::new() };
        services.placed_anew();
        services
    }
}

impl Services {
    pub(super) fn iter(&self) -> impl Iterator<Item = &ServiceRun> {
        self.runs.iter()
    }

    /// For changes that neither begin nor end anything.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut ServiceRun> {
        self.runs.iter_mut()
    }

    /// The same, of those that are awake.
    pub(super) fn awake_mut(&mut self) -> impl Iterator<Item = &mut ServiceRun> {
        let Self { runs, awake } = self;
        let all = runs.iter_mut().enumerate();
        all.filter(|(place, _)| awake.contains(place)).map(|(_, run)| run)
    }

    pub(super) fn get(&self, name: &ServiceName) -> Option<&ServiceRun> {
        self.place(name).map(|place| &self.runs[place])
    }

    pub(super) fn with<T>(
        &mut self,
        name: &ServiceName,
        act: impl FnOnce(&mut ServiceRun) -> T,
    ) -> Option<T> {
        let place = self.place(name)?;
        let done = act(&mut self.runs[place]);
        match self.runs[place].is_awake() {
            true => self.awake.insert(place),
            false => self.awake.remove(&place),
        };
        Some(done)
    }

    pub(super) fn each(&mut self, mut act: impl FnMut(&mut ServiceRun)) {
        for (place, run) in self.runs.iter_mut().enumerate() {
            act(run);
            if run.is_awake() {
                self.awake.insert(place);
            }
        }
        self.let_sleep();
    }

    pub(super) fn each_awake(&mut self, mut act: impl FnMut(&mut ServiceRun)) {
        self.awake.iter().for_each(|place| act(&mut self.runs[*place]));
        self.let_sleep();
    }

    /// Those that are awake, and those whose second has come since the tick before; and whether it has.
    pub(super) fn each_due(
        &mut self,
        before: Option<Mono>,
        now: Mono,
        mut act: impl FnMut(&mut ServiceRun, bool),
    ) {
        let come: Vec<usize> = (0..MOMENTS).filter(|m| has_come(*m, before, now)).collect();
        for place in &self.awake {
            act(&mut self.runs[*place], come.contains(&(place % MOMENTS)));
        }
        let all = self.runs.len();
        for place in come.iter().flat_map(|moment| (*moment..all).step_by(MOMENTS)) {
            if !self.awake.contains(&place) {
                act(&mut self.runs[place], true);
                if self.runs[place].is_awake() {
                    self.awake.insert(place);
                }
            }
        }
        self.let_sleep();
    }

    pub(super) fn extend(&mut self, runs: Vec<ServiceRun>) {
        self.runs.extend(runs);
        self.placed_anew();
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&ServiceName) -> bool) {
        self.runs.retain(|run| keep(&run.name));
        self.placed_anew();
    }

    fn place(&self, name: &ServiceName) -> Option<usize> {
        self.runs.binary_search_by(|run| run.name.cmp(name)).ok()
    }

    fn placed_anew(&mut self) {
        self.runs.sort_by(|a, b| a.name.cmp(&b.name));
        let awake = self.runs.iter().enumerate().filter(|(_, run)| run.is_awake());
        self.awake = awake.map(|(place, _)| place).collect();
    }

    fn let_sleep(&mut self) {
        self.awake.retain(|place| self.runs[*place].is_awake());
    }
}

fn has_come(moment: usize, before: Option<Mono>, now: Mono) -> bool {
    let Some(before) = before else { return true };
    let passed = |at: Mono| (at.0 + SECOND - moment as u64 * APART) / SECOND;
    passed(now) != passed(before)
}
