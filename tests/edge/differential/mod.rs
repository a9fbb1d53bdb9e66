//! The same exchanges through Serin and through a witness, to a backend that shows what it got: who
//! carried a request must be impossible to tell, from either side. The witness is pingora's proxy: see
//! [`witness`].
//!
//! In [`asking`] it is the clients who misbehave: several connections at once, their
//! pieces interleaved, requests pipelined, cut at every byte, ended at every byte, and damaged. In
//! [`answering`] it is the backend: its answers are cut at every byte, broken off at every byte, and
//! damaged. Everything is made from a seed, and nothing waits for a while: after each piece a request
//! of its own goes to the same proxy, which has one thread, and whose answer therefore says that the
//! piece was read. What may differ is what [`shown`] leaves out: the order of fields, how a body is
//! cut into chunks, and what is made anew for each request.

mod across;
mod answering;
mod asking;
mod backend;
mod made;
mod witness;

use crate::edge::{Edge, web};
use backend::{Backend, Pings};
use serin_testkit::{ConfigText, Response, responses, temp_dir};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

/// Exchanges through each: of the two halves that have pingora's proxy as their witness together, and as many
/// between every two protocols.
fn wanted() -> usize {
    if std::env::var_os("SERIN_LONG").is_some() { 1_000_000 } else { 3_000 }
}

#[test]
fn nobody_can_tell_who_carried_what_a_client_asked() {
    let proxies = Proxy::both(|| backend::by_path);
    let (next, asked) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let found = Differences::default();
    std::thread::scope(|scope| {
        let drivers: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| asking::drive(&proxies, &next, &asked, &found)))
            .collect();
        drivers.into_iter().for_each(|driver| driver.join().unwrap());
    });
    let conversations = next.load(Relaxed);
    println!("{} exchanges of {conversations} conversations through each", asked.load(Relaxed));
    found.are_none();
}

#[test]
fn nobody_can_tell_who_carried_what_a_backend_answered() {
    let (next, found) = (AtomicUsize::new(0), Differences::default());
    std::thread::scope(|scope| {
        let drivers: Vec<_> =
            (0..2).map(|_| scope.spawn(|| answering::drive(&next, &found))).collect();
        drivers.into_iter().for_each(|driver| driver.join().unwrap());
    });
    println!("{} exchanges through each", next.load(Relaxed));
    found.are_none();
}

/// A proxy of one thread, and the backend behind it.
struct Proxy {
    address: SocketAddr,
    backend: Backend,
    _serin: Option<Edge>,
}

impl Proxy {
    /// Serin, and the witness.
    fn both<A: backend::Answers>(answers: impl Fn() -> A) -> [Self; 2] {
        let backend = Backend::start(answers());
        let config = ConfigText::simple(web(backend.address))
            .route("{ name: ping, hostnames: [ping], respond: { body: pong } }")
            .with("accessLog: { format: \"off\" }");
        let edge = Edge::start_on(1, temp_dir(), &config);
        backend.in_front(edge.address());
        let serin = Self { address: edge.address(), backend, _serin: Some(edge) };
        let backend = Backend::start(answers());
        let address = witness::start(backend.address);
        backend.in_front(address);
        [serin, Self { address, backend, _serin: None }]
    }

    fn pings(&self) -> Pings {
        Pings::of(self.address)
    }
}

/// What a client got until its end. `heads` says which of its requests were HEAD.
fn told(bytes: &[u8], heads: &[bool]) -> Vec<String> {
    let (whole, rest) = responses(bytes, heads);
    let mut all: Vec<String> = whole.iter().map(response).collect();
    // How much of an answer there was when it broke off is chance.
    if all.is_empty() || !rest.is_empty() {
        all.push("broken off".to_owned());
    }
    all
}

fn response(response: &Response) -> String {
    // pingora waits for more where Serin knows already that no head will come of it: both
    // have no answer, and call it by two names.
    if response.status == 502 {
        return "502".to_owned();
    }
    let mut interim = response.interim.clone();
    interim.dedup();
    let first = format!("{} {interim:?}", response.status);
    shown(&first, response.headers.iter().cloned(), &response.body)
}

fn shown(first: &str, fields: impl Iterator<Item = (String, String)>, body: &[u8]) -> String {
    // What `trailer` announces passes through Serin alone.
    let made_anew = ["date", "x-request-id", "traceparent", "trailer", "cdn-loop"];
    let lowered = fields.map(|(name, value)| (name.to_ascii_lowercase(), value));
    let kept = lowered.filter(|(name, _)| !made_anew.contains(&name.as_str()));
    let mut lines: Vec<String> = kept.map(|(name, value)| format!("{name}: {value}")).collect();
    lines.sort();
    format!("{first}\n{}\n{}", lines.join("\n"), of_body(body))
}

fn of_body(body: &[u8]) -> String {
    format!("{} bytes, {}", body.len(), serin_testkit::body_hash(body))
}

/// What the two did differently, which is told at the end: a million exchanges are worth more than
/// the first fault of them.
#[derive(Default)]
struct Differences(Mutex<Vec<String>>);

impl Differences {
    const SHOWN: usize = 20;

    /// What either gave, for what was sent.
    fn look(&self, what: &str, by: [&Vec<String>; 2], sent: impl Fn() -> String) {
        let mut all = self.0.lock().unwrap();
        if by[0] != by[1] && all.len() < Self::SHOWN {
            let [serin, witness] = by;
            all.push(format!(
                "{what}: Serin gave {serin:#?}\nand the witness gave {witness:#?}\nfor {}",
                sent()
            ));
        }
    }

    fn are_enough(&self) -> bool {
        self.0.lock().unwrap().len() >= Self::SHOWN
    }

    fn are_none(&self) {
        let all = self.0.lock().unwrap();
        assert!(all.is_empty(), "{} differences or more:\n{}", all.len(), all.join("\n\n"));
    }
}

type Shared<T> = Arc<Mutex<T>>;
