//! A data plane that is made of numbers, and the course of a rollout on it.
//!
//! [`Plane`] plays users, versions and their failures, request by request and from a seed, and
//! counts as the real one counts. [`run`] puts a [`Pilot`](crate::rollout::Pilot) on it. `serin
//! simulate` and the tests share both, so what they show is what the controller does.

mod course;
mod curve;
mod dice;
mod origins;
mod plane;
mod playing;
mod recorded;
mod script;
mod shapes;
mod traffic;
mod users;

pub use course::run;
pub use curve::{Change, Curve};
pub use dice::Dice;
pub use plane::Plane;
pub use recorded::{Recorded, RecordedCounts, Recording};
pub use script::{Entry, Happening, Made, Report, Simulation, Source, Told};
pub use shapes::{Storms, Swing};
pub use traffic::{Behaviour, HeavyUsers, SlowUsers, Totals, Traffic, VersionTotals};
pub use users::SessionKind;
