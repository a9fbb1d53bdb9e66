//! What a connection is for. Those of one purpose are never lent for another.

use crate::ingress::ClientInfo;
use crate::upstream::Endpoint;
use crate::wire::proxy_header;
use serin_config::model::UpstreamProxyProtocol;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Weak};

#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose<'a> {
    /// What clients ask. Where the endpoint is told whose a connection is, it is this client's alone and
    /// ends with it.
    Client(&'a Arc<ClientInfo>),
    /// What clients ask that have hardly a window. What they are answered is likely to stay with the endpoint,
    /// which may refuse over it what others ask on their connection.
    Shut(&'a Arc<ClientInfo>),
    /// What Serin asks by itself.
    Own,
}

impl Purpose<'_> {
    /// What the endpoint is told before anything else is said.
    pub(super) fn header(self, to: &Endpoint) -> Option<Vec<u8>> {
        let ends = match self {
            Self::Client(info) | Self::Shut(info) => info.ends(),
            Self::Own => None,
        };
        match to.proxy_protocol {
            UpstreamProxyProtocol::Off => None,
            UpstreamProxyProtocol::V1 => Some(proxy_header::write_1(ends)),
            UpstreamProxyProtocol::V2 => Some(proxy_header::write_2(ends)),
        }
    }

    /// Where a thread keeps such connections.
    pub(super) fn key(self, to: &Arc<Endpoint>) -> Key {
        let owner = match self {
            Self::Client(info) | Self::Shut(info) if to.is_told_of_clients() => {
                Arc::as_ptr(info).addr()
            }
            Self::Client(_) => 0,
            Self::Own => 1,
            // Over HTTP/1 a connection is one request's in any case.
            Self::Shut(_) => 2 * usize::from(to.speaks_http2()),
        };
        Key { endpoint: Arc::as_ptr(to).addr(), owner }
    }

    /// Whoever keeps such a connection holds these.
    pub(super) fn kept(self, to: &Arc<Endpoint>) -> Kept {
        let client = match self {
            Self::Client(info) | Self::Shut(info) if to.is_told_of_clients() => {
                Some(Arc::downgrade(info))
            }
            Self::Client(_) | Self::Shut(_) | Self::Own => None,
        };
        Kept { _endpoint: Arc::clone(to), client }
    }
}

/// Endpoint and owner are known by where they stand in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    endpoint: usize,
    owner: usize,
}

/// Keeps the addresses in a key from being another's.
pub(super) struct Kept {
    _endpoint: Arc<Endpoint>,
    client: Option<Weak<ClientInfo>>,
}

impl Kept {
    /// Its client is gone: nobody will ask for it.
    pub(super) fn is_orphaned(&self) -> bool {
        self.client.as_ref().is_some_and(|client| client.strong_count() == 0)
    }
}

pub(super) type ByKey<T> = HashMap<Key, T, BuildHasherDefault<Addresses>>;

/// Addresses are their own hash, but for their lowest bits, which are always zero.
#[derive(Default)]
pub(super) struct Addresses(u64);

impl Hasher for Addresses {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_usize(&mut self, address: usize) {
        self.0 = (self.0 ^ (address as u64 >> 4)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
