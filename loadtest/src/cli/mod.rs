//! The verbs.

pub(crate) mod backend;
pub(crate) mod load;
pub(crate) mod scenarios;
