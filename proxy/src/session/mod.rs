//! Who a client is, as far as its version must stay the same: by a signed cookie, a header, its
//! address, or not at all.
//!
//! What a cookie means for the choice is decided in `core`; here it is read, verified and written.
//! A cookie that is forged, cut off, too old, or names what is no longer listed never makes an
//! error: its client is assigned anew.

mod key;
mod token;

pub use key::SessionError;
pub use token::{Codec, Mark};

use crate::route::fields::any_cookie;
use crate::service::Who;
use crate::upstream::VersionRuntime;
use serin_config::model;
use serin_core::assign::{Choice, key_of};
use serin_core::ids::{Epoch, VersionName};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

/// How one service tells its users apart.
#[derive(Debug)]
pub enum Sessions {
    None,
    Cookie(Box<CookieSessions>),
    /// In lower case.
    Header(String),
    ClientIp,
}

#[derive(Debug)]
pub struct CookieSessions {
    name: String,
    ttl_seconds: u64,
    codec: Codec,
    /// Of keys that sign no more.
    older: Vec<Codec>,
}

/// What is known of a request's user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known<'a> {
    Nobody,
    Keyed(u64),
    /// Nothing says that this user was here before. The key is freshly drawn.
    First {
        key: u64,
    },
    /// The user sent cookies, but no token of ours that still holds.
    Before {
        key: u64,
    },
    Token {
        version: &'a VersionName,
        epoch: Epoch,
        key: u64,
        /// More than half of its time is over.
        fading: bool,
    },
}

impl Sessions {
    pub fn new(service: &model::Service, state_dir: &Path) -> Result<Self, SessionError> {
        Ok(match &service.session {
            model::SessionBy::None => Self::None,
            model::SessionBy::Header { name } => Self::Header(name.to_ascii_lowercase()),
            model::SessionBy::ClientIp => Self::ClientIp,
            model::SessionBy::Cookie { name, ttl, keys } => {
                let codec = |key: Vec<u8>| Codec::new(&key, &service.name);
                let mut given = keys.iter().map(key::given);
                let key = given.next().unwrap_or_else(|| key::kept(state_dir))?;
                Self::Cookie(Box::new(CookieSessions {
                    name: name.clone(),
                    ttl_seconds: ttl.as_secs(),
                    codec: codec(key),
                    older: given.map(|key| key.map(codec)).collect::<Result<_, _>>()?,
                }))
            }
        })
    }

    /// `random` becomes the key of a user whom nothing identifies yet.
    pub fn read<'a>(
        &self,
        who: &Who<'_>,
        random: u64,
        versions: &'a [Arc<VersionRuntime>],
    ) -> Known<'a> {
        match self {
            Self::None => Known::Nobody,
            Self::Header(name) => {
                who.headers.first(name).map_or(Known::Nobody, |value| Known::Keyed(key_of(value)))
            }
            Self::ClientIp => Known::Keyed(key_of_address(who.client_ip)),
            Self::Cookie(cookies) => cookies.read(who, random, versions),
        }
    }

    /// The `Set-Cookie` that a choice asks for, or that keeps an active session alive.
    pub fn cookie(
        &self,
        known: &Known<'_>,
        choice: &Choice,
        version: &VersionRuntime,
        who: &Who<'_>,
    ) -> Option<http::HeaderValue> {
        let Self::Cookie(cookies) = self else { return None };
        let renewed = match *known {
            Known::Token { epoch, fading: true, .. } => Some(epoch),
            Known::Token { .. }
            | Known::Nobody
            | Known::Keyed(_)
            | Known::First { .. }
            | Known::Before { .. } => None,
        };
        let epoch = choice.remember.or(renewed)?;
        let mark = Mark {
            epoch,
            key: choice.user?,
            issued: seconds(who),
            release: key_of(version.release.as_bytes()),
        };
        cookies.set(&cookies.codec.write(&mark, &version.name), who.secure)
    }
}

impl CookieSessions {
    fn read<'a>(
        &self,
        who: &Who<'_>,
        random: u64,
        versions: &'a [Arc<VersionRuntime>],
    ) -> Known<'a> {
        let mut known = Known::First { key: random };
        any_cookie(who.headers, &mut |name, value| {
            // A cookie of any name says that the client was here before.
            if matches!(known, Known::First { .. }) {
                known = Known::Before { key: random };
            }
            if name != self.name.as_bytes() {
                return false;
            }
            let mut codecs = std::iter::once(&self.codec).chain(&self.older);
            let Some((mark, version)) = codecs.find_map(|codec| codec.read(value, versions)) else {
                return false;
            };
            known = self.judge(&mark, version, seconds(who));
            true
        });
        known
    }

    /// A token whose time is over, or whose version is no longer the one it meant, still tells which
    /// user this is.
    fn judge<'a>(
        &self,
        mark: &Mark,
        version: Option<&'a Arc<VersionRuntime>>,
        now: u32,
    ) -> Known<'a> {
        let age = u64::from(now.saturating_sub(mark.issued));
        let same = version.filter(|version| key_of(version.release.as_bytes()) == mark.release);
        match same {
            Some(version) if age <= self.ttl_seconds => Known::Token {
                version: &version.name,
                epoch: mark.epoch,
                key: mark.key,
                fading: age > self.ttl_seconds / 2,
            },
            Some(_) | None => Known::Before { key: mark.key },
        }
    }

    fn set(&self, value: &str, secure: bool) -> Option<http::HeaderValue> {
        let Self { name, ttl_seconds, .. } = self;
        let secure = if secure { "; Secure" } else { "" };
        let text = format!(
            "{name}={value}; Path=/; Max-Age={ttl_seconds}; HttpOnly; SameSite=Lax{secure}"
        );
        http::HeaderValue::try_from(text).ok()
    }
}

fn seconds(who: &Who<'_>) -> u32 {
    u32::try_from((who.wall)().0 / 1_000).unwrap_or(0)
}

/// An IPv4 client that came in over an IPv6 socket is the same client.
fn key_of_address(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(v4) => key_of(&v4.octets()),
        IpAddr::V6(v6) => key_of(&v6.octets()),
    }
}
