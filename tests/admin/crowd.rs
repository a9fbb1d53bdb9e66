//! Many connections at once: whoever says nothing, or never takes an answer, keeps nobody else out.

use crate::test_server::{TestServer, detail, everything_is_fine, hooks, token};
use serin_config::model::Role;
use serin_control::api::Hooks;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// Far less than the time that the silent are given, and far more than an answer takes.
const SOON: Duration = Duration::from_secs(5);

async fn connect_from(last: u8, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, last], 0))).unwrap();
    socket.connect(to).await.unwrap()
}

/// The status line of an answer, on a connection of its own.
async fn asked(bench: &TestServer, from: u8, request: &str) -> String {
    let answered = async {
        let mut stream = connect_from(from, bench.address).await;
        let head = format!("{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        said.lines().next().unwrap_or_default().to_owned()
    };
    let answered = tokio::time::timeout(SOON, answered).await;
    answered.unwrap_or_else(|_| format!("no answer within {SOON:?}"))
}

async fn everybody_is_heard(bench: &TestServer) {
    for _ in 0..20 {
        assert_eq!(asked(bench, 1, "GET /livez").await, "HTTP/1.1 200 OK");
    }
    let abort = "POST /v1/services/checkout/rollout/abort";
    assert_eq!(asked(bench, 2, abort).await, "HTTP/1.1 409 Conflict", "heard; nothing runs");
}

#[tokio::test]
async fn silent_connections_and_unfinished_heads_keep_nobody_out() {
    let bench = TestServer::open().await;
    let mut held = Vec::new();
    for n in 0..400 {
        let mut stream = connect_from(1, bench.address).await;
        if n % 2 == 0 {
            stream.write_all(b"GET /livez HTTP/1.1\r\nHost: local").await.unwrap();
        }
        held.push(stream);
    }
    everybody_is_heard(&bench).await;
}

#[tokio::test]
async fn silent_connections_from_many_addresses_keep_nobody_out() {
    let bench = TestServer::open().await;
    let mut held = Vec::new();
    for n in 0..400u32 {
        let last = 10 + u8::try_from(n % 40).unwrap();
        held.push(connect_from(last, bench.address).await);
    }
    everybody_is_heard(&bench).await;
}

#[tokio::test]
async fn clients_that_never_take_their_answers_keep_nobody_out() {
    let bench = TestServer::open().await;
    let mut held = Vec::new();
    let many = "GET /page/page.js HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(60);
    for _ in 0..120 {
        let stream = connect_from(10, bench.address).await;
        // It may be closed for somebody else at any time.
        let _ = stream.try_write(many.as_bytes());
        held.push(stream);
    }
    everybody_is_heard(&bench).await;
}

#[tokio::test]
async fn one_address_has_a_share_of_the_event_streams() {
    let bench = TestServer::open().await;
    let mut held = Vec::new();
    for n in 0.. {
        let mut stream = connect_from(1, bench.address).await;
        let head = "GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.unwrap();
        held.push(stream);
        if &status != b"HTTP/1.1 200" {
            assert_eq!(&status, b"HTTP/1.1 503");
            assert_eq!(n, 48);
            break;
        }
    }
    let other = "GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut stream = connect_from(2, bench.address).await;
    stream.write_all(other.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    everybody_is_heard(&bench).await;
}

/// A check that waits, and says how many wait.
fn waiting() -> (Hooks, Arc<AtomicUsize>, impl Fn()) {
    let (entered, gate) =
        (Arc::new(AtomicUsize::new(0)), Arc::new((Mutex::new(true), Condvar::new())));
    let (count, shut) = (Arc::clone(&entered), Arc::clone(&gate));
    let check = move |_: Option<&str>| {
        count.fetch_add(1, SeqCst);
        let _open = shut.1.wait_while(shut.0.lock().unwrap(), |shut| *shut).unwrap();
        Ok(everything_is_fine())
    };
    let open = move || {
        *gate.0.lock().unwrap() = false;
        gate.1.notify_all();
    };
    (Hooks { check: Arc::new(check), ..hooks() }, entered, open)
}

#[tokio::test]
async fn few_configurations_are_checked_at_a_time() {
    let (hooks, entered, open) = waiting();
    let bench = TestServer::with_hooks(hooks).await;
    let text = r#"{"yaml": "version: 1"}"#;
    let check = || bench.post("/v1/config/check", text);
    let refused = async {
        serin_testkit::eventually_async("two are checked", async || entered.load(SeqCst) == 2)
            .await;
        let refused = check().await;
        assert_eq!(refused.header("retry-after"), Some("1"));
        let why = detail(&refused, 503);
        open();
        why
    };
    let (first, second, why) = tokio::join!(check(), check(), refused);
    assert_eq!((first.status, second.status), (200, 200));
    assert!(why.contains("2 configurations are being checked already"), "{why}");
    assert_eq!(check().await.status, 200);
}

#[tokio::test]
async fn viewers_leave_an_operator_a_check() {
    let (hooks, entered, open) = waiting();
    let tokens = [(Role::Viewer, "look"), (Role::Operator, "touch")].map(|of| token(&of));
    let bench = TestServer::of(|config| config.admin.tokens = tokens.into(), hooks).await;
    let check = async |token: &str| {
        let token = [("authorization", token)];
        bench.ask("POST", "/v1/config/check", &token, r#"{"yaml": "version: 1"}"#).await
    };
    let refused = async {
        serin_testkit::eventually_async("one is checked", async || entered.load(SeqCst) == 1).await;
        let refused = check("Bearer look").await;
        let operator = async {
            let both = async || entered.load(SeqCst) == 2;
            serin_testkit::eventually_async("the operator's, too", both).await;
            open();
        };
        let (served, ()) = tokio::join!(check("Bearer touch"), operator);
        (refused, served)
    };
    let (first, (refused, served)) = tokio::join!(check("Bearer look"), refused);
    assert!(detail(&refused, 503).contains("1 for viewers is being checked already"));
    assert_eq!((first.status, served.status), (200, 200));
}
