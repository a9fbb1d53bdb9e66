//! Copies of requests, as the shadow gets them, and as the primary never notices them.

use crate::edge::{Edge, web};
use crate::tls;
use serin_testkit::{
    ConfigText, Connection, Fault, Latch, Origin, RawOrigin, Script, ServiceText, eventually,
    eventually_async,
};
use std::net::SocketAddr;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

pub(crate) fn mirrored(stable: SocketAddr, shadow: SocketAddr, keys: &str) -> ConfigText {
    ConfigText::simple(service(stable, shadow, keys))
}

fn service(stable: SocketAddr, shadow: SocketAddr, keys: &str) -> ServiceText {
    web(stable).version("v2", &[shadow]).with(&format!("shadow: {{ to: v2{keys} }}"))
}

pub(crate) fn dropped(edge: &Edge, reason: &str) -> f64 {
    edge.metric("serin_shadow_dropped_total", ("reason", reason))
}

pub(crate) fn results(edge: &Edge, result: &str) -> f64 {
    edge.metric("serin_shadow_requests_total", ("result", result))
}

/// Nothing is under way, and nothing is held.
pub(crate) fn settled(edge: &Edge) {
    eventually("no copy is in flight, and nothing is held", || {
        edge.total("serin_shadow_in_flight") == 0.0 && edge.total("serin_shadow_held_bytes") == 0.0
    });
}

#[test]
fn a_copy_is_the_request_without_its_credentials() {
    let stable = Origin::start("v1");
    let shadow = RawOrigin::always(Script::answering(OK));
    let edge = Edge::start(&mirrored(stable.address(), shadow.address(), ""));
    let mut client = edge.client();
    client.send("GET /a/b?c=d HTTP/1.1\r\nHost: shop.example:80\r\nAuthorization: Bearer s3cret\r\nCookie: id=s3cret\r\nProxy-Authorization: s3cret\r\nAccept-Encoding: gzip\r\nX-Serin-Shadow: forged\r\ntraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n");
    assert_eq!(client.response().status, 200);
    let got = eventually("the copy", || {
        let got = String::from_utf8(shadow.received()).unwrap();
        got.ends_with("\r\n\r\n").then_some(got)
    });
    let got = got.to_ascii_lowercase();
    assert!(got.starts_with("get /a/b?c=d http/1.1\r\nhost: shop.example:80\r\n"), "{got}");
    assert!(!got.contains("s3cret") && !got.contains("forged"), "{got}");
    for wanted in [
        "\r\nx-serin-shadow: 1\r\n",
        "\r\naccept-encoding: gzip\r\n",
        "\r\nx-request-id: ",
        "\r\nx-forwarded-for: 127.0.0.1\r\n",
        "\r\ntracestate: serin=4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7\r\n",
    ] {
        assert!(got.contains(wanted), "{wanted:?} in {got}");
    }
    let parent = got.split("traceparent: 00-").nth(1).unwrap();
    assert!(!parent.starts_with("4bf92f"), "a trace of its own: {got}");
    assert!(parent[..52].ends_with("-01"), "as sampled as the primary: {got}");
    eventually("it counts", || results(&edge, "answered") == 1.0);
    settled(&edge);
}

#[test]
fn naming_a_header_leaves_the_known_secrets_out_as_well_and_naming_none_sends_everything() {
    let named = copied(", redact: { headers: [x-key] }");
    for secret in ["authorization", "cookie", "x-key", "x-api-key", "five"] {
        assert!(!named.contains(secret), "{secret}: {named}");
    }
    assert!(named.contains("?token=redacted&a=b "), "{named}");
    let all = copied(", redact: { headers: [] }");
    for sent in ["authorization: one", "cookie: two", "x-key: 3", "x-api-key: 4", "token=five"] {
        assert!(all.contains(sent), "{sent}: {all}");
    }
}

