//! Who gets in: addresses, hosts, origins, tokens, roles, media types, sizes, rates.

use crate::test_server::{TestServer, detail, hooks, token};
use serin_config::model::{Admin, AdminAddress, Role};
use serin_control::api::{Api, Serve, bind, bind_probes, inherit};
use std::os::unix::fs::PermissionsExt;

const BOTH: [(Role, &str); 2] = [(Role::Viewer, "look-4f1c"), (Role::Operator, "touch-9b2e")];
const RESUME: &str = "/v1/services/checkout/rollout/resume";

#[tokio::test]
async fn a_missing_or_wrong_token_is_refused_and_says_how_to_send_one() {
    let bench = TestServer::with_tokens(&BOTH).await;
    let missing = bench.get("/v1/services").await;
    assert!(detail(&missing, 401).contains("--token-file"));
    assert_eq!(missing.header("www-authenticate"), Some("Bearer realm=\"serin\""));
    for wrong in ["Bearer nope", "Bearer look-4f1", "Bearer ", "Basic bG9vazo=", "look-4f1c"] {
        let answer = bench.ask("GET", "/v1/services", &[("authorization", wrong)], "").await;
        detail(&answer, 401);
    }
    let unknown = bench.get("/v1/no/such/thing").await;
    detail(&unknown, 401);
}

#[tokio::test]
async fn a_viewer_reads_and_an_operator_changes() {
    let bench = TestServer::with_tokens(&BOTH).await;
    let viewer = ("authorization", "Bearer look-4f1c");
    let operator = ("authorization", "Bearer touch-9b2e");
    for role in [viewer, operator] {
        assert_eq!(bench.ask("GET", "/v1/services", &[role], "").await.status, 200);
    }
    for role in [viewer, operator] {
        let text = r#"{"yaml": "version: 1"}"#;
        let checked = bench.ask("POST", "/v1/config/check", &[role], text).await;
        assert_eq!(checked.status, 200, "{}", checked.text());
    }
    let refused = bench.ask("POST", RESUME, &[viewer], "").await;
    assert_eq!(detail(&refused, 403), "viewer has the role viewer; POST needs an operator's token");
    let heard = bench.ask("POST", RESUME, &[operator], "").await;
    assert_eq!(heard.status, 409, "no rollout runs: {}", heard.text());
}

#[tokio::test]
async fn tokens_can_be_replaced_while_it_runs() {
    let bench = TestServer::with_tokens(&BOTH).await;
    let admin = Admin {
        address: AdminAddress::Tcp(bench.address),
        tokens: vec![token(&(Role::Viewer, "fresh"))],
        hosts: Vec::new(),
        tls: None,
        probes: None,
    };
    bench.api.reconfigure(&admin);
    let with = async |token| bench.ask("GET", "/v1/dora", &[("authorization", token)], "").await;
    assert_eq!(with("Bearer look-4f1c").await.status, 401);
    assert_eq!(with("Bearer fresh").await.status, 200);
}

#[tokio::test]
async fn probes_metrics_page_and_document_need_no_token() {
    let bench = TestServer::with_tokens(&BOTH).await;
    for open in ["/livez", "/readyz", "/metrics", "/", "/openapi.json"] {
        assert_eq!(bench.get(open).await.status, 200, "{open}");
    }
}

#[tokio::test]
async fn a_rebound_name_is_refused_everywhere() {
    let bench = TestServer::open().await;
    for path in ["/v1/services", "/metrics", "/", "/readyz", "/nothing"] {
        let answer = bench.ask("GET", path, &[("host", "evil.example:9901")], "").await;
        assert!(detail(&answer, 403).contains("admin.hosts"), "{path}");
    }
    for own in ["localhost", "127.0.0.1:1", "[::1]:9901"] {
        assert_eq!(bench.ask("GET", "/v1/services", &[("host", own)], "").await.status, 200);
    }
}

#[tokio::test]
async fn a_page_of_another_origin_changes_nothing() {
    let bench = TestServer::open().await;
    let own = format!("http://{}", bench.address);
    for foreign in ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost"] {
        let put =
            bench.ask("PUT", "/v1/freeze", &[("origin", foreign)], r#"{"frozen":true}"#).await;
        detail(&put, 403);
        let post = bench.ask("POST", RESUME, &[("origin", foreign)], "").await;
        detail(&post, 403);
        let read = bench.ask("GET", "/v1/services", &[("origin", foreign)], "").await;
        assert_eq!(read.header("access-control-allow-origin"), None);
    }
    let cross = bench.ask("POST", RESUME, &[("sec-fetch-site", "cross-site")], "").await;
    detail(&cross, 403);
    let ours = bench.ask("POST", RESUME, &[("origin", &own)], "").await;
    assert_eq!(ours.status, 409, "heard, and no rollout runs: {}", ours.text());
    assert!(bench.handle().snapshot().freeze.is_none());
}

