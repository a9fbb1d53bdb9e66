//! Names become addresses beside the requests, again and again.
//!
//! The system's resolver blocks, so it is asked on a thread that may. It does not say for how
//! long an answer holds; asking every few seconds is what an operator who moves a name expects.
//! An answer that fails changes nothing: the last addresses stay in use.

use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

/// Asks for the addresses of a name; it may block.
pub type Resolver = Arc<dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync>;

/// How often a name is asked for that has addresses, unless something else is said, and one that
/// has none yet.
pub(super) const AGAIN: Duration = Duration::from_secs(5);
pub(super) const AGAIN_UNRESOLVED: Duration = Duration::from_millis(500);

/// More addresses of one name than this are not used.
const MOST: usize = 64;

pub fn system() -> Resolver {
    Arc::new(|name| Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect()))
}

/// Sorted, without doubles. Where a name has addresses of both families the IPv4 ones are taken:
/// both usually lead to the same process, and it is IPv6 that is half configured somewhere
/// (`localhost` is the everyday case).
pub(super) async fn resolve(resolver: Resolver, name: String) -> io::Result<Vec<IpAddr>> {
    let answer = tokio::task::spawn_blocking(move || resolver(&name)).await;
    let mut addresses = answer.map_err(io::Error::other)??;
    if addresses.iter().any(IpAddr::is_ipv4) {
        addresses.retain(IpAddr::is_ipv4);
    }
    addresses.sort_unstable();
    addresses.dedup();
    addresses.truncate(MOST);
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(addresses)
}
