//! Sources of endpoints, for a version whose endpoints the configuration does not list.
//!
//! Each kind of source is declared here whole: its keys, what can be wrong with them, what the program
//! runs on and how that is shown. Only the proxy, which follows sources (`upstream/discovery/`), and this
//! file tell kinds apart.

use crate::check::{Check, endpoint_name};
use crate::effective::quantity::path;
use crate::endpoint_list;
use crate::file::{Word, record, words};
use crate::load::Files;
use crate::report::shown;
use crate::source::At;
use serde_json::{Value as Json, json};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

record! {
    /// Where a version's endpoints come from instead of a list: one of `file`, `dns` and `srv`.
    EndpointSource, "a source of endpoints" {
        /// A file in YAML or JSON that lists addresses. It is followed: what it lists takes the requests within two seconds of a change.
        "file" optional file: String,
        /// A name in DNS whose addresses are the endpoints, asked for again when the answer's TTL is over. Needs `port`.
        "dns" optional dns: String,
        /// The port of all endpoints that `dns` finds.
        "port" optional port: u64 where 1..=65_535,
        /// A name in DNS whose SRV records are the endpoints, with their ports, weights and priorities, asked for again when the answer's TTL is over.
        "srv" optional srv: String,
        /// DNS servers to ask instead of those of `/etc/resolv.conf`: `10.0.0.53`, `127.0.0.1:8600`.
        "servers" optional servers: Vec<At<String>> = "[]",
        /// `http` or `https`: how endpoints are spoken to. In a file each can say it for itself.
        "scheme" optional scheme: Scheme = "http",
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

words!(Scheme, "scheme" {
    "http" => Scheme::Http,
    "https" => Scheme::Https,
});

/// A source, as the program follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    pub by: DiscoverBy,
    /// Whether its endpoints are spoken to over TLS, where they do not say it for themselves.
    pub tls: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiscoverBy {
    File {
        path: PathBuf,
    },
    Dns {
        name: String,
        port: u16,
        /// Empty means those of the system.
        servers: Vec<SocketAddr>,
    },
    Srv {
        name: String,
        servers: Vec<SocketAddr>,
    },
}

/// DNS, where a server says no port.
const DNS_PORT: u16 = 53;

impl Discovery {
    /// `named` says that the version tells which name its endpoints' certificates are for.
    pub(crate) fn check(
        found: &EndpointSource,
        named: bool,
        check: &mut Check<'_>,
    ) -> Option<Discovery> {
        let kinds = [found.file.is_some(), found.dns.is_some(), found.srv.is_some()];
        let count = kinds.iter().filter(|given| **given).count();
        if count != 1 {
            if count > 0 || !found.broken {
                check
                    .error(found.at, "endpoints come from one source")
                    .hint("write one of `file: PATH`, `dns: NAME` with `port`, and `srv: NAME`");
            }
            return None;
        }
        Self::only(found.port.as_ref(), "port", "dns", found.dns.is_some(), check);
        let asks = found.dns.is_some() || found.srv.is_some();
        Self::only(found.servers.as_ref(), "servers", "dns` or `srv", asks, check);
        let listed = found.servers();
        let servers = listed.iter().filter_map(|server| dns_server(server, check)).collect();
        let tls = found.scheme() == Scheme::Https;
        let by = if let Some(file) = &found.file {
            look(file, check);
            // `./v1.yaml` is `v1.yaml`.
            DiscoverBy::File { path: check.resolve(file).components().collect() }
        } else if let Some(name) = &found.dns {
            let Some(port) = &found.port else {
                if !found.broken {
                    check
                        .error(name.at, "`dns` without `port`")
                        .hint("add `port: 8080`; where records say the port, write `srv`");
                }
                return None;
            };
            let port = u16::try_from(port.value).unwrap_or(u16::MAX);
            DiscoverBy::Dns { name: dns_name(name, check)?, port, servers }
        } else {
            let name = found.srv.as_ref()?;
            if tls && !named {
                check
                    .error(name.at, "`srv` over https says no name to verify")
                    .label("whoever answers for it could name any host")
                    .hint("add to the version: `tls: { serverName: app.internal }`");
            }
            DiscoverBy::Srv { name: dns_name(name, check)?, servers }
        };
        Some(Discovery { by, tls })
    }

    fn only<T>(key: Option<&At<T>>, name: &str, with: &str, given: bool, check: &mut Check<'_>) {
        if let Some(key) = key.filter(|_| !given) {
            check
                .error(key.at, format!("`{name}` without `{with}`"))
                .hint(format!("remove `{name}`"));
        }
    }

    /// In the words of the files.
    pub(crate) fn effective(&self) -> Json {
        let scheme = if self.tls { Scheme::Https } else { Scheme::Http }.word();
        let listed = |servers: &[SocketAddr]| -> Vec<String> {
            servers.iter().map(ToString::to_string).collect()
        };
        match &self.by {
            DiscoverBy::File { path: file } => json!({ "file": path(file), "scheme": scheme }),
            DiscoverBy::Dns { name, port, servers } => {
                json!({ "dns": name, "port": port, "servers": listed(servers), "scheme": scheme })
            }
            DiscoverBy::Srv { name, servers } => {
                json!({ "srv": name, "servers": listed(servers), "scheme": scheme })
            }
        }
    }
}

impl fmt::Display for Discovery {
    /// As messages name it, and as versions are told apart by it: `file:/etc/serin/v1.yaml`. A name in DNS
    /// is what it would be in a list.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers = match &self.by {
            DiscoverBy::File { path } => return write!(f, "file:{}", path.display()),
            DiscoverBy::Dns { name, port, servers } => {
                write!(f, "{name}:{port}")?;
                servers
            }
            DiscoverBy::Srv { name, servers } => {
                write!(f, "srv:{name}")?;
                servers
            }
        };
        servers.iter().try_for_each(|server| write!(f, "@{server}"))
    }
}

fn dns_name(found: &At<String>, check: &mut Check<'_>) -> Option<String> {
    let text = found.value.as_str();
    let hint = if text.parse::<IpAddr>().is_ok() {
        "that is an address: list it, `endpoints: [\"10.0.0.1:8080\"]`"
    } else if text.contains("://") || text.contains('/') {
        "write the name alone; `scheme: https` says how its endpoints are spoken to"
    } else if text.contains(':') {
        "write the name alone, and `port` beside it"
    } else if let Some(name) = endpoint_name(text) {
        // A dot at the end says that no search list is tried.
        return Some(if text.ends_with('.') { format!("{name}.") } else { name });
    } else {
        "a name has labels of letters, digits, `-` and `_`: `app.internal`"
    };
    check.error(found.at, format!("{} is not a name in DNS", shown(text))).hint(hint);
    None
}

fn dns_server(found: &At<String>, check: &mut Check<'_>) -> Option<SocketAddr> {
    let text = found.value.as_str();
    let alone = || text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, DNS_PORT));
    let server = text.parse::<SocketAddr>().or_else(|_| alone()).ok();
    if server.is_none() {
        check
            .error(found.at, format!("{} is not the address of a DNS server", shown(text)))
            .hint("write `10.0.0.53`, or `127.0.0.1:8600`");
    }
    server
}

/// The file belongs to somebody else, who may write it later or mend it: a fault of it is no fault of the
/// configuration.
fn look(file: &At<String>, check: &mut Check<'_>) {
    if check.options.files == Files::Unread {
        check.unread(file.at);
        return;
    }
    if let Err(fault) = endpoint_list::read(&check.resolve(file)) {
        let hint = "the version has no endpoint until the file lists one";
        check.warning(file.at, fault.to_string()).hint(hint);
    }
}
