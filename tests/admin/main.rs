//! The admin API from outside: who gets in, what they may do, and what they never see.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod answers;
mod changes;
mod crowd;
mod doors;
mod page;
mod rollouts;
mod secrets;
mod slow;
mod test_server;
