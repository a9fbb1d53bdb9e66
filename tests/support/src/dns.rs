//! A name server that says what a test tells it to: A and SRV records over UDP, and over TCP where an
//! answer does not fit. Written byte by byte; it knows nothing of the resolver that asks it.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

const A: u16 = 1;
const CNAME: u16 = 5;
const SRV: u16 = 33;
/// Answers that are longer come over TCP.
const LARGEST_UDP: usize = 1_200;

#[derive(Debug)]
pub struct NameServer {
    address: SocketAddr,
    told: Arc<Told>,
}

#[derive(Debug, Clone)]
struct Record {
    /// Of the name that was asked for where there is none.
    owner: Option<String>,
    kind: u16,
    data: Vec<u8>,
    ttl: u32,
}

#[derive(Debug, Default)]
struct Told {
    /// By name and type.
    records: Mutex<HashMap<(String, u16), Vec<Record>>>,
    rcode: Mutex<Option<u8>>,
    questions: AtomicU64,
    over_tcp: AtomicU64,
}

impl NameServer {
    pub fn start() -> Self {
        // A port that is free for both.
        let (udp, tcp) = (0..100)
            .find_map(|_| {
                let udp = UdpSocket::bind("127.0.0.1:0").ok()?;
                let tcp = TcpListener::bind(udp.local_addr().ok()?).ok()?;
                Some((udp, tcp))
            })
            .expect("a free port");
        let (address, told) = (udp.local_addr().expect("an address"), Arc::<Told>::default());
        let over_udp = Arc::clone(&told);
        std::thread::spawn(move || {
            let mut question = [0; 4096];
            while let Ok((length, from)) = udp.recv_from(&mut question) {
                if let Some(answer) = over_udp.answer(&question[..length], LARGEST_UDP) {
                    let _ = udp.send_to(&answer, from);
                }
            }
        });
        let over_tcp = Arc::clone(&told);
        std::thread::spawn(move || {
            for stream in tcp.incoming().flatten() {
                let told = Arc::clone(&over_tcp);
                std::thread::spawn(move || told.serve(stream));
            }
        });
        Self { address, told }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The addresses of a name from now on. None are said as a name without any.
    pub fn addresses(&self, name: &str, addresses: &[&str], ttl: u32) {
        let record = |address: &&str| Self::address_of(None, address, ttl);
        self.put(name, A, addresses.iter().map(record).collect());
    }

    /// A name that stands for `to`, which has these addresses; and what is said beside them of another.
    pub fn alias(&self, name: &str, to: &str, addresses: &[&str], another: (&str, &str)) {
        let cname = Record { owner: None, kind: CNAME, data: encoded(to), ttl: 1 };
        let addresses = addresses.iter().map(|address| Self::address_of(Some(to), address, 1));
        let (whose, address) = another;
        let another = Self::address_of(Some(whose), address, 1);
        self.put(name, A, [another, cname].into_iter().chain(addresses).collect());
    }

    fn address_of(owner: Option<&str>, address: &str, ttl: u32) -> Record {
        let address: Ipv4Addr = address.parse().expect("an address");
        let owner = owner.map(str::to_owned);
        Record { owner, kind: A, data: address.octets().to_vec(), ttl }
    }

    /// SRV records: priority, weight, port and host.
    pub fn targets(&self, name: &str, targets: &[(u16, u16, u16, &str)], ttl: u32) {
        let data = |(priority, weight, port, host): &(u16, u16, u16, &str)| {
            let numbers = [*priority, *weight, *port];
            let mut data: Vec<u8> = numbers.iter().flat_map(|n| n.to_be_bytes()).collect();
            data.extend(encoded(host));
            Record { owner: None, kind: SRV, data, ttl }
        };
        self.put(name, SRV, targets.iter().map(data).collect());
    }

    fn put(&self, name: &str, kind: u16, records: Vec<Record>) {
        self.told.records.lock().expect("a lock").insert((name.to_owned(), kind), records);
    }

    /// Every question gets this code from now on: 2 is SERVFAIL.
    pub fn fail(&self, rcode: Option<u8>) {
        *self.told.rcode.lock().expect("a lock") = rcode;
    }

    pub fn questions(&self) -> u64 {
        self.told.questions.load(SeqCst)
    }

    pub fn over_tcp(&self) -> u64 {
        self.told.over_tcp.load(SeqCst)
    }
}

impl Told {
    fn serve(&self, mut stream: TcpStream) {
        let mut length = [0; 2];
        while stream.read_exact(&mut length).is_ok() {
            let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
            if stream.read_exact(&mut question).is_err() {
                return;
            }
            self.over_tcp.fetch_add(1, SeqCst);
            let Some(answer) = self.answer(&question, usize::MAX) else { return };
            let length = u16::try_from(answer.len()).expect("a length");
            if stream.write_all(&[&length.to_be_bytes()[..], &answer].concat()).is_err() {
                return;
            }
        }
    }

    fn answer(&self, question: &[u8], largest: usize) -> Option<Vec<u8>> {
        self.questions.fetch_add(1, SeqCst);
        let (name, after) = decoded(question.get(12..)?)?;
        let kind = u16::from_be_bytes(question.get(12 + after..14 + after)?.try_into().ok()?);
        let records = self.records.lock().expect("a lock");
        let known = records.keys().any(|(known, _)| *known == name);
        let found = records.get(&(name, kind)).cloned().unwrap_or_default();
        let failing = *self.rcode.lock().expect("a lock");
        // NXDOMAIN for whom nothing was said.
        let rcode = failing.unwrap_or(if known { 0 } else { 3 });
        let found = if failing.is_some() { Vec::new() } else { found };
        let asked = question.get(12..16 + after)?;
        let answer = message(&question[..2], asked, &found, rcode, false);
        let fits = answer.len() <= largest;
        Some(if fits { answer } else { message(&question[..2], asked, &[], rcode, true) })
    }
}

fn message(id: &[u8], asked: &[u8], found: &[Record], rcode: u8, truncated: bool) -> Vec<u8> {
    // A response, authoritative, with recursion asked for and to be had.
    let flags = [0x85 | if truncated { 2 } else { 0 }, 0x80 | rcode];
    let count = u16::try_from(found.len()).expect("a count");
    let mut all = [id, &flags, &[0, 1], &count.to_be_bytes(), &[0; 4], asked].concat();
    for Record { owner, kind, data, ttl } in found {
        // The name in the question.
        all.extend(owner.as_deref().map_or_else(|| vec![0xc0, 12], encoded));
        all.extend(kind.to_be_bytes());
        all.extend([0, 1]);
        all.extend(ttl.to_be_bytes());
        all.extend(u16::try_from(data.len()).expect("a length").to_be_bytes());
        all.extend(data);
    }
    all
}

fn encoded(name: &str) -> Vec<u8> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    let label =
        |label: &str| [&[u8::try_from(label.len()).expect("a label")], label.as_bytes()].concat();
    labels.flat_map(label).chain([0]).collect()
}

/// A name in lower case, and how long it was.
fn decoded(bytes: &[u8]) -> Option<(String, usize)> {
    let (mut labels, mut at) = (Vec::new(), 0);
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        labels.push(String::from_utf8_lossy(bytes.get(at..at + length)?).to_lowercase());
        at += length;
    }
}
