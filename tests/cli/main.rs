//! The verbs that speak to a running instance, against a server that answers from a script: what
//! is printed, and which exit code a pipeline gets.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod canned;
mod exits;
mod pipeline;
mod quickstart;
mod screens;
