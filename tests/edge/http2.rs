//! HTTP/2 from clients: forwarded like HTTP/1, and its floods survived.

use crate::edge::{Edge, web};
use crate::tls::{connect, edge, edge_to, prepared};
use http_body_util::BodyExt;
use serin_testkit::{Connection, Fault, Origin, RawOrigin, Script};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A request head without compression; names and values shorter than 127 bytes.
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.extend_from_slice(&[0, name.len() as u8]);
        block.extend_from_slice(name.as_bytes());
        block.push(value.len() as u8);
        block.extend_from_slice(value.as_bytes());
    }
    block
}

pub(crate) const REQUEST: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "a.example")];

pub(crate) async fn raw(edge: &Edge, authority: &crate::tls::Authority) -> TlsStream<TcpStream> {
    let mut stream = connect(edge, authority.client(&["h2"]), "a.example").await.unwrap();
    begin(&mut stream, &[]).await;
    stream
}

/// The preface, and the client's settings.
pub(crate) async fn begin(stream: &mut TlsStream<TcpStream>, settings: &[u8]) {
    stream.write_all(PREFACE).await.unwrap();
    stream.write_all(&frame(4, 0, 0, settings)).await.unwrap();
}

/// Reads frames until one of this kind comes; its payload. What was written leaves first: TLS keeps what the
/// runtime has not let it write at once, and sends it with the next write or when it is told to.
pub(crate) async fn read_frame(
    stream: &mut TlsStream<TcpStream>,
    kinds: &[u8],
) -> Option<(u8, Vec<u8>)> {
    let wait = async {
        // Who is gone may have said why.
        let _ = stream.flush().await;
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await.ok()?;
            let length =
                usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let mut payload = vec![0; length];
            stream.read_exact(&mut payload).await.ok()?;
            if kinds.contains(&head[3]) {
                return Some((head[3], payload));
            }
        }
    };
    tokio::time::timeout(serin_testkit::PATIENCE, wait).await.unwrap()
}

pub(crate) const RST: u8 = 3;
pub(crate) const GOAWAY: u8 = 7;

#[tokio::test]
async fn requests_bodies_and_trailers_pass() {
    let (authority, folder) = prepared();
    let origin = Origin::start("v1");
    let service = serin_testkit::ServiceText::new("web").version_yaml(
        "v1",
        &format!("{{ endpoints: [\"http://{}\"], protocol: http2 }}", origin.address()),
    );
    let edge = edge_to(folder, service, "");
    let stream = connect(&edge, authority.client(&["h2"]), "a.example").await.unwrap();
    let mut connection = Connection::http2_over(stream, "a.example").await;
    let body: Vec<u8> = (0..300_000u32).map(|n| n as u8).collect();
    let request = connection.request("POST", "/body", body.clone());
    assert_eq!(connection.send(request).await.body, body);
    let answer = connection.get("/trailers").await;
    assert_eq!(answer.trailers.unwrap()["x-trailer"], "yes");
    let answer = connection.get("/grpc/13").await;
    assert_eq!(answer.trailers.unwrap()["grpc-status"], "13");
    assert!(origin.seen().iter().all(|seen| seen.http2));
    serin_testkit::eventually("the failure inside of a 200 is bad", || {
        edge.counts("v1").judged.bad == 1
    });
}

/// A body that ends with its last byte leaves its client nothing to wait for, and that is no sign of
/// having gone.
#[tokio::test]
async fn what_a_backend_of_http2_answers_well_is_good_whoever_asked() {
    let (authority, folder) = prepared();
    let origin = Origin::start("v1");
    let service = serin_testkit::ServiceText::new("web").version_yaml(
        "v1",
        &format!("{{ endpoints: [\"http://{}\"], protocol: http2 }}", origin.address()),
    );
    let edge = edge_to(folder, service, "");
    let over = |protocol: &'static str| connect(&edge, authority.client(&[protocol]), "a.example");
    let mut http2 = Connection::http2_over(over("h2").await.unwrap(), "a.example").await;
    let mut http1 = Connection::http1_over(over("http/1.1").await.unwrap(), "a.example").await;
    for path in ["/", "/bytes/3", "/bytes/300000", "/trailers"] {
        assert_eq!(http2.get(path).await.status, 200, "{path}");
        assert_eq!(http1.get(path).await.status, 200, "{path}");
    }
    serin_testkit::eventually("all eight are good", || edge.counts("v1").judged.good == 8);
    assert_eq!(edge.counts("v1").judged.bad, 0);
}

