//! An open-loop load generator that knows versions, and asserts rollouts.
//!
//! It works against any proxy. `arrivals` says when requests are due, `mix` which, `client` asks,
//! `record` keeps what happened per version, second and user, `report` tells it.

pub mod arrivals;
pub mod backend;
pub mod client;
pub mod drive;
pub mod mix;
mod pace;
pub mod record;
pub mod report;
pub mod scenario;
pub mod target;
pub mod users;