/// The copy of a request with every kind of secret, in lower case.
fn copied(keys: &str) -> String {
    let stable = Origin::start("v1");
    let shadow = RawOrigin::always(Script::answering(OK));
    let edge = Edge::start(&mirrored(stable.address(), shadow.address(), keys));
    let mut client = edge.client();
    client.send("GET /?token=five&a=b HTTP/1.1\r\nHost: a\r\nAuthorization: one\r\nCookie: two\r\nX-Key: 3\r\nX-Api-Key: 4\r\n\r\n");
    assert_eq!(client.response().status, 200);
    eventually("the copy", || {
        let got = String::from_utf8(shadow.received()).unwrap();
        got.ends_with("\r\n\r\n").then(|| got.to_ascii_lowercase())
    })
}

#[test]
fn methods_that_may_write_are_not_copied_unless_they_are_named() {
    let (stable, shadow) = (Origin::start("v1"), Origin::start("v2"));
    let edge = Edge::start(&mirrored(stable.address(), shadow.address(), ""));
    let mut client = edge.client();
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"] {
        client.send(format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"));
        assert_eq!(client.response().status, 200, "{method}");
    }
    for method in ["GET", "HEAD"] {
        client.send(format!("{method} /last HTTP/1.1\r\nHost: a\r\n\r\n"));
        let answer = if method == "HEAD" { client.response_to_head() } else { client.response() };
        assert_eq!(answer.status, 200);
    }
    eventually("both copies", || shadow.requests() == 2);
    let methods: Vec<_> = shadow.seen().into_iter().map(|seen| seen.method).collect();
    assert!(methods.contains(&"GET".to_owned()) && methods.contains(&"HEAD".to_owned()));
    assert_eq!(stable.requests(), 8);
}

