//! What a lane may read of a request: its own bytes, and not one of the next.
//!
//! A request's body is cut out of the connection here, so that whatever a lane believes about
//! framing, it never sees past the end. Chunks are framed anew on the way.

use crate::wire::chunks::{ChunkFault, Chunks, Piece};
use crate::wire::head::Framing;
use bytes::{Buf, BytesMut};

#[derive(Debug)]
pub(crate) enum Body {
    /// All of it was given out.
    Done,
    Length(u64),
    Chunked(Box<Chunks>),
}

/// How a look at the buffered input went.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Bytes were moved to the output.
    Moved,
    /// More must be read first.
    NeedMore,
}

impl Body {
    pub(crate) fn of(framing: Framing) -> Self {
        match framing {
            Framing::None | Framing::Length(0) => Self::Done,
            Framing::Length(left) => Self::Length(left),
            Framing::Chunked => Self::Chunked(Box::default()),
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// Moves what belongs to the body from `input` to `output`.
    pub(crate) fn cut(
        &mut self,
        input: &mut BytesMut,
        output: &mut BytesMut,
    ) -> Result<Cut, ChunkFault> {
        match self {
            Self::Done => Ok(Cut::NeedMore),
            Self::Length(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                output.extend_from_slice(&input[..here]);
                input.advance(here);
                *left -= here as u64;
                if *left == 0 {
                    *self = Self::Done;
                }
                Ok(if here > 0 { Cut::Moved } else { Cut::NeedMore })
            }
            Self::Chunked(chunks) => {
                let before = output.len();
                while !input.is_empty() && !chunks.has_ended() {
                    cut_chunk(chunks, input, output)?;
                }
                if chunks.has_ended() {
                    *self = Self::Done;
                }
                Ok(if output.len() > before { Cut::Moved } else { Cut::NeedMore })
            }
        }
    }
}

fn cut_chunk(
    chunks: &mut Chunks,
    input: &mut BytesMut,
    output: &mut BytesMut,
) -> Result<(), ChunkFault> {
    match chunks.step(input)? {
        Piece::Framing(n) => input.advance(n),
        Piece::Data(n) => {
            output.extend_from_slice(format!("{n:x}\r\n").as_bytes());
            output.extend_from_slice(&input[..n]);
            output.extend_from_slice(b"\r\n");
            input.advance(n);
        }
        Piece::End(n) => {
            input.advance(n);
            output.extend_from_slice(b"0\r\n\r\n");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_framed_anew_and_the_next_request_stays_behind() {
        let mut body = Body::of(Framing::Chunked);
        let mut input = BytesMut::from(&b"0005;x=y\r\nhello\r\n0\r\nX: y\r\n\r\nGET /next"[..]);
        let mut output = BytesMut::new();
        assert_eq!(body.cut(&mut input, &mut output), Ok(Cut::Moved));
        assert!(body.is_done());
        assert_eq!(&output[..], b"5\r\nhello\r\n0\r\n\r\n");
        assert_eq!(&input[..], b"GET /next");
    }

    #[test]
    fn a_body_of_known_length_ends_there() {
        let mut body = Body::of(Framing::Length(3));
        let mut input = BytesMut::from(&b"abcGET"[..]);
        let mut output = BytesMut::new();
        assert_eq!(body.cut(&mut input, &mut output), Ok(Cut::Moved));
        assert!(body.is_done());
        assert_eq!((&output[..], &input[..]), (&b"abc"[..], &b"GET"[..]));
    }
}
