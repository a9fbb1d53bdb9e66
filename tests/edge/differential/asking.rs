//! Clients that misbehave, several at once: their pieces are interleaved.

use super::made::{Conversation, Random};
use super::{Differences, Proxy, told, wanted};
use crate::mutate::Mutator;
use serin_testkit::RawClient;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Of this half.
const SHARE: (usize, usize) = (6, 10);
/// Conversations of which every byte is a place to cut and to end.
const TEMPLATES: u64 = 300;
const DAMAGE: [&str; 16] = [
    "\r\n",
    "\n",
    "\r",
    " ",
    "\0",
    "Content-Length: 3\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip\r\n",
    "Connection: close\r\n",
    "Host: b\r\n",
    "HTTP/1.0",
    "0\r\n\r\n",
    "Expect: 100-continue\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "/../",
    "%2f",
];

/// Goes on with whatever conversation is next until there were enough.
pub(super) fn drive(
    proxies: &[Proxy; 2],
    next: &AtomicUsize,
    asked: &AtomicUsize,
    found: &Differences,
) {
    let enough = wanted() * SHARE.0 / SHARE.1;
    let places = places();
    let mut pings = proxies.each_ref().map(Proxy::pings);
    while asked.load(Relaxed) < enough && !found.are_enough() {
        let first = next.fetch_add(4, Relaxed);
        let batch: Vec<Conversation> = (first..first + 1 + first / 4 % 4)
            .map(|number| conversation(number, &places))
            .collect();
        let exchanges: usize = batch.iter().map(|one| one.heads.len()).sum();
        asked.fetch_add(exchanges, Relaxed);
        let [serin, witness] = [0, 1].map(|which| {
            let mut pings = || pings[which].ping();
            held(&proxies[which], &batch, &mut pings)
        });
        for ((one, by_serin), by_witness) in batch.iter().zip(&serin).zip(&witness) {
            found.look("downstream", [&by_serin.down, &by_witness.down], || one.shown());
            found.look("upstream", [&by_serin.up, &by_witness.up], || one.shown());
            is_its_own(one, by_serin);
        }
    }
}

/// A template and a place in it; all of them.
fn places() -> Vec<(u64, usize)> {
    let length = |seed| Random(seed).conversation(0, true).bytes.len();
    (0..TEMPLATES).flat_map(|seed| (1..length(seed)).map(move |place| (seed, place))).collect()
}

fn conversation(number: usize, places: &[(u64, usize)]) -> Conversation {
    let mut random = Random(number as u64);
    // A prime apart, so that a few of them are of all kinds, and all are had when there is time.
    let (seed, place) = places[(number / 4).wrapping_mul(7_919) % places.len()];
    match (number / 16 + number % 4) % 5 {
        0 | 1 => random.conversation(number, false),
        2 => {
            let mut cut = Random(seed).conversation(number, true);
            cut.cuts = vec![place];
            cut
        }
        3 => {
            let mut ended = Random(seed).conversation(number, true);
            ended.bytes.truncate(place);
            ended.whole = false;
            ended
        }
        _ => damaged(number, &mut random),
    }
}

fn damaged(number: usize, random: &mut Random) -> Conversation {
    let mut one = random.conversation(number, true);
    while one.heads.contains(&true) {
        one = random.conversation(number, true);
    }
    let corpus = [one.bytes];
    one.bytes = Mutator::new(random.next(), &corpus, &DAMAGE).next();
    // No bytes of a URI, though all the web takes them; pingora's types do not.
    let strange = one.bytes.iter_mut().filter(|byte| matches!(byte, b'"' | b'<' | b'>' | b'`'));
    strange.for_each(|byte| *byte = b'x');
    one.cuts = if one.bytes.is_empty() { Vec::new() } else { random.cuts(one.bytes.len()) };
    one.whole = false;
    one
}

/// What one conversation came to.
struct Held {
    down: Vec<String>,
    up: Vec<String>,
}

fn held(proxy: &Proxy, batch: &[Conversation], ping: &mut dyn FnMut()) -> Vec<Held> {
    let address = proxy.address;
    let connect = |one: &Conversation| RawClient::connect_from(one.source(), address);
    let mut clients: Vec<RawClient> = batch.iter().map(connect).collect();
    let mut pieces: Vec<_> = batch.iter().map(|one| one.pieces().into_iter()).collect();
    let mut random = Random(batch.len() as u64);
    // Twice: the first may overtake the connections that are still being accepted.
    ping();
    ping();
    let mut left: Vec<usize> = (0..batch.len()).collect();
    while !left.is_empty() {
        let at = random.below(left.len());
        let who = left[at];
        match pieces[who].next() {
            Some(piece) => {
                clients[who].send(piece);
                ping();
            }
            None => {
                if !batch[who].whole {
                    clients[who].half_close();
                }
                left.swap_remove(at);
            }
        }
    }
    let ended = clients.iter_mut().zip(batch).map(|(client, one)| {
        let (_, bytes) = client.ended();
        let up = proxy.backend.seen(&one.source().to_string());
        Held { down: told(&bytes, &one.heads), up }
    });
    ended.collect()
}

/// Not a byte of another's: answers say whom they are for, and bodies are made of its number.
fn is_its_own(one: &Conversation, held: &Held) {
    let own = one.source().to_string();
    for answer in &held.down {
        let whom = answer.lines().find_map(|line| line.strip_prefix("x-for: "));
        assert!(whom.is_none_or(|whom| whom == own), "{answer} for {}", one.shown());
    }
    if one.whole {
        for (seen, body) in held.up.iter().zip(&one.bodies) {
            assert!(seen.ends_with(body), "{seen} for {body} of {}", one.shown());
        }
        assert!(held.up.len() <= one.bodies.len(), "{:?} for {}", held.up, one.shown());
    }
}
