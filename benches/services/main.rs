//! Many services on one proxy: what they cost at rest, and how long commands take among them.
//!
//! `cargo bench --bench services -- [--services 1000] [--seconds 20]`, or with `SERIN=PATH` for a binary
//! that is there already. Every service has two versions with health checks, objectives and a rollout. All
//! backends are on this machine.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot be set up says nothing")]

use serde_json::Value;
use serin_testkit::{ConfigText, Origin, RawClient, Serin, ServiceText, get, temp_dir};
use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Operators who abort at once, each one service after the other.
const ABORTING: u64 = 24;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test` builds and starts benches, too, without this flag.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let number = |name: &str, default: u64| {
        let at = arguments.iter().position(|argument| argument == name);
        at.map_or(default, |at| arguments[at + 1].parse().unwrap())
    };
    let (services, seconds) = (number("--services", 1_000), number("--seconds", 20));
    let origins = ["v1", "v2"].map(Origin::start);
    let [few, many] = [1, services].map(|count| Measured::at_rest(count, seconds, &origins));
    println!("start, {services} services: {:?} until ready", many.ready_after);
    println!("at rest: {:.2}% of a core, {:.2}% with one service", many.share, few.share);
    let each = (many.memory as f64 - few.memory as f64) / (services - 1) as f64;
    println!("at rest: {each:.0} KiB a service ({} and {} KiB in all)", many.memory, few.memory);
    let (answered, scrape) = many.asked;
    println!("/readyz after {answered:?}, a scrape of {} KiB after {:?}", scrape.0, scrape.1);
    under_way(services, &origins);
}

struct Measured {
    ready_after: Duration,
    /// Processor time at rest, per cent of a core.
    share: f64,
    /// Resident, KiB.
    memory: u64,
    asked: (Duration, (usize, Duration)),
}

impl Measured {
    fn at_rest(services: u64, seconds: u64, origins: &[Origin; 2]) -> Self {
        let mut instance = Instance::start(services, "manual", origins);
        // What a start leaves to be done is done by then.
        std::thread::sleep(Duration::from_secs(5));
        let (before, began) = (instance.ticks(), Instant::now());
        std::thread::sleep(Duration::from_secs(seconds));
        let spent = (instance.ticks() - before) as f64 / 100.0;
        let share = 100.0 * spent / began.elapsed().as_secs_f64();
        let memory = instance.memory();
        let (_, answered) = instance.ask("/readyz");
        let (scrape, scraped) = instance.ask("/metrics");
        let scrape = (scrape.len() / 1024, scraped);
        instance.serin.kill();
        Self { ready_after: instance.ready_after, share, memory, asked: (answered, scrape) }
    }
}

/// All services in a rollout at once: one is aborted, then all.
fn under_way(services: u64, origins: &[Origin; 2]) {
    let mut instance = Instance::start(services, "onChange", origins);
    let admin = instance.admin;
    let weighed = |weight: u64| {
        let (all, _) = ask(admin, "/v1/services");
        let all: Value = serde_json::from_slice(&all).unwrap();
        let all = all["services"].as_array().or(all.as_array()).unwrap().clone();
        let at = |s: &Value| s["weights"]["v2"].as_u64().unwrap_or_default() == weight;
        all.iter().filter(|service| at(service)).count() as u64
    };
    let began = Instant::now();
    while weighed(5_000) < services {
        assert!(began.elapsed() < Duration::from_secs(120), "{} have begun", weighed(5_000));
    }
    println!("{services} rollouts have begun after {:?}", began.elapsed());
    std::thread::sleep(Duration::from_secs(3));
    let mut taken: Vec<Duration> = (0..20).map(|n| abort(admin, n)).collect();
    taken.sort_unstable();
    println!("abort, {services} in a rollout: median {:?}, worst {:?}", taken[10], taken[19]);
    let began = Instant::now();
    let aborting: Vec<_> = (0..ABORTING)
        .map(|part| {
            let mine = (20..services).filter(move |n| n % ABORTING == part);
            std::thread::spawn(move || mine.map(|n| abort(admin, n)).max().unwrap())
        })
        .collect();
    let (_, ready) = instance.ask("/readyz");
    let worst = aborting.into_iter().map(|thread| thread.join().unwrap()).max();
    println!("abort of all others at once: all back after {:?}", began.elapsed());
    println!("the worst of them {:?}; /readyz meanwhile after {ready:?}", worst.unwrap());
    assert_eq!(weighed(0), services);
    instance.serin.kill();
}

fn abort(admin: SocketAddr, service: u64) -> Duration {
    let began = Instant::now();
    let body = r#"{"reason":"measured"}"#;
    let mut client = RawClient::connect(admin);
    client.send(format!(
        "POST /v1/services/s{service}/rollout/abort HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    ));
    let answer = client.response();
    assert!(answer.status < 300, "{}", answer.text());
    began.elapsed()
}

fn ask(admin: SocketAddr, path: &str) -> (Vec<u8>, Duration) {
    let began = Instant::now();
    (get(admin, "127.0.0.1", path).body, began.elapsed())
}

struct Instance {
    serin: Serin,
    admin: SocketAddr,
    ready_after: Duration,
    _folder: tempfile::TempDir,
}

impl Instance {
    fn start(services: u64, begin: &str, origins: &[Origin; 2]) -> Self {
        let mut config = ConfigText::new().http_listener("http").with("accessLog: { format: off }");
        for n in 0..services {
            let [v1, v2] = origins.each_ref().map(Origin::address);
            let service = ServiceText::new(&format!("s{n}"))
                .version("v1", &[v1])
                .version("v2", &[v2])
                .with("healthCheck: { path: /readyz, interval: 10s }")
                .with(&format!(
                    "rollout: {{ to: v2, start: {begin}, steps: [ {{ weight: 50%, hold: 1h }}, {{ weight: 100%, hold: 1h }} ] }}"
                ));
            let route = format!("{{ name: r{n}, hostnames: [s{n}.example], service: s{n} }}");
            config = config.service(service).route(&route);
        }
        let folder = temp_dir();
        let path = config.write_to(folder.path());
        let binary = std::env::var("SERIN").unwrap_or(env!("CARGO_BIN_EXE_serin").to_owned());
        let began = Instant::now();
        let mut serin = Serin::run(&binary, &path);
        let admin = serin.address("admin");
        while get(admin, "127.0.0.1", "/readyz").status != 200 {
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { serin, admin, ready_after: began.elapsed(), _folder: folder }
    }

    fn ask(&self, path: &str) -> (Vec<u8>, Duration) {
        ask(self.admin, path)
    }

    /// Of the processor, a hundred a second.
    fn ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.serin.pid())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.serin.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}
