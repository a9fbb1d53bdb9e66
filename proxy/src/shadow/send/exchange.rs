//! One exchange: over HTTP/1.1 the head and a small body in one write. The answer is read as strictly
//! as a client's would be: what a client would not get is no answer here either.

use super::Outgoing;
use crate::buffer::Buffer;
use crate::shadow::head::field;
use crate::shadow::memory::Held;
use crate::shadow::response_pair::{Answer, Body};
use crate::upstream::conn::Conn;
use crate::wire::answer::{self, Read, ResponseHead};
use crate::wire::chunks::{ChunkFault, Chunks, Piece};
use crate::wire::head::Field;
use crate::wire::view::View;
use bytes::Bytes;
use std::io;
use std::time::Instant;

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
    pub(super) conn: Option<Conn>,
}

/// No whole answer.
pub(super) struct Broken {
    /// Not a byte of one had come.
    pub(super) unanswered: bool,
}

pub(super) async fn exchange(
    outgoing: &Outgoing<'_>,
    mut conn: Conn,
    fields: &mut Vec<Field>,
    now: Instant,
) -> Result<Got, Broken> {
    if write(outgoing, &mut conn).await.is_err() && !conn.frames_itself() {
        return Err(Broken { unanswered: true });
    }
    let head = read_head(outgoing, &mut conn, fields).await?;
    let at = Instant::now();
    let (body, held, ended) = read_body(outgoing, &mut conn, &head).await?;
    let reusable = ended && (head.keeps || conn.frames_itself()) && conn.input.is_empty();
    let Head { status, headers, encoding, .. } = head;
    let took = Some(at.saturating_duration_since(now));
    let answer = Answer { status, headers, encoding, body, took, held };
    Ok(Got { answer, at, conn: reusable.then_some(conn) })
}

/// A small body leaves with its head. Nothing is copied of a head that has none.
async fn write(outgoing: &Outgoing<'_>, conn: &mut Conn) -> io::Result<()> {
    let grpc = conn.frames_itself() && is_grpc(outgoing.head);
    if !outgoing.framed || grpc {
        return conn.ask(outgoing.head, outgoing.body, grpc).await;
    }
    let (length, head) = (outgoing.length(), outgoing.head);
    let together = length <= TOGETHER && !conn.frames_itself();
    let mut first = Vec::with_capacity(head.len() + if together { length } else { 0 } + 40);
    first.extend_from_slice(head.strip_suffix(b"\r\n").unwrap_or(head));
    first.extend_from_slice(format!("content-length: {length}\r\n\r\n").as_bytes());
    if together {
        outgoing.body.iter().for_each(|piece| first.extend_from_slice(piece));
        return conn.ask(&first, &[], false).await;
    }
    conn.ask(&first, outgoing.body, false).await
}

/// It says by itself where its messages end, and how the answer came out stands after that.
fn is_grpc(head: &[u8]) -> bool {
    field(head, "content-type").is_some_and(|kind| kind.starts_with(b"application/grpc"))
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
    conn: &mut Conn,
    fields: &mut Vec<Field>,
) -> Result<Head, Broken> {
    let mut any = false;
    let asked_head = outgoing.method() == "HEAD";
    loop {
        match answer::parse(conn.input.bytes(), asked_head, fields) {
            Read::Whole(read) => {
                let head = head_of(outgoing, &read, conn.input.bytes(), fields);
                conn.input.advance(read.length);
                if head.status >= 200 {
                    return Ok(head);
                }
                continue;
            }
            Read::Invalid => return Err(Broken { unanswered: false }),
            Read::Partial => {}
        }
        let more = conn.read().await.unwrap_or(0);
        if more == 0 || conn.input.len() > LONGEST_HEAD {
            return Err(Broken { unanswered: !any && was_unseen(conn) });
        }
        any = true;
    }
}

/// HTTP/2 says so itself, unless everything on the connection ended.
fn was_unseen(conn: &mut Conn) -> bool {
    conn.stream().is_none_or(|stream| stream.was_unseen() || stream.lost_its_connection())
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
    conn: &mut Conn,
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
    let mut held = wanted.then(|| Held::new(outgoing.memory, 0)).flatten();
    let mut body = if wanted { Body::begin(held.as_ref()) } else { Body::Unread };
    // Its end is the end.
    let is_sized = matches!(head.body, answer::Body::Length(_));
    let framing = match conn.frames_itself() && is_sized {
        true => answer::Body::UntilEnd,
        false => head.body,
    };
    let (mut chunks, mut read) = (Chunks::default(), 0u64);
    loop {
        let broken = |_| Broken { unanswered: false };
        let before = read;
        let ended = pieces(framing, &mut chunks, before, conn, &mut |piece| {
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
        match conn.read().await {
            Ok(0) if framing == answer::Body::UntilEnd => {
                return Ok((body, held, conn.frames_itself()));
            }
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
    conn: &mut Conn,
    take: &mut dyn FnMut(&[u8]),
) -> Result<bool, ChunkFault> {
    let input = &mut conn.input;
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
