//! What a connection holds that was answered once and waits.

use super::{ALLOCATOR, COUNTING, ask, origin, start};
use serin_testkit::{ConfigText, ServiceText, temp_dir};
use std::net::TcpStream;

const HELD: usize = 200;
/// The runtime's task and registration, a link, a visit, places on the wheel.
const MOST: usize = 1_536;

#[test]
fn a_connection_that_waits_for_its_next_request_holds_little() {
    let _alone = COUNTING.lock();
    let folder = temp_dir();
    let service = ServiceText::new("web").version("v1", &[origin()]);
    let config = ConfigText::simple(service).with("accessLog: { format: \"off\" }");
    let proxy = start(&config.write_to(folder.path()));
    let address = proxy.address("http").unwrap();
    let mut clients = Vec::with_capacity(HELD + 1);
    // The first one finds nothing ready, and makes what all of them use.
    let mut hold = || {
        let mut client = TcpStream::connect(address).unwrap();
        ask(&mut client, 1);
        clients.push(client);
    };
    hold();
    let before = ALLOCATOR.stats();
    (0..HELD).for_each(|_| hold());
    let grown = ALLOCATOR.stats() - before;
    let each = grown.bytes_allocated.saturating_sub(grown.bytes_deallocated) / HELD;
    println!("{each} bytes for each connection");
    assert!(each <= MOST, "{each} bytes for each connection");
}
