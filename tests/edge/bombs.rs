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
const MIB: u64 = 1 << 20;

/// What of the process is in memory, in bytes.
fn resident(serin: &Serin) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", serin.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// A head that puts one field into the table and then stands for it so many times, a byte each.
fn bomb(path: &str, times: usize) -> Vec<u8> {
    let mut head = block(&[&REQUEST[..2], &[(":path", path)], &REQUEST[3..]].concat());
    head.extend_from_slice(&[0x40, 1, b'a', 100]);
    head.extend_from_slice(&[b'b'; 100]);
    head.extend(std::iter::repeat_n(0xbe, times));
    head
}

/// A connection with no window and a bomb on each of its streams, once all of it has been read or
/// the connection was ended for it.
async fn bombed(
    address: SocketAddr,
    authority: &Authority,
    path: &str,
    times: usize,
) -> (TlsStream<TcpStream>, usize) {
    let config = authority.client(&["h2"]);
    let mut stream = connect_to(address, config, "a.example").await.unwrap();
    begin(&mut stream, &NO_WINDOW).await;
    let mut sent = 0;
    for n in 0..STREAMS {
        let head = frame(1, 5, 2 * n + 1, &bomb(path, times));
        if stream.write_all(&head).await.is_err() {
            break;
        }
        sent += head.len();
    }
    // Whatever is answered to this PING has been answered after all of the heads were read.
    let _gone = stream.write_all(&frame(6, 0, 0, b"all read")).await;
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
    // Each of the first is over the limit by far, each of the second just within it.
    let bombs = [("refused", "/", 1_700, 8 * MIB), ("accepted", "/hang", 90, 64 * MIB)];
    for (what, path, times, most) in bombs {
        let (authority, folder) = prepared();
        let origin = Origin::start("v1");
        let config = config(web(origin.address()), "", "maxStreams: 100");
        let (serin, address) = started(&folder, &config);
        drop(bombed(address, &authority, "/", 1).await);
        let before = resident(&serin);
        let more = || resident(&serin).saturating_sub(before);
        // The allocator keeps what it needed most for each thread; nothing may grow beyond that.
        for round in 0..ROUNDS {
            let (mut streams, mut sent) = (Vec::new(), 0);
            for _ in 0..CONNECTIONS {
                let (stream, more) = bombed(address, &authority, path, times).await;
                streams.push(stream);
                sent += more;
            }
            if path == "/hang" {
                let all = CONNECTIONS as u64 * u64::from(STREAMS);
                eventually_async("all are with the backend", async || origin.in_flight() == all)
                    .await;
            }
            let full = more();
            println!("{what}: {sent} bytes sent, {} KiB more resident", full / 1024);
            assert!(full < most, "{what}: {full} bytes more for {sent} sent, round {round}");
            drop(streams);
            eventually_async("none is with the backend", async || origin.in_flight() == 0).await;
        }
        println!("{what}: {} KiB more once they are gone", more() / 1024);
    }
}
