//! The same exchanges through both lanes, to a backend that shows what it got: which lane carried a
//! request must be impossible to tell, from either side.
//!
//! Exchanges are generated from a seed: heads with everything that is stripped, kept or doubled,
//! bodies of every framing cut at any byte, several requests on a connection at once, answers that
//! are whole, broken off or no answers. What may differ is what [`shown`] leaves out: the order of
//! fields, how a body is cut into chunks, and what is made anew for each request.

use crate::edge::{Edge, web};
use serin_testkit::{ConfigText, RawClient};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

#[test]
fn nobody_can_tell_which_lane_carried_an_exchange() {
    let rounds = if std::env::var_os("SERIN_LONG").is_some() { 500_000 } else { 400 };
    let [fast, full] = ["both", "full"].map(|lanes| {
        let origin = Showing::start();
        let config = ConfigText::simple(web(origin.address)).with(&format!("lanes: {lanes}"));
        (Edge::start(&config.with("accessLog: { format: \"off\" }")), origin)
    });
    let mut random = Random(7);
    let mut asked = 0;
    for round in 0..rounds {
        let requests: Vec<Request> = (0..1 + random.below(3)).map(|_| random.request()).collect();
        asked += requests.len();
        let cuts = random.cuts(requests.iter().map(|request| request.bytes.len()).sum());
        let [by_fast, by_full] = [&fast, &full].map(|(edge, origin)| {
            let answers = told(edge, &requests, &cuts);
            (answers, std::mem::take(&mut *origin.seen.lock().unwrap()))
        });
        let start =
            |r: &Request| String::from_utf8_lossy(&r.bytes[..r.bytes.len().min(400)]).into_owned();
        let texts = requests.iter().map(start);
        let texts = texts.collect::<Vec<_>>();
        assert_eq!(by_fast.0, by_full.0, "round {round}: downstream of {texts:#?}");
        assert_eq!(by_fast.1, by_full.1, "round {round}: upstream of {texts:#?}");
    }
    println!("{asked} exchanges through each lane");
    let carried = |edge: &Edge, lane| edge.metric("serin_lane_requests_total", ("lane", lane));
    assert!(carried(&fast.0, "fast") > 0.9 * carried(&full.0, "full"));
    assert_eq!(carried(&full.0, "fast"), 0.0);
}

struct Request {
    bytes: Vec<u8>,
    head: bool,
}

/// What the client gets, until its connection ends.
fn told(edge: &Edge, requests: &[Request], cuts: &[usize]) -> Vec<String> {
    let bytes: Vec<u8> = requests.iter().flat_map(|request| &request.bytes).copied().collect();
    let mut client: RawClient = edge.client();
    let mut from = 0;
    for cut in cuts {
        client.send(&bytes[from..*cut]);
        from = *cut;
        std::thread::yield_now();
    }
    client.send(&bytes[from..]);
    let mut all = Vec::new();
    for request in requests {
        let answer = if request.head {
            Ok(client.response_to_head())
        } else {
            client.try_response().map_err(|_| "broken off".to_owned())
        };
        let Ok(answer) = answer else {
            all.push("broken off".to_owned());
            break;
        };
        let closes = answer.header("connection").as_deref() == Some("close");
        let first = format!("{} {:?}", answer.status, answer.interim);
        let trailers = answer.trailers.iter().cloned();
        all.push(shown(&first, answer.headers.iter().cloned(), &answer.body));
        assert_eq!(trailers.count(), 0);
        if closes {
            break;
        }
    }
    all
}

fn shown(first: &str, fields: impl Iterator<Item = (String, String)>, body: &[u8]) -> String {
    let made_anew = ["date", "x-request-id", "traceparent"];
    let lowered = fields.map(|(name, value)| (name.to_ascii_lowercase(), value));
    let kept = lowered.filter(|(name, _)| !made_anew.contains(&name.as_str()));
    let mut lines: Vec<String> = kept.map(|(name, value)| format!("{name}: {value}")).collect();
    lines.sort();
    format!("{first}\n{}\n{} {}", lines.join("\n"), body.len(), serin_testkit::body_hash(body))
}

/// splitmix64, and what is made of it.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn cuts(&mut self, length: usize) -> Vec<usize> {
        let mut cuts: Vec<usize> = (0..self.below(4)).map(|_| self.below(length)).collect();
        cuts.sort_unstable();
        cuts
    }

    fn request(&mut self) -> Request {
        let method = METHODS[self.below(METHODS.len())];
        let (answer, query) = (self.below(ANSWERS.len()), QUERIES[self.below(QUERIES.len())]);
        let mut head = format!("{method} /{answer}{query} HTTP/1.1\r\nHost: a.example\r\n");
        for _ in 0..self.below(5) {
            head.push_str(FIELDS[self.below(FIELDS.len())]);
            head.push_str("\r\n");
        }
        let mut bytes = head.into_bytes();
        let size = [0, 1, 100, 5_000, 70_000][self.below(5)];
        let body: Vec<u8> = (0..size).map(|n| b'a' + (n % 23) as u8).collect();
        match self.below(3) {
            0 => bytes.extend_from_slice(b"\r\n"),
            1 => {
                bytes.extend_from_slice(format!("Content-Length: {size}\r\n\r\n").as_bytes());
                bytes.extend_from_slice(&body);
            }
            _ => {
                bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
                for chunk in body.chunks(1 + self.below(9_000)) {
                    bytes.extend_from_slice(format!("{:X};x=y\r\n", chunk.len()).as_bytes());
                    bytes.extend_from_slice(chunk);
                    bytes.extend_from_slice(b"\r\n");
                }
                bytes.extend_from_slice(b"0\r\nX-Trailer: y\r\n\r\n");
            }
        }
        Request { bytes, head: method == "HEAD" }
    }
}

