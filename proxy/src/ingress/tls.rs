//! TLS 1.2 and 1.3 towards clients, by rustls: certificates by name and swapped while running,
//! ALPN, client certificates, session tickets.

use super::certificates::{CertificateError, Certificates, Resolver};
use super::visit::TlsVisit;
use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};
use serin_config::model::{ClientAuth, Tls, TlsVersion};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;
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
    certificates: Arc<ArcSwap<Certificates>>,
    seen: std::sync::Mutex<Vec<Option<Stamp>>>,
}

/// What tells one content of a file from the next without reading it.
type Stamp = (SystemTime, u64, u64);

impl std::fmt::Debug for TlsState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsState").field("model", &self.model).finish_non_exhaustive()
    }
}

impl TlsState {
    pub(crate) fn new(model: &Tls) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let seen = stamps(model);
        let loaded = Certificates::load(&model.certificates, &provider)?;
        let certificates = Arc::new(ArcSwap::from_pointee(loaded));
        let config = server_config(model, provider, certificates.clone())?;
        Ok(Self {
            model: model.clone(),
            acceptor: TlsAcceptor::from(Arc::new(config)),
            certificates,
            seen: std::sync::Mutex::new(seen),
        })
    }

    pub(super) fn is_made_of(&self, model: &Tls) -> bool {
        self.model == *model
    }

    pub(crate) fn certificates(&self) -> Arc<Certificates> {
        self.certificates.load_full()
    }

    /// Reads the certificates again if a file has changed. When they are no good the old ones
    /// go on serving.
    pub(crate) fn refresh(&self) -> Result<bool, TlsError> {
        let now = stamps(&self.model);
        let mut seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if *seen == now {
            return Ok(false);
        }
        *seen = now;
        let provider = rustls::crypto::ring::default_provider();
        let loaded = Certificates::load(&self.model.certificates, &provider)?;
        self.certificates.store(Arc::new(loaded));
        Ok(true)
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
        let certificates = self.certificates.load();
        certificates.place(server_name) == certificates.place(host)
    }
}

pub(super) fn visit_of(stream: &TlsStream<TcpStream>) -> TlsVisit {
    let session = stream.get_ref().1;
    TlsVisit {
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
    certificates: Arc<ArcSwap<Certificates>>,
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

fn stamps(model: &Tls) -> Vec<Option<Stamp>> {
    use std::os::unix::fs::MetadataExt;
    let files = model.certificates.iter().flat_map(|c| [&c.cert_file, &c.key_file]);
    files
        .map(|file| {
            let found = std::fs::metadata(file).ok()?;
            Some((found.modified().ok()?, found.len(), found.ino()))
        })
        .collect()
}