#[tokio::test]
async fn a_request_goes_over_http1_upstream_with_one_host() {
    let (authority, folder) = prepared();
    let origin = Origin::start("v1");
    let edge = edge(folder, &origin, "");
    let stream = connect(&edge, authority.client(&["h2"]), "a.example").await.unwrap();
    let mut connection = Connection::http2_over(stream, "a.example").await;
    assert_eq!(connection.get("/x/../y?z").await.status, 200);
    let seen = origin.seen().remove(0);
    assert_eq!((seen.path.as_str(), seen.header("host")), ("/y?z", Some("a.example")));
    assert_eq!(connection.get("/%2f").await.status, 400);
    assert_eq!(connection.get(&format!("/{}", "a".repeat(9_000))).await.status, 414);
}

/// A backend of HTTP/1 may want to know, whatever the method says.
#[tokio::test]
async fn a_post_without_a_body_says_so_upstream() {
    let (authority, folder) = prepared();
    let origin = Origin::start("v1");
    let edge = edge(folder, &origin, "");
    let mut stream = raw(&edge, &authority).await;
    for (id, method) in [(1, "POST"), (3, "GET"), (5, "PUT")] {
        let head = [&[(":method", method)], &REQUEST[1..]].concat();
        stream.write_all(&frame(1, 5, id, &block(&head))).await.unwrap();
        read_frame(&mut stream, &[1]).await.unwrap();
    }
    let lengths: Vec<_> =
        origin.seen().iter().map(|s| s.header("content-length").map(str::to_owned)).collect();
    assert_eq!(lengths, [Some("0".to_owned()), None, Some("0".to_owned())]);
}

