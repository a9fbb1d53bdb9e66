//! Who is asking, and whether they may.
//!
//! Tokens are kept as hashes and compared in constant time against all of them, so neither
//! the time of an answer nor a memory dump of this table says anything about a token.
//! Without tokens the socket itself is the protection: the check, the start and a reload refuse a
//! configuration without tokens while the bound socket is reachable from outside, and this file
//! lets nobody in then.

use super::Reach;
use super::config::CHECK;
use super::problem::{Kind, Problem};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serin_config::model::{Admin, Role};
use std::net::SocketAddr;

/// Whoever sent a request, as decisions and the journal name them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) role: Role,
    /// The token's name, or how they came in. Never the token.
    pub(crate) name: String,
    /// What they showed; `None` where no token is needed.
    pub(crate) shown: Option<blake3::Hash>,
}

/// Whoever sent no token that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stranger {
    Missing,
    Unknown,
}

impl Stranger {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unknown => "unknown",
        }
    }

    pub(crate) fn problem(self) -> Problem {
        let detail = match self {
            Self::Missing => {
                "this needs a token: send it as \"Authorization: Bearer …\" (serin: --token-file)"
            }
            Self::Unknown => "the token is not one of those configured in admin.tokens",
        };
        Problem::new(StatusCode::UNAUTHORIZED, Kind::Unauthorized, detail).with_header(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer realm=\"serin\""),
        )
    }
}

/// Where a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Tcp { remote: SocketAddr, local: SocketAddr },
    Unix { uid: Option<u32> },
}

/// Which tokens open the door.
#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    known: Vec<Known>,
    /// Without tokens only a socket that this machine alone reaches is open.
    reach: Reach,
}

#[derive(Debug, Clone)]
struct Known {
    hash: blake3::Hash,
    role: Role,
    name: String,
}

impl Tokens {
    pub(crate) fn new(admin: &Admin, reach: Reach) -> Self {
        let known = admin.tokens.iter().map(|token| Known {
            hash: blake3::hash(token.secret.expose().trim().as_bytes()),
            role: token.role,
            name: token.name.clone(),
        });
        Self { known: known.collect(), reach }
    }

    /// Whether requests need a token at all.
    pub(crate) fn needed(&self) -> bool {
        !self.known.is_empty() || self.reach != Reach::Machine
    }

    /// Whether somebody who was let in before would still be.
    pub(crate) fn still_know(&self, caller: &Caller) -> bool {
        let token = |shown| self.known.iter().any(|known| known.hash == shown);
        !self.needed() || caller.shown.is_some_and(token)
    }

    /// Whose request this is.
    pub(crate) fn caller(&self, headers: &HeaderMap, peer: Peer) -> Result<Caller, Stranger> {
        if !self.needed() {
            return Ok(Caller { role: Role::Operator, name: name_of(peer), shown: None });
        }
        let Some(presented) = bearer(headers) else {
            return Err(Stranger::Missing);
        };
        let hash = blake3::hash(presented);
        // All are compared, each in constant time; the first that equals wins.
        let found = self.known.iter().fold(None, |found, known| {
            let equal = known.hash == hash;
            found.or(equal.then_some(known))
        });
        match found {
            Some(known) => {
                Ok(Caller { role: known.role, name: known.name.clone(), shown: Some(hash) })
            }
            None => Err(Stranger::Unknown),
        }
    }
}

/// Reading needs a viewer, changing an operator. To check a configuration is to read, whatever its
/// method: the body is the question.
pub(crate) fn permit(caller: &Caller, method: &Method, path: &str) -> Result<(), Problem> {
    let reads = is_read(method) || (*method == Method::POST && path == CHECK);
    let needed = if reads { Role::Viewer } else { Role::Operator };
    if caller.role >= needed {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        Kind::Forbidden,
        format!("{} has the role viewer; {method} needs an operator's token", caller.name),
    ))
}

pub(crate) fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn name_of(peer: Peer) -> String {
    match peer {
        Peer::Tcp { .. } => "loopback".to_owned(),
        Peer::Unix { uid: Some(uid) } => format!("uid {uid}"),
        Peer::Unix { uid: None } => "unix socket".to_owned(),
    }
}

/// The token of the one Authorization header; two of them are nobody's.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let value = all.next()?.as_bytes();
    if all.next().is_some() {
        return None;
    }
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serin_config::model::{AdminAddress, Secret, Token};

    fn admin(tokens: &[(Role, &str)]) -> Admin {
        let token = |(role, value): &(Role, &str)| Token {
            role: *role,
            name: format!("{role:?}"),
            secret: Secret::new(format!("/run/secrets/{role:?}").into(), (*value).to_owned()),
        };
        Admin {
            address: AdminAddress::Tcp("127.0.0.1:1".parse().unwrap()),
            tokens: tokens.iter().map(token).collect(),
            hosts: Vec::new(),
            tls: None,
            probes: None,
        }
    }

    fn peer() -> Peer {
        let address = "127.0.0.1:1".parse().unwrap();
        Peer::Tcp { remote: address, local: address }
    }

    fn with(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        headers
    }

    #[test]
    fn a_token_gives_its_role_and_its_name() {
        let two = [(Role::Viewer, "look"), (Role::Operator, "touch\n")];
        let tokens = Tokens::new(&admin(&two), Reach::Machine);
        let caller = tokens.caller(&with("Bearer touch"), peer()).unwrap();
        assert_eq!((caller.role, caller.name.as_str()), (Role::Operator, "Operator"));
        let viewer = tokens.caller(&with("bearer look"), peer()).unwrap();
        assert!(permit(&viewer, &Method::GET, "/v1/dora").is_ok());
        assert_eq!(permit(&viewer, &Method::PUT, "/v1/freeze").unwrap_err().status(), 403);
        assert!(permit(&viewer, &Method::POST, CHECK).is_ok());
        assert!(permit(&viewer, &Method::PUT, CHECK).is_err());
        assert!(permit(&viewer, &Method::POST, "/v1/config/reload").is_err());
    }

    #[test]
    fn a_missing_wrong_doubled_or_partial_token_is_unauthorized() {
        let tokens = Tokens::new(&admin(&[(Role::Operator, "touch")]), Reach::Machine);
        let mut twice = with("Bearer touch");
        twice.append(header::AUTHORIZATION, "Bearer touch".parse().unwrap());
        let wrong =
            [HeaderMap::new(), with("Bearer touc"), with("Bearer "), with("Basic touch"), twice];
        for headers in wrong {
            let problem = tokens.caller(&headers, peer()).unwrap_err().problem();
            assert_eq!(problem.status(), 401, "{headers:?}");
            assert!(!problem.detail().contains("touc"));
        }
    }

    #[test]
    fn without_tokens_only_a_socket_of_this_machine_is_open_whatever_the_files_name() {
        let open = Tokens::new(&admin(&[]), Reach::Machine);
        assert_eq!(open.caller(&HeaderMap::new(), peer()).unwrap().role, Role::Operator);
        let exposed = Tokens::new(&admin(&[]), Reach::of("0.0.0.0:1".parse().unwrap()));
        assert_eq!(exposed.caller(&HeaderMap::new(), peer()).unwrap_err(), Stranger::Missing);
    }
}
