//! A small, strict HTTP/1 response parser that shows what was on the wire.
//!
//! It is not the proxy's parser and shares nothing with it: a test that used the code under
//! test to read its answers would agree with every mistake.

use std::fmt;

/// How the end of a body was marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// None can follow: HEAD, 1xx, 204, 304.
    NoBody,
    Length(u64),
    Chunked,
    UntilClose,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub http_1_0: bool,
    /// In order and as written, names included.
    pub headers: Vec<(String, String)>,
    pub framing: Framing,
    /// Without chunk framing.
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
    /// Statuses of the interim (1xx) heads that came before.
    pub interim: Vec<u16>,
}

impl Response {
    /// The value of a header, whatever the case of its name; several are joined by `, `.
    pub fn header(&self, name: &str) -> Option<String> {
        let same = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        same.map(|(_, value)| value.clone()).reduce(|all, one| format!("{all}, {one}"))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field("framing", &self.framing)
            .field("body", &shown(&self.body))
            .field("trailers", &self.trailers)
            .finish_non_exhaustive()
    }
}

/// Why there is no whole response, and every byte that came instead.
#[derive(Clone)]
pub struct Broken {
    pub why: String,
    pub read: Vec<u8>,
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {} bytes read: {}", self.why, self.read.len(), shown(&self.read))
    }
}

pub(crate) fn shown(bytes: &[u8]) -> String {
    const MOST: usize = 2_000;
    let cut = &bytes[..bytes.len().min(MOST)];
    let dots = if bytes.len() > MOST { "…" } else { "" };
    format!("\"{}{dots}\"", cut.escape_ascii())
}

/// The final responses in all that a connection has received until its end, and what is left over.
/// `heads` says which requests were HEAD; those beyond it were not.
pub fn responses<'a>(bytes: &'a [u8], heads: &[bool]) -> (Vec<Response>, &'a [u8]) {
    let (mut all, mut rest) = (Vec::new(), bytes);
    loop {
        let to_head_request = heads.get(all.len()) == Some(&true);
        match parse(rest, to_head_request, true) {
            Progress::Whole(response, used) => {
                all.push(response);
                rest = &rest[used..];
            }
            Progress::More | Progress::Invalid(_) => return (all, rest),
        }
    }
}

/// What the bytes so far amount to.
pub(crate) enum Progress {
    /// The response, and how many bytes it took.
    Whole(Response, usize),
    More,
    Invalid(String),
}

/// Parses one final response at the start of `bytes`. `closed`: nothing will follow.
pub(crate) fn parse(bytes: &[u8], to_head_request: bool, closed: bool) -> Progress {
    let mut interim = Vec::new();
    let mut at = 0;
    loop {
        let Some(length) = find(&bytes[at..], b"\r\n\r\n") else { return Progress::More };
        let head = match Head::parse(&bytes[at..at + length]) {
            Ok(head) => head,
            Err(why) => return Progress::Invalid(why),
        };
        at += length + 4;
        if (100..200).contains(&head.status) && head.status != 101 {
            interim.push(head.status);
            continue;
        }
        return body(bytes, at, head, interim, to_head_request, closed);
    }
}

struct Head {
    status: u16,
    http_1_0: bool,
    headers: Vec<(String, String)>,
}

impl Head {
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.split("\r\n");
        let line = lines.next().unwrap_or_default();
        let (version, rest) = line.split_once(' ').ok_or(format!("status line {line:?}"))?;
        let http_1_0 = match version {
            "HTTP/1.1" => false,
            "HTTP/1.0" => true,
            other => return Err(format!("version {other:?}")),
        };
        let status = rest.get(..3).and_then(|s| s.parse().ok());
        let status = status.ok_or(format!("status line {line:?}"))?;
        Ok(Self { status, http_1_0, headers: fields(lines)? })
    }

    fn values(&self, name: &str) -> Vec<&str> {
        let same = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        same.map(|(_, value)| value.as_str()).collect()
    }

    fn framing(&self, to_head_request: bool) -> Result<Framing, String> {
        let coding = self.values("transfer-encoding");
        let length = self.values("content-length");
        if to_head_request || matches!(self.status, 101 | 204 | 304) {
            return Ok(Framing::NoBody);
        }
        match (&coding[..], &length[..]) {
            ([], []) => Ok(Framing::UntilClose),
            ([], [one]) => {
                one.parse().map(Framing::Length).map_err(|_| format!("content-length {one:?}"))
            }
            ([one], []) if one.eq_ignore_ascii_case("chunked") => Ok(Framing::Chunked),
            _ => Err(format!("ambiguous framing: {:?}", self.headers)),
        }
    }
}

fn fields<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Vec<(String, String)>, String> {
    let field = |line: &str| {
        let (name, value) = line.split_once(':').ok_or(format!("header line {line:?}"))?;
        if name.is_empty() || name.contains([' ', '\t', '\r', '\n']) || value.contains(['\r', '\n'])
        {
            return Err(format!("header line {line:?}"));
        }
        Ok((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
    };
    lines.map(field).collect()
}

fn body(
    bytes: &[u8],
    at: usize,
    head: Head,
    interim: Vec<u16>,
    to_head_request: bool,
    closed: bool,
) -> Progress {
    let framing = match head.framing(to_head_request) {
        Ok(framing) => framing,
        Err(why) => return Progress::Invalid(why),
    };
    let rest = &bytes[at..];
    let (body, trailers, used) = match framing {
        Framing::NoBody => (Vec::new(), Vec::new(), 0),
        Framing::Length(length) => {
            let Some(body) = usize::try_from(length).ok().and_then(|n| rest.get(..n)) else {
                return Progress::More;
            };
            (body.to_vec(), Vec::new(), body.len())
        }
        Framing::Chunked => match chunked(rest) {
            Ok(Some(done)) => done,
            Ok(None) => return Progress::More,
            Err(why) => return Progress::Invalid(why),
        },
        Framing::UntilClose if closed => (rest.to_vec(), Vec::new(), rest.len()),
        Framing::UntilClose => return Progress::More,
    };
    let Head { status, http_1_0, headers } = head;
    let response = Response { status, http_1_0, headers, framing, body, trailers, interim };
    Progress::Whole(response, at + used)
}

type Dechunked = (Vec<u8>, Vec<(String, String)>, usize);

fn chunked(bytes: &[u8]) -> Result<Option<Dechunked>, String> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let Some(line) = find(&bytes[at..], b"\r\n") else { return Ok(None) };
        let size = std::str::from_utf8(&bytes[at..at + line]).unwrap_or("?");
        let size = size.split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(size, 16).map_err(|_| format!("chunk size {size:?}"))?;
        at += line + 2;
        if size == 0 {
            break;
        }
        let Some(chunk) = bytes.get(at..at + size + 2) else { return Ok(None) };
        if !chunk.ends_with(b"\r\n") {
            return Err("a chunk does not end with CRLF".to_owned());
        }
        body.extend_from_slice(&chunk[..size]);
        at += size + 2;
    }
    if bytes[at..].starts_with(b"\r\n") {
        return Ok(Some((body, Vec::new(), at + 2)));
    }
    let Some(length) = find(&bytes[at..], b"\r\n\r\n") else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes[at..at + length]).into_owned();
    Ok(Some((body, fields(text.split("\r\n"))?, at + length + 4)))
}

pub(crate) fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
