//! A rollout scenario: traffic, faults at given times, admin calls, and what is expected of it.
//!
//! `file` is what a scenario says, `run` performs it against a proxy (its own, or one that runs
//! already), `watch` follows what the admin API says meanwhile, and `expect` judges, purely,
//! what was recorded.

mod admin;
mod expect;
mod file;
mod process;
mod run;
mod watch;

pub use expect::{Finding, judge};
pub use file::{Scenario, ScenarioError};
pub use process::binary;
pub use run::{Outcome, Setting, run};
pub use watch::{Sighting, Sightings};
