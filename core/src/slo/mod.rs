//! Objectives, and how fast a version burns its error budget.

mod budget;
mod objectives;
#[cfg(test)]
mod properties;
mod ring;
mod series;
mod service;
#[cfg(test)]
mod tests;

pub use objectives::{
    Availability, BudgetPolicy, BurnAction, BurnRule, LatencyObjective, Objectives, Permit,
    Severity,
};
pub use service::{Burn, Missed, Promise, ServiceSlo};
