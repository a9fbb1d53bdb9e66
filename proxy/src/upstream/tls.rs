//! The certificates that an upstream's certificate is verified against.

use super::version::VersionError;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serin_core::assign::key_of;
use std::path::Path;
use std::sync::Arc;

pub(super) struct Ca {
    pub(super) roots: Arc<rustls::RootCertStore>,
    /// Changes when the file's certificates do.
    pub(super) fingerprint: u64,
}

/// Fails where the machine's authorities cannot be read: no backend over TLS could be told from another, and it
/// is better to know when the process starts.
pub(crate) fn read_authorities() -> Result<(), String> {
    let mut roots = rustls::RootCertStore::empty();
    let read = pingora_core::tls::load_platform_certs_incl_env_into_store(&mut roots);
    read.map_err(|error| {
        error.cause.as_ref().map_or_else(|| error.to_string(), ToString::to_string)
    })
}

/// Reads a PEM file of trust anchors.
pub(super) fn read_ca(file: &Path) -> Result<Ca, VersionError> {
    let failed = |why: String| VersionError::CaFile { file: file.to_owned(), why };
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed(error.to_string()))?;
    if certificates.is_empty() {
        return Err(failed("there is none".to_owned()));
    }
    let mut roots = rustls::RootCertStore::empty();
    let mut all = Vec::new();
    for certificate in &certificates {
        roots.add(certificate.clone()).map_err(|error| failed(error.to_string()))?;
        all.extend_from_slice(certificate);
    }
    Ok(Ca { roots: Arc::new(roots), fingerprint: key_of(&all) })
}
