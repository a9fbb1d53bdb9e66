//! SRV records in DNS: hosts with ports, weights and priorities, and the addresses of each host.
//!
//! A host that has no address is no endpoint. One whose addresses could not be asked for leaves the whole
//! set unknown: half of it would press all requests onto the other half.

use super::lookup::{Lookup, Pauses, Records, Target};
use super::{Answer, Found};
use futures_util::StreamExt;
use serin_config::model::{Endpoint, EndpointHost};
use std::net::SocketAddr;

/// Hosts that are asked for at once.
const AT_ONCE: usize = 16;

pub(super) async fn watch(
    name: String,
    tls: bool,
    servers: Vec<SocketAddr>,
    take: impl Fn(Answer) -> bool,
) {
    let lookup = Lookup::new(servers);
    let mut pauses = Pauses::default();
    loop {
        let answer = find(&lookup, &name, tls).await;
        let pause = pauses.after(&answer);
        if !take(answer.map(|records| records.all)) {
            return;
        }
        tokio::time::sleep(pause).await;
    }
}

async fn find(lookup: &Lookup, name: &str, tls: bool) -> Result<Records<Found>, String> {
    let targets = lookup.targets(name).await?;
    let mut ttl = targets.ttl;
    let hosts = targets.all.into_iter().map(|target| of_target(lookup, target, tls));
    let mut hosts = futures_util::stream::iter(hosts).buffered(AT_ONCE);
    let mut all = Vec::new();
    while let Some(records) = hosts.next().await {
        let records = records?;
        ttl = ttl.min(records.ttl);
        all.extend(records.all);
    }
    Ok(Records { all, ttl })
}

async fn of_target(lookup: &Lookup, target: Target, tls: bool) -> Result<Records<Found>, String> {
    let addresses = lookup.addresses_of_host(&target.host).await?;
    let host = EndpointHost::Name(target.host);
    let endpoint = Endpoint { host, port: target.port, tls };
    let found = |ip| Found {
        endpoint: endpoint.clone(),
        ip,
        // A weight of 0 is a share as small as can be.
        weight: u32::from(target.weight).max(1),
        priority: u32::from(target.priority),
    };
    Ok(Records { all: addresses.all.into_iter().map(found).collect(), ttl: addresses.ttl })
}
