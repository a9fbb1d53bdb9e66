//! TLS towards backends: who they are is verified before they are told anything.

use crate::edge::Edge;
use crate::tls::Authority;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serin_testkit::{ConfigText, Connection, Origin, ServiceText, eventually, temp_dir};
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

/// The `error.type` of a request to such a backend, and what is known of the endpoint afterwards.
async fn told(address: SocketAddr, folder: tempfile::TempDir, name: &str) -> (String, String) {
    let path = folder.path().join("access.log");
    let log = format!("accessLog: {{ format: json, to: {:?} }}", path.display().to_string());
    let service = ServiceText::new("web").version_yaml(
        "v1",
        &format!(
            "{{ endpoints: [\"https://{address}\"], tls: {{ caFile: ca.pem, serverName: {name} }} }}"
        ),
    );
    let edge = Edge::start_in(folder, &ConfigText::simple(service).with(&log));
    let mut client = Connection::http1(edge.address(), "a.example").await;
    assert_eq!(client.get("/").await.status, 502);
    let line = eventually("a line in the log", || {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        text.lines().next().map(str::to_owned)
    });
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let readiness = edge.plane().readiness(&serin_core::ids::ServiceName::new("web").unwrap());
    (line["error.type"].as_str().unwrap().to_owned(), readiness[0].troubles.join("; "))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_fails_is_told_with_its_cause() {
    let cases = [
        ("other.example", true, "tlsWrongName", "is for another name"),
        ("backend.example", false, "tlsUnknownIssuer", "by no authority that is trusted"),
    ];
    for (name, known, kind, words) in cases {
        let (folder, authority) = (temp_dir(), Authority::new());
        authority.write(folder.path(), "backend", &["backend.example"]);
        let origin = TlsOrigin::start(folder.path()).await;
        if !known {
            Authority::new().write(folder.path(), "other", &["backend.example"]);
        }
        let (said, trouble) = told(origin.address, folder, name).await;
        assert_eq!(said, kind);
        assert!(trouble.contains(words), "{trouble}");
        assert!(trouble.contains(&origin.address.to_string()), "{trouble}");
    }
    let plain = Origin::start("v1");
    let folder = temp_dir();
    Authority::new().write(folder.path(), "backend", &["backend.example"]);
    let (said, trouble) = told(plain.address(), folder, "backend.example").await;
    assert_eq!(said, "tlsPlainText");
    assert!(trouble.contains("does not speak TLS"), "{trouble}");
}
