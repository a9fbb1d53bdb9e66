//! The framing of bodies in HTTP/1.1: bytes in, bytes out. Pure.

use crate::buffer::Buffer;
use crate::wire::chunks::{Chunks, Piece};
use http::HeaderMap;

pub(crate) fn push_chunk(to: &mut Buffer, data: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut size = [0u8; 18];
    let mut at = 16;
    let mut rest = data.len();
    (size[16], size[17]) = (b'\r', b'\n');
    loop {
        at -= 1;
        size[at] = DIGITS[rest & 15];
        rest >>= 4;
        if rest == 0 {
            break;
        }
    }
    to.push(&size[at..]);
    to.push(data);
    to.push(b"\r\n");
}

/// The end of a body of chunks, and what stands after it.
pub(crate) fn push_end(to: &mut Buffer, trailers: Option<&HeaderMap>) {
    let Some(trailers) = trailers else { return to.push(b"0\r\n\r\n") };
    to.push(b"0\r\n");
    for (name, value) in trailers {
        to.push_line(name.as_str().as_bytes(), value.as_bytes());
    }
    to.push(b"\r\n");
}

/// The body alone of what was framed here.
pub(crate) fn unframed(mut framed: Buffer) -> Buffer {
    let (mut chunks, mut body) = (Chunks::default(), Buffer::default());
    while !framed.is_empty() {
        let count = match chunks.step(framed.bytes()) {
            Ok(Piece::Data(count)) => {
                body.push(&framed.bytes()[..count]);
                count
            }
            Ok(Piece::Framing(count)) => count,
            Ok(Piece::End(_)) | Err(_) => break,
        };
        framed.advance(count);
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_framed_is_the_same_without_its_frames() {
        let mut framed = Buffer::default();
        push_chunk(&mut framed, b"hello ");
        push_chunk(&mut framed, &[b'x'; 300]);
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "7".parse().unwrap());
        push_end(&mut framed, Some(&trailers));
        assert!(framed.bytes().ends_with(b"\r\n0\r\nx-sum: 7\r\n\r\n"));
        assert_eq!(unframed(framed).bytes(), [b"hello ", &[b'x'; 300][..]].concat());
    }
}
