//! HTTPS on the admin address: one certificate, read again with every reload.

use serin_config::model::Certificate;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The check has read the same files before; a fault here means that they have changed since.
pub(super) fn acceptor(certificate: &Certificate) -> Result<TlsAcceptor, String> {
    let unread = |e: &dyn std::fmt::Display| format!("admin.tls cannot be used: {e}");
    let chain = CertificateDer::pem_file_iter(&certificate.cert_file).map_err(|e| unread(&e))?;
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(|e| unread(&e))?;
    let key = PrivateKeyDer::from_pem_file(&certificate.key_file).map_err(|e| unread(&e))?;
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let config = config.with_safe_default_protocol_versions().map_err(|e| unread(&e))?;
    let config = config.with_no_client_auth().with_single_cert(chain, key);
    let mut config = config.map_err(|e| unread(&e))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
