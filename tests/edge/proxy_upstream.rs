//! The PROXY protocol towards backends: whose a connection is, and that it is nobody else's.

use crate::behind_tls;
use crate::edge::{Edge, ROUTE, web};
use crate::tls;
use http::Response;
use serin_testkit::{
    ConfigText, Connection, Origin, RawClient, RawOrigin, Script, ServiceText, eventually,
    eventually_async,
};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Answers every request that has a trace's parent.
fn answering() -> Script {
    Script::new().read_until("traceparent").write(OK).repeat()
}

fn service(origin: SocketAddr, more: &str) -> ServiceText {
    let version = format!("{{ endpoints: [\"{origin}\"]{more} }}");
    ServiceText::new("web").version_yaml("v1", &version)
}

fn told(origin: SocketAddr, version: &str) -> ServiceText {
    service(origin, &format!(", proxyProtocol: {version}"))
}

fn get(client: &mut RawClient) {
    client.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert_eq!(client.response().status, 200);
}

/// What stands before the first request of a connection.
fn header(record: &[u8]) -> Vec<u8> {
    let get = record.windows(5).position(|bytes| bytes == b"GET /").unwrap();
    record[..get].to_vec()
}

fn v2(ends: [SocketAddr; 2]) -> Vec<u8> {
    let [client, server] = ends;
    let ip = |end: SocketAddr| match end.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let family: &[u8] = if client.is_ipv4() { &[0x21, 0x11, 0, 12] } else { &[0x21, 0x21, 0, 36] };
    let ports = [client.port().to_be_bytes(), server.port().to_be_bytes()].concat();
    [SIGNATURE, family, &ip(client), &ip(server), &ports].concat()
}

#[test]
fn a_backend_is_told_of_the_two_ends_of_its_clients_connection() {
    for version in ["v1", "v2"] {
        let origin = RawOrigin::always(answering());
        let edge = Edge::start(&ConfigText::simple(told(origin.address(), version)));
        let mut client = edge.client();
        get(&mut client);
        let (from, to) = (client.local_address(), edge.address());
        let line = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {} {}\r\n", from.port(), to.port());
        let expected = if version == "v1" { line.into_bytes() } else { v2([from, to]) };
        assert_eq!(header(&origin.records()[0].bytes), expected, "{version}");
    }
}

#[test]
fn whom_a_trusted_balancer_named_is_who_the_backend_is_told_of() {
    let announced = [
        ("PROXY TCP4 192.0.2.7 198.51.100.1 5000 443\r\n", ["192.0.2.7:5000", "198.51.100.1:443"]),
        ("PROXY TCP6 2001:db8::7 ::1 5000 443\r\n", ["[2001:db8::7]:5000", "[::1]:443"]),
    ];
    for (line, ends) in announced {
        for version in ["v1", "v2"] {
            let origin = RawOrigin::always(answering());
            let listener = "{ name: http, address: \"127.0.0.1:0\", protocol: HTTP, proxyProtocol: v1v2, trusted: [\"127.0.0.1\"] }";
            let config = ConfigText::new().listener(listener);
            let config = config.service(told(origin.address(), version)).route(ROUTE);
            let edge = Edge::start(&config);
            let mut balancer = edge.client();
            balancer.send(line);
            get(&mut balancer);
            let expected = match version {
                "v1" => line.as_bytes().to_vec(),
                _ => v2(ends.map(|end| end.parse().unwrap())),
            };
            assert_eq!(header(&origin.records()[0].bytes), expected, "{version}");
        }
    }
}

#[test]
fn a_kept_connection_is_its_clients_alone_and_ends_with_it() {
    let origin = RawOrigin::always(answering());
    let config = ConfigText::simple(told(origin.address(), "v1"));
    let edge = Edge::start_on(1, serin_testkit::temp_dir(), &config);
    let (mut first, mut second) = (edge.client(), edge.client());
    for _ in 0..3 {
        get(&mut first);
        get(&mut second);
    }
    let asked = |record: &[u8]| record.windows(5).filter(|bytes| *bytes == b"GET /").count();
    let records = origin.records();
    assert_eq!(records.iter().map(|r| asked(&r.bytes)).collect::<Vec<_>>(), [3, 3]);
    drop(first);
    eventually("the connection ends with its client", || origin.records()[0].ended);
    get(&mut second);
    assert!(!origin.records()[1].ended);
    get(&mut edge.client());
    assert_eq!(origin.accepted(), 3, "a new client has a new connection");
}

