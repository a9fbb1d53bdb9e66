//! TLS to an admin API: by the authorities of a file, or by the system's (and `SSL_CERT_FILE`).

use hyper_rustls::ConfigBuilderExt;
use std::io::{Error, Result};
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// `host` is a name or an address, with its port.
pub(super) async fn connect(
    stream: TcpStream,
    host: &str,
    ca_file: Option<&Path>,
) -> Result<TlsStream<TcpStream>> {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let name = name.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(name).map_err(Error::other)?;
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let config = config.with_safe_default_protocol_versions().map_err(Error::other)?;
    let config = match ca_file {
        Some(file) => config.with_root_certificates(authorities(file)?),
        None => config.with_native_roots()?,
    };
    let connector = TlsConnector::from(Arc::new(config.with_no_client_auth()));
    connector.connect(name, stream).await
}

fn authorities(file: &Path) -> Result<RootCertStore> {
    let unread = |e: &dyn std::fmt::Display| {
        Error::other(format!("cannot use the authorities in {}: {e}", file.display()))
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|e| unread(&e))? {
        roots.add(certificate.map_err(|e| unread(&e))?).map_err(|e| unread(&e))?;
    }
    match roots.is_empty() {
        true => Err(unread(&"there is no certificate in it")),
        false => Ok(roots),
    }
}
