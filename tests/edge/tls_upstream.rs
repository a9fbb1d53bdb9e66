//! TLS towards backends: who they are is verified before they are told anything.

use crate::behind_tls::{self, BehindTls};
use crate::edge::{Edge, SHORT};
use crate::tls::Authority;
use serin_testkit::{
    ConfigText, Connection, Origin, RawOrigin, Script, ServiceText, body_hash, eventually, temp_dir,
};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use tempfile::TempDir;
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
        let acceptor = TlsAcceptor::from(Arc::new(behind_tls::server(folder, &[])));
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
async fn answered(certified: &str, expected: &str, known: bool, protocol: &str) -> (u16, u64, u64) {
    let (folder, authority) = (temp_dir(), Authority::new());
    authority.write(folder.path(), "backend", &[certified]);
    let origin = TlsOrigin::start(folder.path()).await;
    if !known {
        Authority::new().write(folder.path(), "other", &[certified]);
    }
    let service = ServiceText::new("web").version_yaml(
        "v1",
        &format!(
            "{{ endpoints: [\"https://{}\"], tls: {{ caFile: ca.pem{expected} }}, protocol: {protocol} }}",
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
    for protocol in ["auto", "http1"] {
        let named = ", serverName: backend.example";
        let (status, _, read) = answered("backend.example", named, true, protocol).await;
        assert_eq!(status, 200);
        assert!(read > 0);
        let (status, _, read) = answered("127.0.0.1", "", true, protocol).await;
        assert_eq!(status, 200, "an address stands for itself");
        assert!(read > 0);
    }
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
        for protocol in ["auto", "http1"] {
            let (status, connections, read) = answered(certified, expected, known, protocol).await;
            assert_eq!((status, read), (502, 0), "{what}");
            assert!(connections > 0, "{what}: it was not even tried");
        }
    }
}

/// The `error.type` of a request to such a backend, and what is known of the endpoint afterwards.
async fn told(
    address: SocketAddr,
    folder: TempDir,
    name: &str,
    protocol: &str,
) -> (String, String) {
    let path = folder.path().join("access.log");
    let log = format!("accessLog: {{ format: json, to: {:?} }}", path.display().to_string());
    let service = ServiceText::new("web").version_yaml(
        "v1",
        &format!(
            "{{ endpoints: [\"https://{address}\"], tls: {{ caFile: ca.pem, serverName: {name} }}, protocol: {protocol} }}"
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
        ("other.example", true, "http1", "tlsWrongName", "is for another name"),
        ("other.example", true, "auto", "tlsWrongName", "is for another name"),
        ("backend.example", false, "http1", "tlsUnknownIssuer", "by no authority that is trusted"),
        ("backend.example", false, "auto", "tlsUnknownIssuer", "by no authority that is trusted"),
    ];
    for (name, known, protocol, kind, words) in cases {
        let (folder, authority) = (temp_dir(), Authority::new());
        authority.write(folder.path(), "backend", &["backend.example"]);
        let origin = TlsOrigin::start(folder.path()).await;
        if !known {
            Authority::new().write(folder.path(), "other", &["backend.example"]);
        }
        let (said, trouble) = told(origin.address, folder, name, protocol).await;
        assert_eq!(said, kind);
        assert!(trouble.contains(words), "{trouble}");
        assert!(trouble.contains(&origin.address.to_string()), "{trouble}");
    }
    for protocol in ["http1", "auto"] {
        let (plain, folder) = (Origin::start("v1"), prepared());
        let (said, trouble) = told(plain.address(), folder, "backend.example", protocol).await;
        assert_eq!(said, "tlsPlainText");
        assert!(trouble.contains("does not speak TLS"), "{trouble}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_certificate_that_a_backend_shows_as_its_own_is_told_with_the_way_out() {
    for protocol in ["http1", "auto"] {
        let folder = temp_dir();
        Authority::write_as_own(folder.path(), "backend", &["backend.example"]);
        let origin = TlsOrigin::start(folder.path()).await;
        let (said, trouble) = told(origin.address, folder, "backend.example", protocol).await;
        assert_eq!(said, "tlsAuthorityAsOwn");
        assert!(trouble.contains("a CA certificate as its own: give it one"), "{trouble}");
    }
}

/// A folder with the authority's certificate and that of the backend.
fn prepared() -> TempDir {
    let folder = temp_dir();
    Authority::new().write(folder.path(), "backend", &["backend.example"]);
    folder
}

fn start(folder: TempDir, service: ServiceText) -> Edge {
    Edge::start_in(folder, &ConfigText::simple(service))
}

#[test]
fn an_exchange_over_tls_leaves_its_connection_to_the_next() {
    let (folder, origin) = (prepared(), Origin::start("v1"));
    let front = BehindTls::start(folder.path(), &["http/1.1"], origin.address());
    let edge = start(folder, front.service(", protocol: http1"));
    let body: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    let hash = body_hash(&body);
    let mut client = edge.client();
    for _ in 0..3 {
        client.send(format!(
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
            body.len()
        ));
        client.send(&body);
        assert!(client.response().text().contains(&hash));
        let chunked = "POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        client.send(format!("{chunked}5\r\nhello\r\n0\r\n\r\n"));
        assert_eq!(client.response().text(), "hello");
        client.send("GET /bytes/3000000 HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.response().body.len(), 3_000_000);
        client.send("GET /stream/3/10 HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.response().status, 200);
    }
    assert_eq!(origin.connections(), 1);
    assert_eq!(edge.counts("v1").judged.bad, 0);
}

#[test]
fn a_backend_that_may_choose_its_protocol_gets_what_it_chooses() {
    for (alpn, http2) in [(&["http/1.1"][..], false), (&[], false), (&["h2", "http/1.1"], true)] {
        let (folder, origin) = (prepared(), Origin::start("v1"));
        let front = BehindTls::start(folder.path(), alpn, origin.address());
        let edge = start(folder, front.service(""));
        for _ in 0..5 {
            assert_eq!(edge.get("/").status, 200);
        }
        assert!(origin.seen().iter().all(|seen| seen.http2 == http2), "{alpn:?}");
    }
}

#[test]
fn an_upgrade_goes_to_a_backend_in_http1_that_would_choose_http2() {
    let (folder, origin) = (prepared(), Origin::start("v1"));
    let front = BehindTls::start(folder.path(), &["h2", "http/1.1"], origin.address());
    let edge = start(folder, front.service(""));
    assert_eq!(edge.get("/").status, 200);
    let mut client = edge.client();
    client.send("GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: own\r\n\r\n");
    client.read_past(b"101 Switching Protocols");
    client.read_past(b"\r\n\r\n");
    client.send("hello");
    assert_eq!(client.read_exactly(5), b"hello");
    assert_eq!(edge.get("/").status, 200);
    let seen: Vec<bool> = origin.seen().iter().map(|seen| seen.http2).collect();
    assert_eq!(seen, [true, false, true]);
}

#[test]
fn a_backend_that_chooses_anew_loses_no_request() {
    let (folder, origin) = (prepared(), Origin::start("v1"));
    let path = folder.path().to_owned();
    let front = BehindTls::start(&path, &["http/1.1"], origin.address());
    let edge = start(folder, front.service(""));
    let last = || origin.seen().last().is_some_and(|seen| seen.http2);
    for alpn in [&["http/1.1"][..], &["h2", "http/1.1"], &["http/1.1"], &["h2"]] {
        front.offer(&path, alpn);
        let http2 = alpn[0] == "h2";
        eventually("it is spoken to as it chose", || {
            assert_eq!(edge.get("/").status, 200);
            last() == http2
        });
    }
    assert_eq!(edge.counts("v1").judged.bad, 0);
}

#[test]
fn a_backend_that_never_shakes_hands_is_504_in_the_time_for_connections() {
    let folder = prepared();
    let origin = RawOrigin::always(Script::never_answering());
    let service = ServiceText::new("web")
        .version_yaml(
            "v1",
            &format!(
                "{{ endpoints: [\"https://{}\"], protocol: http1, tls: {{ caFile: ca.pem }} }}",
                origin.address()
            ),
        )
        .with("timeouts: { connect: 300ms, response: 60s, idle: 60s }")
        .with("retries: { attempts: 0 }");
    let edge = start(folder, service);
    assert_eq!(edge.get("/").status, 504);
    assert_eq!(edge.counts("v1").judged.bad, 1);
    let received = origin.received();
    assert!(!String::from_utf8_lossy(&received).contains("GET"), "nothing in clear");
}

/// Whatever ends a connection may have cut the answer, too, unless TLS says that it is whole.
#[test]
fn a_body_that_ends_with_its_connection_has_to_end_with_tls() {
    let text = "HTTP/1.1 200 OK\r\n\r\nhalf";
    let ended = Script::new().read_request().write(text).close();
    let cut = Script::new().read_request().write(text).wait(SHORT).reset();
    for (script, whole) in [(ended, true), (cut, false)] {
        let (folder, origin) = (prepared(), RawOrigin::always(script));
        let front = BehindTls::start(folder.path(), &["http/1.1"], origin.address());
        let edge = start(folder, front.service(", protocol: http1"));
        let mut client = edge.client();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = client.try_response();
        assert_eq!(answer.is_ok(), whole, "{answer:?}");
        eventually("it is judged", || edge.counts("v1").judged.exposures() == 1);
        assert_eq!(edge.counts("v1").judged.bad, u64::from(!whole));
    }
}

#[test]
fn a_kept_connection_over_tls_that_ended_is_replaced() {
    let (folder, origin) = (prepared(), Origin::start("v1"));
    let path = folder.path().to_owned();
    let front = BehindTls::start(&path, &["http/1.1"], origin.address());
    let edge = start(folder, front.service(", protocol: http1"));
    let mut client = edge.client();
    for _ in 0..10 {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.response().status, 200);
        front.offer(&path, &["http/1.1"]);
    }
    assert_eq!(edge.counts("v1").judged.bad, 0);
}

#[test]
fn a_connection_that_was_made_for_one_authority_is_not_used_for_another() {
    let (folder, origin) = (prepared(), Origin::start("v1"));
    let front = BehindTls::start(folder.path(), &["http/1.1"], origin.address());
    let path = folder.path().to_owned();
    let edge = start(folder, front.service(", protocol: http1"));
    let mut client = edge.client();
    let mut ask = || {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        client.response().status
    };
    assert_eq!(ask(), 200);
    let connections = front.accepted();
    assert_eq!((ask(), front.accepted()), (200, connections), "it is kept");
    Authority::new().write(&path, "unused", &["backend.example"]);
    edge.read_again();
    assert_eq!(ask(), 502, "and not for who trusts others");
    assert_eq!(origin.requests(), 2);
}
