//! From files to a checked model, with every fault in its place.

pub mod model;
