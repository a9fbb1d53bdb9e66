//! Memory under attack: what each proxy holds for clients that ask and do not take, and what of it is
//! left when they have gone.
//!
//! `cargo bench --bench peers -- --attacks`. Every row is a fresh process: one that was attacked before
//! has the memory already, and would seem to need none.

mod client;
mod http2;

use crate::backends::Backends;
use crate::machine::{Place, memory};
use crate::peer::{Kind, Peer};
use client::Client;
use std::time::{Duration, Instant};

/// How long the clients stay, and how long after they left is looked again.
const STAYS: Duration = Duration::from_secs(8);
const AFTER: Duration = Duration::from_secs(10);
const CONNECTIONS: usize = 50;
const STREAMS: u32 = 100;
/// Of HTTP/1, where a connection is one request.
const UNREAD: usize = 500;
const HALF_POSTS: usize = 5_000;

/// What a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// HTTP/2 with a window of so many bytes: answers of 512 KB cannot leave.
    Unread {
        window: u32,
    },
    /// HTTP/1: answers of 512 KB are asked for and not read.
    UnreadHttp1,
    /// HTTP/2: a field of so many bytes, which a request refers to so often.
    Hpack {
        bytes: usize,
        references: usize,
    },
    /// HTTP/2: of 8 KiB, 4 are sent.
    HalfPosts,
    HalfPostsHttp1,
}

/// A shape, and through which configuration.
#[derive(Debug, Clone, Copy)]
struct Attack {
    name: &'static str,
    config: &'static str,
    shape: Shape,
}

const fn attack(name: &'static str, config: &'static str, shape: Shape) -> Attack {
    Attack { name, config, shape }
}

const ATTACKS: [Attack; 14] = [
    attack("unread-0", "tls", Shape::Unread { window: 0 }),
    attack("unread-0-tls", "tls-secure", Shape::Unread { window: 0 }),
    attack("unread-0-http2", "grpc", Shape::Unread { window: 0 }),
    attack("unread-1", "tls", Shape::Unread { window: 1 }),
    attack("unread-1-tls", "tls-secure", Shape::Unread { window: 1 }),
    attack("unread-1-http2", "grpc", Shape::Unread { window: 1 }),
    attack("unread-http1", "plain", Shape::UnreadHttp1),
    attack("unread-http1-tls", "secure", Shape::UnreadHttp1),
    attack("unread-http1-http2", "clear-http2", Shape::UnreadHttp1),
    attack("hpack-3", "tls", Shape::Hpack { bytes: 3_900, references: 3 }),
    attack("hpack-290", "tls", Shape::Hpack { bytes: 20, references: 290 }),
    attack("hpack-450", "tls", Shape::Hpack { bytes: 1, references: 450 }),
    attack("half-posts", "grpc", Shape::HalfPosts),
    attack("half-posts-http1", "plain", Shape::HalfPostsHttp1),
];

/// Which attacks are wanted; none named: all.
pub(crate) fn run(names: &[&str], kinds: &[Kind]) -> Result<(), String> {
    if let Some(unknown) = names.iter().find(|name| ATTACKS.iter().all(|a| a.name != **name)) {
        let known: Vec<&str> = ATTACKS.iter().map(|a| a.name).collect();
        return Err(format!("{unknown:?} is no attack; there are {}", known.join(", ")));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| e.to_string())?;
    println!(
        "| attack | proxy | MB at rest | MB more, at most | MB more, {} s after | sent, MB | requests under way |",
        AFTER.as_secs()
    );
    println!("|---|---|---|---|---|---|---|");
    for attack in ATTACKS.iter().filter(|a| names.is_empty() || names.contains(&a.name)) {
        for kind in kinds {
            let Some(template) = kind.template(attack.config) else { continue };
            let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
            let backends = Backends::start(folder.path(), Place::Anywhere, None)?;
            let fill = backends.fill(folder.path());
            let peer = Peer::start(*kind, &template, folder.path(), &fill, Place::Anywhere)?;
            let certificate = folder.path().join("cert.pem");
            let seen = tokio::task::LocalSet::new()
                .block_on(&runtime, endure(attack.shape, &peer, &certificate))
                .map_err(|e| format!("{} against {}: {e}", attack.name, kind.name()))?;
            println!(
                "| {} | {} | {:.1} | {:+.1} | {:+.1} | {:+.1} | {:.1} | {} |",
                attack.name,
                kind.name(),
                seen.rest,
                seen.most,
                seen.after[0],
                seen.after[1],
                seen.sent,
                seen.under_way
            );
        }
    }
    Ok(())
}

/// In megabytes.
#[derive(Default)]
struct Seen {
    rest: f64,
    most: f64,
    /// Of two waves: what stays must not grow with each.
    after: [f64; 2],
    sent: f64,
    /// Of those that were sent, how many were not refused.
    under_way: usize,
}

async fn endure(shape: Shape, peer: &Peer, certificate: &std::path::Path) -> client::Outcome<Seen> {
    let client = Client::of(peer.port, certificate)?;
    // What a process sets up with its first requests is nobody's attack.
    for _ in 0..20 {
        client.warm(shape).await?;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let rest = memory(peer.pid());
    let many = match shape {
        Shape::UnreadHttp1 => UNREAD,
        Shape::HalfPostsHttp1 => HALF_POSTS,
        Shape::Unread { .. } | Shape::Hpack { .. } | Shape::HalfPosts => CONNECTIONS,
    };
    let megabytes = |kilobytes: u64| kilobytes as f64 / 1024.0;
    let mut seen = Seen { rest: megabytes(rest), ..Seen::default() };
    for after in &mut seen.after {
        let mut held = Vec::with_capacity(many);
        for _ in 0..many {
            held.push(client.attack(shape).await?);
        }
        let until = Instant::now() + STAYS;
        while Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(100)).await;
            seen.most = seen.most.max(megabytes(memory(peer.pid())) - seen.rest);
        }
        seen.sent += held.iter().map(client::Held::sent).sum::<usize>() as f64 / 1e6;
        seen.under_way = held.iter().map(client::Held::under_way).sum();
        drop(held);
        tokio::time::sleep(AFTER).await;
        *after = megabytes(memory(peer.pid())) - seen.rest;
    }
    Ok(seen)
}
