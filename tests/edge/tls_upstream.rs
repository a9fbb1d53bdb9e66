//! TLS towards backends: who they are is verified before they are told anything.

use crate::edge::Edge;
use crate::tls::Authority;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serin_testkit::{ConfigText, Connection, ServiceText, temp_dir};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A backend behind TLS. It answers whatever it reads, and counts what it has read in clear.
struct TlsOrigin {
    address: SocketAddr,
    connections: Arc<AtomicU64>,
    read: Arc<AtomicU64>,
}

impl TlsOrigin {
    /// With `backend.pem` and its key from the folder.
    async fn start(folder: &Path) -> Self {
        let chain = CertificateDer::from_pem_file(folder.join("backend.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(folder.join("backend.key")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![chain], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, read) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (accepted, counted) = (connections.clone(), read.clone());
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                accepted.fetch_add(1, SeqCst);
                let (acceptor, counted) = (acceptor.clone(), counted.clone());
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(socket).await else { return };
                    let mut piece = [0; 4096];
                    while let Ok(count @ 1..) = stream.read(&mut piece).await {
                        counted.fetch_add(count as u64, SeqCst);
                        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
                        let _gone = stream.write_all(answer).await;
                    }
                });
            }
        });
        Self { address, connections, read }
    }
}

/// The status of one request to a backend whose certificate says `certified`, while `expected`
/// is verified against `authority`; and what the backend saw of it.
async fn answered(certified: &str, expected: &str, known: bool) -> (u16, u64, u64) {
    let (folder, authority) = (temp_dir(), Authority::new());
    authority.write(folder.path(), "backend", &[certified]);
    let origin = TlsOrigin::start(folder.path()).await;
    if !known {
        Authority::new().write(folder.path(), "other", &[certified]);
    }
    let service = ServiceText::new("web").version_yaml(
        "v1",
        &format!(
            "{{ endpoints: [\"https://{}\"], tls: {{ caFile: ca.pem{expected} }} }}",
            origin.address
        ),
    );
    let edge = Edge::start_in(folder, &ConfigText::simple(service));
    let mut client = Connection::http1(edge.address(), "a.example").await;
    let status = client.get("/").await.status;
    (status, origin.connections.load(SeqCst), origin.read.load(SeqCst))
}

#[tokio::test]
async fn a_backend_that_shows_the_right_certificate_is_talked_to() {
    let named = ", serverName: backend.example";
    let (status, _, read) = answered("backend.example", named, true).await;
    assert_eq!(status, 200);
    assert!(read > 0);
    let (status, _, read) = answered("127.0.0.1", "", true).await;
    assert_eq!(status, 200, "an address stands for itself");
    assert!(read > 0);
}

#[tokio::test]
async fn a_backend_of_another_name_or_authority_is_told_nothing() {
    let named = ", serverName: backend.example";
    let cases = [
        ("another name", "other.example", named, true),
        ("another address", "127.0.0.2", "", true),
        ("an unknown authority", "backend.example", named, false),
    ];
    for (what, certified, expected, known) in cases {
        let (status, connections, read) = answered(certified, expected, known).await;
        assert_eq!((status, read), (502, 0), "{what}");
        assert!(connections > 0, "{what}: it was not even tried");
    }
}
