//! A shadow that does its worst, and reloads in the middle of it: the primary, what is held, and
//! what was never to be sent.

use crate::edge::Edge;
use crate::shadow::{mirrored, settled};
use serin_testkit::{Origin, RawOrigin, Script};
use std::time::Duration;

const HELD: f64 = (64u64 << 20) as f64;

#[test]
fn whatever_a_shadow_does_the_primary_answers_and_little_is_held() {
    let endless = "HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n";
    let much = Script::new().read_request().write(endless).write(vec![b'x'; 4 << 20]);
    let slow = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let worst = [
        ("resets", Script::new().read_request().reset()),
        ("trickles", Script::new().trickle(slow, 1, Duration::from_millis(50))),
        ("is silent", Script::never_answering()),
        ("answers 10 GB", much),
    ];
    for (what, script) in worst {
        let (stable, shadow) = (Origin::start("v1"), RawOrigin::always(script));
        let keys = ", timeout: 300ms, maxInFlight: 16, compare: { body: bytes }";
        let edge = Edge::start(&mirrored(stable.address(), shadow.address(), keys));
        let mut client = edge.client();
        for _ in 0..200 {
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(client.response().status, 200, "a shadow that {what}");
            assert!(edge.total("serin_shadow_in_flight") <= 16.0);
            assert!(edge.total("serin_shadow_held_bytes") <= HELD);
        }
        settled(&edge);
        let ended = edge.total("serin_shadow_requests_total");
        let full = crate::shadow::dropped(&edge, "full");
        assert_eq!(ended + full, 200.0, "each copy is accounted for: a shadow that {what}");
    }
}

#[test]
fn through_reloads_no_method_no_credential_and_no_byte_is_other_than_allowed() {
    let (stable, shadow) = (Origin::start("v1"), Origin::start("v2"));
    let keys = |percent: u32, unsafely: bool| {
        let methods = if unsafely { "[GET, PUT], allowUnsafe: true" } else { "[GET]" };
        format!(", percent: {percent}%, methods: {methods}")
    };
    let text =
        |percent, unsafely| mirrored(stable.address(), shadow.address(), &keys(percent, unsafely));
    let edge = Edge::start(&text(100, true));
    let long = std::env::var_os("SERIN_LONG").is_some();
    let (reloads, each) = if long { (100u32, 250) } else { (10, 40) };
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let edge = &edge;
            scope.spawn(move || {
                let mut client = edge.client();
                for n in 0..reloads * each {
                    let method = ["GET", "PUT", "DELETE", "POST"][n as usize % 4];
                    let body = if method == "GET" { "" } else { "0123456789abcdef" };
                    client.send(format!("{method} /echo/{worker}/{n} HTTP/1.1\r\nHost: a\r\nAuthorization: s3cret\r\nCookie: s3cret\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
                    assert_eq!(client.response().status, 200);
                }
            });
        }
        for n in 0..reloads {
            edge.apply(&text(1 + n * 7 % 100, true));
        }
    });
    settled(&edge);
    let before = shadow.seen();
    assert!(!before.is_empty());
    edge.apply(&text(100, false));
    let mut client = edge.client();
    for n in 0..20 {
        client.send(format!("PUT /never/{n} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"));
        assert_eq!(client.response().status, 200);
    }
    settled(&edge);
    for seen in shadow.seen() {
        assert!(matches!(seen.method.as_str(), "GET" | "PUT"), "{seen:?}");
        assert!(!seen.path.starts_with("/never"), "{seen:?}");
        assert!(seen.headers.iter().all(|(_, value)| !value.contains("s3cret")), "{seen:?}");
        let length = if seen.method == "GET" { "0" } else { "16" };
        assert_eq!(seen.header("content-length"), Some(length), "{seen:?}");
    }
}
