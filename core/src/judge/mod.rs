//! Is the candidate worse than stable, is it good enough to go on with, and how sure is that?
//!
//! A [`Judge`] lives as long as one rollout. It is shown the data plane's counts with every tick
//! and answers with the [`Evidence`](crate::rollout::Evidence) that a decision rests on. Its
//! tests may be looked at after every request: the chance that a healthy candidate is *ever*
//! called worse stays below the plan's `falseAlarm`.

mod before;
mod bets;
mod bounded;
mod clients;
mod coarse;
mod compare;
mod concentration;
mod configuration;
mod counted;
mod enough;
mod errors;
mod foresight;
mod gained;
mod guards;
mod harm;
#[cfg(test)]
mod independent;
mod keep;
mod networks;
mod outlook;
mod own;
mod promotion;
mod rate;
mod reading;
mod recent;
mod slow_clients;
mod slower;
mod suite;
mod trial;
mod twofold;

pub use configuration::{Beside, ConfigurationJudge, ConfigurationVerdict, Standard};
pub use foresight::{Foresight, foresee};
pub use trial::{Judge, Seen, WARM_UP};
