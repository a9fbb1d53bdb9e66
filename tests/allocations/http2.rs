//! What a stream of HTTP/2 costs in allocations. The HTTP/2 library makes some for each; Serin's own
//! share is what this keeps small.

use super::{ALLOCATOR, COUNTED, COUNTING, WARM, origin, start};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serin_testkit::{ConfigText, ServiceText, temp_dir};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const REQUEST: [(&str, &str); 6] = [
    (":method", "GET"),
    (":scheme", "https"),
    (":path", "/items/7?a=b"),
    (":authority", "a.example"),
    ("user-agent", "test"),
    ("accept", "*/*"),
];
const AT_ONCE: usize = 16;
/// The library's, and the client's own.
const EACH: usize = 12;

const HEADERS: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

#[test]
fn a_stream_allocates_what_its_library_does_and_little_more() {
    let _alone = COUNTING.lock();
    let folder = temp_dir();
    let made = rcgen::generate_simple_self_signed(vec!["a.example".to_owned()]).unwrap();
    std::fs::write(folder.path().join("a.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.path().join("a.key"), made.signing_key.serialize_pem()).unwrap();
    let listener = "{ name: http, address: \"127.0.0.1:0\", protocol: HTTPS, tls: { certificates: [{ certFile: a.pem, keyFile: a.key }] } }";
    let config = ConfigText::new()
        .listener(listener)
        .service(ServiceText::new("web").version("v1", &[origin()]))
        .route("{ name: all, service: web }")
        .with("accessLog: { format: \"off\" }")
        .write_to(folder.path());
    let proxy = start(&config);
    let socket = TcpStream::connect(proxy.address("http").unwrap()).unwrap();
    let mut client = Client::new(socket, made.cert.der());
    client.ask(WARM);
    let before = ALLOCATOR.stats();
    client.ask(COUNTED);
    let spent = ALLOCATOR.stats() - before;
    let calls = spent.allocations + spent.reallocations;
    println!("{calls} allocations of {} bytes in {COUNTED} streams", spent.bytes_allocated);
    assert!(calls < COUNTED * EACH, "{calls} in {COUNTED} streams");
}

struct Client {
    stream: StreamOwned<ClientConnection, TcpStream>,
    block: Vec<u8>,
    next: u32,
    out: Vec<u8>,
    input: Vec<u8>,
}

impl Client {
    fn new(socket: TcpStream, certificate: &CertificateDer<'static>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let name = ServerName::try_from("a.example").unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut stream = StreamOwned::new(connection, socket);
        stream.write_all(PREFACE).unwrap();
        let mut block = Vec::new();
        for (name, value) in REQUEST {
            block.extend_from_slice(&[0, name.len() as u8]);
            block.extend_from_slice(name.as_bytes());
            block.push(value.len() as u8);
            block.extend_from_slice(value.as_bytes());
        }
        Self { stream, block, next: 1, out: Vec::new(), input: Vec::with_capacity(1 << 16) }
    }

    fn ask(&mut self, times: usize) {
        for _ in 0..times.div_ceil(AT_ONCE) {
            self.out.clear();
            for _ in 0..AT_ONCE {
                let length = self.block.len() as u8;
                let head = [0, 0, length, HEADERS, END_STREAM | END_HEADERS];
                self.out.extend_from_slice(&head);
                self.out.extend_from_slice(&self.next.to_be_bytes());
                self.out.extend_from_slice(&self.block);
                self.next += 2;
            }
            self.stream.write_all(&self.out).unwrap();
            self.stream.flush().unwrap();
            self.answers();
        }
    }

    /// Reads until as many streams have ended as were opened.
    fn answers(&mut self) {
        let (mut ended, mut piece) = (0, [0; 16 * 1024]);
        while ended < AT_ONCE {
            let count = self.stream.read(&mut piece).unwrap();
            assert!(count > 0, "closed");
            self.input.extend_from_slice(&piece[..count]);
            while let Some([a, b, c, kind, flags]) = self.input.first_chunk().copied() {
                let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                if self.input.len() < 9 + length {
                    break;
                }
                assert!(!matches!(kind, 3 | 7), "reset");
                ended += usize::from(kind < 2 && flags & END_STREAM != 0);
                self.input.drain(..9 + length);
            }
        }
    }
}
