//! A name in DNS whose addresses are the endpoints, for as long as each answer says that it holds.

use super::lookup::{Lookup, Pauses};
use super::{Answer, Found};
use serin_config::model::{Endpoint, EndpointHost};
use std::net::{IpAddr, SocketAddr};

pub(super) async fn watch(
    endpoint: Endpoint,
    servers: Vec<SocketAddr>,
    take: impl Fn(Answer) -> bool,
) {
    let EndpointHost::Name(name) = &endpoint.host else { return };
    let lookup = Lookup::new(servers);
    let mut pauses = Pauses::default();
    loop {
        let answer = lookup.addresses(name).await;
        let pause = pauses.after(&answer);
        let found = |ip: IpAddr| Found::new(endpoint.clone(), ip);
        if !take(answer.map(|records| records.all.into_iter().map(found).collect())) {
            return;
        }
        tokio::time::sleep(pause).await;
    }
}
