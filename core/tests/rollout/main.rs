//! The state machine from outside: evidence goes in, decisions come out.

#![allow(clippy::unwrap_used)]

mod aside;
mod baseline;
mod commands;
mod day;
mod gates;
mod owners;
mod playbook;
mod promotion;
mod properties;
mod shapes;
mod strangers;
mod undo;
mod world;
