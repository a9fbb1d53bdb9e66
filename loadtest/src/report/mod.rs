//! What happened, for people and for programs.

mod json;
mod text;

pub use json::to_json;
pub use text::to_text;
