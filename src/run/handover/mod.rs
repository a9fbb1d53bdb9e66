//! One process takes over from another, and no client notices.
//!
//! The process that serves starts its successor with one end of a socket as its standard input, and
//! passes its listening sockets through it. The successor reads the files, builds everything, and
//! says that it is prepared. Only then does the first one let go of the journal; the successor
//! takes it, accepts connections, and says that it serves. Until that word the first one goes on as
//! if nothing had happened whenever something fails: then a new program that cannot start has changed
//! nothing. After it, the first one accepts nothing more and finishes what it has.
//!
//! Both accept from the same sockets, so no connection that waits in one is lost.

mod channel;
mod give;
mod take;

pub(super) use give::{Program, hand_over};
pub(crate) use take::Takeover;

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Of the words below. A program that speaks another format is refused.
const FORMAT: u32 = 1;

/// What the two say to each other, in this order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Word {
    /// From the process that serves.
    Hello {
        format: u32,
        pid: u32,
    },
    /// With as many sockets as fit; there may be several for one listener.
    Listener {
        name: String,
        address: SocketAddr,
    },
    /// With its one socket.
    Admin {
        address: String,
    },
    Everything,
    /// From the successor: it could serve.
    Prepared {
        version: String,
    },
    /// The journal is free.
    Yours,
    /// Connections are accepted.
    Serving,
    /// It cannot, and ends.
    Failed {
        why: String,
    },
}
