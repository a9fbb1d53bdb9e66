//! The rollout: its plan, its state machine, and the decision.

mod plan;

pub use plan::{
    Action, Compared, Dark, Evidence, Gate, GateKind, Guard, Harm, OnRollback, OnTooFew, Plan,
    Regression, Rule, Start, Step, Strategy, TimeOfDay, Window, WindowEffect, WindowSpan,
};
