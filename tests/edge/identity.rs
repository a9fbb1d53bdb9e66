//! What a backend is told about its client, and what a client cannot make it believe.

use crate::edge::{Edge, ROUTE, web};
use serin_testkit::{ConfigText, Origin, RawClient, Seen};
use std::net::SocketAddr;

fn seen(trusted: &str, headers: &str) -> Seen {
    let origin = Origin::start("v1");
    let listener =
        format!("{{ name: http, address: \"127.0.0.1:0\", protocol: HTTP, trusted: [{trusted}] }}");
    let config = ConfigText::new().listener(&listener).service(web(origin.address())).route(ROUTE);
    let edge = Edge::start(&config);
    let mut client = edge.client();
    client.send(format!("GET /x HTTP/1.1\r\nHost: shop.example\r\n{headers}\r\n"));
    assert_eq!(client.response().status, 200);
    origin.seen().remove(0)
}

const FORGED: &str = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\n";

#[test]
fn what_an_untrusted_client_says_about_itself_is_overwritten() {
    let seen = seen("", FORGED);
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("http"));
    assert_eq!(seen.header("x-forwarded-host"), Some("shop.example"));
    assert_eq!(seen.header("x-forwarded-port"), None);
    assert_eq!(seen.header("x-real-ip"), None);
    assert_eq!(seen.header("x_forwarded_for"), None);
    assert_eq!(seen.header("forwarded"), Some("for=127.0.0.1;host=\"shop.example\";proto=http"));
}

#[test]
fn what_a_trusted_peer_says_is_kept_and_added_to() {
    let seen = seen("\"127.0.0.0/8\"", FORGED);
    assert_eq!(seen.header("x-forwarded-for"), Some("6.6.6.6, 127.0.0.1"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
    assert_eq!(seen.header("x-forwarded-host"), Some("evil"));
    assert!(seen.header("forwarded").unwrap().starts_with("for=6.6.6.6, for=127.0.0.1"));
}

/// There are lines of their own for those whom nobody trusts, and others for routes that edit.
#[test]
fn a_client_of_ipv6_is_told_in_brackets() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        eprintln!("this machine has no IPv6");
        return;
    }
    let listeners = [("six", "[::1]", ""), ("both", "[::]", ""), ("trusted", "[::1]", "\"::1\"")]
        .map(|(name, on, trusted)| {
            format!("{{ name: {name}, address: \"{on}:0\", protocol: HTTP, trusted: [{trusted}] }}")
        });
    let edited = "{ name: edited, matches: [{ path: { prefix: /edited } }], service: web, request: { setHeaders: { x-edge: serin } } }";
    let origin = Origin::start("v1");
    let config = listeners.iter().fold(ConfigText::new(), |config, l| config.listener(l));
    let config = config.service(web(origin.address())).route(ROUTE).route(edited);
    let edge = Edge::start(&config);
    let told = |listener, ip: &str, path| {
        let port = edge.proxy.address(listener).unwrap().port();
        let mut client = RawClient::connect(SocketAddr::new(ip.parse().unwrap(), port));
        client.send(format!("GET {path} HTTP/1.1\r\nHost: [::1]:80\r\n{FORGED}\r\n"));
        assert_eq!(client.response().status, 200);
        let seen = origin.seen().pop().unwrap();
        ["x-forwarded-for", "x-forwarded-host", "forwarded"]
            .map(|name| seen.header(name).unwrap().to_owned())
    };
    for path in ["/", "/edited"] {
        let mine = ["::1", "[::1]:80", "for=\"[::1]\";host=\"[::1]:80\";proto=http"];
        assert_eq!(told("six", "::1", path), mine, "{path}");
        assert_eq!(told("both", "::1", path), mine, "{path}");
        let four = ["127.0.0.1", "[::1]:80", "for=127.0.0.1;host=\"[::1]:80\";proto=http"];
        assert_eq!(told("both", "127.0.0.1", path), four, "{path}");
        let added = ["6.6.6.6, ::1", "evil", &format!("for=6.6.6.6, {}", mine[2])];
        assert_eq!(told("trusted", "::1", path), added, "{path}");
    }
}

