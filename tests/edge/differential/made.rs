//! What is sent: requests with everything that is stripped, kept or doubled, bodies of every framing,
//! several on a connection, and answers that are whole, broken off or no answers.

use super::of_body;
use std::net::{IpAddr, Ipv4Addr};

/// What one client sends on one connection.
pub(super) struct Conversation {
    number: usize,
    pub(super) bytes: Vec<u8>,
    /// Where it is cut into pieces.
    pub(super) cuts: Vec<usize>,
    /// Which requests are HEAD.
    pub(super) heads: Vec<bool>,
    /// What the backend can see of each body.
    pub(super) bodies: Vec<String>,
    /// It asks for its own end; others end by themselves.
    pub(super) whole: bool,
}

impl Conversation {
    /// No two that are under way have the same.
    pub(super) fn source(&self) -> IpAddr {
        let [_, b, c, d] = (self.number as u32 % (100 << 16)).to_be_bytes();
        Ipv4Addr::new(127, 1 + b, c, d).into()
    }

    /// The bytes from cut to cut.
    pub(super) fn pieces(&self) -> Vec<&[u8]> {
        let ends = self.cuts.iter().copied().chain([self.bytes.len()]);
        let begins = [0].into_iter().chain(self.cuts.iter().copied());
        begins.zip(ends).map(|(from, to)| &self.bytes[from..to]).collect()
    }

    pub(super) fn shown(&self) -> String {
        let bytes = &self.bytes[..self.bytes.len().min(3_000)];
        let pieces = bytes.escape_ascii().to_string().replace("\\r\\n", "\n");
        format!(
            "conversation {} from {}, cut at {:?}:\n{pieces}",
            self.number,
            self.source(),
            self.cuts
        )
    }
}

/// splitmix64, and what is made of it.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub(super) fn cuts(&mut self, length: usize) -> Vec<usize> {
        let mut cuts: Vec<usize> = (0..self.below(4)).map(|_| self.below(length)).collect();
        cuts.sort_unstable();
        cuts
    }

    /// One to four requests, of which the last asks for the end.
    pub(super) fn conversation(&mut self, number: usize, small: bool) -> Conversation {
        let count = 1 + self.below(if small { 2 } else { 4 });
        let (bytes, heads, bodies, cuts) = Default::default();
        let mut all = Conversation { number, bytes, cuts, heads, bodies, whole: true };
        for left in (0..count).rev() {
            self.request(&mut all, small, left == 0);
        }
        if !small {
            all.cuts = self.cuts(all.bytes.len());
        }
        all
    }

    fn request(&mut self, all: &mut Conversation, small: bool, last: bool) {
        let method = METHODS[self.below(METHODS.len())];
        let (answer, query) = (self.below(ANSWERS.len()), QUERIES[self.below(QUERIES.len())]);
        let cut = if self.below(2) == 0 { 0 } else { self.below(150) };
        let mut head = format!("{method} /{answer}.{cut}{query} HTTP/1.1\r\nHost: a.example\r\n");
        for _ in 0..self.below(5) {
            head.push_str(FIELDS[self.below(FIELDS.len())]);
            head.push_str("\r\n");
        }
        if last {
            head.push_str("Connection: close\r\n");
        }
        all.bytes.extend_from_slice(head.as_bytes());
        all.heads.push(method == "HEAD");
        let size = match (small, self.below(40)) {
            (false, 0) => 70_000,
            (false, 1..8) => 5_000,
            (_, 8..20) => 1 + self.below(60),
            _ => 0,
        };
        let number = all.number;
        let body: Vec<u8> = (0..size).map(|n| b'a' + ((n * 7 + number) % 23) as u8).collect();
        let framing = self.below(3);
        match framing {
            0 => all.bytes.extend_from_slice(b"\r\n"),
            1 => {
                let length = format!("Content-Length: {size}\r\n\r\n");
                all.bytes.extend_from_slice(length.as_bytes());
                all.bytes.extend_from_slice(&body);
            }
            _ => self.chunks(&body, &mut all.bytes),
        }
        all.bodies.push(of_body(if framing == 0 { b"" } else { &body }));
    }

    fn chunks(&mut self, body: &[u8], to: &mut Vec<u8>) {
        to.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
        let size = if body.len() < 100 { 20 } else { 9_000 };
        for chunk in body.chunks(1 + self.below(size)) {
            to.extend_from_slice(format!("{:X};x=y\r\n", chunk.len()).as_bytes());
            to.extend_from_slice(chunk);
            to.extend_from_slice(b"\r\n");
        }
        to.extend_from_slice(b"0\r\nX-Trailer: y\r\n\r\n");
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
pub(super) const ANSWERS: [(&str, bool); 24] = [
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
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunkedQ\r\n\r\n5\r\nhello\r\n0\r\n\r\n", true),
    ("HTTP/1.1 101 Switching Protocols\r\nContent-Length: 2\r\n\r\nok", true),
];
