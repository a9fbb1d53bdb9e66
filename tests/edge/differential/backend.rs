//! A backend that answers as it is told, piece by piece, and shows what it was asked and by whom.

use super::made::ANSWERS;
use super::{Shared, shown};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, OnceLock};

/// What is said to one request.
pub(super) struct Said {
    /// Each is read by the proxy before the next is sent.
    pub(super) pieces: Vec<Vec<u8>>,
    pub(super) closes: bool,
}

pub(super) trait Answers: Fn(&Asked) -> Said + Send + Sync + 'static {}

impl<F: Fn(&Asked) -> Said + Send + Sync + 'static> Answers for F {}

pub(super) struct Asked {
    pub(super) first: String,
    fields: Vec<(String, String)>,
}

impl Asked {
    fn named(&self, what: &str) -> Option<&str> {
        let mut all = self.fields.iter();
        all.find(|(name, _)| name.eq_ignore_ascii_case(what)).map(|(_, value)| &**value)
    }

    /// The client's address, as the proxy says it.
    fn by(&self) -> &str {
        self.named("x-forwarded-for").unwrap_or_default()
    }

    fn is_head(&self) -> bool {
        self.first.starts_with("HEAD ")
    }
}

pub(super) struct Backend {
    pub(super) address: SocketAddr,
    shared: Arc<Inner>,
}

struct Inner {
    /// By the client's address.
    seen: Shared<HashMap<String, Vec<String>>>,
    /// How many answers have begun, and how many are said to their end.
    said: (std::sync::Mutex<(usize, usize)>, std::sync::Condvar),
    proxy: OnceLock<SocketAddr>,
    answers: Box<dyn Answers>,
}

impl Backend {
    pub(super) fn start(answers: impl Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, said, proxy) = (Shared::default(), Default::default(), OnceLock::new());
        let shared = Arc::new(Inner { seen, said, proxy, answers: Box::new(answers) });
        let inner = Arc::clone(&shared);
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let inner = Arc::clone(&inner);
                std::thread::spawn(move || inner.serve(connection));
            }
        });
        Self { address, shared }
    }

    /// Says which proxy it is behind.
    pub(super) fn in_front(&self, proxy: SocketAddr) {
        self.shared.proxy.set(proxy).unwrap();
    }

    /// What came from a client, which is then forgotten.
    pub(super) fn seen(&self, by: &str) -> Vec<String> {
        self.shared.seen.lock().unwrap().remove(by).unwrap_or_default()
    }

    /// Waits until every answer that has begun is said, and read.
    pub(super) fn at_rest(&self) {
        let (said, changed) = &self.shared.said;
        let _said = changed.wait_while(said.lock().unwrap(), |(begun, done)| begun != done);
    }
}

impl Inner {
    /// Answers until either side closes. `None` is the end.
    fn serve(&self, connection: TcpStream) -> Option<()> {
        connection.set_nodelay(true).ok()?;
        let mut writer = connection.try_clone().ok()?;
        let mut reader = BufReader::new(connection);
        let mut pings = None;
        loop {
            let (asked, body) = request(&mut reader)?;
            let record = shown(&asked.first, asked.fields.iter().cloned(), &body);
            self.seen.lock().ok()?.entry(asked.by().to_owned()).or_default().push(record);
            self.said.0.lock().ok()?.0 += 1;
            let pings = pings.get_or_insert_with(|| Pings::of(*self.proxy.wait()));
            let goes_on = say(&(self.answers)(&asked), &mut writer, pings);
            self.said.0.lock().ok()?.1 += 1;
            self.said.1.notify_all();
            goes_on?;
        }
    }
}

fn say(said: &Said, writer: &mut TcpStream, pings: &mut Pings) -> Option<()> {
    for (n, piece) in said.pieces.iter().enumerate() {
        if n > 0 {
            pings.ping();
        }
        writer.write_all(piece).ok()?;
    }
    if said.closes {
        writer.shutdown(Shutdown::Write).ok()?;
    }
    // Its end, and what was too much, is seen before anybody could take the connection for a good one.
    pings.ping();
    (!said.closes).then_some(())
}

/// For the first half: by the first number of the path, cut at the second.
pub(super) fn by_path(asked: &Asked) -> Said {
    let path = asked.first.split(' ').nth(1).unwrap_or_default();
    let mut numbers = path.split(|c: char| !c.is_ascii_digit()).filter(|n| !n.is_empty());
    let mut number = || numbers.next().and_then(|n| n.parse::<usize>().ok()).unwrap_or(0);
    let (text, closes) = ANSWERS[number() % ANSWERS.len()];
    // Whom it is for.
    let interim =
        if text.contains(" 103 ") { text.find("\r\n\r\n").map_or(0, |n| n + 4) } else { 0 };
    let line = text[interim..].find("\r\n").map_or(0, |n| n + 2) + interim;
    let text = match text.starts_with("HTTP") {
        true => format!("{}X-For: {}\r\n{}", &text[..line], asked.by(), &text[line..]),
        false => text.to_owned(),
    };
    let told = text.contains("close") || text.starts_with("HTTP/1.0");
    let mut bytes = text.into_bytes();
    if asked.is_head() {
        without_body(&mut bytes, interim);
    }
    let cut = number();
    let pieces = match bytes.split_at_checked(cut) {
        Some((first, second)) if cut > 0 && !second.is_empty() => {
            vec![first.to_vec(), second.to_vec()]
        }
        _ => vec![bytes],
    };
    // A kept connection that ends without a word is the other half's matter.
    Said { pieces, closes: closes && (told || !asked.is_head()) }
}

fn without_body(bytes: &mut Vec<u8>, interim: usize) {
    let head = bytes[interim..].windows(4).position(|end| end == b"\r\n\r\n");
    bytes.truncate(head.map_or(bytes.len(), |head| interim + head + 4));
}

/// Requests that the proxy answers by itself, on a connection of their own.
pub(super) struct Pings(TcpStream);

impl Pings {
    pub(super) fn of(proxy: SocketAddr) -> Self {
        let stream = TcpStream::connect(proxy).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// When it is back, the proxy's one thread has read what was sent before.
    pub(super) fn ping(&mut self) {
        self.0.write_all(b"GET /ping HTTP/1.1\r\nHost: ping\r\n\r\n").unwrap();
        let (mut answer, mut got) = ([0; 1024], 0);
        while !answer[..got].ends_with(b"pong") {
            match self.0.read(&mut answer[got..]).unwrap() {
                0 => panic!("no answer to a ping: {}", answer[..got].escape_ascii()),
                count => got += count,
            }
        }
    }
}

fn request(reader: &mut impl BufRead) -> Option<(Asked, Vec<u8>)> {
    let mut asked = Asked { first: line(reader)?, fields: Vec::new() };
    loop {
        let line = line(reader)?;
        let Some((name, value)) = line.split_once(": ") else { break };
        asked.fields.push((name.to_owned(), value.to_owned()));
    }
    let mut body = Vec::new();
    if asked.named("transfer-encoding").is_some() {
        chunks(reader, &mut body)?;
    } else if let Some(length) = asked.named("content-length") {
        body.resize(length.parse::<usize>().ok().filter(|length| *length < 1 << 24)?, 0);
        reader.read_exact(&mut body).ok()?;
    }
    Some((asked, body))
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
        // What stands after it passes through Serin alone.
        if size == 0 {
            while !line(reader)?.is_empty() {}
            return Some(());
        }
        if !line(reader)?.is_empty() {
            return None;
        }
    }
}