/// What came of a connection of HTTP/2.
struct Seen {
    header: Vec<u8>,
    streams: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_of_http2_is_one_clients_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
    let noted = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let noted = Arc::clone(&noted);
            tokio::spawn(async move {
                let mut header = vec![0; 28];
                socket.read_exact(&mut header).await.unwrap();
                let mut connection = h2::server::handshake(socket).await.unwrap();
                let number = {
                    let mut noted = noted.lock().unwrap();
                    noted.push(Seen { header, streams: 0 });
                    noted.len() - 1
                };
                while let Some(Ok((_, mut stream))) = connection.accept().await {
                    noted.lock().unwrap()[number].streams += 1;
                    stream.send_response(Response::new(()), true).unwrap();
                }
            });
        }
    });
    let text = service(address, ", protocol: http2, proxyProtocol: v2");
    let edge = Edge::start_on(1, serin_testkit::temp_dir(), &ConfigText::simple(text));
    let mut first = Connection::http1(edge.address(), "a.example").await;
    let mut second = Connection::http1(edge.address(), "a.example").await;
    for _ in 0..3 {
        assert_eq!(first.get("/").await.status, 200);
        assert_eq!(second.get("/").await.status, 200);
    }
    let seen = seen.lock().unwrap();
    assert_eq!(seen.iter().map(|seen| seen.streams).collect::<Vec<_>>(), [3, 3]);
    assert!(seen.iter().all(|seen| seen.header.starts_with(SIGNATURE)));
    assert_ne!(seen[0].header, seen[1].header);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_header_stands_before_tls() {
    let (authority, folder) = tls::prepared();
    authority.write(folder.path(), "backend", &["backend.example"]);
    let acceptor = TlsAcceptor::from(Arc::new(behind_tls::server(folder.path(), &[])));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut line = Vec::new();
            while !line.ends_with(b"\r\n") {
                line.push(socket.read_u8().await.unwrap());
            }
            tell.send(String::from_utf8(line).unwrap()).unwrap();
            let mut stream = acceptor.accept(socket).await.unwrap();
            let _head = stream.read(&mut [0; 4096]).await.unwrap();
            stream.write_all(OK.as_bytes()).await.unwrap();
        }
    });
    let text = ServiceText::new("web").version_yaml(
        "v1",
        &format!(
            "{{ endpoints: [\"https://{address}\"], proxyProtocol: v1, tls: {{ caFile: ca.pem, serverName: backend.example }} }}"
        ),
    );
    let edge = Edge::start_in(folder, &ConfigText::simple(text));
    let mut client = Connection::http1(edge.address(), "a.example").await;
    assert_eq!(client.get("/").await.status, 200);
    assert!(told.recv().await.unwrap().starts_with("PROXY TCP4 127.0.0.1 127.0.0.1 "));
}

#[test]
fn health_checks_and_copies_are_nobodys() {
    for (version, nobody) in
        [("v1", b"PROXY UNKNOWN\r\n".to_vec()), ("v2", [SIGNATURE, &[0x20, 0, 0, 0]].concat())]
    {
        let checked = RawOrigin::always(Script::new().read_until("serin-health").write(OK).close());
        let check = "healthCheck: { path: /readyz, interval: 50ms, timeout: 5s }";
        let text = told(checked.address(), version).with(check);
        let edge = Edge::start(&ConfigText::simple(text));
        eventually("it is checked", || {
            checked.records().iter().any(|r| r.bytes.ends_with(b"\r\n\r\n") && r.bytes.len() > 40)
        });
        let record = checked.records().swap_remove(0).bytes;
        assert!(record.starts_with(&[&nobody[..], b"GET /readyz "].concat()), "{version}");
        drop(edge);

        let (stable, shadow) = (Origin::start("v1"), RawOrigin::always(answering()));
        let copies = format!(
            "{{ release: v2, endpoints: [\"{}\"], proxyProtocol: {version} }}",
            shadow.address()
        );
        let text = web(stable.address()).version_yaml("v2", &copies).with("shadow: { to: v2 }");
        let edge = Edge::start(&ConfigText::simple(text));
        assert_eq!(edge.get("/copied").status, 200);
        eventually("it is copied", || !shadow.received().is_empty());
        eventually("all of it", || shadow.received().ends_with(b"\r\n\r\n"));
        assert!(shadow.received().starts_with(&[&nobody[..], b"GET /copied "].concat()));
    }
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _ended = self.0.wait();
    }
}

/// `None` where the machine does not have it.
fn server(program: &str, arguments: &[&str]) -> Option<Killed> {
    let command = Command::new(program).args(arguments).stderr(Stdio::null()).spawn();
    match command {
        Ok(child) => Some(Killed(child)),
        Err(_) => {
            println!("there is no {program} here");
            None
        }
    }
}

fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn nginx(folder: &Path, address: SocketAddr) -> Option<Killed> {
    let folder = folder.display();
    let text = format!(
        "daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr; events {{}}
         http {{ access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
         server {{ listen {address} proxy_protocol; location / {{ return 200 \"$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_port\"; }} }} }}"
    );
    let file = format!("{folder}/nginx.conf");
    std::fs::write(&file, text).unwrap();
    server("nginx", &["-e", "stderr", "-p", &folder.to_string(), "-c", &file])
}

fn haproxy(folder: &Path, address: SocketAddr) -> Option<Killed> {
    let file = format!("{}/haproxy.cfg", folder.display());
    let text = format!(
        "defaults\n mode http\n timeout client 5s\n timeout connect 5s\n timeout server 5s\nfrontend f\n bind {address} accept-proxy\n http-request return status 200 content-type text/plain lf-string \"%[src] %[src_port] %[dst_port]\"\n"
    );
    std::fs::write(&file, text).unwrap();
    server("haproxy", &["-q", "-db", "-f", &file])
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_and_haproxy_understand_it() {
    type Start = fn(&Path, SocketAddr) -> Option<Killed>;
    for start in [nginx as Start, haproxy] {
        let (folder, address) = (serin_testkit::temp_dir(), free_address());
        let Some(_running) = start(folder.path(), address) else { continue };
        for version in ["v1", "v2"] {
            let text = told(address, version)
                .with("healthCheck: { path: /, interval: 50ms, timeout: 5s }");
            let edge = Edge::start(&ConfigText::simple(text));
            eventually_async("it answers what it was told", async || {
                let mut client = edge.client();
                client.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
                let answer = client.response();
                let (from, to) = (client.local_address().port(), edge.address().port());
                let expected = format!("127.0.0.1 {from} {to}");
                answer.status == 200 && String::from_utf8_lossy(&answer.body) == expected
            })
            .await;
        }
    }
}
