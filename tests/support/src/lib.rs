//! What end-to-end tests stand on: origins that misbehave on command, clients that show every
//! byte, and waiting that never sleeps for luck.
//!
//! It is a crate and not a module, so that it is compiled once for all test suites and serves
//! the tests of every crate of the workspace. It knows nothing of Serin's insides: a proxy
//! in the same process and a spawned binary look alike from here.
//!
//! Everything binds port 0 on 127.0.0.1. Whatever waits has a deadline of [`PATIENCE`], past
//! which it panics with what it has seen so far: no bar on speed is ever tested with it.

mod client;
mod config_text;
mod dns;
mod origin;
mod process;
mod raw_client;
mod raw_origin;
mod response;
mod script;
mod wait;

pub use client::{Answer, Connection};
pub use config_text::{ConfigText, ServiceText};
pub use dns::NameServer;
pub use origin::{Fault, Origin, Seen, body_hash};
pub use process::{Finished, Serin, finish};
pub use raw_client::{End, RawClient, get};
pub use raw_origin::{RawOrigin, Record};
pub use response::{Broken, Framing, Response, responses};
pub use script::{Latch, Script};
pub use wait::{Condition, PATIENCE, eventually, eventually_async};

/// A folder of its own that goes away with the value.
pub fn temp_dir() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("serin-test-").tempdir().expect("a temporary folder")
}
