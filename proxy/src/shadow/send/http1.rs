//! One exchange over HTTP/1.1: the head and a small body in one write, the answer read leniently,
//! since nothing of it is passed on.

use super::Outgoing;
use super::pool::Wire;
use crate::shadow::memory::Held;
use crate::shadow::pair::{Answer, Body};
use crate::wire::chunks::{Chunks, Piece};
use bytes::{Buf, Bytes};
use httparse::{EMPTY_HEADER, Response, Status};
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
    /// The connection can carry another request.
    pub(super) reusable: bool,
}

/// No whole answer.
pub(super) struct Broken {
    /// Not a byte of one had come.
    pub(super) unanswered: bool,
}

pub(super) async fn exchange(outgoing: &Outgoing<'_>, wire: &mut Wire) -> Result<Got, Broken> {
    write(outgoing, wire).await.map_err(|_| Broken { unanswered: wire.buffer.is_empty() })?;
    let written = Instant::now();
    let head = read_head(outgoing, wire).await?;
    let took = written.elapsed();
    let (body, held, ended) = read_body(outgoing, wire, &head).await?;
    let reusable = ended && head.keeps && wire.buffer.is_empty();
    let Head { status, headers, encoding, .. } = head;
    let answer = Answer { status, headers, encoding, body, took: Some(took), held };
    Ok(Got { answer, reusable })
}

async fn write(outgoing: &Outgoing<'_>, wire: &mut Wire) -> std::io::Result<()> {
    let length = outgoing.length();
    let together = if length <= TOGETHER { length } else { 0 };
    let mut first = Vec::with_capacity(outgoing.head.len() + together + 40);
    first.extend_from_slice(outgoing.head);
    if outgoing.framed {
        first.extend_from_slice(format!("content-length: {length}\r\n").as_bytes());
    }
    first.extend_from_slice(b"\r\n");
    if length <= TOGETHER {
        outgoing.body.iter().for_each(|piece| first.extend_from_slice(piece));
        return wire.io.write_all(&first).await;
    }
    wire.io.write_all(&first).await?;
    for piece in outgoing.body {
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
    let mut fields = [EMPTY_HEADER; MOST_FIELDS];
    let mut response = Response::new(&mut fields);
    match response.parse(bytes) {
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
    let all = |name: &str| {
        let named = fields.iter().filter(move |f| f.name.eq_ignore_ascii_case(name));
        let options = named.flat_map(|f| f.value.split(|b| *b == b','));
        options.map(|option| option.trim_ascii().to_ascii_lowercase()).collect::<Vec<_>>()
    };
    let number = |value: &[u8]| std::str::from_utf8(value).ok()?.parse().ok();
    let lengths: Vec<Option<u64>> = all("content-length").iter().map(|v| number(v)).collect();
    let empty = outgoing.method() == "HEAD" || status < 200 || matches!(status, 204 | 304);
    let framing = if empty {
        Framing::Length(0)
    } else if !all("transfer-encoding").is_empty() {
        Framing::Chunked
    } else {
        match lengths.as_slice() {
            [] => Framing::Close,
            [first, others @ ..] if others.iter().all(|other| other == first) => {
                Framing::Length((*first)?)
            }
            [..] => return None,
        }
    };
    let connection = all("connection");
    let has = |option: &[u8]| connection.iter().any(|o| o == option);
    let keeps = !has(b"close") && (response.version == Some(1) || has(b"keep-alive"));
    let (headers, encoding) = match outgoing.rules {
        Some(rules) => (rules.headers_of(fields), rules.encoding_of(fields)),
        None => (Vec::new(), None),
    };
    Some(Head { status, headers, encoding, framing, keeps })
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
        let ended = pieces(head.framing, &mut chunks, before, wire, &mut |piece| {
            read += piece.len() as u64;
            let own = || match piece.len() {
                // A small piece would keep the whole buffer that it was read into.
                ..SMALL => Bytes::copy_from_slice(&piece),
                SMALL.. => piece.clone(),
            };
            body.add(&piece, own, outgoing.most, &mut held);
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
    take: &mut dyn FnMut(Bytes),
) -> Result<bool, crate::wire::chunks::ChunkFault> {
    match framing {
        Framing::Length(length) => {
            let left = length - read;
            let here = left.min(wire.buffer.len() as u64);
            if here > 0 {
                take(wire.buffer.split_to(here as usize).freeze());
            }
            Ok(here == left)
        }
        Framing::Close => {
            if !wire.buffer.is_empty() {
                take(wire.buffer.split().freeze());
            }
            Ok(false)
        }
        Framing::Chunked => loop {
            match chunks.step(&wire.buffer)? {
                Piece::Framing(0) => return Ok(false),
                Piece::Framing(length) => wire.buffer.advance(length),
                Piece::Data(length) => take(wire.buffer.split_to(length).freeze()),
                Piece::End(length) => {
                    wire.buffer.advance(length);
                    return Ok(true);
                }
            }
        },
    }
}
