//! TLS 1.2 and 1.3 towards clients, by rustls: certificates by name and swapped while running,
//! ALPN, client certificates, session tickets.

use super::certificates::{CertificateError, Certificates, Resolver};
use super::client_info::TlsInfo;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};
use serin_config::model::{ClientAuth, Tls, TlsVersion};
use serin_core::assign::key_of;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("{path} holds no usable authority for client certificates: {why}")]
    ClientAuthority { path: PathBuf, why: String },
    #[error("cannot set up TLS: {0}")]
    Setup(#[from] rustls::Error),
}

pub(crate) struct TlsState {
    model: Tls,
    acceptor: TlsAcceptor,
    certificates: Arc<Certificates>,
    /// Of the files that it was made of.
    fingerprint: u64,
    /// Of the authorities that clients' certificates are verified by.
    authorities: u64,
}

impl std::fmt::Debug for TlsState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsState").field("model", &self.model).finish_non_exhaustive()
    }
}

impl TlsState {
    pub(crate) fn new(model: &Tls) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        // Before they are read: what changes in between is found to differ by the next reload.
        let fingerprint = fingerprint(model);
        let certificates = Arc::new(Certificates::load(&model.certificates, &provider)?);
        let config = server_config(model, provider, certificates.clone())?;
        Ok(Self {
            model: model.clone(),
            acceptor: TlsAcceptor::from(Arc::new(config)),
            certificates,
            fingerprint,
            authorities: of_files(authorities(model)),
        })
    }

    /// Whether the same would be made of these words and files: then tickets stay valid.
    pub(super) fn is_made_of(&self, model: &Tls) -> bool {
        self.model == *model && self.fingerprint == fingerprint(model)
    }

    pub(super) fn authorities(&self) -> u64 {
        self.authorities
    }

    pub(crate) fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    pub(super) async fn accept(&self, socket: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        self.acceptor.accept(socket).await
    }

    /// Whether a request for `host` belongs on a connection that was opened for `server_name`:
    /// not when another certificate would have answered for it.
    pub(crate) fn may_serve(&self, server_name: Option<&str>, host: &str) -> bool {
        let Some(server_name) = server_name else { return true };
        if server_name.eq_ignore_ascii_case(host) {
            return true;
        }
        self.certificates.place(server_name) == self.certificates.place(host)
    }
}

pub(super) fn visit_of(stream: &TlsStream<TcpStream>) -> TlsInfo {
    let session = stream.get_ref().1;
    TlsInfo {
        server_name: session.server_name().map(str::to_ascii_lowercase),
        version: match session.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "TLSv1.3",
        },
    }
}

pub(super) fn chose_h2(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(b"h2")
}

fn server_config(
    model: &Tls,
    provider: Arc<CryptoProvider>,
    certificates: Arc<Certificates>,
) -> Result<ServerConfig, TlsError> {
    let versions: &[&SupportedProtocolVersion] = match model.min_version {
        TlsVersion::V1_2 => &[&version::TLS13, &version::TLS12],
        TlsVersion::V1_3 => &[&version::TLS13],
    };
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions)?;
    let builder = match &model.client_auth {
        ClientAuth::Off => builder.with_no_client_auth(),
        ClientAuth::Optional { ca_file } => builder.with_client_cert_verifier(
            verifier(ca_file, provider)?
                .allow_unauthenticated()
                .build()
                .map_err(|e| authority(ca_file, &e))?,
        ),
        ClientAuth::Required { ca_file } => builder.with_client_cert_verifier(
            verifier(ca_file, provider)?.build().map_err(|e| authority(ca_file, &e))?,
        ),
    };
    let mut config = builder.with_cert_resolver(Arc::new(Resolver(certificates)));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = rustls::crypto::ring::Ticketer::new()?;
    Ok(config)
}

fn verifier(
    ca_file: &PathBuf,
    provider: Arc<CryptoProvider>,
) -> Result<rustls::server::ClientCertVerifierBuilder, TlsError> {
    let mut roots = RootCertStore::empty();
    let found = CertificateDer::pem_file_iter(ca_file).map_err(|e| authority(ca_file, &e))?;
    for certificate in found {
        let certificate = certificate.map_err(|e| authority(ca_file, &e))?;
        roots.add(certificate).map_err(|e| authority(ca_file, &e))?;
    }
    Ok(WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider))
}

fn authority(path: &std::path::Path, why: &dyn std::fmt::Display) -> TlsError {
    TlsError::ClientAuthority { path: path.to_owned(), why: why.to_string() }
}

fn fingerprint(model: &Tls) -> u64 {
    let files = model.certificates.iter().flat_map(|c| [&c.cert_file, &c.key_file]);
    of_files(files.chain(authorities(model)))
}

fn authorities(model: &Tls) -> Option<&PathBuf> {
    match &model.client_auth {
        ClientAuth::Off => None,
        ClientAuth::Optional { ca_file } | ClientAuth::Required { ca_file } => Some(ca_file),
    }
}

fn of_files<'f>(files: impl IntoIterator<Item = &'f PathBuf>) -> u64 {
    let mut all = Vec::new();
    for file in files {
        let content = std::fs::read(file).unwrap_or_default();
        all.extend_from_slice(&(content.len() as u64).to_le_bytes());
        all.extend_from_slice(&content);
    }
    key_of(&all)
}
