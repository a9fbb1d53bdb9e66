//! One exchange over HTTP/1.1: the head and a small body in one write, the answer read leniently,
//! since nothing of it is passed on.

use super::Outgoing;
use super::pool::Wire;
use crate::shadow::memory::Held;
use crate::shadow::pair::{Answer, Body};
use crate::wire::chunks::{Chunks, Piece};
use bytes::{Buf, Bytes, BytesMut};
use httparse::{ParserConfig, Response, Status};
use std::mem::MaybeUninit;
use std::time::Instant;
use tokio::io::AsyncWriteExt;

/// Bodies up to here leave in one piece with their head.
const TOGETHER: usize = 16 * 1024;
const LONGEST_HEAD: usize = 64 * 1024;
const MOST_FIELDS: usize = 128;
/// What is read of a body that nobody wants, to keep the connection; a longer one is not worth it.
const DRAINED: u64 = 256 * 1024;
const SMALL: usize = 2048;

pub(super) struct Got {
    pub(super) answer: Answer,
    /// When its head had come.
    pub(super) at: Instant,
    /// Where it can carry another request.
    pub(super) wire: Option<Wire>,
}

/// No whole answer.
pub(super) struct Broken {
    /// Not a byte of one had come.
    pub(super) unanswered: bool,
}

pub(super) async fn exchange(
    outgoing: &Outgoing<'_>,
    mut wire: Wire,
    now: Instant,
) -> Result<Got, Broken> {
    write(outgoing, &mut wire).await.map_err(|_| Broken { unanswered: true })?;
    let head = read_head(outgoing, &mut wire).await?;
    let at = Instant::now();
    let (body, held, ended) = read_body(outgoing, &mut wire, &head).await?;
    let reusable = ended && head.keeps && wire.buffer.is_empty();
    let Head { status, headers, encoding, .. } = head;
    let took = Some(at.saturating_duration_since(now));
    let answer = Answer { status, headers, encoding, body, took, held };
    Ok(Got { answer, at, wire: reusable.then_some(wire) })
}

/// A small body leaves with its head. Nothing is copied of a head that has none.
async fn write(outgoing: &Outgoing<'_>, wire: &mut Wire) -> std::io::Result<()> {
    if !outgoing.framed {
        wire.io.write_all(outgoing.head).await?;
        return wire.io.flush().await;
    }
    let (length, head) = (outgoing.length(), outgoing.head);
    let together = length <= TOGETHER;
    let mut first = Vec::with_capacity(head.len() + if together { length } else { 0 } + 40);
    first.extend_from_slice(head.strip_suffix(b"\r\n").unwrap_or(head));
    first.extend_from_slice(format!("content-length: {length}\r\n\r\n").as_bytes());
    let after = if together {
        outgoing.body.iter().for_each(|piece| first.extend_from_slice(piece));
        &[]
    } else {
        outgoing.body
    };
    wire.io.write_all(&first).await?;
    for piece in after {
        wire.io.write_all(piece).await?;
    }
    wire.io.flush().await
}

struct Head {
    status: u16,
    headers: Vec<Option<Vec<u8>>>,
    encoding: Option<Vec<u8>>,
    framing: Framing,
    keeps: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(u64),
    Chunked,
    /// To the end of the connection.
    Close,
}

/// The final head; informational ones are passed over.
async fn read_head(outgoing: &Outgoing<'_>, wire: &mut Wire) -> Result<Head, Broken> {
    let mut any = false;
    loop {
        if let Some((head, length)) = parsed(outgoing, &wire.buffer)? {
            wire.buffer.advance(length);
            if head.status >= 200 {
                return Ok(head);
            }
            continue;
        }
        let more = wire.read().await.unwrap_or(0);
        if more == 0 || wire.buffer.len() > LONGEST_HEAD {
            return Err(Broken { unanswered: !any });
        }
        any = true;
    }
}

fn parsed(outgoing: &Outgoing<'_>, bytes: &[u8]) -> Result<Option<(Head, usize)>, Broken> {
    // Not cleared first: that would cost more than parsing what is there.
    let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
    let mut response = Response::new(&mut []);
    let parser = ParserConfig::default();
    match parser.parse_response_with_uninit_headers(&mut response, bytes, &mut fields) {
        Ok(Status::Complete(length)) => {
            let head = head_of(outgoing, &response).ok_or(Broken { unanswered: false })?;
            Ok(Some((head, length)))
        }
        Ok(Status::Partial) => Ok(None),
        Err(_) => Err(Broken { unanswered: false }),
    }
}

