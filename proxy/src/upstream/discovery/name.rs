//! A name that the configuration lists: the system says its addresses, `/etc/hosts` and all.
//!
//! The system's resolver blocks, so it is asked on a thread that may. It does not say for how
//! long an answer holds; asking every few seconds is what an operator who moves a name expects.
//! Where the answer's own time matters, a source by DNS has it.

use super::{Answer, Found, Tools};
use crate::upstream::health::jittered;
use serin_config::model::Endpoint;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

/// Asks for the addresses of a name; it may block.
pub type Resolver = Arc<dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync>;

/// How often a name is asked for that has addresses, unless something else is said, and one that
/// has none yet.
pub(in crate::upstream) const AGAIN: Duration = Duration::from_secs(5);
const AGAIN_UNRESOLVED: Duration = Duration::from_millis(500);

/// More addresses of one name than this are not used.
const ADDRESSES_MAX: usize = 64;

pub fn system() -> Resolver {
    Arc::new(|name| Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect()))
}

pub(super) async fn watch(
    name: &str,
    endpoint: &Endpoint,
    tools: &Tools,
    take: impl Fn(Answer) -> bool,
) {
    let mut pause = AGAIN_UNRESOLVED;
    loop {
        let answer = resolve(Arc::clone(&tools.resolver), name.to_owned()).await;
        if answer.is_ok() {
            pause = tools.resolve_every;
        }
        let found = |ip: IpAddr| Found::new(endpoint.clone(), ip);
        let set = answer.map(|all| all.into_iter().map(found).collect());
        if !take(set.map_err(|error| error.to_string())) {
            return;
        }
        tokio::time::sleep(jittered(pause, crate::thread::random())).await;
    }
}

async fn resolve(resolver: Resolver, name: String) -> io::Result<Vec<IpAddr>> {
    let answer = tokio::task::spawn_blocking(move || resolver(&name)).await;
    let mut addresses = usable(answer.map_err(io::Error::other)??);
    addresses.truncate(ADDRESSES_MAX);
    Ok(addresses)
}

/// Sorted, without doubles. Where a name has addresses of both families the IPv4 ones are taken:
/// both usually lead to the same process, and it is IPv6 that is half configured somewhere
/// (`localhost` is the everyday case).
pub(super) fn usable(mut addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    if addresses.iter().any(IpAddr::is_ipv4) {
        addresses.retain(IpAddr::is_ipv4);
    }
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}
