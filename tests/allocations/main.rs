//! What a request costs in allocations. A process of its own, because the allocator counts for
//! everyone in it.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod http2;
mod idle;

use serin_config::{Options, load};
use serin_core::ids::{Epoch, RolloutId, ServiceName, VersionName};
use serin_core::split::{HarmCeiling, InForce, Scope, Sessions, Split};
use serin_core::weights::{BasisPoints, Weights};
use serin_proxy::Proxy;
use serin_testkit::{ConfigText, ServiceText, temp_dir};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::{Arc, Mutex};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const REQUEST: &[u8] = b"GET /items/7?a=b HTTP/1.1\r\nHost: a.example\r\nUser-Agent: test\r\nAccept: */*\r\nCookie: a=b\r\n\r\n";
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nServer: x\r\nContent-Length: 4\r\n\r\nbody";

/// One test at a time: what is counted is the whole process's.
static COUNTING: Mutex<()> = Mutex::new(());

const WARM: usize = 500;
const COUNTED: usize = 5_000;

#[test]
fn a_request_on_a_connection_that_is_kept_allocates_nothing() {
    let _alone = COUNTING.lock();
    let folder = temp_dir();
    let origins = [origin(), origin()];
    let service = ServiceText::new("web").version("v1", &origins[..1]).version("v2", &origins[1..]);
    let config =
        ConfigText::simple(service).with("accessLog: { format: \"off\" }").write_to(folder.path());
    let proxy = start(&config);
    proxy.data_plane().publish(split());
    let mut client = TcpStream::connect(proxy.address("http").unwrap()).unwrap();
    ask(&mut client, WARM);
    let before = ALLOCATOR.stats();
    ask(&mut client, COUNTED);
    let spent = ALLOCATOR.stats() - before;
    let calls = spent.allocations + spent.reallocations;
    println!("{calls} allocations of {} bytes in {COUNTED} requests", spent.bytes_allocated);
    // The process does other things meanwhile, however few: health, resolution, housekeeping.
    assert!(calls < COUNTED / 20, "{calls} in {COUNTED} requests");
}

fn start(config: &Path) -> Proxy {
    let config = Arc::new(load(config, &Options::default()).unwrap().config);
    let options = serin_proxy::Options { threads: NonZeroU16::new(1) };
    Proxy::start(config, &options).unwrap()
}

/// Neither this nor the origin allocates.
fn ask(client: &mut TcpStream, times: usize) {
    let mut buffer = [0; 4096];
    for _ in 0..times {
        client.write_all(REQUEST).unwrap();
        let mut got = 0;
        while !buffer[..got].ends_with(b"body") {
            let count = client.read(&mut buffer[got..]).unwrap();
            assert!(count > 0, "closed after {got} bytes");
            got += count;
        }
        assert!(buffer.starts_with(b"HTTP/1.1 200 "));
    }
}

fn origin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let (mut buffer, mut got) = ([0; 8192], 0);
                while let Ok(count @ 1..) = stream.read(&mut buffer[got..]) {
                    got += count;
                    if buffer[..got].ends_with(b"\r\n\r\n") {
                        got = 0;
                        if stream.write_all(ANSWER).is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    address
}

/// A tenth to the candidate.
fn split() -> Arc<Split> {
    let (service, epoch) = (ServiceName::new("web").unwrap(), Epoch(1));
    let (stable, candidate) = (VersionName::new("v1").unwrap(), VersionName::new("v2").unwrap());
    let weight = BasisPoints::new(1_000).unwrap();
    Arc::new(Split {
        weights: Weights::two(stable.clone(), candidate.clone(), weight),
        rollout: Some(InForce {
            id: RolloutId::new(&service, epoch),
            epoch,
            salt: 7,
            candidate,
            weight,
            of: Scope::All,
            sessions: Sessions::Honour,
            tripwire: None,
            harm_ceiling: HarmCeiling::default(),
            rescue: true,
        }),
        service,
        stable,
    })
}
