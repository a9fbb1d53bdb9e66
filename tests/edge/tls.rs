//! TLS towards clients: names, certificates, protocols, and who has to show one.

use crate::edge::{Edge, ROUTE, web};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serin_testkit::{ConfigText, Connection, Origin, temp_dir};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// An authority, and files that it has signed.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self { issuer: CertifiedIssuer::self_signed(params, key).unwrap() }
    }

    pub(crate) fn write(&self, folder: &Path, file: &str, names: &[&str]) {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap();
        std::fs::write(folder.join(format!("{file}.key")), key.serialize_pem()).unwrap();
        std::fs::write(folder.join(format!("{file}.pem")), certificate.pem()).unwrap();
        std::fs::write(folder.join("ca.pem"), self.issuer.pem()).unwrap();
    }

    /// A CA certificate for these names that is also trusted, with its key: what some backends show as
    /// their own.
    pub(crate) fn write_as_own(folder: &Path, file: &str, names: &[&str]) {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(folder.join(format!("{file}.key")), key.serialize_pem()).unwrap();
        for name in [format!("{file}.pem"), "ca.pem".to_owned()] {
            std::fs::write(folder.join(name), certificate.pem()).unwrap();
        }
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.issuer.pem().as_bytes()).unwrap()).unwrap();
        roots
    }

    pub(crate) fn client(&self, alpn: &[&str]) -> ClientConfig {
        let mut config = builder().with_root_certificates(self.roots()).with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
        config
    }
}

/// A client that speaks nothing newer than TLS 1.2.
fn old_client(authority: &Authority) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(authority.roots())
        .with_no_client_auth()
}

fn builder() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap()
}

pub(crate) async fn connect(
    edge: &Edge,
    config: ClientConfig,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    connect_to(edge.address(), config, name).await
}

pub(crate) async fn connect_to(
    address: SocketAddr,
    config: ClientConfig,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(address).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, socket).await
}

pub(crate) fn edge(folder: TempDir, origin: &Origin, more: &str) -> Edge {
    edge_to(folder, web(origin.address()), more)
}

pub(crate) fn edge_to(folder: TempDir, service: serin_testkit::ServiceText, more: &str) -> Edge {
    Edge::start_in(folder, &config(service, more, ""))
}

/// One listener `http` that speaks TLS with both certificates, and everything to one service.
pub(crate) fn config(service: serin_testkit::ServiceText, tls: &str, limits: &str) -> ConfigText {
    let listener = format!(
        "{{ name: http, address: \"127.0.0.1:0\", protocol: HTTPS, limits: {{ {limits} }}, tls: {{ certificates: [{{ certFile: a.pem, keyFile: a.key }}, {{ certFile: b.pem, keyFile: b.key }}]{tls} }} }}"
    );
    ConfigText::new().listener(&listener).service(service).route(ROUTE)
}

pub(crate) fn prepared() -> (Authority, TempDir) {
    let (authority, folder) = (Authority::new(), temp_dir());
    authority.write(folder.path(), "a", &["a.example", "*.a.example"]);
    authority.write(folder.path(), "b", &["b.example"]);
    (authority, folder)
}

#[tokio::test]
async fn each_name_has_its_certificate_and_requests_keep_to_it() {
    let (authority, folder) = prepared();
    let origin = Origin::start("v1");
    let edge = edge(folder, &origin, "");
    for name in ["a.example", "x.a.example", "b.example"] {
        let stream = connect(&edge, authority.client(&["h2"]), name).await.unwrap();
        let mut connection = Connection::http2_over(stream, name).await;
        assert_eq!(connection.get("/").await.status, 200, "{name}");
    }
    for alpn in ["h2", "http/1.1"] {
        let stream = connect(&edge, authority.client(&[alpn]), "a.example").await.unwrap();
        let status = if alpn == "h2" {
            Connection::http2_over(stream, "b.example").await.get("/").await.status
        } else {
            Connection::http1_over(stream, "b.example").await.get("/").await.status
        };
        assert_eq!(status, 421, "{alpn}");
    }
    let stream = connect(&edge, authority.client(&["http/1.1"]), "a.example").await.unwrap();
    let mut connection = Connection::http1_over(stream, "x.a.example").await;
    assert_eq!(connection.get("/").await.status, 200, "the same certificate");
    assert!(origin.seen().iter().all(|seen| seen.header("x-forwarded-proto") == Some("https")));
}