fn head_of(outgoing: &Outgoing<'_>, response: &Response<'_, '_>) -> Option<Head> {
    let (fields, status) = (&*response.headers, response.code?);
    let mut said = Said::default();
    fields.iter().for_each(|field| said.note(field.name, field.value));
    let empty = outgoing.method() == "HEAD" || status < 200 || matches!(status, 204 | 304);
    let framing = match said.length {
        _ if empty => Framing::Length(0),
        _ if said.coded => Framing::Chunked,
        _ if said.nonsense => return None,
        Some(length) => Framing::Length(length),
        None => Framing::Close,
    };
    let keeps = !said.close && (response.version == Some(1) || said.keep);
    let (headers, encoding) = match outgoing.rules {
        Some(rules) => (rules.headers_of(fields), rules.encoding_of(fields)),
        None => (Vec::new(), None),
    };
    Some(Head { status, headers, encoding, framing, keeps })
}

/// What an answer says about its end.
#[derive(Default)]
struct Said {
    length: Option<u64>,
    /// It names no length, or two.
    nonsense: bool,
    coded: bool,
    close: bool,
    keep: bool,
}

impl Said {
    fn note(&mut self, name: &str, value: &[u8]) {
        let is = |other: &str| name.len() == other.len() && name.eq_ignore_ascii_case(other);
        let options = || value.split(|b| *b == b',').map(<[u8]>::trim_ascii);
        if is("content-length") {
            for option in options() {
                let length = std::str::from_utf8(option).ok().and_then(|text| text.parse().ok());
                self.nonsense |= length.is_none() || self.length.is_some_and(|l| Some(l) != length);
                self.length = self.length.or(length);
            }
        } else if is("connection") {
            for option in options() {
                self.close |= option.eq_ignore_ascii_case(b"close");
                self.keep |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        }
        self.coded |= is("transfer-encoding");
    }
}

/// Says also whether the body came to its end; one that is too long is left where it is.
async fn read_body(
    outgoing: &Outgoing<'_>,
    wire: &mut Wire,
    head: &Head,
) -> Result<(Body, Option<Held>, bool), Broken> {
    let wanted = outgoing.rules.is_some_and(|rules| rules.wants_body());
    let most = outgoing.most.max(DRAINED);
    if let Framing::Length(length) = head.framing
        && length > most
    {
        // It says itself that it is too long: not a byte of it is worth reading.
        return Ok((if wanted { Body::Longer(length) } else { Body::Unread }, None, false));
    }
    let mut held = wanted.then(|| super::pool::room(outgoing.memory)).flatten();
    let mut body = if wanted { Body::begin(held.as_ref()) } else { Body::Unread };
    let (mut chunks, mut read) = (Chunks::default(), 0u64);
    loop {
        let broken = |_| Broken { unanswered: false };
        let before = read;
        let ended = pieces(head.framing, &mut chunks, before, wire, &mut |buffer, count| {
            read += count as u64;
            if matches!(body, Body::Whole(_)) && count >= SMALL {
                let piece = buffer.split_to(count).freeze();
                return body.add(&piece, || piece.clone(), outgoing.most, &mut held);
            }
            // A small piece would keep the whole buffer that it was read into.
            let piece = &buffer[..count];
            body.add(piece, || Bytes::copy_from_slice(piece), outgoing.most, &mut held);
            buffer.advance(count);
        });
        if ended.map_err(broken)? {
            return Ok((body, held, true));
        }
        let longer = matches!(body, Body::Longer(_) | Body::Unread);
        if longer && read > most {
            return Ok((body, held, false));
        }
        match wire.read().await {
            Ok(0) if head.framing == Framing::Close => return Ok((body, held, false)),
            Ok(0) | Err(_) => return Err(Broken { unanswered: false }),
            Ok(_) => {}
        }
    }
}

/// Takes what is there of the body; says whether that was its end.
fn pieces(
    framing: Framing,
    chunks: &mut Chunks,
    read: u64,
    wire: &mut Wire,
    take: &mut dyn FnMut(&mut BytesMut, usize),
) -> Result<bool, crate::wire::chunks::ChunkFault> {
    match framing {
        Framing::Length(length) => {
            let left = length - read;
            let here = left.min(wire.buffer.len() as u64);
            if here > 0 {
                take(&mut wire.buffer, here as usize);
            }
            Ok(here == left)
        }
        Framing::Close => {
            if !wire.buffer.is_empty() {
                let here = wire.buffer.len();
                take(&mut wire.buffer, here);
            }
            Ok(false)
        }
        Framing::Chunked => loop {
            match chunks.step(&wire.buffer)? {
                Piece::Framing(0) => return Ok(false),
                Piece::Framing(length) => wire.buffer.advance(length),
                Piece::Data(length) => take(&mut wire.buffer, length),
                Piece::End(length) => {
                    wire.buffer.advance(length);
                    return Ok(true);
                }
            }
        },
    }
}
