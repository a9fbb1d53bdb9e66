//! A chunked body: one end, wherever the bytes were cut on their way, and nothing beyond it.

use super::prefixes;
use serin_proxy::wire::chunks::{ChunkFault, Chunks, Piece};

/// The body, how many bytes it took, and whether it ended.
type Decoded = (Vec<u8>, usize, bool);

#[test]
fn chunked() {
    let words = [
        "\r\n",
        "\n",
        "\r",
        ";",
        "0",
        "0\r\n",
        "0\r\n\r\n",
        "5\r\nhello\r\n",
        "0x5",
        "+5",
        " 5",
        "5 ",
        "ffffffffffffffff",
        "000000000000001",
        "X: y\r\n",
        "X : y\r\n",
        "Transfer-Encoding: chunked\r\n",
        "GET / HTTP/1.1\r\n\r\n",
    ];
    super::fuzz("chunked", &words, |input| {
        let whole = decode(input, input.len().max(1));
        for size in [1, 2, 7] {
            assert_eq!(decode(input, size), whole, "read {size} at a time");
        }
        for at in prefixes(input) {
            let (first, second) = input.split_at(at);
            assert_eq!(decode_parts([first, second].into_iter()), whole, "cut at {at}");
        }
        let Ok((body, used, ended)) = whole else { return };
        assert!(used <= input.len() && body.len() <= used);
        assert!(ended || used == input.len(), "it stopped without a reason");
        if ended {
            assert!(input[..used].ends_with(b"\r\n"));
            assert_eq!(plain(&input[..used]), Some(body.clone()), "another reader differs");
            // What follows is the next request's, whatever it is.
            assert_eq!(decode(&input[..used], 3), Ok((body.clone(), used, true)));
            let again = framed(&body);
            assert_eq!(decode(&again, 5), Ok((body, again.len(), true)));
        }
    });
}

fn decode(input: &[u8], size: usize) -> Result<Decoded, ChunkFault> {
    decode_parts(input.chunks(size))
}

fn decode_parts<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Result<Decoded, ChunkFault> {
    let (mut chunks, mut body, mut used) = (Chunks::default(), Vec::new(), 0);
    for part in parts {
        let mut rest = part;
        while !rest.is_empty() {
            let here = match chunks.step(rest)? {
                Piece::Framing(n) => n,
                Piece::Data(n) => {
                    body.extend_from_slice(&rest[..n]);
                    n
                }
                Piece::End(n) => return Ok((body, used + n, true)),
            };
            assert!((1..=rest.len()).contains(&here), "{here} of {}", rest.len());
            used += here;
            rest = &rest[here..];
        }
    }
    Ok((body, used, false))
}

/// The body as a reader sees it that knows lines and nothing of the decoder. `None` when a line
/// is not what it should be.
fn plain(mut input: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = line(&mut input)?;
        let size = line.split(|b| *b == b';').next()?;
        if size.is_empty() || !size.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let size = usize::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()?;
        if size == 0 {
            break;
        }
        body.extend_from_slice(input.get(..size)?);
        input = input.get(size..)?.strip_prefix(b"\r\n")?;
    }
    while !line(&mut input)?.is_empty() {}
    input.is_empty().then_some(body)
}

/// Up to the first line feed, which a carriage return has to precede.
fn line<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = input.iter().position(|b| *b == b'\n')?;
    let line = input[..end].strip_suffix(b"\r")?;
    *input = &input[end + 1..];
    (!line.contains(&b'\r')).then_some(line)
}

fn framed(body: &[u8]) -> Vec<u8> {
    let mut framed = Vec::new();
    for chunk in body.chunks(9) {
        framed.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        framed.extend_from_slice(chunk);
        framed.extend_from_slice(b"\r\n");
    }
    framed.extend_from_slice(b"0\r\n\r\n");
    framed
}
