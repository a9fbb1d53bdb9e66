//! One exchange over HTTP/1.1: the head and a small body in one write. The answer is read as strictly
//! as a client's would be: what a client would not get is no answer here either.

use super::Outgoing;
use super::pool::Wire;
use crate::buffer::Buffer;
use crate::shadow::memory::Held;
use crate::shadow::response_pair::{Answer, Body};
use crate::wire::answer::{self, Read, ResponseHead};
use crate::wire::chunks::{ChunkFault, Chunks, Piece};
use crate::wire::head::Field;
use crate::wire::view::View;
use bytes::Bytes;
use std::time::Instant;
use tokio::io::AsyncWriteExt;

/// Bodies up to here leave in one piece with their head.
const TOGETHER: usize = 16 * 1024;
const LONGEST_HEAD: usize = 64 * 1024;
/// What is read of a body that nobody wants, to keep the connection; a longer one is not worth it.
const DRAINED: u64 = 256 * 1024;

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
    fields: &mut Vec<Field>,
    now: Instant,
) -> Result<Got, Broken> {
    write(outgoing, &mut wire).await.map_err(|_| Broken { unanswered: true })?;
    let head = read_head(outgoing, &mut wire, fields).await?;
    let at = Instant::now();
    let (body, held, ended) = read_body(outgoing, &mut wire, &head).await?;
    let reusable = ended && head.keeps && wire.input.is_empty();
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
    body: answer::Body,
    keeps: bool,
}

/// The final head; informational ones are passed over.
async fn read_head(
    outgoing: &Outgoing<'_>,
    wire: &mut Wire,
    fields: &mut Vec<Field>,
) -> Result<Head, Broken> {
    let mut any = false;
    let asked_head = outgoing.method() == "HEAD";
    loop {
        match answer::parse(wire.input.bytes(), asked_head, fields) {
            Read::Whole(read) => {
                let head = head_of(outgoing, &read, wire.input.bytes(), fields);
                wire.input.advance(read.length);
                if head.status >= 200 {
                    return Ok(head);
                }
                continue;
            }
            Read::Invalid => return Err(Broken { unanswered: false }),
            Read::Partial => {}
        }
        let more = wire.read().await.unwrap_or(0);
        if more == 0 || wire.input.len() > LONGEST_HEAD {
            return Err(Broken { unanswered: !any });
        }
        any = true;
    }
}

fn head_of(outgoing: &Outgoing<'_>, read: &ResponseHead, bytes: &[u8], fields: &[Field]) -> Head {
    let view = View::of(bytes, fields);
    let (headers, encoding) = match outgoing.rules {
        Some(rules) => (rules.headers_of(&view), rules.encoding_of(&view)),
        None => (Vec::new(), None),
    };
    let ResponseHead { status, body, keeps, .. } = *read;
    Head { status, headers, encoding, body, keeps }
}

/// Says also whether the body came to its end; one that is too long is left where it is.
async fn read_body(
    outgoing: &Outgoing<'_>,
    wire: &mut Wire,
    head: &Head,
) -> Result<(Body, Option<Held>, bool), Broken> {
    let wanted = outgoing.rules.is_some_and(|rules| rules.wants_body());
    let most = outgoing.most.max(DRAINED);
    if let answer::Body::Length(length) = head.body
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
        let ended = pieces(head.body, &mut chunks, before, wire, &mut |piece| {
            read += piece.len() as u64;
            body.add(piece, || Bytes::copy_from_slice(piece), outgoing.most, &mut held);
        });
        if ended.map_err(broken)? {
            return Ok((body, held, true));
        }
        let longer = matches!(body, Body::Longer(_) | Body::Unread);
        if longer && read > most {
            return Ok((body, held, false));
        }
        match wire.read().await {
            Ok(0) if head.body == answer::Body::UntilEnd => return Ok((body, held, false)),
            Ok(0) | Err(_) => return Err(Broken { unanswered: false }),
            Ok(_) => {}
        }
    }
}

/// Takes what is there of the body; says whether that was its end.
fn pieces(
    framing: answer::Body,
    chunks: &mut Chunks,
    read: u64,
    wire: &mut Wire,
    take: &mut dyn FnMut(&[u8]),
) -> Result<bool, ChunkFault> {
    let input = &mut wire.input;
    let mut pass = |input: &mut Buffer, count: usize| {
        take(&input.bytes()[..count]);
        input.advance(count);
    };
    match framing {
        answer::Body::None => Ok(true),
        answer::Body::Length(length) => {
            let left = length - read;
            let here = left.min(input.len() as u64);
            pass(input, here as usize);
            Ok(here == left)
        }
        answer::Body::UntilEnd => {
            pass(input, input.len());
            Ok(false)
        }
        answer::Body::Chunked => loop {
            match chunks.step(input.bytes())? {
                Piece::Framing(0) => return Ok(false),
                Piece::Framing(length) => input.advance(length),
                Piece::Data(length) => pass(input, length),
                Piece::End(length) => {
                    input.advance(length);
                    return Ok(true);
                }
            }
        },
    }
}
