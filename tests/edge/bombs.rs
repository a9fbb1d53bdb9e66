//! What little bytes of a client can make the binary hold on to.

use crate::binary::started;
use crate::edge::web;
use crate::http2::{REQUEST, begin, block, frame};
use crate::http2_ends::NO_WINDOW;
use crate::tls::{Authority, config, connect_to, prepared};
use serin_testkit::{Origin, Serin, eventually_async};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

const CONNECTIONS: usize = 5;
const STREAMS: u32 = 100;
const ROUNDS: u32 = 4;
pub(crate) const MIB: u64 = 1 << 20;

/// What of the process is in memory, in bytes.
pub(crate) fn resident(serin: &Serin) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", serin.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// What each of a connection's heads stands for.
#[derive(Clone, Copy)]
struct Bomb {
    path: &'static str,
    /// Of one field's value.
    value: usize,
    /// How often it stands in the head.
    times: usize,
}

impl Bomb {
    /// Puts the field into the table once, and then stands for it by a byte each.
    fn head(self, first: bool) -> Vec<u8> {
        let mut head = block(&[&REQUEST[..2], &[(":path", self.path)], &REQUEST[3..]].concat());
        if first {
            head.extend_from_slice(&[0x40, 1, b'a']);
            match self.value.checked_sub(127) {
                Some(more) if more >= 128 => {
                    head.extend_from_slice(&[127, (more % 128) as u8 | 128, (more / 128) as u8]);
                }
                Some(more) => head.extend_from_slice(&[127, more as u8]),
                None => head.push(self.value as u8),
            }
            head.extend(std::iter::repeat_n(b'b', self.value));
        }
        head.extend(std::iter::repeat_n(0xbe, self.times - usize::from(first)));
        head
    }
}

/// A connection with no window and a bomb on each of its streams, once all of it has been read or
/// the connection was ended for it.
async fn bombed(
    address: SocketAddr,
    authority: &Authority,
    bomb: Bomb,
) -> (TlsStream<TcpStream>, usize) {
    let config = authority.client(&["h2"]);
    let mut stream = connect_to(address, config, "a.example").await.unwrap();
    begin(&mut stream, &NO_WINDOW).await;
    let mut sent = 0;
    for n in 0..STREAMS {
        let head = frame(1, 5, 2 * n + 1, &bomb.head(n == 0));
        if stream.write_all(&head).await.is_err() {
            break;
        }
        sent += head.len();
    }
    // Whatever is answered to this PING has been answered after all of the heads were read.
    let _gone = stream.write_all(&frame(6, 0, 0, b"all read")).await;
    let _gone = stream.flush().await;
    let mut got = Vec::new();
    eventually_async("the PING is answered, or the connection ended", async || {
        let more = stream.read_buf(&mut got).await.unwrap_or(0) > 0;
        !more || got.windows(8).any(|w| w == b"all read")
    })
    .await;
    (stream, sent)
}

#[tokio::test]
async fn bombs_of_references_do_not_fill_the_memory() {
    // What it is, its shape, how many of a connection's streams begin, and what it may
    // take. Each of the first is over the limit of a head by far, each of the others just within it.
    let bombs = [
        ("over", Bomb { path: "/", value: 100, times: 1_700 }, 0, 8 * MIB),
        ("many", Bomb { path: "/hang", value: 100, times: 91 }, 8, 20 * MIB),
        ("long", Bomb { path: "/hang", value: 3_900, times: 4 }, 8, 16 * MIB),
    ];
    for (what, bomb, fit, most) in bombs {
        let (authority, folder) = prepared();
        let origin = Origin::start("v1");
        let config = config(web(origin.address()), "", "maxStreams: 100");
        let (serin, address) = started(&folder, &config);
        drop(bombed(address, &authority, Bomb { path: "/", value: 1, times: 1 }).await);
        let before = resident(&serin);
        let more = || resident(&serin).saturating_sub(before);
        // The allocator keeps what it needed most for each thread; nothing may grow beyond that.
        for round in 0..ROUNDS {
            let (mut streams, mut sent) = (Vec::new(), 0);
            for _ in 0..CONNECTIONS {
                let (stream, more) = bombed(address, &authority, bomb).await;
                streams.push(stream);
                sent += more;
            }
            let fitting = CONNECTIONS as u64 * fit;
            eventually_async("those that fit are with the backend", async || {
                origin.in_flight() == fitting
            })
            .await;
            let full = more();
            println!("{what}: {sent} bytes sent, {} KiB more resident", full / 1024);
            assert!(full < most, "{what}: {full} bytes more for {sent} sent, round {round}");
            drop(streams);
            eventually_async("none is with the backend", async || origin.in_flight() == 0).await;
        }
        println!("{what}: {} KiB more once they are gone", more() / 1024);
    }
}
