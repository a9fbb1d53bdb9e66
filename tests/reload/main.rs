//! Change without loss: files, listeners, binaries and shutdowns under the eyes of clients.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod bench;
mod canary;
mod certificates;
mod churn;
mod door;
mod encrypted;
mod endpoints;
mod leaving;
mod load;
mod owners;
mod restart;
mod rolling;
mod rollouts;
mod second;
mod tighten;
mod unseen;
mod upgrade;
mod watching;