#[tokio::test]
async fn only_json_is_accepted() {
    let bench = TestServer::open().await;
    let form = [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/jsonp",
    ];
    for kind in form {
        let answer = bench.ask("PUT", "/v1/freeze", &[("content-type", kind)], "{}").await;
        detail(&answer, 415);
        let empty = bench.ask("POST", RESUME, &[("content-type", kind)], "").await;
        detail(&empty, 415);
    }
    let json = [("content-type", "Application/JSON; charset=utf-8")];
    assert_eq!(bench.ask("POST", RESUME, &json, "{}").await.status, 409);
}

#[tokio::test]
async fn a_body_has_a_bound() {
    let bench = TestServer::open().await;
    let body = format!("{{\"reason\":\"{}\"}}", "x".repeat(70_000));
    detail(&bench.post(RESUME, &body).await, 413);
}

#[tokio::test]
async fn too_many_requests_from_one_address_are_refused_with_a_time_to_wait() {
    let bench = TestServer::with_tokens(&[(Role::Operator, "touch")]).await;
    let mut connection = bench.connect().await;
    for _ in 0..100_000 {
        let answer = connection.get("/metrics").await;
        if answer.status == 429 {
            assert_eq!(answer.header("retry-after"), Some("1"));
            assert_eq!(connection.get("/livez").await.status, 200, "probes are spared");
            return;
        }
        assert_eq!(answer.status, 200);
    }
    panic!("100,000 requests in a row were answered");
}

#[tokio::test]
async fn a_script_that_asks_all_the_time_locks_no_operator_out() {
    let bench = TestServer::open().await;
    let mut connection = bench.connect().await;
    for _ in 0..1_000 {
        assert_eq!(connection.get("/v1/freeze").await.status, 200);
    }
}

#[tokio::test]
async fn an_address_that_everybody_reaches_needs_a_token() {
    let mut admin = Admin {
        address: AdminAddress::Tcp("0.0.0.0:0".parse().unwrap()),
        tokens: Vec::new(),
        hosts: Vec::new(),
        tls: None,
        probes: None,
    };
    let refused = bind(&admin).await.expect_err("no token").to_string();
    assert!(refused.contains("admin.tokens is empty"), "{refused}");
    admin.tokens = vec![token(&(Role::Viewer, "look"))];
    assert!(bind(&admin).await.is_ok());
}

#[tokio::test]
async fn a_unix_socket_belongs_to_its_owner_and_is_not_taken_over() {
    let folder = serin_testkit::temp_dir();
    let path = folder.path().join("admin.sock");
    let admin = Admin {
        address: AdminAddress::Unix(path.clone()),
        tokens: Vec::new(),
        hosts: Vec::new(),
        tls: None,
        probes: None,
    };
    let bench = TestServer::open().await;
    let bound = bind(&admin).await.expect("a socket");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(bind(&admin).await.expect_err("taken").to_string().contains("another process answers"));

    let api = Api::new(bench.handle(), &admin, bound.reach(), hooks()).expect("an API");
    let (stop, stopped) = tokio::sync::watch::channel(Serve::Accept);
    let served = tokio::spawn(bound.serve(api, stopped));
    let stream = tokio::net::UnixStream::connect(&path).await.expect("a connection");
    let mut connection = serin_testkit::Connection::http1_over(stream, "any.name").await;
    assert_eq!(connection.get("/v1/services").await.status, 200);
    drop(connection);
    stop.send(Serve::Stop).expect("it still serves");
    served.await.expect("it ends");
    assert!(!path.exists(), "the socket goes with its server");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "and leaves nothing behind");
    bind(&admin).await.expect("the path is free again");
}

#[tokio::test]
async fn a_socket_on_the_network_stays_shut_when_a_reload_takes_its_tokens_away() {
    let mut admin = Admin {
        address: AdminAddress::Tcp("0.0.0.0:0".parse().unwrap()),
        tokens: vec![token(&(Role::Operator, "touch"))],
        hosts: Vec::new(),
        tls: None,
        probes: None,
    };
    let bench = TestServer::open().await;
    let bound = bind(&admin).await.expect("a socket");
    let api = Api::new(bench.handle(), &admin, bound.reach(), hooks()).expect("an API");
    assert_eq!(api.refuses(&admin), None);
    (admin.address, admin.tokens) = (AdminAddress::Tcp(bench.address), Vec::new());
    let why = api.refuses(&admin).expect("it is refused");
    assert!(why.contains("it listens on 0.0.0.0:"), "{why}");
    assert_eq!(bench.api.refuses(&admin), None, "loopback may do without");
}

