//! A listener's certificates: which one answers to which name, and when it expires.

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use serin_config::model::Certificate;
use std::path::PathBuf;
use std::sync::Arc;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("cannot read {path}: {why}")]
    Read { path: PathBuf, why: String },
    #[error("{path} holds no certificate")]
    Empty { path: PathBuf },
    #[error("{path} is not a certificate: {why}")]
    Invalid { path: PathBuf, why: String },
    #[error("{key} is not the key of {cert}: {why}")]
    Key { cert: PathBuf, key: PathBuf, why: String },
}

/// In the order of the configuration; the first answers to names that none of them has.
#[derive(Debug)]
pub(crate) struct Certificates(Vec<Loaded>);

#[derive(Debug)]
struct Loaded {
    key: Arc<CertifiedKey>,
    /// Lower case; `*.example.com` stands for one label.
    names: Vec<String>,
    subject: String,
    expires: i64,
}

impl Certificates {
    pub(crate) fn load(
        files: &[Certificate],
        provider: &CryptoProvider,
    ) -> Result<Self, CertificateError> {
        files.iter().map(|file| load_one(file, provider)).collect::<Result<_, _>>().map(Self)
    }

    /// Each certificate's subject, and when it expires in seconds since the Unix epoch.
    pub(crate) fn expiries(&self) -> Vec<(String, i64)> {
        self.0.iter().map(|c| (c.subject.clone(), c.expires)).collect()
    }

    /// The place of the certificate that answers to a name: an exact one before a wildcard.
    pub(crate) fn place(&self, name: &str) -> usize {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let exact = self.0.iter().position(|c| c.names.contains(&name));
        let wildcard = || {
            let (_, parent) = name.split_once('.')?;
            self.0.iter().position(|c| {
                c.names.iter().any(|n| n.strip_prefix("*.").is_some_and(|rest| rest == parent))
            })
        };
        exact.or_else(wildcard).unwrap_or(0)
    }

    fn resolve(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        self.0.get(name.map_or(0, |name| self.place(name))).map(|c| c.key.clone())
    }
}

fn load_one(file: &Certificate, provider: &CryptoProvider) -> Result<Loaded, CertificateError> {
    let path = || file.cert_file.clone();
    let chain = CertificateDer::pem_file_iter(&file.cert_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| CertificateError::Read { path: path(), why: e.to_string() })?;
    let leaf = chain.first().ok_or_else(|| CertificateError::Empty { path: path() })?;
    let (_, parsed) = X509Certificate::from_der(leaf)
        .map_err(|e| CertificateError::Invalid { path: path(), why: e.to_string() })?;
    let (names, expires) = (names(&parsed), parsed.validity().not_after.timestamp());
    let subject = parsed.subject().to_string();
    let key = PrivateKeyDer::from_pem_file(&file.key_file)
        .map_err(|e| CertificateError::Read { path: file.key_file.clone(), why: e.to_string() })?;
    let key = CertifiedKey::from_der(chain, key, provider).map_err(|e| CertificateError::Key {
        cert: path(),
        key: file.key_file.clone(),
        why: e.to_string(),
    })?;
    let subject = names.first().cloned().unwrap_or(subject);
    Ok(Loaded { key: Arc::new(key), names, subject, expires })
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let names = extension.value.general_names.iter();
    names
        .filter_map(|name| {
            let GeneralName::DNSName(name) = name else { return None };
            Some(name.to_ascii_lowercase())
        })
        .collect()
}

#[derive(Debug)]
pub(super) struct Resolver(pub(super) Arc<Certificates>);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.resolve(hello.server_name())
    }
}
