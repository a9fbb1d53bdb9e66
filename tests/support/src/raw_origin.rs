//! An origin that does to its connections exactly what a script says, and records every byte.
//!
//! Each connection has a thread that reads and records from the first moment, whatever the
//! script is doing, so that a byte that should never have been sent is seen. It never
//! interprets what it reads beyond finding where a request ends.

use crate::response::find;
use crate::script::{Act, Script};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// What one connection has received so far.
#[derive(Debug, Clone, Default)]
pub struct Record {
    pub bytes: Vec<u8>,
    /// The peer has ended its side, or the connection is gone.
    pub ended: bool,
}

#[derive(Debug)]
pub struct RawOrigin {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    connections: Mutex<Vec<Arc<Connection>>>,
    stop: AtomicBool,
}

#[derive(Debug)]
struct Connection {
    /// Taken by a reset: only when the last holder lets go is the socket closed.
    stream: Mutex<Option<Arc<TcpStream>>>,
    record: Mutex<Record>,
    changed: Condvar,
}

impl RawOrigin {
    /// The same script on every connection.
    pub fn always(script: Script) -> Self {
        Self::start(move |_| script.clone())
    }

    /// One script after the other, the last one for all further connections.
    pub fn in_turn(scripts: Vec<Script>) -> Self {
        assert!(!scripts.is_empty(), "an origin needs a script");
        Self::start(move |n| scripts[n.min(scripts.len() - 1)].clone())
    }

    /// The script that `choose` gives for the nth connection, counted from 0.
    pub fn start(choose: impl Fn(usize) -> Script + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, &theirs, &choose));
        Self { address, shared }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections were accepted.
    pub fn accepted(&self) -> usize {
        lock(&self.shared.connections).len()
    }

    /// What every connection has received so far, in the order in which they were accepted.
    pub fn records(&self) -> Vec<Record> {
        lock(&self.shared.connections).iter().map(|c| lock(&c.record).clone()).collect()
    }

    /// What all connections together have received so far.
    pub fn received(&self) -> Vec<u8> {
        self.records().into_iter().flat_map(|record| record.bytes).collect()
    }
}

impl Drop for RawOrigin {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        for connection in lock(&self.shared.connections).iter() {
            if let Some(stream) = &*lock(&connection.stream) {
                let _gone = stream.shutdown(Shutdown::Both);
            }
            connection.changed.notify_all();
        }
        // Wakes the thread that accepts, which then sees that it is over.
        let _gone = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>, choose: &dyn Fn(usize) -> Script) {
    for stream in listener.incoming() {
        if shared.stop.load(SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let _slower = stream.set_nodelay(true);
        let stream = Arc::new(stream);
        let connection = Arc::new(Connection {
            stream: Mutex::new(Some(Arc::clone(&stream))),
            record: Mutex::new(Record::default()),
            changed: Condvar::new(),
        });
        let number = {
            let mut connections = lock(&shared.connections);
            connections.push(Arc::clone(&connection));
            connections.len() - 1
        };
        let script = choose(number);
        if !script.deaf {
            let (reader, stream) = (Arc::clone(&connection), Arc::clone(&stream));
            thread::spawn(move || reader.read(&stream));
        }
        let shared = Arc::clone(shared);
        thread::spawn(move || connection.play(&stream, &script, &shared.stop));
    }
}

impl Connection {
    fn read(&self, mut stream: &TcpStream) {
        let mut piece = [0; 16 * 1024];
        loop {
            let count = stream.read(&mut piece).unwrap_or(0);
            let mut record = lock(&self.record);
            record.bytes.extend_from_slice(&piece[..count]);
            record.ended = count == 0;
            self.changed.notify_all();
            if count == 0 {
                return;
            }
        }
    }

    fn play(&self, stream: &TcpStream, script: &Script, stop: &AtomicBool) {
        let mut taken = 0;
        let mut next = 0;
        while let Some(act) = script.acts.get(next) {
            next = if matches!(act, Act::Repeat) { 0 } else { next + 1 };
            if stop.load(SeqCst) || !self.perform(stream, act, &mut taken, stop) {
                return;
            }
        }
    }

    /// `false` when nothing more can come of this connection.
    fn perform(
        &self,
        mut stream: &TcpStream,
        act: &Act,
        taken: &mut usize,
        stop: &AtomicBool,
    ) -> bool {
        match act {
            Act::ReadRequest => self.await_bytes(taken, stop, request_length),
            Act::ReadBytes(count) => {
                self.await_bytes(taken, stop, |bytes| (bytes.len() >= *count).then_some(*count))
            }
            Act::ReadUntil(what) => {
                self.await_bytes(taken, stop, |bytes| find(bytes, what).map(|at| at + what.len()))
            }
            Act::ReadToEnd => {
                self.await_bytes(taken, stop, |_| None);
                true
            }
            Act::Write(bytes) => stream.write_all(bytes).is_ok(),
            Act::Trickle { bytes, piece, every } => bytes.chunks(*piece).all(|piece| {
                thread::sleep(*every);
                !stop.load(SeqCst) && stream.write_all(piece).is_ok()
            }),
            Act::Wait(time) => {
                thread::sleep(*time);
                true
            }
            Act::WaitFor(latch) => {
                latch.wait(|| stop.load(SeqCst));
                true
            }
            Act::HalfClose => stream.shutdown(Shutdown::Write).is_ok(),
            Act::Close => {
                let _gone = stream.shutdown(Shutdown::Both);
                false
            }
            Act::Reset => {
                self.reset(stream);
                false
            }
            Act::Repeat => true,
        }
    }

    /// A socket with a linger of 0 sends RST when its last holder closes it; ending its reading
    /// side, of which the peer learns nothing, makes the reader let go.
    fn reset(&self, stream: &TcpStream) {
        let _gone = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
        let _gone = stream.shutdown(Shutdown::Read);
        *lock(&self.stream) = None;
    }

    /// Waits until `length` finds what it looks for in the bytes not yet taken, and takes it.
    fn await_bytes(
        &self,
        taken: &mut usize,
        stop: &AtomicBool,
        length: impl Fn(&[u8]) -> Option<usize>,
    ) -> bool {
        let mut record = lock(&self.record);
        loop {
            if let Some(length) = length(&record.bytes[*taken..]) {
                *taken += length;
                return true;
            }
            if record.ended || stop.load(SeqCst) {
                return false;
            }
            record = self.changed.wait(record).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The length of the whole request at the start of `bytes`, if it is whole.
fn request_length(bytes: &[u8]) -> Option<usize> {
    let head = find(bytes, b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let value = |name: &str| {
        let field = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        field.map(|value| value.trim().to_owned())
    };
    if value("transfer-encoding").is_some_and(|coding| coding.ends_with("chunked")) {
        let body = &bytes[head..];
        let last = if body.starts_with(b"0\r\n") { 0 } else { find(body, b"\r\n0\r\n")? + 2 };
        return Some(head + last + find(&body[last..], b"\r\n\r\n")? + 4);
    }
    let length = value("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    (bytes.len() >= head + length).then_some(head + length)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
