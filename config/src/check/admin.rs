//! `admin`: reachable from outside only with tokens.

use super::{Check, hosts, listeners};
use crate::file;
use crate::model::{Admin, AdminAddress, Token};
use crate::source::{At, Place};
use std::net::SocketAddr;
use std::path::Path;

/// Shorter tokens can be guessed.
const SHORTEST: usize = 16;

pub(super) fn check(
    found: Option<&At<file::Admin>>,
    listeners: &[At<file::Listener>],
    check: &mut Check<'_>,
) -> Admin {
    let default = AdminAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], 9901)));
    let written = found.and_then(|found| found.address.as_ref());
    let address = written.and_then(|at| address(at, check)).unwrap_or(default);
    if let AdminAddress::Tcp(tcp) = &address {
        taken(tcp, written.map(|at| at.at), listeners, check);
    }
    let Some(found) = found else {
        return Admin { address, tokens: Vec::new(), hosts: Vec::new() };
    };
    if let (Some(written), AdminAddress::Tcp(tcp)) = (written, &address) {
        open_to_others(written.at, tcp, found, check);
    }
    let hosts = found.hosts.as_ref().map(|hosts| hosts.value.as_slice()).unwrap_or_default();
    Admin {
        address,
        tokens: tokens(found, check),
        hosts: hosts.iter().filter_map(|host| hosts::hostname(host, check)).collect(),
    }
}

fn address(at: &At<String>, check: &mut Check<'_>) -> Option<AdminAddress> {
    match at.value.strip_prefix("unix:") {
        Some(path) if Path::new(path).is_absolute() => Some(AdminAddress::Unix(path.into())),
        Some(_) => {
            check
                .error(at.at, "the path of a unix socket must be absolute")
                .hint("write `unix:/run/serin/admin.sock`");
            None
        }
        None => listeners::address(at, "127.0.0.1:9901", check).map(AdminAddress::Tcp),
    }
}

/// A port has one owner: a listener on every address leaves none of them for the admin API.
fn taken(
    admin: &SocketAddr,
    written: Option<Place>,
    listeners: &[At<file::Listener>],
    check: &mut Check<'_>,
) {
    let clashes = |other: &SocketAddr| {
        let everywhere = admin.ip().is_unspecified() || other.ip().is_unspecified();
        let one = admin.ip() == other.ip() || (everywhere && admin.is_ipv4() == other.is_ipv4());
        admin.port() != 0 && admin.port() == other.port() && one
    };
    let listener = listeners.iter().filter_map(|l| l.address.as_ref()).find(|listener| {
        listener.value.parse::<SocketAddr>().is_ok_and(|address| clashes(&address))
    });
    let Some(listener) = listener else { return };
    match written {
        Some(at) => check
            .error(at, format!("{admin} is the address of a listener too"))
            .also(listener.at, "this listener")
            .hint("give the admin API a port of its own"),
        None => check
            .error(listener.at, format!("{admin} is where the admin API listens by default"))
            .hint("take another port, or move it: `admin: { address: \"127.0.0.1:9902\" }`"),
    };
}

fn open_to_others(at: Place, address: &SocketAddr, found: &file::Admin, check: &mut Check<'_>) {
    let tokens = found.tokens.as_ref().map_or(0, |tokens| tokens.value.len());
    if !address.ip().is_loopback() && tokens == 0 {
        check
            .error(at, format!("{address} can be reached from outside, and there are no tokens"))
            .hint(
                "listen on `127.0.0.1:9901`, or add `tokens: [ { role: operator, tokenFile: … } ]`",
            );
    }
}

fn tokens(found: &file::Admin, check: &mut Check<'_>) -> Vec<Token> {
    let listed = found.tokens.as_ref().map(|tokens| tokens.value.as_slice()).unwrap_or_default();
    let mut tokens: Vec<Token> = Vec::new();
    for token in listed {
        let Some(path) = &token.token_file else { continue };
        let Some(secret) = check.secret(path, "the token") else { continue };
        if secret.expose().len() < SHORTEST {
            check
                .error(path.at, format!("the token has fewer than {SHORTEST} characters"))
                .hint("make one with `openssl rand -hex 32`");
        }
        if tokens.iter().any(|other| other.secret.expose() == secret.expose()) {
            check
                .error(path.at, "two tokens are equal")
                .hint("nobody could tell their roles apart; make another");
        }
        let Some(role) = token.role else { continue };
        tokens.push(Token { role: role.value, secret });
    }
    tokens
}
