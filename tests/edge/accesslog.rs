//! One line per request, refused ones too.

use crate::edge::{Edge, ROUTE, web};
use serin_testkit::{ConfigText, Origin, eventually, temp_dir};
use std::fs::File;
use std::process::Command;

fn logged(format: &str, ask: impl Fn(&Edge)) -> Vec<String> {
    let origin = Origin::start("v1");
    let folder = temp_dir();
    let path = folder.path().join("access.log");
    let log = format!("accessLog: {{ format: {format}, to: {:?} }}", path.display().to_string());
    let config = ConfigText::new()
        .http_listener("http")
        .service(web(origin.address()))
        .route(ROUTE)
        .with(&log);
    let edge = Edge::start_in(folder, &config);
    ask(&edge);
    eventually("two lines", || {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        (lines.len() == 2).then_some(lines)
    })
}

fn ask(edge: &Edge) {
    let mut client = edge.client();
    client.send("GET /bytes/10?q HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: a \"b\"\r\n\r\n");
    assert_eq!(client.response().status, 200);
    client.send("GET / HTTP/1.1\r\n\r\n");
    assert_eq!(client.response().status, 400);
}

#[test]
fn a_json_line_names_everything_that_took_part() {
    let lines = logged("json", ask);
    let line = &lines[0];
    for part in [
        "\"http.response.status_code\":200",
        "\"serin.route\":\"all\"",
        "\"serin.service\":\"web\"",
        "\"serin.version\":\"v1\"",
        "\"serin.outcome\":\"good\"",
        "\"http.response.body.size\":10",
        "\"server.address\":\"shop.example\"",
        "\"url.path\":\"/bytes/10\"",
        "\"url.query\":\"q\"",
        "\"serin.attempts\":1",
    ] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    assert!(lines[1].contains("\"http.response.status_code\":400"), "{}", lines[1]);
}

#[test]
fn a_combined_line_is_what_other_tools_read() {
    let lines = logged("combined", ask);
    assert!(lines[0].starts_with("127.0.0.1 - - ["), "{}", lines[0]);
    assert!(
        lines[0].ends_with("\"GET /bytes/10?q HTTP/1.1\" 200 10 \"-\" \"a \\\"b\\\"\""),
        "{}",
        lines[0]
    );
}

/// A pipe that nobody reads: lines are dropped and counted, and requests, reloads and the end of
/// the process go on without it.
#[test]
fn a_log_that_nobody_reads_holds_nothing_up() {
    let origin = Origin::start("v1");
    let folder = temp_dir();
    let pipe = folder.path().join("log.pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let _held = File::options().read(true).write(true).open(&pipe).unwrap();
    let log = format!("accessLog: {{ format: json, to: {:?} }}", pipe.display().to_string());
    let config = ConfigText::new()
        .http_listener("http")
        .service(web(origin.address()))
        .route(ROUTE)
        .with(&log);
    let edge = Edge::start_in(folder, &config);
    let mut client = edge.client();
    let request = "GET /bytes/10 HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut asked = 0;
    while edge.total("serin_access_log_dropped_total") == 0.0 {
        for _ in 0..500 {
            client.send(request);
            assert_eq!(client.response().status, 200);
        }
        asked += 500;
        assert!(asked < 100_000, "nothing was dropped");
    }
    edge.apply(&config);
    client.send(request);
    assert_eq!(client.response().status, 200);
    drop(edge);
}
