//! Which route a request takes, and what the route does to it.
//!
//! A request is looked at through [`RequestView`], which borrows from whatever holds the head:
//! nothing here allocates for a request that needs no change, and nothing knows which protocol it came by.
//! The table is built once per configuration; a found route is ready to use, its service, header
//! names and limits already resolved.
//!
//! It never decides about versions, and it never sees a body.

mod compiled;
mod edits;
pub mod fields;
mod hosts;
mod matching;
pub mod path;
mod precedence;
mod rate;
mod rewrite;
mod table;

pub use compiled::{Action, Fixed, Route, RouteError};
pub use edits::Edits;
pub use fields::Fields;
pub use rate::{ClientRates, Rate, RateLimiter};
pub use rewrite::{Redirect, Rewrite, Target};
pub use table::{Found, RouteTable};

use std::net::IpAddr;

/// What routing may ask of a request.
#[derive(Clone, Copy)]
pub struct RequestView<'a> {
    /// The name of the listener that it came in by.
    pub listener: &'a str,
    /// As validated: with or without a port, in any case.
    pub host: &'a str,
    /// Normalised by [`path::normalise`]; the same that is forwarded.
    pub path: &'a str,
    /// What follows the first `?`, as it came.
    pub query: Option<&'a str>,
    pub method: &'a str,
    pub headers: &'a dyn Fields,
    /// The client as the listener's trust makes it out.
    pub client_ip: IpAddr,
}

impl std::fmt::Debug for RequestView<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}{}", self.method, self.host, self.path)
    }
}
