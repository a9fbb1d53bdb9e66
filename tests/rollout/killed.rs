//! The binary, killed at any moment and started again.

use crate::test_server::config;
use serin_testkit::{Connection, Origin, Serin, eventually, temp_dir};
use std::net::SocketAddr;
use std::time::Duration;

const BINARY: &str = env!("CARGO_BIN_EXE_serin");
const KILLS: u64 = 12;

#[test]
fn killed_at_any_moment_it_resumes_no_higher_than_it_had_said() {
    let (stable, candidate) = (Origin::start("v1"), Origin::start("v2"));
    let dir = temp_dir();
    // Nothing moves by itself: the only step waits for an approval that nobody gives.
    let steps =
        "steps: [ { weight: 100%, hold: 10m } ], gates: [ { before: \"100%\", approval: true } ]";
    let path = config(&stable, &candidate, steps).write_to(dir.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    // One of these is what the journal says: the weight that was durable last, and what was asked
    // for since.
    let mut may_be = vec![0_u64];
    let mut log = Vec::new();
    for kill in 0..KILLS {
        let mut serin = Serin::run(BINARY, &path);
        let admin = serin.address("admin");
        let found = runtime.block_on(weight(admin));
        log.push((may_be.clone(), found));
        if kill == 0 {
            eventually("the rollout starts", || runtime.block_on(started(admin)));
        }
        assert!(may_be.contains(&found), "kill {kill}: {found} found, and not of {may_be:?}");
        may_be = vec![found];
        // Weights go up and down until the kill, which comes at another moment each time.
        let until = std::time::Instant::now() + Duration::from_millis(60 + 37 * kill);
        let mut step = kill;
        runtime.block_on(async {
            while std::time::Instant::now() < until {
                step = (step * 7 + 1013) % 90;
                let asked = (step + 1) * 100;
                if put(admin, asked).await {
                    may_be.clear();
                }
                may_be.push(asked);
            }
            // And one that is cut off.
            let asked = (step % 50 + 7) * 100;
            let cut = tokio::time::timeout(Duration::from_millis(kill % 5), put(admin, asked));
            if cut.await.is_ok_and(|durable| durable) {
                may_be.clear();
            }
            may_be.push(asked);
        });
        serin.kill();
    }
    println!("{KILLS} kills: (may be, found) {log:?}");
    assert!(log.iter().any(|(_, found)| *found > 0), "no weight was ever in force");
}

#[test]
fn a_second_process_is_told_who_holds_the_state() {
    let (stable, candidate) = (Origin::start("v1"), Origin::start("v2"));
    let dir = temp_dir();
    let path = config(&stable, &candidate, "steps: [ { weight: 100%, hold: 1s } ]");
    let path = path.write_to(dir.path());
    let mut first = Serin::run(BINARY, &path);
    first.address("admin");
    let mut second = Serin::run(BINARY, &path);
    let told = format!("is in use by process {}", first.pid());
    let waits = format!("{told}; waiting for it to end, 10s at most");
    eventually("the wait", || second.log().contains(&waits));
    assert!(!second.ended().success());
    let stop = format!("{told}; stop it, or give this one another state.dir");
    eventually("the reason", || second.log().contains(&stop));
    assert!(!second.log().contains("control is silent"), "{}", second.log());
}

async fn weight(admin: SocketAddr) -> u64 {
    let mut connection = Connection::http1(admin, &admin.to_string()).await;
    let answer = connection.get("/v1/services/shop").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["weights"]["v2"].as_u64().unwrap_or(0)
}

async fn started(admin: SocketAddr) -> bool {
    let mut connection = Connection::http1(admin, &admin.to_string()).await;
    let mut request = connection.request("POST", "/v1/services/shop/rollout", "{}");
    let json = "application/json".parse().expect("a header");
    request.headers_mut().insert("content-type", json);
    connection.send(request).await.status == 201
}

/// Says whether that is done and durable: on a disk that is busy elsewhere a lower weight is in force
/// before it is.
async fn put(admin: SocketAddr, points: u64) -> bool {
    let mut connection = Connection::http1(admin, &admin.to_string()).await;
    let body = format!("{{\"weights\":{{\"v1\":{},\"v2\":{points}}}}}", 10_000 - points);
    let mut request = connection.request("PUT", "/v1/services/shop/weights", body);
    let json = "application/json".parse().expect("a header");
    request.headers_mut().insert("content-type", json);
    let answer = connection.try_send(request).await;
    answer.is_ok_and(|answer| answer.status < 300 && !answer.text().contains("not durable yet"))
}
