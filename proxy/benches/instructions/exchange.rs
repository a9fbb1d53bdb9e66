//! A whole request: a proxy of one thread under callgrind, and a client and a
//! backend outside of it, which are not counted.
//!
//! One request is in hand at a time, so that each costs as many turns of the proxy's loop as the
//! next. Counted is the thread that serves, and others are not, because they work by the clock, which
//! callgrind slows down; what that thread does before it serves is taken off by counting twice.

use serin_config::{Options, load};
use serin_proxy::Proxy;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroU16;
use std::path::Path;
use std::process::ChildStdout;
use std::sync::Arc;
use std::time::Duration;

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nServer: x\r\nContent-Length: 4\r\n\r\nbody";

#[derive(Debug, Clone, Copy)]
pub(crate) struct Exchange {
    pub(crate) name: &'static str,
    /// Bytes of the request's body.
    sent: usize,
}

pub(crate) const ALL: &[Exchange] = &[
    Exchange { name: "exchange", sent: 0 },
    Exchange { name: "exchange of 16 KiB", sent: 16 * 1024 },
];

/// What runs under callgrind: serves until its input ends.
pub(crate) fn serve(config: &str) -> Result<(), String> {
    let loaded = load(Path::new(config), &Options::default()).map_err(|e| format!("{e:?}"))?;
    let options = serin_proxy::Options { threads: NonZeroU16::new(1) };
    let proxy = Proxy::start(Arc::new(loaded.config), &options).map_err(|e| e.to_string())?;
    let split = crate::cases::split_of(1_000).ok_or("no split")?;
    proxy.data_plane().publish(Arc::new(split));
    println!("{}", proxy.address("http").ok_or("it listens nowhere")?);
    let _until_closed = std::io::stdin().lines().next();
    // Without taking anything down, which is not a request's.
    std::process::exit(0)
}

impl Exchange {
    pub(crate) fn config(origin: SocketAddr) -> String {
        format!(
            "version: 1\n\
             listeners: [ {{ name: http, address: \"127.0.0.1:0\", protocol: HTTP }} ]\n\
             admin: {{ address: \"127.0.0.1:0\" }}\n\
             state: {{ dir: state }}\n\
             accessLog: {{ format: \"off\" }}\n\
             services:\n  checkout:\n    stable: v41\n    versions:\n\
             \x20     v41: {{ release: a, endpoints: [\"{origin}\"] }}\n\
             \x20     v42: {{ release: b, endpoints: [\"{origin}\"] }}\n\
             routes: [ {{ name: all, matches: [ {{ path: {{ prefix: / }} }} ], service: checkout }} ]\n"
        )
    }

    fn request(&self) -> Vec<u8> {
        let method = if self.sent > 0 { "POST" } else { "GET" };
        let head = format!(
            "{method} /items/7?a=b HTTP/1.1\r\nHost: a.example\r\nUser-Agent: test\r\nAccept: */*\r\n\
             Cookie: a=b\r\nContent-Length: {}\r\n\r\n",
            self.sent
        );
        [head.into_bytes(), vec![b'x'; self.sent]].concat()
    }

    /// Asks the proxy that says its address on `out`.
    pub(crate) fn ask(&self, out: ChildStdout, times: u64) -> Result<(), String> {
        let mut said = BufReader::new(out).lines();
        let address = said.next().and_then(Result::ok).ok_or("the proxy says nothing")?;
        let address: SocketAddr = address.parse().map_err(|e| format!("{address}: {e}"))?;
        self.ask_at(address, times).map_err(|e| format!("{}: {e}", self.name))
    }

    fn ask_at(&self, address: SocketAddr, times: u64) -> std::io::Result<()> {
        let mut client = TcpStream::connect(address)?;
        client.set_nodelay(true)?;
        client.set_read_timeout(Some(Duration::from_secs(60)))?;
        let request = self.request();
        for _ in 0..times {
            once(&mut client, &request)?;
        }
        Ok(())
    }
}

fn once(client: &mut TcpStream, request: &[u8]) -> std::io::Result<()> {
    let (mut buffer, mut got) = ([0; 4096], 0);
    client.write_all(request)?;
    while !buffer[..got].ends_with(b"body") {
        match client.read(&mut buffer[got..])? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            count => got += count,
        }
    }
    match buffer.starts_with(b"HTTP/1.1 200 ") {
        true => Ok(()),
        false => Err(std::io::Error::other("it answered something else than 200")),
    }
}

/// Answers each request when all of it is there.
pub(crate) fn origin() -> Result<SocketAddr, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|e| e.to_string())?;
    let address = listener.local_addr().map_err(|e| e.to_string())?;
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || answer(stream));
        }
    });
    Ok(address)
}

fn answer(mut stream: TcpStream) {
    let _slower = stream.set_nodelay(true);
    let (mut buffer, mut got) = (vec![0; 64 * 1024], 0);
    while let Ok(count @ 1..) = stream.read(&mut buffer[got..]) {
        got += count;
        let head = buffer[..got].windows(4).position(|end| end == b"\r\n\r\n");
        let whole = head.is_some_and(|head| {
            let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length = length.and_then(|length| length.parse().ok()).unwrap_or(0);
            got >= head + 4 + length
        });
        if whole {
            got = 0;
            if stream.write_all(ANSWER).is_err() {
                return;
            }
        }
    }
}
