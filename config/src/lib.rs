//! From files to a checked model, with every fault in its place.
//!
//! [`load`] reads a file or a folder in three stages, each of which reports everything it finds:
//! `yaml` makes a tree in which every key and value knows its place, `file/` reads the tree into
//! what the files say, `check/` makes of that what the program runs on ([`model`]).

mod budget;
mod check;
mod discovery;
mod effective;
pub mod endpoint_list;
mod env;
mod fault;
mod file;
mod grouped;
mod hash;
mod load;
pub mod model;
mod quantity;
mod reload;
mod report;
mod schema;
mod source;
mod suggest;
mod syntax;
mod unexpanded;
mod yaml;

pub use effective::effective;
pub use fault::{Fault, Faults, Severity, Style};
pub use grouped::render_all;
pub use load::{Environment, Files, Loaded, Options, check_text, from_str, load};
pub use reload::Watch;

/// A share as the files write it, `5%`; an error says what to write instead.
pub fn share(text: &str) -> Result<serin_core::weights::BasisPoints, String> {
    quantity::weight(text).map_err(|fault| format!("{}; {}", fault.message, fault.hint))
}

/// A time as the files write it, `10m`.
pub fn duration(text: &str) -> Result<std::time::Duration, String> {
    quantity::duration(text).map_err(|fault| format!("{}; {}", fault.message, fault.hint))
}

/// The JSON Schema of a configuration file, for editors; from the types that read it.
pub fn schema() -> serde_json::Value {
    schema::of::<file::File>()
}
