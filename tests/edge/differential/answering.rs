//! A backend that misbehaves. One exchange at a time, so that a connection that it ends without a
//! word is never one that the proxy is about to use: what becomes of those is decided by chance.

use super::backend::Said;
use super::made::{ANSWERS, Random};
use super::{Differences, Proxy, Shared, told, wanted};
use crate::mutate::Mutator;
use serin_testkit::RawClient;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Of this half.
const SHARE: (usize, usize) = (4, 10);
const DAMAGE: [&str; 16] = [
    "\r\n",
    "\n",
    "\r",
    "\r\n ",
    " ",
    "\0",
    ":",
    "Content-Length: 3\r\n",
    "Content-Length: 03\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: identity\r\n",
    "Connection: close\r\n",
    "HTTP/1.0 200",
    "HTTP/1.1 204",
    "0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
];
const REQUESTS: [&str; 5] = [
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET /x?y HTTP/1.1\r\nHost: a\r\nConnection: close\r\nCookie: a=b\r\n\r\n",
    "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
    "PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
];

/// Goes on with whatever exchange is next until there were enough, through proxies of its own.
pub(super) fn drive(next: &AtomicUsize, found: &Differences) {
    let script: Shared<(Vec<Vec<u8>>, bool)> = Arc::default();
    let proxies = Proxy::both(|| {
        let script = Arc::clone(&script);
        move |_: &_| {
            let (pieces, closes) = script.lock().unwrap().clone();
            Said { pieces, closes }
        }
    });
    let corpus: Vec<Vec<u8>> = ANSWERS.iter().map(|(text, _)| text.as_bytes().to_vec()).collect();
    let (places, enough) = (places(), wanted() * SHARE.0 / SHARE.1);
    loop {
        let number = next.fetch_add(1, Relaxed);
        if number >= enough || found.are_enough() {
            break;
        }
        let request = REQUESTS[number / 4 % REQUESTS.len()];
        *script.lock().unwrap() = answer(number, &places, &corpus);
        let [serin, witness] = proxies.each_ref().map(|proxy| exchange(proxy, request));
        let shown = || {
            let (pieces, closes) = &*script.lock().unwrap();
            let pieces: Vec<_> = pieces.iter().map(|p| p.escape_ascii().to_string()).collect();
            format!("{number}: {pieces:#?}, then closed: {closes}, to {request:?}")
        };
        if !may_differ(&script.lock().unwrap().0.concat(), &serin.0, &witness.0) {
            found.look("downstream", [&serin.0, &witness.0], shown);
        }
        found.look("upstream", [&serin.1, &witness.1], shown);
    }
}

/// Where Serin is stricter than pingora, and gives 502 or breaks off: a folded field, which
/// pingora joins; a space before a colon, which it drops; a length that is none beside chunks, too; a list of lengths that is none; trailers and
/// extensions that are none, which it drops unread; and a chunk that says no size, which it takes for the last.
fn may_differ(answer: &[u8], serin: &[String], witness: &[String]) -> bool {
    let text = String::from_utf8_lossy(answer).to_ascii_lowercase();
    let spaced = ["\n ", "\n\t", " :", "\t:"].iter().any(|space| text.contains(space));
    let length = text.contains("content-length:");
    let listed = length && text.contains(',');
    let chunked = text.contains("chunked");
    match (serin, witness) {
        ([serin], [_]) if serin == "502" => spaced || listed || length && chunked,
        ([serin], [_]) if serin == "broken off" => chunked && is_lax(&text),
        _ => false,
    }
}

/// Whether a chunk says no size or has an extension that may be none, or the last one has trailers. Where a damaged answer's body begins is
/// not certain: every place is tried.
fn is_lax(text: &str) -> bool {
    text.match_indices("\r\n\r\n").any(|(at, _)| is_lax_body(&text[at + 4..]))
}

fn is_lax_body(mut body: &str) -> bool {
    while let Some((line, rest)) = body.split_once("\r\n") {
        let mut parts = line.split(';');
        let size = parts.next().unwrap_or_default().trim();
        if !parts.all(is_plain_extension) {
            return true;
        }
        match usize::from_str_radix(size, 16) {
            Ok(0) => return !rest.starts_with("\r\n"),
            Ok(size) => body = rest.get(size.saturating_add(2)..).unwrap_or_default(),
            Err(_) => return size.is_empty(),
        }
    }
    false
}

fn is_plain_extension(text: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric());
    let (name, value) = text.split_once('=').unwrap_or((text, "none"));
    is_word(name) && is_word(value)
}

/// An answer and a place in it; all of them.
fn places() -> Vec<(usize, usize)> {
    let of = |(n, (text, _)): (usize, &(&str, bool))| (1..text.len()).map(move |place| (n, place));
    ANSWERS.iter().enumerate().flat_map(of).collect()
}

fn answer(number: usize, places: &[(usize, usize)], corpus: &[Vec<u8>]) -> (Vec<Vec<u8>>, bool) {
    let (which, place) = places[(number / 4).wrapping_mul(7_919) % places.len()];
    let (text, closes) = ANSWERS[which];
    let (first, second) = text.as_bytes().split_at(place);
    match number % 4 {
        0 => (vec![first.to_vec(), second.to_vec()], closes),
        1 => (vec![first.to_vec()], true),
        _ => {
            let mut random = Random(number as u64);
            let bytes = Mutator::new(random.next(), corpus, &DAMAGE).next();
            let (first, second) = bytes.split_at(random.below(bytes.len() + 1));
            (vec![first.to_vec(), second.to_vec()], true)
        }
    }
}

/// What the client got, and what the backend saw.
fn exchange(proxy: &Proxy, request: &str) -> (Vec<String>, Vec<String>) {
    let mut client: RawClient = RawClient::connect(proxy.address);
    client.send(request);
    let (_, bytes) = client.ended();
    proxy.backend.at_rest();
    let mut seen = proxy.backend.seen("127.0.0.1");
    assert!(seen.len() == 1 || !request.starts_with("POST"), "sent again: {seen:#?}");
    // pingora does not tell a kept connection that ends in the middle of a head from one that had
    // ended before: what may be sent again is sent once more by the witness.
    seen.dedup();
    (told(&bytes, &[request.starts_with("HEAD")]), seen)
}