#[test]
fn a_body_is_copied_byte_for_byte_up_to_its_limit() {
    let stable = Origin::start("v1");
    let shadow = RawOrigin::always(Script::new().read_until("END").write(OK).repeat());
    let keys = ", methods: [POST], allowUnsafe: true, maxBody: 64KiB";
    let edge = Edge::start(&mirrored(stable.address(), shadow.address(), keys));
    let body: Vec<u8> = (0..50_000u32).map(|n| (n % 251) as u8).chain(*b"END").collect();
    // A connection each.
    let mut client = edge.client();
    client
        .send(format!("POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()));
    client.send(&body);
    assert_eq!(client.response().body, body);
    let mut client = edge.client();
    client.send("POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send("5;x=1\r\nhello\r\n3\r\nEND\r\n0\r\n\r\n");
    assert_eq!(client.response().body, b"helloEND");
    let large = "x".repeat(65_537);
    let mut client = edge.client();
    client.send(format!("POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n{large}"));
    assert_eq!(client.response().body.len(), 65_537);
    let mut client = edge.client();
    client.send("POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send(format!("10001\r\n{large}\r\n0\r\n\r\n"));
    assert_eq!(client.response().body.len(), 65_537, "the primary is unharmed");
    eventually("two copies came, two did not", || {
        results(&edge, "answered") == 2.0 && dropped(&edge, "bodyTooLarge") == 2.0
    });
    let got = shadow.received();
    let ends = |wanted: &[u8]| got.windows(wanted.len()).any(|part| part == wanted);
    assert!(ends(&[b"content-length: 50003\r\n\r\n", &*body].concat()), "the body, and its length");
    assert!(ends(b"content-length: 8\r\n\r\nhelloEND"), "a length in place of chunks");
    settled(&edge);
}

#[test]
fn a_retry_makes_no_second_copy() {
    let first =
        RawOrigin::in_turn(vec![Script::new().read_until("hello").reset(), Script::answering(OK)]);
    let shadow = RawOrigin::always(Script::new().read_until("hello").write(OK).repeat());
    let text = service(first.address(), shadow.address(), ", methods: [PUT], allowUnsafe: true")
        .with("retries: { attempts: 1, on: [reset], budget: 100% }");
    let edge = Edge::start(&ConfigText::simple(text));
    let mut client = edge.client();
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(client.response().status, 200);
    assert_eq!(first.accepted(), 2, "it was tried twice");
    eventually("the copy is answered", || results(&edge, "answered") == 1.0);
    let got = String::from_utf8(shadow.received()).unwrap();
    assert_eq!(got.matches("PUT / ").count(), 1, "{got}");
    assert!(got.ends_with("\r\n\r\nhello"), "{got}");
}

/// The first attempt breaks off when half of the body has left, and the second gets all of it.
#[test]
fn a_retry_in_the_middle_of_a_body_copies_each_byte_once() {
    let asks = [
        ("Content-Length: 11", "hello ", "world"),
        ("Transfer-Encoding: chunked", "6\r\nhello \r\n", "5\r\nworld\r\n0\r\n\r\n"),
    ];
    for (framing, half, rest) in asks {
        let broken = Script::new().read_until("hello ").reset();
        let first = RawOrigin::in_turn(vec![broken, Script::answering(OK)]);
        let shadow = RawOrigin::always(Script::new().read_until("world").write(OK).repeat());
        let keys = ", methods: [PUT], allowUnsafe: true";
        let text = service(first.address(), shadow.address(), keys)
            .with("retries: { attempts: 1, on: [reset], budget: 100% }");
        let edge = Edge::start(&ConfigText::simple(text));
        let mut client = edge.client();
        client.send(format!("PUT / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n{half}"));
        eventually("it is tried again", || first.accepted() == 2);
        client.send(rest);
        assert_eq!(client.response().status, 200, "{framing}");
        eventually("the copy is answered", || results(&edge, "answered") == 1.0);
        let got = String::from_utf8(shadow.received()).unwrap();
        assert!(got.ends_with("content-length: 11\r\n\r\nhello world"), "{got}");
        settled(&edge);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_http2_is_copied_too() {
    let (authority, folder) = tls::prepared();
    let stable = Origin::start("v1");
    let shadow = RawOrigin::always(Script::new().read_until("world").write(OK).repeat());
    let keys = ", methods: [POST], allowUnsafe: true";
    let service = service(stable.address(), shadow.address(), keys);
    let config = tls::config(service, "", "");
    let edge = Edge::start_in(folder, &config);
    let io = tls::connect(&edge, authority.client(&["h2"]), "a.example").await.unwrap();
    let mut client = Connection::http2_over(io, "a.example").await;
    let request = client.request("POST", "/body", "hello world");
    assert_eq!(client.send(request).await.body, "hello world");
    eventually_async("the copy is answered", async || results(&edge, "answered") == 1.0).await;
    let got = String::from_utf8(shadow.received()).unwrap();
    assert!(got.ends_with("content-length: 11\r\n\r\nhello world"), "{got}");
}

#[test]
fn a_client_that_leaves_early_sends_no_half_copy_and_one_that_leaves_late_stops_none() {
    let latch = Latch::new();
    let stable = RawOrigin::always(Script::new().read_request().wait_for(&latch).write(OK));
    let shadow = Origin::start("v2");
    let keys = ", methods: [GET, POST], allowUnsafe: true";
    let edge = Edge::start(&mirrored(stable.address(), shadow.address(), keys));
    let mut client = edge.client();
    client.send("POST /half HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
    eventually("the primary has it", || stable.received().ends_with(b"hello"));
    client.reset();
    eventually("it is given up", || dropped(&edge, "clientGone") == 1.0);
    assert_eq!(shadow.requests(), 0);
    let mut client = edge.client();
    client.send("GET /late HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the copy came", || shadow.requests() == 1);
    client.reset();
    latch.open();
    eventually("and was answered", || results(&edge, "answered") == 1.0);
    settled(&edge);
}

#[test]
fn only_the_routes_that_are_named_are_copied() {
    let (stable, shadow) = (Origin::start("v1"), Origin::start("v2"));
    let config = ConfigText::new()
        .http_listener("http")
        .service(service(stable.address(), shadow.address(), ", routes: [in]"))
        .route("{ name: in, matches: [{ path: { prefix: /in } }], service: web }")
        .route(
            "{ name: forced, matches: [{ path: { prefix: /forced } }], service: web, version: v1 }",
        )
        .route("{ name: out, matches: [{ path: { prefix: / } }], service: web }");
    let edge = Edge::start(&config);
    for path in ["/out", "/forced", "/in"] {
        assert_eq!(edge.get(path).status, 200);
    }
    eventually("the one", || shadow.requests() == 1);
    assert_eq!(shadow.seen()[0].path, "/in");
}

#[test]
fn a_share_is_a_share() {
    let (stable, shadow) = (Origin::start("v1"), Origin::start("v2"));
    let edge = Edge::start(&mirrored(stable.address(), shadow.address(), ", percent: 25%"));
    let mut client = edge.client();
    for _ in 0..1_000 {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.response().status, 200);
    }
    settled(&edge);
    let copies = shadow.requests();
    // Five standard deviations.
    assert!((180..=320).contains(&copies), "{copies} of 1000");
    assert_eq!(edge.counts("v2").judged.exposures(), 0, "and none of them is a request of v2");
}

#[test]
fn copies_of_json_leave_without_what_is_redacted() {
    let stable = Origin::start("v1");
    let shadow = RawOrigin::always(Script::new().read_until("}}").write(OK).repeat());
    let keys = ", methods: [POST], allowUnsafe: true, redact: { json: [\"$.card.number\"] }";
    let edge = Edge::start(&mirrored(stable.address(), shadow.address(), keys));
    let mut client = edge.client();
    let post = |kind: &str, body: &str| {
        let length = body.len();
        format!(
            "POST /body HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    };
    client.send(post("application/json", r#"{ "a" :1,"card":{"number": "4111" ,"year":30}}"#));
    assert_eq!(client.response().status, 200);
    client.send(post("application/json", r#"{"card":{"number":4111"}}"#));
    assert_eq!(client.response().status, 200, "the primary takes what it takes");
    eventually("one is sent", || results(&edge, "answered") == 1.0);
    eventually("what is broken is not", || dropped(&edge, "notRedacted") == 1.0);
    let got = String::from_utf8(shadow.received()).unwrap();
    let body = r#"{ "a" :1,"card":{"number": "[redacted]" ,"year":30}}"#;
    assert!(got.ends_with(&format!("content-length: {}\r\n\r\n{body}", body.len())), "{got}");
}

#[test]
fn a_shadow_that_fails_is_counted_by_how() {
    let stable = Origin::start("v1");
    let mut shadow = Origin::start("v2");
    let keys = ", timeout: 200ms";
    let edge = Edge::start(&mirrored(stable.address(), shadow.address(), keys));
    let ask = |what: &str, reason: &str| {
        assert_eq!(edge.get("/").status, 200);
        eventually(what, || dropped(&edge, reason) == 1.0);
    };
    shadow.break_all(Fault::Hang);
    ask("it never answers", "timeout");
    shadow.break_all(Fault::Drop);
    ask("it breaks off", "reset");
    shadow.stop();
    ask("nobody is there", "refused");
    eventually("they count", || edge.counts("v2").shadow_failed == 3);
    eventually("stable is not to blame", || edge.counts("v1").judged.good == 3);
    settled(&edge);
}

#[test]
fn connections_to_the_shadow_are_kept() {
    let (stable, shadow) = (Origin::start("v1"), Origin::start("v2"));
    let edge = Edge::start(&mirrored(stable.address(), shadow.address(), ""));
    for n in 1..=20 {
        assert_eq!(edge.get("/stream/3/0").status, 200);
        eventually("the copy", || results(&edge, "answered") == f64::from(n));
    }
    assert_eq!((shadow.requests(), shadow.connections()), (20, 1));
}

#[test]
fn a_shadow_of_http2_gets_copies_over_one_connection() {
    let (stable, shadow) = (Origin::start("v1"), Origin::start("v2"));
    let yaml = format!("{{ release: v2, protocol: http2, endpoints: [\"{}\"] }}", shadow.address());
    let text = web(stable.address())
        .version_yaml("v2", &yaml)
        .with("shadow: { to: v2, methods: [GET, POST], allowUnsafe: true }");
    let edge = Edge::start(&ConfigText::simple(text));
    for n in 1..=5 {
        let mut client = edge.client();
        client.send("POST /body?q HTTP/1.1\r\nHost: a.example\r\nCookie: x\r\nContent-Length: 5\r\n\r\nhello");
        assert_eq!(client.response().status, 200);
        eventually("the copy", || results(&edge, "answered") == f64::from(n));
    }
    let seen = shadow.seen();
    assert!(seen.iter().all(|seen| seen.http2 && seen.header("cookie").is_none()));
    assert!(seen.iter().all(|seen| seen.path == "/body?q"), "{seen:?}");
    assert_eq!(shadow.connections(), 1);
}
