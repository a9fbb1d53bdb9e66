//! Which version a request gets.
//!
//! Without sessions the split is exact: [`Splitter`], one per thread and service. With
//! sessions a user falls into one of 10,000 [`bucket`]s and the candidate owns the low ones, so
//! raising its weight moves nobody back and needs no coordination between proxies.

mod session;
mod split;
mod sticky;

pub use session::{Choice, Client, Session, Token, choose};
pub use split::{Slots, Splitter, Two};
pub use sticky::{bucket, key_of, salt_of};
