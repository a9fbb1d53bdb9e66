//! Where this process listens itself. An endpoint there would send each request round and round.

use arc_swap::ArcSwap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

#[derive(Debug, Clone, Default)]
pub(crate) struct OwnListeners(Arc<ArcSwap<Vec<SocketAddr>>>);

impl OwnListeners {
    pub(crate) fn are(&self, addresses: Vec<SocketAddr>) {
        self.0.store(Arc::new(addresses));
    }

    /// Whether who connects to this address gets here.
    pub(super) fn listen_at(&self, address: SocketAddr) -> bool {
        self.0.load().iter().any(|own| {
            let any = own.ip().is_unspecified();
            own.port() == address.port()
                && (own.ip() == address.ip() || any && is_local(address.ip()))
        })
    }
}

/// Whether this machine has the address: then it is also what it would connect from. Nothing is sent to find
/// out. (Whether it can be bound says less: some machines let any address be.)
fn is_local(address: IpAddr) -> bool {
    let from = match address {
        IpAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        IpAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let connected_from = || {
        let socket = UdpSocket::bind(from)?;
        socket.connect((address, 9))?;
        socket.local_addr()
    };
    address.is_loopback() || connected_from().is_ok_and(|own| own.ip() == address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_at_each_of_this_machine_and_at_no_other() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let own = OwnListeners::default();
        own.are(vec![address("0.0.0.0:80"), address("127.0.0.2:81")]);
        let listening = ["127.0.0.1:80", "127.9.9.9:80", "127.0.0.2:81"];
        assert!(listening.into_iter().all(|text| own.listen_at(address(text))));
        let others = ["127.0.0.1:81", "127.0.0.1:8080", "192.0.2.1:80", "[2001:db8::1]:80"];
        assert!(!others.into_iter().any(|text| own.listen_at(address(text))));
    }
}
