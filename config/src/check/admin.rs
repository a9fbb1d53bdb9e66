//! `admin`: reachable from outside only with tokens.

use super::{Check, hosts, listeners, tls};
use crate::file;
use crate::model::{Admin, AdminAddress, Certificate, Token};
use crate::report::shown;
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
    let written = found.and_then(|found| found.address.as_ref());
    let default = || At { value: file::Admin::default().address(), at: Place::default() };
    let address = address(written.unwrap_or(&default()), check).unwrap_or_else(loopback);
    if let AdminAddress::Tcp(tcp) = &address {
        taken(tcp, written.map(|at| at.at), listeners, check);
    }
    let Some(found) = found else {
        let (tokens, hosts) = (Vec::new(), Vec::new());
        return Admin { address, tokens, hosts, tls: None, probes: None };
    };
    if let (Some(written), AdminAddress::Tcp(tcp)) = (written, &address) {
        open_to_others(written.at, tcp, found, check);
    }
    let hosts = found.hosts.as_ref().map(|hosts| hosts.value.as_slice()).unwrap_or_default();
    let tls = found.tls.as_ref().and_then(|found| encrypted(found, &address, check));
    let probes = found.probes.as_ref().and_then(|found| probes(found, &address, listeners, check));
    Admin {
        address,
        tls,
        probes,
        tokens: tokens(found, check),
        hosts: hosts.iter().filter_map(|host| hosts::hostname(host, check)).collect(),
    }
}

/// Stands in a model that will never be used, because an error has been reported.
fn loopback() -> AdminAddress {
    AdminAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)))
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

fn encrypted(
    found: &At<file::Certificate>,
    address: &AdminAddress,
    check: &mut Check<'_>,
) -> Option<Certificate> {
    if let AdminAddress::Unix(_) = address {
        check
            .error(found.at, "a unix socket carries no TLS: nobody can listen on it")
            .hint("remove `tls`, or give the admin API an address and a port");
    }
    tls::certificate(found, check)
}

fn probes(
    found: &file::Probes,
    admin: &AdminAddress,
    listeners: &[At<file::Listener>],
    check: &mut Check<'_>,
) -> Option<SocketAddr> {
    let written = found.address.as_ref()?;
    let probes = listeners::address(written, "127.0.0.1:9902", check)?;
    match admin {
        AdminAddress::Tcp(admin) if clash(admin, &probes) => {
            check
                .error(written.at, format!("{probes} is the address of the admin API too"))
                .hint("give probes a port of their own");
        }
        AdminAddress::Tcp(_) | AdminAddress::Unix(_) => {
            taken(&probes, Some(written.at), listeners, check);
        }
    }
    Some(probes)
}

/// Whether two addresses cannot both be listened on.
fn clash(one: &SocketAddr, other: &SocketAddr) -> bool {
    let everywhere = one.ip().is_unspecified() || other.ip().is_unspecified();
    let same = one.ip() == other.ip() || (everywhere && one.is_ipv4() == other.is_ipv4());
    one.port() != 0 && one.port() == other.port() && same
}

/// A port has one owner: a listener on every address leaves none of them for the admin API.
fn taken(
    admin: &SocketAddr,
    written: Option<Place>,
    listeners: &[At<file::Listener>],
    check: &mut Check<'_>,
) {
    let listener = listeners.iter().filter_map(|l| l.address.as_ref()).find(|listener| {
        listener.value.parse::<SocketAddr>().is_ok_and(|address| clash(admin, &address))
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
        check.private(path, "the token");
        let Some(role) = token.role else { continue };
        let name = name_of(token, path, listed, check);
        if tokens.iter().any(|other| other.secret.expose() == secret.expose()) {
            check
                .error(path.at, "two tokens are equal")
                .hint("nobody could tell their roles apart; make another");
        } else if tokens.iter().any(|other| other.name == name) {
            let at = token.name.as_ref().map_or(path.at, |name| name.at);
            check
                .error(at, format!("two tokens are named {}", shown(&name)))
                .hint("decisions name who asked: give each a `name` of its own");
        }
        tokens.push(Token { role: role.value, name, secret });
    }
    tokens
}

/// The file's own name where no other token's file has it.
fn name_of(
    token: &file::Token,
    path: &At<String>,
    all: &[At<file::Token>],
    check: &Check<'_>,
) -> String {
    if let Some(name) = &token.name {
        return name.value.trim().to_owned();
    }
    let base = |path: &At<String>| Path::new(&path.value).file_name().map(ToOwned::to_owned);
    let files = all.iter().filter_map(|token| token.token_file.as_ref());
    let full = check.resolve(path).display().to_string();
    match (base(path), files.filter(|file| base(file) == base(path)).count()) {
        (Some(name), 0 | 1) => name.to_string_lossy().into_owned(),
        (Some(_), _) | (None, _) => full,
    }
}
