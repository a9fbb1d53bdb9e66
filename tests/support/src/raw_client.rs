//! A client that writes exactly the bytes it is given.
//!
//! It blocks; call it from a plain test or from `spawn_blocking`.

use crate::response::{Broken, Progress, Response, parse, shown};
use crate::wait::PATIENCE;
use socket2::{Domain, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How the peer ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Closed,
    Reset,
}

#[derive(Debug)]
pub struct RawClient {
    stream: TcpStream,
    /// Received and not yet handed out.
    buffer: Vec<u8>,
    end: Option<End>,
    patience: Duration,
}

/// One GET on a connection of its own.
#[track_caller]
pub fn get(address: SocketAddr, host: &str, path: &str) -> Response {
    let mut client = RawClient::connect(address);
    client.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
    client.response()
}

impl RawClient {
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)
            .unwrap_or_else(|e| panic!("cannot connect to {address}: {e}"));
        stream.set_nodelay(true).expect("nodelay");
        Self { stream, buffer: Vec::new(), end: None, patience: PATIENCE }
    }

    /// From an address of its own, such as 127.1.2.3: what arrives tells whose it is.
    #[track_caller]
    pub fn connect_from(source: IpAddr, address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None);
        let connected = socket.and_then(|socket| {
            socket.bind(&SocketAddr::new(source, 0).into())?;
            socket.set_tcp_nodelay(true)?;
            socket.connect_timeout(&address.into(), PATIENCE).map(|()| socket)
        });
        let stream = connected.unwrap_or_else(|e| panic!("cannot connect to {address}: {e}"));
        Self { stream: stream.into(), buffer: Vec::new(), end: None, patience: PATIENCE }
    }

    /// Another deadline than [`PATIENCE`] for all reads that follow.
    #[must_use]
    pub fn patient(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    pub fn local_address(&self) -> SocketAddr {
        self.stream.local_addr().expect("a local address")
    }

    /// Writes all of it. A peer that has closed already is no failure here: reading will show it.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let _gone = self.stream.write_all(bytes.as_ref());
        self
    }

    /// Writes in pieces with a pause before each; `false` once the peer no longer takes them.
    pub fn send_slowly(&mut self, bytes: impl AsRef<[u8]>, piece: usize, every: Duration) -> bool {
        bytes.as_ref().chunks(piece).all(|piece| {
            std::thread::sleep(every);
            self.stream.write_all(piece).is_ok()
        })
    }

    /// Says that nothing more will be sent, and stays to read.
    pub fn half_close(&mut self) -> &mut Self {
        let _gone = self.stream.shutdown(Shutdown::Write);
        self
    }

    /// Leaves with a RST.
    pub fn reset(self) {
        let _gone = socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }

    /// The next final response; panics with what was read if there is none.
    #[track_caller]
    pub fn response(&mut self) -> Response {
        match self.try_response() {
            Ok(response) => response,
            Err(broken) => panic!("no whole response: {broken:?}"),
        }
    }

    /// The next final response to a HEAD request.
    #[track_caller]
    pub fn response_to_head(&mut self) -> Response {
        match self.read_response(true) {
            Ok(response) => response,
            Err(broken) => panic!("no whole response: {broken:?}"),
        }
    }

    /// The next final response, or why there is none: truncated, reset, invalid, past the deadline.
    pub fn try_response(&mut self) -> Result<Response, Broken> {
        self.read_response(false)
    }

    fn read_response(&mut self, to_head_request: bool) -> Result<Response, Broken> {
        let begun = Instant::now();
        loop {
            let closed = self.end == Some(End::Closed);
            let why = match parse(&self.buffer, to_head_request, closed) {
                Progress::Whole(response, used) => {
                    self.buffer.drain(..used);
                    return Ok(response);
                }
                Progress::Invalid(why) => Some(format!("invalid: {why}")),
                Progress::More => match self.end {
                    Some(End::Closed) => Some("closed before its end".to_owned()),
                    Some(End::Reset) => Some("reset before its end".to_owned()),
                    None => None,
                },
            };
            if let Some(why) = why {
                return Err(Broken { why, read: self.buffer.clone() });
            }
            if !self.read_some(begun) {
                let why = format!("nothing whole within {:?}", self.patience);
                return Err(Broken { why, read: self.buffer.clone() });
            }
        }
    }

    /// Exactly so many bytes, for instance of an upgraded connection.
    #[track_caller]
    pub fn read_exactly(&mut self, count: usize) -> Vec<u8> {
        let begun = Instant::now();
        while self.buffer.len() < count {
            let more = self.end.is_none() && self.read_some(begun);
            assert!(more, "wanted {count} bytes, have {}", shown(&self.buffer));
        }
        self.buffer.drain(..count).collect()
    }

    /// Reads until what was received contains `what`, and takes everything up to its end.
    #[track_caller]
    pub fn read_past(&mut self, what: &[u8]) -> Vec<u8> {
        let begun = Instant::now();
        loop {
            if let Some(at) = crate::response::find(&self.buffer, what) {
                return self.buffer.drain(..at + what.len()).collect();
            }
            let more = self.end.is_none() && self.read_some(begun);
            assert!(more, "wanted {}, have {}", shown(what), shown(&self.buffer));
        }
    }

    /// Waits until the peer ends the connection: how, and what came before that was not yet read.
    #[track_caller]
    pub fn ended(&mut self) -> (End, Vec<u8>) {
        let begun = Instant::now();
        loop {
            if let Some(end) = self.end {
                return (end, std::mem::take(&mut self.buffer));
            }
            let more = self.read_some(begun);
            assert!(more, "still open past {:?}, read {}", self.patience, shown(&self.buffer));
        }
    }

    /// Whether the peer has ended the connection by now. Does not wait.
    pub fn has_ended(&mut self) -> bool {
        while self.end.is_none() && self.read_within(Duration::from_millis(1)) {}
        self.end.is_some()
    }

    fn read_some(&mut self, begun: Instant) -> bool {
        match self.patience.checked_sub(begun.elapsed()) {
            Some(left) if !left.is_zero() => self.read_within(left),
            Some(_) | None => false,
        }
    }

    /// Reads what is there or comes in time; `false` when nothing does.
    fn read_within(&mut self, time: Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).expect("a read timeout");
        let mut piece = [0; 16 * 1024];
        match self.stream.read(&mut piece) {
            Ok(0) => self.end = Some(End::Closed),
            Ok(count) => self.buffer.extend_from_slice(&piece[..count]),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return false;
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(_) => self.end = Some(End::Reset),
        }
        true
    }
}
