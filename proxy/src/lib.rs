//! The data plane: accepts, routes, splits, forwards, measures.

pub mod clock;
pub mod meter;
pub mod metrics;
pub mod plane;
pub mod route;
pub mod service;
pub mod session;
pub mod thread;
pub mod upstream;
pub mod world;