const METHODS: [&str; 8] = ["GET", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "X-OWN"];
const QUERIES: [&str; 5] = ["", "?", "?a=b&c", "/../x/%7euser//y?z", "/%2e/a;b=c?%41"];
const FIELDS: [&str; 22] = [
    "Accept: */*",
    "accept:text/html",
    "ACCEPT:   a , b   ",
    "X-Empty:",
    "X-Text: \u{e9}t\u{e9}",
    "Cookie: a=b; c=d",
    "Cookie: e=f",
    "Connection: keep-alive",
    "Connection: close",
    "Connection: X-Named, Host, Cookie",
    "X-Named: gone",
    "Keep-Alive: timeout=5",
    "TE: trailers",
    "Trailer: X-Trailer",
    "Upgrade: h2c",
    "Proxy-Authorization: secret",
    "X-Forwarded-For: 192.0.2.1",
    "X_Forwarded_For: 192.0.2.2",
    "Forwarded: for=192.0.2.3",
    "X-Real-IP: 192.0.2.4",
    "X-Request-ID: mine",
    "Content-Type: text/plain",
];

/// And whether the backend closes afterwards.
const ANSWERS: [(&str, bool); 22] = [
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false),
    ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false),
    (
        "HTTP/1.1 201 Made It\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        false,
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nX-T: y\r\n\r\n",
        false,
    ),
    ("HTTP/1.1 204 No Content\r\n\r\n", false),
    ("HTTP/1.1 304 Not Modified\r\nContent-Length: 12\r\nETag: \"x\"\r\n\r\n", false),
    ("HTTP/1.1 200 OK\r\nX: y\r\n\r\nuntil the end", true),
    ("HTTP/1.0 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nold", false),
    ("HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold", true),
    (
        "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        false,
    ),
    ("HTTP/1.1 500 Oh\r\nContent-Length: 4\r\n\r\noops", false),
    ("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nConnection: close\r\n\r\nnone", true),
    (
        "HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: x\r\nContent-Length: 1\r\n\r\nx",
        false,
    ),
    ("HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nContent-Length: 1\r\n\r\nx", false),
    (
        "HTTP/1.1 200 OK\r\nserver:  s \r\nX-Empty:\r\nX-Text: \u{e9}\r\nContent-Length: 1\r\n\r\nx",
        false,
    ),
    ("HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx", false),
    ("HTTP/1.1 200 OK\r\nUpgrade: h2c\r\nContent-Length: 1\r\n\r\nx", false),
    ("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nbroken off", true),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nbroken", true),
    ("GARBAGE\r\n\r\n", true),
    ("HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello", true),
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", true),
];

/// A backend that answers by the number in its path, and shows what it was asked.
struct Showing {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Showing {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, seen) = (listener.local_addr().unwrap(), Arc::default());
        let shown = Arc::clone(&seen);
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let seen = Arc::clone(&shown);
                std::thread::spawn(move || answer(connection, &seen));
            }
        });
        Self { address, seen }
    }
}

/// Answers until either side closes. `None` is the end.
fn answer(connection: TcpStream, seen: &Mutex<Vec<String>>) -> Option<()> {
    let mut writer = connection.try_clone().ok()?;
    let mut reader = BufReader::new(connection);
    loop {
        let first = line(&mut reader)?;
        let mut fields = Vec::new();
        loop {
            let line = line(&mut reader)?;
            let Some((name, value)) = line.split_once(": ") else { break };
            fields.push((name.to_owned(), value.to_owned()));
        }
        let named = |what: &str| {
            let mut all = fields.iter();
            all.find(|(name, _)| name.eq_ignore_ascii_case(what)).map(|(_, value)| value.clone())
        };
        let mut body = Vec::new();
        if named("transfer-encoding").is_some() {
            chunks(&mut reader, &mut body)?;
        } else if let Some(length) = named("content-length") {
            body.resize(length.parse().ok()?, 0);
            reader.read_exact(&mut body).ok()?;
        }
        seen.lock().ok()?.push(shown(&first, fields.into_iter(), &body));
        let path = first.split(' ').nth(1)?;
        let number = path[1..].split(|c: char| !c.is_ascii_digit()).next()?;
        let (text, closes) = ANSWERS[number.parse::<usize>().unwrap_or(0) % ANSWERS.len()];
        let interim = if text.contains(" 103 ") { text.find("\r\n\r\n")? + 4 } else { 0 };
        let head = text[interim..].find("\r\n\r\n")? + 4 + interim;
        let bodiless = first.starts_with("HEAD ");
        let told = text.contains("close") || text.starts_with("HTTP/1.0");
        let text = if bodiless { &text[..head] } else { text };
        writer.write_all(text.as_bytes()).ok()?;
        // A kept connection that ends without a word is another test's matter.
        if closes && (told || !bodiless) {
            return None;
        }
    }
}

fn line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line).ok()?;
    let line = line.strip_suffix(b"\r\n")?;
    Some(String::from_utf8_lossy(line).into_owned())
}

fn chunks(reader: &mut impl BufRead, body: &mut Vec<u8>) -> Option<()> {
    loop {
        let size = usize::from_str_radix(&line(reader)?, 16).ok()?;
        let from = body.len();
        body.resize(from + size, 0);
        reader.read_exact(&mut body[from..]).ok()?;
        if !line(reader)?.is_empty() {
            return None;
        }
        if size == 0 {
            return Some(());
        }
    }
}
