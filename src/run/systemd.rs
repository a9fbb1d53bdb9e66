//! What a service manager is told, and the sockets that it may have opened: the protocols that
//! systemd made common (`sd_notify`, `LISTEN_FDS`). Without one, nothing happens here.

use super::handover::Takeover;
use listenfd::ListenFd;
use serin_proxy::Inherited;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Tells whoever asked to be told: `READY=1`, `STOPPING=1`, `MAINPID=…`.
pub(crate) fn notify(what: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(&path, what) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}

fn send(path: &OsStr, what: &str) -> std::io::Result<()> {
    let address = match path.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(path)?,
    };
    UnixDatagram::unbound()?.send_to_addr(what.as_bytes(), &address).map(drop)
}

/// Sockets are matched with listeners by their address; a unix socket is the admin API's.
pub(crate) fn sockets() -> Takeover {
    let mut given = ListenFd::from_env();
    let (mut listeners, mut admin) = (Vec::new(), None);
    for place in 0..given.len() {
        if let Ok(Some(socket)) = given.take_tcp_listener(place) {
            match socket.local_addr() {
                Ok(address) => {
                    listeners.push(Inherited { listener: None, address, sockets: vec![socket] });
                }
                Err(error) => tracing::warn!(place, %error, "a given socket cannot be used"),
            }
        } else if let Ok(Some(socket)) = given.take_unix_listener(place) {
            admin = Some(OwnedFd::from(socket));
        } else {
            tracing::warn!(place, "a given descriptor is no listening socket");
        }
    }
    Takeover::of_sockets(listeners, admin)
}
