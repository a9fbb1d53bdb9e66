//! Listening sockets: one per thread for an address, and the kernel spreads connections.
//!
//! A socket's queue of connections that nobody has accepted yet is reset when its last descriptor is
//! closed. So a listener that goes on under another name, or in another process, goes on with the
//! same sockets; new ones beside them would lose what waits in the old ones.

use super::holders;
use serin_config::model::Listener;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};

const BACKLOG: i32 = 4096;

/// The sockets of one listener, as another process has opened them.
#[derive(Debug)]
pub struct Inherited {
    /// `None` when whoever opened them knows no names: then the address decides.
    pub listener: Option<String>,
    /// As that process's configuration says; its port may be 0.
    pub address: SocketAddr,
    pub sockets: Vec<TcpListener>,
}

impl Inherited {
    pub(super) fn is_for(&self, model: &Listener) -> bool {
        // Every port 0 is another port.
        let told_apart = model.address.port() != 0 || self.listener.as_ref() == Some(&model.name);
        self.address == model.address && told_apart && !self.sockets.is_empty()
    }
}

/// As many sockets on one address as there are threads, or more, when so many are inherited. Port
/// 0 is chosen once, for all.
pub(super) fn open(
    address: SocketAddr,
    threads: usize,
    inherited: Vec<TcpListener>,
) -> io::Result<Vec<TcpListener>> {
    let mut sockets = inherited;
    if sockets.is_empty() {
        holders::refuse_taken(address)?;
        sockets.push(bind(address)?);
    }
    let address = sockets[0].local_addr()?;
    for socket in &sockets {
        socket.set_nonblocking(true)?;
    }
    while sockets.len() < threads {
        // One that was not made to be joined by others is shared by the threads.
        let next = bind(address).or_else(|_| sockets[0].try_clone())?;
        sockets.push(next);
    }
    for socket in &sockets {
        // Whoever is accepted has it from here: that is one call less for each. Nothing is lost
        // where it cannot be set.
        let _ = SockRef::from(socket).set_tcp_nodelay(true);
    }
    Ok(sockets)
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    #[test]
    fn whoever_is_accepted_sends_small_pieces_at_once() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let plain = TcpListener::bind(any).unwrap();
        for inherited in [Vec::new(), vec![plain]] {
            let sockets = open(any, 1, inherited).unwrap();
            sockets[0].set_nonblocking(false).unwrap();
            let _client = TcpStream::connect(sockets[0].local_addr().unwrap()).unwrap();
            let (accepted, _) = sockets[0].accept().unwrap();
            assert!(accepted.nodelay().unwrap());
        }
    }
}
