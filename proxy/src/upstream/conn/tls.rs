//! TLS towards endpoints: who they have to be, and which protocols they are offered.
//!
//! A version has one pair of settings, made when the first connection needs them, because reading the
//! machine's authorities takes long. Sessions are resumed within one version only.

use super::Speaks;
use crate::upstream::connect::failure_of_tls;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use serin_config::model::UpstreamProtocol;
use serin_core::outcome::{Failure, TlsFault};
use std::fmt;
use std::sync::{Arc, OnceLock};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";

/// What the endpoints of a version have in common.
pub(in crate::upstream) struct TlsClients {
    /// `None` stands for the machine's own authorities.
    roots: Option<Arc<RootCertStore>>,
    protocol: UpstreamProtocol,
    clients: OnceLock<Option<Clients>>,
}

struct Clients {
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
    either: Arc<ClientConfig>,
}

/// How one endpoint is spoken to.
pub(in crate::upstream) struct ServerTls {
    name: ServerName<'static>,
    clients: Arc<TlsClients>,
}

pub(super) struct Session {
    pub(super) stream: Box<TlsStream<TcpStream>>,
    /// The endpoint chose it.
    pub(super) http2: bool,
}

impl TlsClients {
    pub(in crate::upstream) fn new(
        roots: Option<Arc<RootCertStore>>,
        protocol: UpstreamProtocol,
    ) -> Self {
        Self { roots, protocol, clients: OnceLock::new() }
    }

    /// What an endpoint may choose from is what its version is said to speak, and one alone where it is
    /// not to choose.
    fn client(&self, speaks: Speaks) -> Result<&Arc<ClientConfig>, Failure> {
        let made = self.clients.get_or_init(|| self.make());
        let clients = made.as_ref().ok_or(Failure::Tls(TlsFault::Other))?;
        Ok(match (speaks, self.protocol) {
            (Speaks::Http2, _) | (_, UpstreamProtocol::Http2) => &clients.http2,
            (Speaks::Http1, _) | (_, UpstreamProtocol::Http1) => &clients.http1,
            (Speaks::Usual, UpstreamProtocol::Auto) => &clients.either,
        })
    }

    fn make(&self) -> Option<Clients> {
        let roots = match &self.roots {
            Some(roots) => Arc::clone(roots),
            None => machines()?,
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().ok()?;
        let mut http1 = builder.with_root_certificates(roots).with_no_client_auth();
        let (mut http2, mut either) = (http1.clone(), http1.clone());
        http1.alpn_protocols = vec![HTTP1.to_vec()];
        http2.alpn_protocols = vec![HTTP2.to_vec()];
        either.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
        Some(Clients { http1: Arc::new(http1), http2: Arc::new(http2), either: Arc::new(either) })
    }
}

/// The machine's authorities, read once. The start of the proxy has made sure that they can be.
fn machines() -> Option<Arc<RootCertStore>> {
    static ROOTS: OnceLock<Option<Arc<RootCertStore>>> = OnceLock::new();
    let read = || {
        let mut roots = RootCertStore::empty();
        pingora_core::tls::load_platform_certs_incl_env_into_store(&mut roots).ok()?;
        Some(Arc::new(roots))
    };
    ROOTS.get_or_init(read).clone()
}

impl ServerTls {
    /// `None` when the name is none that a certificate could be for.
    pub(in crate::upstream) fn new(name: &str, clients: &Arc<TlsClients>) -> Option<Self> {
        let name = ServerName::try_from(name.to_owned()).ok()?;
        Some(Self { name, clients: Arc::clone(clients) })
    }

    /// The endpoint chooses the protocol.
    pub(in crate::upstream) fn has_choice(&self) -> bool {
        self.clients.protocol == UpstreamProtocol::Auto
    }

    pub(super) async fn shake(
        &self,
        socket: TcpStream,
        speaks: Speaks,
    ) -> Result<Session, Failure> {
        let connector = TlsConnector::from(Arc::clone(self.clients.client(speaks)?));
        let shaken = connector.connect(self.name.clone(), socket).await;
        let stream = shaken.map_err(|error| failure_of_tls(&error))?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
        let wanted = speaks == Speaks::Http2 || self.clients.protocol == UpstreamProtocol::Http2;
        if !http2 && wanted {
            return Err(Failure::Tls(TlsFault::Other));
        }
        Ok(Session { stream: Box::new(stream), http2 })
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for TlsClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsClients").field("protocol", &self.protocol).finish_non_exhaustive()
    }
}
