//! A shadow that does its worst, and reloads in the middle of it: the primary, what is held, and
//! what was never to be sent.

use crate::edge::Edge;
use crate::recorder::{Recorder, body};
use crate::shadow::{mirrored, settled};
use serin_testkit::{Origin, RawOrigin, Script, eventually};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
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

/// 2,000 requests and 10 reloads; with `SERIN_LONG` 100,000 and 100.
#[test]
fn through_reloads_no_method_no_credential_and_no_byte_is_other_than_allowed() {
    const METHODS: [&str; 7] = ["GET", "PUT", "DELETE", "POST", "HEAD", "PATCH", "OPTIONS"];
    let long = std::env::var_os("SERIN_LONG").is_some();
    let (reloads, each) = if long { (100u32, 25_000) } else { (10, 500) };
    let (stable, shadow) = (Recorder::start(), Recorder::start());
    let text = |percent: u32, methods: &str| {
        let keys =
            format!(", percent: {percent}%, methods: {methods}, compare: {{ status: true }}");
        mirrored(stable.address, shadow.address, &keys)
    };
    let unsafely = "[GET, PUT], allowUnsafe: true";
    let edge = Edge::start(&text(100, unsafely));
    let asked = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = edge.client();
                for _ in 0..each {
                    let n = asked.fetch_add(1, SeqCst);
                    let method = METHODS[n as usize % METHODS.len()];
                    client.send(request(method, n));
                    let answer = match method {
                        "HEAD" => client.response_to_head(),
                        _ => client.response(),
                    };
                    assert_eq!(answer.status, 200);
                }
            });
        }
        for n in 1..=reloads {
            eventually("some requests", || asked.load(SeqCst) >= n * 4 * each / (reloads + 1));
            edge.apply(&text(1 + n * 37 % 100, unsafely));
        }
    });
    settled(&edge);
    let wanted = 4 * each as usize;
    assert_eq!(stable.kept().requests.len(), wanted);
    assert_eq!(stable.kept().altered, Vec::<String>::new());
    let copies = shadow.kept().requests.len();
    assert!(copies >= each as usize / 10, "{copies}");
    println!("{copies} copies of {} requests, {reloads} reloads", 4 * each);
    edge.apply(&text(100, "[GET]"));
    let mut client = edge.client();
    for n in 0..20 {
        client.send(request("PUT", n));
        assert_eq!(client.response().status, 200);
    }
    settled(&edge);
    let kept = shadow.kept();
    assert_eq!(kept.requests.len(), copies, "not one more after the reload that forbids them");
    let wrong = kept.requests.iter().find(|(method, _)| !matches!(method.as_str(), "GET" | "PUT"));
    assert_eq!(wrong, None);
    assert_eq!(kept.leaked, Vec::<String>::new());
    assert_eq!(kept.altered, Vec::<String>::new());
}

/// With credentials, and a body, chunked every other time, where the method has one.
fn request(method: &str, n: u32) -> Vec<u8> {
    let mut text = format!(
        "{method} /{n} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer s3cret\r\nCookie: a=s3cret; b=c\r\ncookie: s3cret\r\nProxy-Authorization: s3cret\r\n"
    )
    .into_bytes();
    if !matches!(method, "PUT" | "POST" | "PATCH") {
        text.extend_from_slice(b"\r\n");
        return text;
    }
    let body = body(n);
    if n.is_multiple_of(2) {
        text.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
        text.extend_from_slice(&body);
        return text;
    }
    text.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
    for piece in body.chunks(1 + n as usize % 4_000) {
        text.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        text.extend_from_slice(piece);
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"0\r\n\r\n");
    text
}
