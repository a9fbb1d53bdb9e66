//! What operators install and read: rules, images, packages, dashboards and documents. Each is held
//! to the binary and to the configuration that it speaks of.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod documents;
mod exposition;
mod images;
mod packages;
mod panels;
mod rules;
mod tools;
