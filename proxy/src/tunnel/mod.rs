//! Connections that change their protocol: WebSockets and whatever else `Upgrade` names.
//!
//! `handshake` knows which protocol a request asks for and whether an answer agrees to it, `way`
//! carries the bytes of one direction, `pair` both of them until the tunnel is over, `close_code` reads in
//! passing how a side of a WebSocket closes it, and `closing` who began. Nothing here knows a route or a version: whoever
//! opens a tunnel counts it and writes it down.

mod close_code;
mod closing;
mod handshake;
mod pair;
mod side;
mod way;

pub(crate) use closing::Closed;
pub(crate) use handshake::{Upgrade, accepts, agrees, asked_for, asked_for_by, key};
pub(crate) use pair::{Patience, Tunnel};
pub(crate) use side::Side;
