//! Certificates and keys: opened, parsed, and matched with each other, before anything serves
//! them. An expired certificate is a warning: at 3 a.m. a proxy must still start with it.

use super::Check;
use crate::file::{self, ClientAuthMode};
use crate::model::{Certificate, ClientAuth, Tls};
use crate::report::shown;
use crate::source::At;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Renewal is late when less is left.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

pub(super) fn check(tls: &file::Tls, check: &mut Check<'_>) -> Option<Tls> {
    let client_auth = client_auth(tls.client_auth.as_ref(), check);
    let listed = tls.certificates.as_ref()?;
    if listed.value.is_empty() {
        check
            .error(listed.at, "no certificate")
            .hint("add `{ certFile: tls/site.pem, keyFile: tls/site.key }`");
    }
    let found: Vec<_> = listed.value.iter().filter_map(|one| certificate(one, check)).collect();
    Some(Tls { certificates: found, min_version: tls.min_version(), client_auth })
}

pub(super) fn certificate(found: &file::Certificate, check: &mut Check<'_>) -> Option<Certificate> {
    let chain = found.cert_file.as_ref().and_then(|path| chain(path, "the certificate", check));
    let key = found.key_file.as_ref().and_then(|path| key(path, check));
    let (cert_file, key_file) = (found.cert_file.as_ref()?, found.key_file.as_ref()?);
    if let Some(chain) = &chain {
        lifetime(cert_file, chain, check);
    }
    if let (Some(chain), Some(key)) = (chain, key) {
        matching(cert_file, key_file, chain, key, check);
    }
    Some(Certificate { cert_file: check.resolve(cert_file), key_file: check.resolve(key_file) })
}

/// The certificates of a PEM file, of which there is at least one.
fn chain(
    path: &At<String>,
    what: &str,
    check: &mut Check<'_>,
) -> Option<Vec<CertificateDer<'static>>> {
    let content = check.content(path, what)?;
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
    let fault = match parsed {
        Ok(chain) if !chain.is_empty() => return Some(chain),
        Ok(_) if PrivateKeyDer::from_pem_slice(&content).is_ok() => {
            "it holds a private key".to_owned()
        }
        Ok(_) => "it holds no `-----BEGIN CERTIFICATE-----`".to_owned(),
        Err(error) => error.to_string(),
    };
    check
        .error(path.at, format!("{} is not a certificate in PEM: {fault}", shown(&path.value)))
        .hint("a chain begins with the leaf, each in `-----BEGIN CERTIFICATE-----`");
    None
}

fn key(path: &At<String>, check: &mut Check<'_>) -> Option<PrivateKeyDer<'static>> {
    let content = check.content(path, "the private key")?;
    let encrypted = content.windows(9).any(|window| window == b"ENCRYPTED");
    match PrivateKeyDer::from_pem_slice(&content) {
        Ok(key) => return Some(key),
        Err(_) if encrypted => {
            check
                .error(path.at, format!("{} is encrypted", shown(&path.value)))
                .hint("decrypt it: `openssl pkey -in … -out …`, and let only this program read it");
        }
        Err(_) => {
            let draft =
                check.error(path.at, format!("{} is not a private key in PEM", shown(&path.value)));
            if CertificateDer::from_pem_slice(&content).is_ok() {
                draft.hint("it holds a certificate; are `certFile` and `keyFile` exchanged?");
            }
        }
    }
    None
}

fn matching(
    cert_file: &At<String>,
    key_file: &At<String>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    check: &mut Check<'_>,
) {
    let signing = match rustls::crypto::ring::sign::any_supported_type(&key) {
        Ok(signing) => signing,
        Err(_) => {
            check
                .error(key_file.at, "this kind of private key is not supported")
                .hint("use ECDSA P-256 or P-384, Ed25519, or RSA of at least 2048 bits");
            return;
        }
    };
    match CertifiedKey::new(chain, signing).keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
        Err(rustls::Error::InconsistentKeys(_)) => {
            check
                .error(key_file.at, "the key does not belong to the certificate")
                .also(cert_file.at, "this certificate has another public key")
                .hint("was one of them renewed without the other?");
        }
        Err(error) => {
            check.error(cert_file.at, format!("the certificate cannot be used: {error}"));
        }
    }
}

fn lifetime(path: &At<String>, chain: &[CertificateDer<'_>], check: &mut Check<'_>) {
    let Some(leaf) = chain.first() else { return };
    let Ok((_, leaf)) = X509Certificate::from_der(leaf) else {
        check.error(path.at, format!("{} is not a valid certificate", shown(&path.value)));
        return;
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let left = leaf.validity().not_after.timestamp() - now.as_secs() as i64;
    let until = leaf.validity().not_after;
    if left < 0 {
        check.warning(path.at, format!("the certificate expired on {until}")).hint("renew it");
    } else if (left as u64) < SOON.as_secs() {
        let days = left / 86_400;
        check
            .warning(path.at, format!("the certificate expires in {days} days, on {until}"))
            .hint("renew it; it is read again when it changes");
    }
    if leaf.validity().not_before.timestamp() > now.as_secs() as i64 {
        let from = leaf.validity().not_before;
        check.warning(path.at, format!("the certificate is not valid before {from}"));
    }
}

fn client_auth(found: Option<&At<file::ClientAuth>>, check: &mut Check<'_>) -> ClientAuth {
    let Some(found) = found else { return ClientAuth::Off };
    let mode = found.mode.map_or(
        if found.ca_file.is_some() { ClientAuthMode::Required } else { ClientAuthMode::Off },
        |mode| mode.value,
    );
    let ca = found.ca_file.as_ref();
    if let Some(path) = ca {
        authorities(path, check);
    }
    match (mode, ca) {
        (ClientAuthMode::Off, _) => ClientAuth::Off,
        (ClientAuthMode::Optional, Some(ca)) => {
            check
                .warning(found.at, "an optional certificate has no effect that a backend could see")
                .label("clients without one are served just the same")
                .hint(
                    "write `mode: required`, on a listener of its own where some clients have none",
                );
            ClientAuth::Optional { ca_file: check.resolve(ca) }
        }
        (ClientAuthMode::Required, Some(ca)) => ClientAuth::Required { ca_file: check.resolve(ca) },
        (ClientAuthMode::Optional | ClientAuthMode::Required, None) => {
            check
                .error(found.at, "certificates of clients cannot be verified without a `caFile`")
                .hint("add `caFile: tls/clients.pem`");
            ClientAuth::Off
        }
    }
}

/// Every certificate in the file can be trusted as an authority.
pub(super) fn authorities(path: &At<String>, check: &mut Check<'_>) {
    let Some(chain) = chain(path, "the authorities", check) else { return };
    let mut roots = rustls::RootCertStore::empty();
    for certificate in chain {
        if let Err(error) = roots.add(certificate) {
            check.error(path.at, format!("an authority cannot be trusted: {error}"));
        }
    }
}

/// The names that a certificate is for, in lower case.
pub(super) fn names(content: &[u8]) -> Vec<String> {
    let Ok(leaf) = CertificateDer::from_pem_slice(content) else { return Vec::new() };
    let Ok((_, leaf)) = X509Certificate::from_der(&leaf) else { return Vec::new() };
    let Ok(Some(alternatives)) = leaf.subject_alternative_name() else { return Vec::new() };
    let name = |name: &x509_parser::extensions::GeneralName<'_>| {
        if let x509_parser::extensions::GeneralName::DNSName(name) = name {
            Some(name.to_ascii_lowercase())
        } else {
            None
        }
    };
    alternatives.value.general_names.iter().filter_map(name).collect()
}
