//! What the journal remembers, made readable: the post-mortem, the numbers, the reasons.
//! Pure functions of records.

mod dora;
mod report;
mod why;

pub(crate) use dora::dora;
pub(crate) use report::report;
pub(crate) use why::{decide_again, evidence_of, why};
