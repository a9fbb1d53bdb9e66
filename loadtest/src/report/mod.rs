//! What happened, for people and for programs.

mod html;
mod json;
mod junit;
mod text;

pub use html::{record_to_html, to_html};
pub use json::{outcome_to_json, to_json};
pub use junit::to_junit;
pub use text::{outcome_to_text, to_text};
