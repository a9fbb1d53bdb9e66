//! Which of two rules that both match goes first.
//!
//! Host and path are decided by where the table looks first; this orders what it finds in one
//! place. Gateway API's order is method, header count, query count, position; cookies and client
//! networks, which it does not have, come after the query.

use serin_config::model::Match;
use std::cmp::Reverse;

/// Sorts the more specific rule first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Precedence {
    method: Reverse<bool>,
    headers: Reverse<usize>,
    query: Reverse<usize>,
    cookies: Reverse<usize>,
    client_ip: Reverse<bool>,
    /// Route and match in the order of the files.
    position: (u32, u32),
}

impl Precedence {
    pub(super) fn of(rule: &Match, position: (u32, u32)) -> Self {
        Self {
            method: Reverse(!rule.methods.is_empty()),
            headers: Reverse(rule.headers.len()),
            query: Reverse(rule.query.len()),
            cookies: Reverse(rule.cookies.len()),
            client_ip: Reverse(!rule.client_ip.is_empty()),
            position,
        }
    }
}
