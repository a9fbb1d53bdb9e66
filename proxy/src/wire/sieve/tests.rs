use super::*;
use crate::wire::huffman;
use proptest::collection::vec;
use proptest::prelude::*;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite};

const TABLE: usize = 4096;
const NAMES: [(&str, usize); 8] = [
    ("location", 46),
    ("server", 54),
    ("x-a", 0),
    ("x-another-one", 0),
    ("X-Upper", 0),
    ("x b", 0),
    ("b\r\n", 0),
    (":unknown", 0),
];

#[derive(Debug, Clone)]
struct Field {
    name: usize,
    value: String,
    /// With indexing, without, and never.
    how: u8,
    /// May refer to the table.
    refers: bool,
    huffman: [bool; 2],
}

fn field() -> impl Strategy<Value = Field> {
    let names = prop_oneof![8 => 0..4usize, 1 => 4..NAMES.len()];
    let value = prop_oneof![
        6 => "[a-z/ ]{0,12}",
        3 => prop::sample::select(vec!["/a", "/b", "", "/a\rb"]).prop_map(str::to_owned),
        1 => "[a-z/]{3,9}[\r\n\0]{1,2}[a-z]{0,9}",
        1 => "[a-z]{300,1500}",
    ];
    (names, value, 0..3u8, any::<bool>(), any::<[bool; 2]>())
        .prop_map(|(name, value, how, refers, huffman)| Field { name, value, how, refers, huffman })
}

fn is_sound((name, value): (usize, &str)) -> bool {
    name < 4 && !value.contains(|c: char| c < ' ')
}

/// Writes blocks as a backend may, and has a table of its own.
#[derive(Default)]
struct Encoder {
    table: Vec<(usize, String)>,
}

impl Encoder {
    fn field(&mut self, field: &Field, to: &mut Vec<u8>) {
        let Field { name, value, how, refers, huffman } = field;
        let known = self.table.iter().position(|known| known == &(*name, value.clone()));
        if let Some(place) = known.filter(|_| *refers) {
            return integer(62 + place, 0x7f, 0x80, to);
        }
        let (text, index) = NAMES[*name];
        let place = self.table.iter().position(|(known, _)| known == name);
        let index = place.filter(|_| *refers).map_or(index, |place| 62 + place);
        let (prefix, bits) = [(0x3f, 0x40), (0x0f, 0), (0x0f, 0x10)][usize::from(*how)];
        integer(index, prefix, bits, to);
        if index == 0 {
            string(text, huffman[0], false, to);
        }
        string(value, huffman[1], true, to);
        if *how == 0 {
            self.table.insert(0, (*name, value.clone()));
            let size = |(name, value): &(usize, String)| NAMES[*name].0.len() + value.len() + 32;
            while self.table.iter().map(size).sum::<usize>() > TABLE {
                self.table.pop();
            }
        }
    }
}

