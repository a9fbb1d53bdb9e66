//! TLS in front of a backend that speaks in clear: every connection of the one is one of the other.
//!
//! So that an origin that misbehaves on command does so behind TLS too.

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serin_testkit::ServiceText;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

pub(crate) struct BehindTls {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

struct Shared {
    accepted: AtomicUsize,
    acceptor: Mutex<TlsAcceptor>,
    relays: Mutex<Vec<JoinHandle<()>>>,
}

impl BehindTls {
    /// Shows `backend.pem` of the folder, and offers these protocols.
    pub(crate) fn start(folder: &Path, alpn: &[&str], to: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            accepted: AtomicUsize::new(0),
            acceptor: Mutex::new(acceptor(folder, alpn)),
            relays: Mutex::default(),
        });
        let inner = Arc::clone(&shared);
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((socket, _)) = listener.accept().await {
                inner.accepted.fetch_add(1, SeqCst);
                let acceptor = inner.acceptor.lock().unwrap().clone();
                let relay = tokio::spawn(relay(socket, acceptor, to));
                inner.relays.lock().unwrap().push(relay);
            }
        });
        Self { address, shared, runtime: Some(runtime) }
    }

    /// Offers other protocols from now on, and ends the connections that there are.
    pub(crate) fn offer(&self, folder: &Path, alpn: &[&str]) {
        *self.shared.acceptor.lock().unwrap() = acceptor(folder, alpn);
        self.shared.relays.lock().unwrap().drain(..).for_each(|relay| relay.abort());
    }

    /// How many connections came, whatever became of their handshakes.
    pub(crate) fn accepted(&self) -> usize {
        self.shared.accepted.load(SeqCst)
    }

    /// A service `web` with one version `v1` behind it. `more` are further keys of the version.
    pub(crate) fn service(&self, more: &str) -> ServiceText {
        ServiceText::new("web").version_yaml(
            "v1",
            &format!(
                "{{ endpoints: [\"https://{}\"], tls: {{ caFile: ca.pem, serverName: backend.example }}{more} }}",
                self.address
            ),
        )
    }
}

impl Drop for BehindTls {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

pub(crate) fn server(folder: &Path, alpn: &[&str]) -> ServerConfig {
    let chain = CertificateDer::from_pem_file(folder.join("backend.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("backend.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

fn acceptor(folder: &Path, alpn: &[&str]) -> TlsAcceptor {
    TlsAcceptor::from(Arc::new(server(folder, alpn)))
}

/// Ends as the backend does: only what was ended properly is said to have an end.
async fn relay(socket: TcpStream, acceptor: TlsAcceptor, to: SocketAddr) {
    let _slower = socket.set_nodelay(true);
    let Ok(mut front) = acceptor.accept(socket).await else { return };
    let Ok(mut back) = TcpStream::connect(to).await else { return };
    let _slower = back.set_nodelay(true);
    if tokio::io::copy_bidirectional(&mut front, &mut back).await.is_ok() {
        let _gone = front.shutdown().await;
    }
}
