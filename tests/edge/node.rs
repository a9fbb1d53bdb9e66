//! A backend of Node.js, which refuses what others ask while a connection holds much that its clients do not
//! take.

use crate::edge::Edge;
use crate::http2::{REQUEST, RST, begin, block, frame, read_frame};
use crate::http2_ends::NO_WINDOW;
use crate::http2_upstream::http2;
use crate::tls::{Authority, config, connect, prepared};
use serin_testkit::{Connection, Serin, eventually_async};
use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use tokio::io::AsyncWriteExt;
use tokio::task::JoinHandle;

const HEADERS: u8 = 1;

/// Gives an answer of two megabytes away at once, as a framework does that has it whole.
const NODE: &str = r"
const large = Buffer.alloc(2 << 20, 'x');
const server = require('http2').createServer((request, answer) => {
  answer.on('error', () => {});
  request.on('error', () => {});
  request.resume();
  request.on('end', () => answer.end(request.url === '/large' ? large : 'ok'));
});
server.listen(0, '127.0.0.1', () => console.log('listening node 127.0.0.1:' + server.address().port));
";

fn node() -> Option<(Serin, SocketAddr)> {
    if Command::new("node").arg("--version").output().is_err() {
        println!("there is no node here");
        return None;
    }
    let mut node = Serin::start(Command::new("node").args(["-e", NODE]));
    let address = node.address("node");
    Some((node, address))
}

/// Users who ask one thing after the other until they are told to stop.
#[derive(Default)]
struct Users {
    answered: AtomicUsize,
    stopped: AtomicBool,
    failed: Mutex<Vec<String>>,
}

impl Users {
    async fn begin(self: &Arc<Self>, edge: &Edge, authority: &Authority) -> JoinHandle<()> {
        let over = connect(edge, authority.client(&["h2"]), "a.example").await.unwrap();
        let (mut client, users) = (Connection::http2_over(over, "a.example").await, self.clone());
        tokio::spawn(async move {
            for method in ["GET", "POST"].into_iter().cycle() {
                if users.stopped.load(SeqCst) {
                    return;
                }
                let fault = match client.try_send(client.request(method, "/", "")).await {
                    Ok(answer) if answer.status == 200 => None,
                    Ok(answer) => Some(format!("{method}: {}", answer.text())),
                    Err(error) => Some(format!("{method}: {error:?}")),
                };
                users.failed.lock().unwrap().extend(fault);
                users.answered.fetch_add(1, SeqCst);
            }
        })
    }

    async fn go_on(&self) {
        let before = self.answered.load(SeqCst);
        eventually_async("others are answered", async || {
            self.answered.load(SeqCst) >= before + 100
        })
        .await;
    }
}

/// A client that takes nothing of what it has asked for, once as much has begun as begins then.
async fn greedy(edge: &Edge, authority: &Authority) -> impl Sized + use<> {
    let mut stream = connect(edge, authority.client(&["h2"]), "a.example").await.unwrap();
    begin(&mut stream, &NO_WINDOW).await;
    let large = block(&[&REQUEST[..2], &[(":path", "/large")], &REQUEST[3..]].concat());
    for n in 0..99 {
        stream.write_all(&frame(HEADERS, 5, 2 * n + 1, &large)).await.unwrap();
    }
    for _ in 0..8 {
        read_frame(&mut stream, &[HEADERS, RST]).await.unwrap();
    }
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn large_answers_that_nobody_takes_cost_no_other_request_at_a_backend_of_node() {
    let Some((_node, backend)) = node() else { return };
    let (authority, folder) = prepared();
    let edge = Edge::start_on(1, folder, &config(http2(backend), "", ""));
    let users = Arc::new(Users::default());
    let mut asking = Vec::new();
    for _ in 0..4 {
        asking.push(users.begin(&edge, &authority).await);
    }
    let mut takes_nothing = Vec::new();
    for _ in 0..6 {
        users.go_on().await;
        takes_nothing.push(greedy(&edge, &authority).await);
    }
    users.go_on().await;
    users.stopped.store(true, SeqCst);
    for one in asking {
        one.await.unwrap();
    }
    let failed = users.failed.lock().unwrap();
    let asked = users.answered.load(SeqCst);
    assert!(failed.is_empty(), "{} of {asked}, such as {:?}", failed.len(), failed.first());
    println!("all of {asked} were answered");
}
