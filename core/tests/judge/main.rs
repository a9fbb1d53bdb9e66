//! The judge from outside: what it promises, measured, and how it behaves.
#![allow(clippy::unwrap_used)] // The helpers of tests are tests.

mod bars;
mod behaviour;
mod properties;
mod rng;
mod world;
