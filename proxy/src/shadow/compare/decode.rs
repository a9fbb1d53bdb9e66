//! Content encodings, undone within a bound.
//!
//! Copies ask for the encodings that the client asked for, so that the shadow does the same work;
//! to be compared, what came is unpacked. A bomb is given up at the bound.

use super::Unknown;
use std::io::Read;

/// So many times the limit on bodies may come out of one that was packed.
const SWELLS: u64 = 16;

pub(super) fn decoded(
    body: Vec<u8>,
    encoding: Option<&[u8]>,
    most: u64,
) -> Result<Vec<u8>, Unknown> {
    let most = most.saturating_mul(SWELLS);
    match encoding {
        None => Ok(body),
        Some(b"gzip" | b"x-gzip") => read(flate2::read::MultiGzDecoder::new(&*body), most),
        Some(b"deflate") => read(flate2::read::ZlibDecoder::new(&*body), most),
        Some(b"br") => read(brotli::Decompressor::new(&*body, 4096), most),
        Some(_) => Err(Unknown),
    }
}

fn read(decoder: impl Read, most: u64) -> Result<Vec<u8>, Unknown> {
    let mut out = Vec::new();
    let read = decoder.take(most + 1).read_to_end(&mut out).map_err(|_| Unknown)?;
    if read as u64 > most { Err(Unknown) } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).expect("into memory");
        encoder.finish().expect("into memory")
    }

    #[test]
    fn what_was_packed_comes_out_and_a_bomb_does_not() {
        let packed = gzip(b"hello");
        assert_eq!(decoded(packed, Some(b"gzip"), 64), Ok(b"hello".to_vec()));
        let bomb = gzip(&vec![0; 1 << 20]);
        assert!(bomb.len() < 64 << 10);
        assert_eq!(decoded(bomb, Some(b"gzip"), 1 << 10), Err(Unknown));
    }

    #[test]
    fn broken_and_unknown_encodings_are_not_guessed_at() {
        assert_eq!(decoded(b"hello".to_vec(), Some(b"gzip"), 64), Err(Unknown));
        assert_eq!(decoded(b"hello".to_vec(), Some(b"zstd"), 64), Err(Unknown));
        assert_eq!(decoded(b"hello".to_vec(), None, 64), Ok(b"hello".to_vec()));
    }
}
