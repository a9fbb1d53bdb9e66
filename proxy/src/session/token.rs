//! The session cookie's value: what it says, and the proof that we said it.
//!
//! A fixed head, the version's name, and the first half of an HMAC-SHA256 over both and over the
//! service's name, so that one service's cookie means nothing to another that shares its key. It
//! is short, opaque, and read without an allocation.

use crate::upstream::VersionRuntime;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serin_core::ids::{Epoch, MAX_NAME, ServiceName, VersionName};
use sha2::Sha256;
use std::sync::Arc;

/// What a token says beside the version's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pub epoch: Epoch,
    pub key: u64,
    /// Seconds since the Unix epoch.
    pub issued: u32,
    /// A hash of the version's release.
    pub release: u64,
}

/// Signs and verifies the tokens of one service.
#[derive(Clone)]
pub struct Codec {
    /// Keyed and fed with the service's name; cloned for each token.
    mac: Hmac<Sha256>,
}

impl std::fmt::Debug for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Codec")
    }
}

const FORMAT: u8 = 1;
const HEAD: usize = 1 + 8 + 8 + 4 + 8;
const MAC: usize = 16;
const LONGEST: usize = HEAD + MAX_NAME + MAC;

impl Codec {
    pub fn new(key: &[u8], service: &ServiceName) -> Self {
        let mut mac = match Hmac::<Sha256>::new_from_slice(key) {
            Ok(mac) => mac,
            Err(_) => unreachable!("a key of any length will do for HMAC"),
        };
        mac.update(b"serin session\0");
        mac.update(service.as_str().as_bytes());
        mac.update(b"\0");
        Self { mac }
    }

    pub fn write(&self, mark: &Mark, version: &VersionName) -> String {
        let mut token = Vec::with_capacity(LONGEST);
        token.push(FORMAT);
        token.extend_from_slice(&mark.epoch.0.to_le_bytes());
        token.extend_from_slice(&mark.key.to_le_bytes());
        token.extend_from_slice(&mark.issued.to_le_bytes());
        token.extend_from_slice(&mark.release.to_le_bytes());
        token.extend_from_slice(version.as_str().as_bytes());
        let proof = self.mac.clone().chain_update(&token).finalize().into_bytes();
        token.extend_from_slice(&proof[..MAC]);
        URL_SAFE_NO_PAD.encode(token)
    }

    /// What a genuine token says, and its version if that is still listed.
    pub fn read<'a>(
        &self,
        value: &[u8],
        versions: &'a [Arc<VersionRuntime>],
    ) -> Option<(Mark, Option<&'a Arc<VersionRuntime>>)> {
        let mut buffer = [0; LONGEST];
        let (mark, name) = self.verified(value, &mut buffer)?;
        Some((mark, versions.iter().find(|version| version.name.as_str().as_bytes() == name)))
    }

    fn verified<'b>(
        &self,
        value: &[u8],
        buffer: &'b mut [u8; LONGEST],
    ) -> Option<(Mark, &'b [u8])> {
        // Longer than any token is no token, and would not fit.
        if value.len() > LONGEST.div_ceil(3) * 4 {
            return None;
        }
        let length = URL_SAFE_NO_PAD.decode_slice(value, buffer).ok()?;
        let (said, proof) = buffer[..length].split_last_chunk::<MAC>()?;
        self.mac.clone().chain_update(said).verify_truncated_left(proof).ok()?;
        let (head, name) = said.split_first_chunk::<HEAD>()?;
        let mark = Mark {
            epoch: Epoch(u64::from_le_bytes(*head.get(1..9)?.first_chunk()?)),
            key: u64::from_le_bytes(*head.get(9..17)?.first_chunk()?),
            issued: u32::from_le_bytes(*head.get(17..21)?.first_chunk()?),
            release: u64::from_le_bytes(*head.get(21..29)?.first_chunk()?),
        };
        (head[0] == FORMAT).then_some((mark, name))
    }
}
