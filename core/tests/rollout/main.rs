//! The state machine from outside: evidence goes in, decisions come out.

mod commands;
mod playbook;
mod properties;
mod world;