#[test]
fn a_connection_header_removes_nothing_of_ours() {
    let seen = seen(
        "",
        "Connection: X-Forwarded-For, Host, X-Request-Id, X-Own, close\r\nX-Own: 1\r\nKeep-Alive: 5\r\nProxy-Authorization: x\r\nTE: trailers\r\n",
    );
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
    assert!(seen.header("x-request-id").is_some());
    for gone in ["x-own", "keep-alive", "proxy-authorization", "te"] {
        assert_eq!(seen.header(gone), None, "{gone}");
    }
}

#[test]
fn ids_are_made_when_missing_and_passed_when_a_trusted_peer_brings_them() {
    let made = seen("", "");
    assert_eq!(made.header("x-request-id").unwrap().len(), 32);
    assert!(made.header("traceparent").unwrap().starts_with("00-"));
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let brought = format!("X-Request-ID: mine-1\r\ntraceparent: {parent}\r\ntracestate: a=b\r\n");
    let strange = seen("", &brought);
    assert_eq!(strange.header("x-request-id").unwrap().len(), 32, "a stranger chooses no id");
    assert_eq!(strange.header("traceparent"), Some(parent));
    let passed = seen("\"127.0.0.0/8\"", &brought);
    assert_eq!(passed.header("x-request-id"), Some("mine-1"));
    assert_eq!(passed.header("traceparent"), Some(parent));
    assert_eq!(passed.header("tracestate"), Some("a=b"));
    let odd = seen(
        "\"127.0.0.0/8\"",
        &format!("X-Request-ID: {}\r\ntraceparent: 00-0-0-0\r\n", "x".repeat(200)),
    );
    assert_eq!(odd.header("x-request-id").unwrap().len(), 32);
    assert_eq!(odd.header("traceparent").unwrap().len(), parent.len());
}

#[test]
fn routes_edit_headers_and_rewrite_paths() {
    let origin = Origin::start("v1");
    let config = ConfigText::new().http_listener("http").service(web(origin.address())).route(
        "{ name: all, matches: [{ path: { prefix: /checkout } }], service: web, rewrite: { prefix: /api/checkout }, request: { setHeaders: { x-edge: serin }, removeHeaders: [x-debug] }, response: { setHeaders: { x-answer: yes }, removeHeaders: [x-version] } }",
    );
    let edge = Edge::start(&config);
    let mut client = edge.client();
    client.send("GET /checkout/1?a=b HTTP/1.1\r\nHost: a\r\nX-Debug: 1\r\n\r\n");
    let answer = client.response();
    assert_eq!(answer.header("x-answer").as_deref(), Some("yes"));
    assert_eq!(answer.header("x-version"), None);
    let seen = origin.seen().remove(0);
    assert_eq!(seen.path, "/api/checkout/1?a=b");
    assert_eq!((seen.header("x-edge"), seen.header("x-debug")), (Some("serin"), None));
}

#[test]
fn a_rate_limit_answers_429_and_says_when_to_come_back() {
    let origin = Origin::start("v1");
    let config = ConfigText::new().http_listener("http").service(web(origin.address())).route(
        "{ name: all, matches: [{ path: { prefix: / } }], service: web, limits: { requestsPerSecond: 1, per: clientIp } }",
    );
    let edge = Edge::start(&config);
    let mut client = edge.client();
    let answers: Vec<_> = (0..20)
        .map(|_| {
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            client.response()
        })
        .collect();
    let refused: Vec<_> = answers.iter().filter(|a| a.status == 429).collect();
    assert!(refused.len() >= 10, "{}", refused.len());
    assert!(refused.iter().all(|a| a.header("retry-after").is_some()));
}