/// The status of an event stream, and the stream.
async fn events(bench: &TestServer, token: &str) -> (String, tokio::net::TcpStream) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(bench.address).await.unwrap();
    let head =
        format!("GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: {token}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    (String::from_utf8_lossy(&status).into_owned(), stream)
}

#[tokio::test]
async fn an_event_stream_ends_when_what_let_it_in_is_taken_away() {
    use tokio::io::AsyncReadExt;
    let ends = async |mut stream: tokio::net::TcpStream| {
        let mut rest = Vec::new();
        let end = tokio::time::timeout(serin_testkit::PATIENCE, stream.read_to_end(&mut rest));
        end.await.expect("the stream ends").unwrap();
    };
    let with = |bench: &TestServer, tokens: &[(Role, &str)]| Admin {
        address: AdminAddress::Tcp(bench.address),
        tokens: tokens.iter().map(token).collect(),
        hosts: Vec::new(),
        tls: None,
        probes: None,
    };
    let bench = TestServer::with_tokens(&BOTH).await;
    let (viewed, viewer) = events(&bench, "Bearer look-4f1c").await;
    let (operated, mut operator) = events(&bench, "Bearer touch-9b2e").await;
    assert_eq!((viewed.as_str(), operated.as_str()), ("HTTP/1.1 200", "HTTP/1.1 200"));
    bench.api.reconfigure(&with(&bench, &BOTH[1..]));
    ends(viewer).await;
    let mut some = [0; 64];
    operator.read_exact(&mut some).await.expect("one whose token stays goes on");

    let bench = TestServer::open().await;
    let (status, everybody) = events(&bench, "none").await;
    assert_eq!(status, "HTTP/1.1 200");
    bench.api.reconfigure(&with(&bench, &BOTH));
    ends(everybody).await;
}

#[tokio::test]
async fn refused_logins_are_counted() {
    let bench = TestServer::with_tokens(&BOTH).await;
    bench.get("/v1/services").await;
    for _ in 0..3 {
        bench.ask("GET", "/v1/services", &[("authorization", "Bearer guess")], "").await;
    }
    let metrics = bench.get("/metrics").await.text();
    for counted in [r#"{reason="missing"} 1"#, r#"{reason="unknown"} 3"#] {
        let line = format!("serin_admin_logins_refused_total{counted}");
        assert!(metrics.contains(&line), "{metrics}");
    }
}

#[tokio::test]
async fn an_address_for_probes_answers_them_and_nothing_else() {
    let bench = TestServer::with_tokens(&BOTH).await;
    let bound = bind_probes("127.0.0.1:0".parse().unwrap(), None).await.expect("an address");
    let address: std::net::SocketAddr = bound.address().parse().unwrap();
    let (stop, stopped) = tokio::sync::watch::channel(Serve::Accept);
    let served = tokio::spawn(bound.serve_probes(bench.api.clone(), stopped));
    let mut connection = serin_testkit::Connection::http1(address, &address.to_string()).await;
    for (path, status) in
        [("/livez", 200), ("/readyz", 200), ("/metrics", 200), ("/v1/services", 401), ("/", 404)]
    {
        assert_eq!(connection.get(path).await.status, status, "{path}");
    }
    drop(connection);
    stop.send(Serve::Stop).expect("it still serves");
    served.await.expect("it ends");
}

#[tokio::test]
async fn a_passed_unix_socket_that_everybody_may_open_needs_tokens() {
    let folder = serin_testkit::temp_dir();
    let path = folder.path().join("admin.sock");
    let socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode));
    let mut admin = Admin {
        address: AdminAddress::Unix(path.clone()),
        tokens: Vec::new(),
        hosts: Vec::new(),
        tls: None,
        probes: None,
    };
    let passed = || std::os::fd::OwnedFd::from(socket.try_clone().unwrap());
    mode(0o666).unwrap();
    let why = inherit(&admin, passed()).expect_err("it is open to all").to_string();
    assert!(why.contains("may be opened by all") && why.contains("SocketMode=0660"), "{why}");
    mode(0o660).unwrap();
    assert!(inherit(&admin, passed()).is_ok(), "whom the group has is the operator's choice");
    mode(0o666).unwrap();
    admin.tokens = vec![token(&(Role::Operator, "touch"))];
    assert!(inherit(&admin, passed()).is_ok());
}
