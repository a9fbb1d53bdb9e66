//! The session cookie's value: what it says, and the proof that we said it.
//!
//! It is blinded: a client that could read its version could collect cookies of the candidate and
//! send whatever fails to that version alone. The proof, the first half of an HMAC-SHA256 over what
//! is said and over the service's name, is also what the blinding is made from, so that equal bytes
//! are never blinded alike for two users. One service's cookie means nothing to another that
//! shares its key. It is short, of one length, and read without an allocation.
//!
//! Tokens of the former format, which named the version in clear, are still honoured until their
//! time is over; none is written any more.

use crate::upstream::VersionRuntime;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serin_core::assign::key_of;
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

/// Writes and reads the tokens of one service.
#[derive(Clone)]
pub struct Codec {
    /// Keyed and fed with the service's name; cloned for each token.
    mac: Hmac<Sha256>,
    blind: Hmac<Sha256>,
}

impl std::fmt::Debug for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Codec")
    }
}

const CLEAR: u8 = 1;
const BLINDED: u8 = 2;
const MAC: usize = 16;
/// Epoch, key, moment, release.
const MARK: usize = 8 + 8 + 4 + 8;
/// And a hash of the version's name: names would tell by their length.
const SAID: usize = MARK + 8;
const TOKEN: usize = 1 + MAC + SAID;
/// Of the former format.
const LONGEST: usize = 1 + MARK + MAX_NAME + MAC;

impl Codec {
    pub fn new(key: &[u8], service: &ServiceName) -> Self {
        let keyed = |purpose: &[u8]| {
            let mut mac = match Hmac::<Sha256>::new_from_slice(key) {
                Ok(mac) => mac,
                Err(_) => unreachable!("a key of any length will do for HMAC"),
            };
            mac.update(purpose);
            mac.update(service.as_str().as_bytes());
            mac.update(b"\0");
            mac
        };
        Self { mac: keyed(b"serin session\0"), blind: keyed(b"serin session, blinded\0") }
    }

    pub fn write(&self, mark: &Mark, version: &VersionName) -> String {
        let mut said = [0; SAID];
        said[..8].copy_from_slice(&mark.epoch.0.to_le_bytes());
        said[8..16].copy_from_slice(&mark.key.to_le_bytes());
        said[16..20].copy_from_slice(&mark.issued.to_le_bytes());
        said[20..28].copy_from_slice(&mark.release.to_le_bytes());
        said[28..].copy_from_slice(&key_of(version.as_str().as_bytes()).to_le_bytes());
        let proof = self.blind.clone().chain_update(said).finalize().into_bytes();
        let mut token = [0; TOKEN];
        token[0] = BLINDED;
        token[1..=MAC].copy_from_slice(&proof[..MAC]);
        self.mask(&proof[..MAC], &mut said);
        token[1 + MAC..].copy_from_slice(&said);
        URL_SAFE_NO_PAD.encode(token)
    }

    /// What a genuine token says, and its version if that is still listed.
    pub fn read<'a>(
        &self,
        value: &[u8],
        versions: &'a [Arc<VersionRuntime>],
    ) -> Option<(Mark, Option<&'a Arc<VersionRuntime>>)> {
        // Longer than any token is no token, and would not fit.
        if value.len() > LONGEST.div_ceil(3) * 4 {
            return None;
        }
        let mut buffer = [0; LONGEST];
        let length = URL_SAFE_NO_PAD.decode_slice(value, &mut buffer).ok()?;
        let token = &buffer[..length];
        match *token.first()? {
            CLEAR => {
                let (mark, name) = self.in_clear(token)?;
                let named =
                    |version: &&Arc<VersionRuntime>| version.name.as_str().as_bytes() == name;
                Some((mark, versions.iter().find(named)))
            }
            BLINDED => {
                let (mark, name) = self.blinded(token)?;
                let named = |version: &&Arc<VersionRuntime>| {
                    key_of(version.name.as_str().as_bytes()) == name
                };
                Some((mark, versions.iter().find(named)))
            }
            0 | 3.. => None,
        }
    }

    /// The mark, and a hash of the version's name.
    fn blinded(&self, token: &[u8]) -> Option<(Mark, u64)> {
        let token: &[u8; TOKEN] = token.try_into().ok()?;
        let (proof, hidden) = token[1..].split_first_chunk::<MAC>()?;
        let mut said: [u8; SAID] = hidden.try_into().ok()?;
        self.mask(proof, &mut said);
        self.blind.clone().chain_update(said).verify_truncated_left(proof).ok()?;
        let (mark, name) = said.split_first_chunk::<MARK>()?;
        Some((mark_of(mark)?, u64::from_le_bytes(*name.first_chunk()?)))
    }

    fn in_clear<'t>(&self, token: &'t [u8]) -> Option<(Mark, &'t [u8])> {
        let (said, proof) = token.split_last_chunk::<MAC>()?;
        self.mac.clone().chain_update(said).verify_truncated_left(proof).ok()?;
        let (mark, name) = said.get(1..)?.split_first_chunk::<MARK>()?;
        Some((mark_of(mark)?, name))
    }

    /// Hides what is said, and shows it again.
    fn mask(&self, proof: &[u8], said: &mut [u8; SAID]) {
        for (number, block) in said.chunks_mut(32).enumerate() {
            let mac = self.mac.clone().chain_update(b"blind").chain_update(proof);
            let stream = mac.chain_update([number as u8]).finalize().into_bytes();
            block.iter_mut().zip(stream).for_each(|(byte, mask)| *byte ^= mask);
        }
    }
}

fn mark_of(bytes: &[u8; MARK]) -> Option<Mark> {
    Some(Mark {
        epoch: Epoch(u64::from_le_bytes(*bytes.get(..8)?.first_chunk()?)),
        key: u64::from_le_bytes(*bytes.get(8..16)?.first_chunk()?),
        issued: u32::from_le_bytes(*bytes.get(16..20)?.first_chunk()?),
        release: u64::from_le_bytes(*bytes.get(20..28)?.first_chunk()?),
    })
}