fn integer(value: usize, prefix: u8, bits: u8, to: &mut Vec<u8>) {
    if value < prefix.into() {
        return to.push(bits | value as u8);
    }
    to.push(bits | prefix);
    let mut rest = value - usize::from(prefix);
    while rest >= 0x80 {
        to.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    to.push(rest as u8);
}

fn string(text: &str, huffman: bool, long: bool, to: &mut Vec<u8>) {
    let coded = huffman::encode(text.as_bytes());
    let mends = huffman::fill(&mut coded.clone(), text.len(), long);
    if huffman && mends {
        integer(coded.len(), 0x7f, 0x80, to);
        to.extend(coded);
    } else {
        integer(text.len(), 0x7f, 0, to);
        to.extend(text.as_bytes());
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A backend that says all as soon as it was asked, in pieces of so many bytes.
struct Said {
    bytes: Vec<u8>,
    size: usize,
    sieve: Sieve,
    asked: Arc<AtomicUsize>,
}

impl AsyncRead for Said {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let said = &mut *self;
        while !said.sieve.give(buf) {
            if said.bytes.is_empty() || said.asked.load(Relaxed) == 0 {
                return Poll::Pending;
            }
            let count = said.size.min(said.bytes.len()).min(buf.remaining());
            let before = buf.filled().len();
            buf.put_slice(&said.bytes[..count]);
            said.bytes.drain(..count);
            if said.sieve.sift(buf, before) {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Said {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What the library makes of answers; `None` of one that is malformed.
fn read(bytes: Vec<u8>, size: usize, answers: usize) -> Vec<Option<Vec<(String, String)>>> {
    let (sieve, mut cx) = (Sieve::default(), Context::from_waker(Waker::noop()));
    let malformed = sieve.malformed().clone();
    let says = Arc::new(AtomicUsize::new(0));
    let said = Said { bytes, size, sieve, asked: says.clone() };
    let mut shaken = Box::pin(h2::client::handshake(said));
    let Poll::Ready(Ok((mut client, mut connection))) = shaken.as_mut().poll(&mut cx) else {
        panic!("no handshake")
    };
    let mut ask = || {
        let request = http::Request::get("http://a/").body(()).unwrap();
        client.send_request(request, true).unwrap().0
    };
    let mut asked: Vec<_> = (0..answers).map(|_| ask()).collect();
    for say in [0, 1, 1] {
        says.store(say, Relaxed);
        let polled = Pin::new(&mut connection).poll(&mut cx);
        assert!(polled.is_pending(), "{polled:?}");
    }
    let of = |asked: &mut h2::client::ResponseFuture| {
        let polled = Pin::new(&mut *asked).poll(&mut cx);
        if malformed.is(asked.stream_id().as_u32()) {
            return None;
        }
        let Poll::Ready(Ok(answer)) = polled else { panic!("{polled:?}") };
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into();
        let fields = answer.headers().iter();
        let mut fields: Vec<_> = fields.map(|(n, v)| (n.to_string(), text(v))).collect();
        fields.sort();
        Some(fields)
    };
    asked.iter_mut().map(of).collect()
}

proptest! {
    /// Whatever is malformed costs its own stream, and every other is read as it was meant, though both refer
    /// to one table.
    #[test]
    fn others_are_read_as_they_were_meant(
        answers in vec(vec(field(), 0..8), 1..10),
        size in prop_oneof![1..40usize, Just(100_000)],
        cut in 0..60usize,
    ) {
        let mut bytes = frame(4, 0, 0, &[]);
        let (mut encoder, mut meant) = (Encoder::default(), Vec::new());
        for (at, fields) in answers.iter().enumerate() {
            let (mut block, stream) = (vec![0x88], 1 + 2 * at as u32);
            fields.iter().for_each(|field| encoder.field(field, &mut block));
            let cut = cut.min(block.len());
            if cut < 30 {
                bytes.extend(frame(HEADERS, 5, stream, &block));
            } else {
                bytes.extend(frame(HEADERS, 1, stream, &block[..cut]));
                bytes.extend(frame(CONTINUATION, 4, stream, &block[cut..]));
            }
            let sound = fields.iter().all(|field| is_sound((field.name, &field.value)));
            let field = |f: &Field| (NAMES[f.name].0.to_owned(), f.value.clone());
            let mut fields: Vec<_> = fields.iter().map(field).collect();
            fields.sort();
            meant.push(sound.then_some(fields));
        }
        prop_assert_eq!(read(bytes, size, answers.len()), meant);
    }
}

#[test]
fn only_data_that_is_empty_and_ends_nothing_is_hidden() {
    let frames = [
        frame(HEADERS, 4, 1, &[0x88]),
        frame(0, 0, 1, b""),
        frame(0, 0, 1, b"data"),
        frame(0, 0, 1, b""),
        frame(0, 1, 1, b""),
    ];
    let whole = frames.concat();
    for size in 1..whole.len() {
        let (mut sieve, mut came) = (Sieve::default(), Vec::<u8>::new());
        for part in whole.chunks(size) {
            let mut room = [0; 100];
            let mut buf = ReadBuf::new(&mut room);
            buf.put_slice(part);
            sieve.sift(&mut buf, 0);
            came.extend(buf.filled());
        }
        let changed: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] != came[*at]).collect();
        let first = frames[0].len() + KIND;
        assert_eq!(changed, [first, first + HEADER + frames[2].len()], "{size}");
    }
}
