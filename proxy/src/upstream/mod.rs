//! The backends: which endpoint of a version gets the next attempt, and what is known of each.
//!
//! A [`VersionRuntime`] holds its endpoints; [`VersionRuntime::pick`] lends one as a [`Lease`],
//! which counts as in flight until it is given back with what came of the attempt. Health checks,
//! the sources of endpoints and the return of ejected endpoints run beside the requests and
//! change what `pick` sees; a request never waits for any of them, and takes no lock.

pub(crate) mod conn;
mod connect;
mod discovery;
mod endpoint;
mod group;
mod health;
mod keeper;
mod outlier;
mod overload;
mod overrule;
mod own_listeners;
mod peer;
mod pick;
mod probe;
mod retry;
mod rota;
mod slow_start;
mod tls;
mod version;

pub(crate) use connect::{failure_of_io, trouble};
pub use discovery::{Resolver, system as system_resolver};
pub use endpoint::Endpoint;
pub use group::{Group, Unavailable};
pub use keeper::Upstreams;
pub(crate) use overrule::EndpointsState;
pub use pick::Lease;
pub(crate) use probe::fault;
pub(crate) use retry::pause;
pub use retry::{Attempted, RetryBudget, RetryPermit, RetryPolicy};
pub(crate) use tls::read_authorities;
pub use version::{VersionError, VersionRuntime};
