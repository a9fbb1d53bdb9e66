//! Objectives, and how fast a version burns its error budget.

mod objectives;

pub use objectives::{
    Availability, BudgetPolicy, BurnAction, BurnRule, LatencyObjective, Objectives, Severity,
};