#[tokio::test]
async fn an_unknown_protocol_ends_the_handshake() {
    let (authority, folder) = prepared();
    let origin = Origin::start("v1");
    let edge = edge(folder, &origin, "");
    let refused = connect(&edge, authority.client(&["spdy/1"]), "a.example").await.unwrap_err();
    assert!(refused.to_string().contains("NoApplicationProtocol"), "{refused}");
    let none = connect(&edge, authority.client(&[]), "a.example").await.unwrap();
    assert_eq!(Connection::http1_over(none, "a.example").await.get("/").await.status, 200);
}

#[tokio::test]
async fn a_client_certificate_is_asked_for_when_the_listener_says_so() {
    for (mode, without) in [("optional", true), ("required", false)] {
        let (authority, folder) = prepared();
        authority.write(folder.path(), "client", &["client"]);
        let chain = CertificateDer::from_pem_file(folder.path().join("client.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(folder.path().join("client.key")).unwrap();
        let origin = Origin::start("v1");
        let more = format!(", clientAuth: {{ caFile: ca.pem, mode: {mode} }}");
        let edge = edge(folder, &origin, &more);
        let shown = builder()
            .with_root_certificates(authority.roots())
            .with_client_auth_cert(vec![chain], key)
            .unwrap();
        let stream = connect(&edge, shown, "a.example").await.unwrap();
        assert_eq!(Connection::http1_over(stream, "a.example").await.get("/").await.status, 200);
        // In TLS 1.3 the client learns of a refusal with its first read.
        let answered = match connect(&edge, authority.client(&[]), "a.example").await {
            Err(_) => false,
            Ok(stream) => {
                let mut connection = Connection::http1_over(stream, "a.example").await;
                let request = connection.request("GET", "/", "");
                connection.try_send(request).await.is_ok()
            }
        };
        assert_eq!(answered, without, "{mode}");
    }
}

#[tokio::test]
async fn a_renewed_certificate_serves_once_its_file_is_read_again() {
    let (_, folder) = prepared();
    let origin = Origin::start("v1");
    let path = folder.path().to_owned();
    let edge = edge(folder, &origin, "");
    let renewed = Authority::new();
    renewed.write(&path, "a", &["a.example"]);
    edge.read_again();
    connect(&edge, renewed.client(&[]), "a.example").await.unwrap();
    let expiry =
        edge.metric("serin_tls_certificate_expiry_timestamp_seconds", ("subject", "b.example"));
    assert!(expiry > 1.0e9);
}

#[tokio::test]
async fn a_ticket_resumes_a_session() {
    let (authority, folder) = prepared();
    let origin = Origin::start("v1");
    let edge = edge(folder, &origin, "");
    let config = Arc::new(authority.client(&["http/1.1"]));
    let mut kinds = Vec::new();
    for _ in 0..3 {
        let socket = TcpStream::connect(edge.address()).await.unwrap();
        let name = ServerName::try_from("a.example").unwrap();
        let stream = TlsConnector::from(config.clone()).connect(name, socket).await.unwrap();
        kinds.push(stream.get_ref().1.handshake_kind());
        assert_eq!(Connection::http1_over(stream, "a.example").await.get("/").await.status, 200);
    }
    assert!(kinds.contains(&Some(rustls::HandshakeKind::Resumed)), "{kinds:?}");
}

#[tokio::test]
async fn a_client_of_tls_1_2_is_served_unless_the_listener_asks_for_more() {
    let (authority, folder) = prepared();
    let origin = Origin::start("v1");
    let lenient = edge(folder, &origin, "");
    let stream = connect(&lenient, old_client(&authority), "a.example").await.unwrap();
    let spoken = stream.get_ref().1.protocol_version();
    assert_eq!(spoken, Some(rustls::ProtocolVersion::TLSv1_2));
    assert_eq!(Connection::http1_over(stream, "a.example").await.get("/").await.status, 200);

    let (authority, folder) = prepared();
    let strict = edge(folder, &origin, ", minVersion: \"1.3\"");
    let refused = connect(&strict, old_client(&authority), "a.example").await.unwrap_err();
    assert!(refused.to_string().contains("ProtocolVersion"), "{refused}");
    let stream = connect(&strict, authority.client(&[]), "a.example").await.unwrap();
    assert_eq!(Connection::http1_over(stream, "a.example").await.get("/").await.status, 200);
    assert_eq!(origin.requests(), 2);
}
