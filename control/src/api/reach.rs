//! Who can reach the admin socket that is bound.
//!
//! A reload changes what the files say and never the socket. So the decision whether requests need
//! a token rests on the address that is bound, and not on the one that the files name now.

use serin_config::model::Admin;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What lies between the admin socket and everybody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// A loopback address, or a socket in the file system: this machine alone.
    Machine,
    /// A socket in the file system that every user of this machine may open.
    Everybody,
    /// Anybody who can send packets to this address.
    Network(SocketAddr),
}

impl Reach {
    pub(crate) fn of(address: SocketAddr) -> Self {
        // A v4 loopback address may be written as v6.
        match address.ip().to_canonical().is_loopback() {
            true => Self::Machine,
            false => Self::Network(address),
        }
    }

    /// Of a socket in the file system. Whoever made it chose its group; all are nobody's choice.
    pub(crate) fn of_socket(path: &Path) -> Self {
        let mode = std::fs::metadata(path).map(|found| found.permissions().mode());
        match mode {
            Ok(mode) if mode & 0o002 != 0 => Self::Everybody,
            Ok(_) | Err(_) => Self::Machine,
        }
    }

    /// Why a configuration cannot be taken up while this socket is bound: it would let everybody
    /// change everything.
    pub(crate) fn refuses(self, admin: &Admin) -> Option<String> {
        match self {
            Self::Machine => None,
            Self::Everybody | Self::Network(_) if !admin.tokens.is_empty() => None,
            Self::Everybody => Some(
                "without a token everybody on this machine could use the admin API: its socket may be opened by all. Keep a token; or restart with a socket of mode 0660 or 0600".to_owned(),
            ),
            Self::Network(bound) => Some(format!(
                "without a token everybody could use the admin API: it listens on {bound}, which can be reached from outside, and a reload does not move it. Keep a token; or restart with admin.address on loopback or a unix socket"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_this_machine_reaches_is_told_from_the_network() {
        for (address, machine) in [
            ("127.0.0.1:1", true),
            ("127.8.0.1:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("0.0.0.0:1", false),
            ("[::]:1", false),
            ("10.0.0.1:1", false),
        ] {
            let reach = Reach::of(address.parse().unwrap());
            assert_eq!(reach == Reach::Machine, machine, "{address}");
        }
    }
}