#[tokio::test]
async fn an_unsound_request_is_reset_or_400_and_never_forwarded() {
    let (authority, folder) = prepared();
    let origin =
        RawOrigin::always(Script::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    let edge = edge_to(folder, web(origin.address()), "");
    let with = |more: &[(&'static str, &'static str)]| [&REQUEST[..], more].concat();
    let cases: Vec<Vec<(&str, &str)>> = vec![
        with(&[("host", "b.example")]),
        with(&[("connection", "close")]),
        with(&[("transfer-encoding", "chunked")]),
        with(&[("X-Upper", "a")]),
        with(&[("x", "a\r\nb: c")]),
        with(&[(":path", "/twice")]),
        with(&[("x", "y"), (":path", "/late")]),
        with(&[(":unknown", "x")]),
        with(&[("te", "gzip")]),
        REQUEST[..3].to_vec(),
        [&[(":method", "PRI")], &REQUEST[1..]].concat(),
        REQUEST[1..].to_vec(),
        with(&[("content-length", "5"), ("content-length", "6")]),
        with(&[("content-length", "0"), ("content-length", "0")]),
        with(&[("content-length", "00")]),
    ];
    for case in cases {
        let mut stream = raw(&edge, &authority).await;
        stream.write_all(&frame(1, 5, 1, &block(&case))).await.unwrap();
        let (kind, payload) =
            read_frame(&mut stream, &[1, RST, GOAWAY]).await.unwrap_or((GOAWAY, vec![0; 8]));
        if kind == 1 {
            let refused = [0x8c, 0x8d].contains(&payload[0])
                || payload.windows(3).any(|w| w == b"400" || w == b"\x82\x68\x01");
            assert!(refused, "{case:?}: {payload:?}");
        }
    }
    let received = String::from_utf8(origin.received()).unwrap();
    assert!(received.is_empty(), "{received}");
}

/// A balancer's connection carries what many users send.
#[tokio::test]
async fn a_malformed_field_ends_its_own_stream_and_no_other() {
    let (authority, folder) = prepared();
    let origin = Origin::start("v1");
    let edge = edge(folder, &origin, "");
    let mut stream = raw(&edge, &authority).await;
    let mut id = 1;
    for field in
        [("X-Upper", "a"), ("x", "a\r\nb: c"), ("x y", "z"), (":unknown", "x"), ("x", "\0")]
    {
        let bad = [&REQUEST[..], &[field]].concat();
        let both = [frame(1, 5, id, &block(&bad)), frame(1, 5, id + 2, &block(&REQUEST))].concat();
        stream.write_all(&both).await.unwrap();
        let mut got = [
            read_frame(&mut stream, &[1, RST, GOAWAY]).await.unwrap(),
            read_frame(&mut stream, &[1, RST, GOAWAY]).await.unwrap(),
        ];
        got.sort();
        let [answer, reset] = got;
        assert_eq!((answer.0, answer.1[0]), (1, 0x88), "{field:?}");
        assert_eq!(reset, (RST, vec![0, 0, 0, 1]), "{field:?}: PROTOCOL_ERROR");
        id += 4;
    }
    // A whole one that was written after its body counts as well.
    let post = [(":method", "POST"), REQUEST[1], REQUEST[2], REQUEST[3]];
    let body = frame(0, 0, id, b"body");
    let trailers = frame(1, 5, id, &block(&[("x", "a\rb")]));
    stream.write_all(&[frame(1, 4, id, &block(&post)), body, trailers].concat()).await.unwrap();
    let (kind, payload) = read_frame(&mut stream, &[1, RST, GOAWAY]).await.unwrap();
    assert_eq!((kind, payload), (RST, vec![0, 0, 0, 1]));
    assert_eq!(origin.requests(), 5);
}

/// The nth frame of a flood, or the nth few.
type Flood = Box<dyn Fn(u32) -> Vec<u8>>;

#[tokio::test]
async fn floods_end_with_goaway_within_two_thousand_frames() {
    let (authority, folder) = prepared();
    let origin = Origin::start("v1");
    let edge = edge(folder, &origin, "");
    let open = frame(1, 4, 1, &block(&REQUEST));
    let reset = |n: u32| {
        [frame(1, 5, 2 * n + 1, &block(&REQUEST)), frame(3, 0, 2 * n + 1, &[0, 0, 0, 8])].concat()
    };
    // The server has to reset a stream itself, which no limit on resets that come would notice.
    let made = |n: u32, flags: u8, fault: fn(u32) -> Vec<u8>| {
        let stream = 2 * n + 1;
        [frame(1, flags, stream, &block(&REQUEST)), fault(stream)].concat()
    };
    let (open_head, whole_head) = (4, 5);
    let nothing: fn(u32) -> Vec<u8> = |stream| frame(8, 0, stream, &[0; 4]);
    let too_much: fn(u32) -> Vec<u8> = |stream| frame(8, 0, stream, &[0x7f, 255, 255, 255]);
    let after_end: fn(u32) -> Vec<u8> = |stream| frame(0, 0, stream, b"more");
    let on_itself: fn(u32) -> Vec<u8> =
        |stream| frame(2, 0, stream, &[&stream.to_be_bytes()[..], &[1]].concat());
    let floods: [(&str, Vec<u8>, Flood); 11] = [
        ("ping", vec![], Box::new(|_| frame(6, 0, 0, &[0; 8]))),
        ("settings", vec![], Box::new(|_| frame(4, 0, 0, &[]))),
        ("priority", vec![], Box::new(|n| frame(2, 0, 2 * n + 1, &[0, 0, 0, 0, 1]))),
        ("empty data", open.clone(), Box::new(|_| frame(0, 0, 1, &[]))),
        ("rapid reset", vec![], Box::new(reset)),
        ("reset by no update", vec![], Box::new(move |n| made(n, open_head, nothing))),
        ("reset by a large update", vec![], Box::new(move |n| made(n, open_head, too_much))),
        ("reset by late data", vec![], Box::new(move |n| made(n, whole_head, after_end))),
        ("reset by priority", vec![], Box::new(move |n| made(n, open_head, on_itself))),
        ("reset by a late update", vec![], Box::new(move |n| made(n, whole_head, too_much))),
        ("continuation", frame(1, 0, 1, &block(&REQUEST)), Box::new(|_| frame(9, 0, 1, &[]))),
    ];
    for (name, first, one) in floods {
        let stream = raw(&edge, &authority).await;
        let (mut read, mut write) = tokio::io::split(stream);
        let frames: Vec<Vec<u8>> = (0..2_000).map(&*one).collect();
        let flood = tokio::spawn(async move {
            let _ = write.write_all(&first).await;
            for frame in frames {
                if write.write_all(&frame).await.is_err() {
                    break;
                }
            }
            let _ = write.flush().await;
            write
        });
        let mut got = Vec::new();
        let ended = tokio::time::timeout(serin_testkit::PATIENCE, read.read_to_end(&mut got)).await;
        assert!(ended.is_ok(), "{name}: the connection goes on");
        let _ = flood.await;
        assert!(has_goaway(&got), "{name}: no GOAWAY in {} bytes", got.len());
    }
    assert!(connect(&edge, authority.client(&["h2"]), "a.example").await.is_ok());
}

/// Who flushes and has nothing to say sends them, and a connection lives long.
#[tokio::test]
async fn a_client_that_sends_empty_data_now_and_then_keeps_its_connection() {
    let (authority, folder) = prepared();
    let origin = Origin::start("v1");
    let edge = edge(folder, &origin, "");
    let mut stream = raw(&edge, &authority).await;
    let post = [(":method", "POST"), REQUEST[1], REQUEST[2], REQUEST[3]];
    for id in [1, 3, 5] {
        let empty = frame(0, 0, id, &[]).repeat(60);
        let all = [frame(1, 4, id, &block(&post)), empty, frame(0, 1, id, b"body")].concat();
        stream.write_all(&all).await.unwrap();
        let (kind, head) = read_frame(&mut stream, &[1, RST, GOAWAY]).await.unwrap();
        assert_eq!((kind, head[0]), (1, 0x88), "stream {id} is answered 200");
    }
}

fn has_goaway(mut bytes: &[u8]) -> bool {
    while bytes.len() >= 9 {
        let length =
            usize::from(bytes[0]) << 16 | usize::from(bytes[1]) << 8 | usize::from(bytes[2]);
        if bytes[3] == GOAWAY {
            return true;
        }
        bytes = bytes.get(9 + length..).unwrap_or_default();
    }
    false
}

#[tokio::test]
async fn a_small_head_cannot_stand_for_a_large_one() {
    let (authority, folder) = prepared();
    let origin = Origin::start("v1");
    let edge = edge(folder, &origin, "");
    let mut stream = raw(&edge, &authority).await;
    // One field into the table, and then one byte for each of its copies.
    let mut head = block(&REQUEST);
    head.extend_from_slice(&[0x40, 1, b'a', 100]);
    head.extend_from_slice(&[b'b'; 100]);
    head.extend_from_slice(&[0xbe; 1_700]);
    stream.write_all(&frame(1, 5, 1, &head)).await.unwrap();
    let (kind, _) = read_frame(&mut stream, &[1, RST, GOAWAY]).await.unwrap();
    assert!([1, RST, GOAWAY].contains(&kind));
    assert_eq!(origin.requests(), 0);
}

#[tokio::test]
async fn a_truncated_answer_is_a_reset_stream() {
    let (authority, folder) = prepared();
    let origin = Origin::start("v1");
    let edge = edge(folder, &origin, "");
    let stream = connect(&edge, authority.client(&["h2"]), "a.example").await.unwrap();
    let mut connection = Connection::http2_over(stream, "a.example").await;
    let request = connection.request("GET", "/truncate", "");
    let answer = connection.begin(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.into_body().collect().await.is_err());
    assert_eq!(connection.get("/").await.status, 200, "its siblings live");
    origin.break_all(Fault::Drop);
    assert_eq!(connection.get("/").await.status, 502);
}
