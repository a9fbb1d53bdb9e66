//! The whole data plane under load: exact splits, killed and stopped endpoints, reloads.

use super::support::*;
use serin_config::model::{
    Config, HealthCheck, HealthKind, Listener, ListenerLimits, ProxyProtocol, Retries, RetryOn,
    Route, RouteAction, Service, Underscores,
};
use serin_proxy::{Options, Proxy};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroU16;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A backend with a thread per connection; it can be killed with everything that is open.
struct Origin {
    address: SocketAddr,
    served: Arc<AtomicU64>,
    dead: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Origin {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let origin =
            Self { address, served: Arc::default(), dead: Arc::default(), open: Arc::default() };
        let (served, dead) = (Arc::clone(&origin.served), Arc::clone(&origin.dead));
        let open = Arc::clone(&origin.open);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if dead.load(Relaxed) {
                    return;
                }
                let stream = stream.unwrap();
                open.lock().unwrap().push(stream.try_clone().unwrap());
                let served = Arc::clone(&served);
                std::thread::spawn(move || serve(stream, &served));
            }
        });
        origin
    }

    fn served(&self) -> u64 {
        self.served.load(Relaxed)
    }

    /// As a process that is killed: no new connections, and the open ones reset.
    fn kill(&self) {
        self.dead.store(true, Relaxed);
        // Wakes the thread that accepts, whose listener then closes.
        let _ = TcpStream::connect(self.address);
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

fn serve(stream: TcpStream, served: &AtomicU64) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        loop {
            line.clear();
            match reader.read_line(&mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) if line == "\r\n" => break,
                Ok(_) => {}
            }
        }
        served.fetch_add(1, Relaxed);
        if writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").is_err() {
            return;
        }
    }
}

/// A client with one kept-alive connection, opened again when the proxy closed it.
struct Client {
    proxy: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

impl Client {
    fn get(&mut self) -> u16 {
        let stream = self.stream.take().unwrap_or_else(|| {
            let stream = TcpStream::connect(self.proxy).unwrap();
            stream.set_nodelay(true).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            BufReader::new(stream)
        });
        let mut stream = stream;
        stream.get_mut().write_all(b"GET /x HTTP/1.1\r\nhost: shop.test\r\n\r\n").unwrap();
        let (mut status, mut length, mut keep) = (0, 0, true);
        loop {
            let mut line = String::new();
            assert!(stream.read_line(&mut line).unwrap() > 0, "closed without an answer");
            let line = line.trim_end().to_ascii_lowercase();
            match line.split_once(": ") {
                _ if line.is_empty() => break,
                Some(("content-length", value)) => length = value.parse().unwrap(),
                Some(("connection", value)) => keep = value != "close",
                Some(_) => {}
                None => status = line[9..12].parse().unwrap(),
            }
        }
        stream.read_exact(&mut vec![0; length]).unwrap();
        self.stream = keep.then_some(stream);
        status
    }
}

/// Clients that ask without pause, each on a connection of its own, until each has asked
/// `each` times or `until` says so; every answer that was not 200.
fn load(proxy: SocketAddr, clients: u32, each: u32, until: &AtomicBool) -> Vec<u16> {
    let one = || {
        let mut client = Client { proxy, stream: None };
        let mut bad = Vec::new();
        for _ in 0..each {
            if until.load(Relaxed) {
                break;
            }
            let status = client.get();
            if status != 200 {
                bad.push(status);
            }
        }
        bad
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..clients).map(|_| scope.spawn(one)).collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    })
}

fn listening(service: Service) -> Arc<Config> {
    let all = Route {
        action: RouteAction::Forward { service: service.name.clone(), version: None },
        ..route("all", &[], vec![prefix("/")])
    };
    let mut config = config(vec![service], vec![all]);
    config.listeners = vec![Listener {
        name: "http".to_owned(),
        address: "127.0.0.1:0".parse().unwrap(),
        tls: None,
        proxy_protocol: ProxyProtocol::Off,
        trusted: Vec::new(),
        underscores: Underscores::Drop,
        limits: ListenerLimits::default(),
    }];
    Arc::new(config)
}

fn start(service: Service) -> (Proxy, SocketAddr) {
    let options = Options { threads: NonZeroU16::new(2) };
    let proxy = Proxy::start(listening(service), &options).unwrap();
    let address = proxy.address("http").unwrap();
    (proxy, address)
}

/// `shop` with these endpoints of its stable version, and only that one.
fn shop_at(endpoints: &[SocketAddr]) -> Service {
    let mut shop = shop();
    shop.versions.truncate(1);
    shop.versions[0].endpoints = endpoints.iter().map(|a| endpoint(&a.to_string())).collect();
    let on = vec![RetryOn::ConnectFailure, RetryOn::Reset];
    shop.retries = Retries { attempts: 1, on, budget: 1.0 };
    shop
}

static NEVER: AtomicBool = AtomicBool::new(false);

#[test]
fn ninety_to_ten_over_a_hundred_thousand_requests_is_within_a_thousandth() {
    let (v1, v2) = (Origin::start(), Origin::start());
    let mut service = shop_at(&[v1.address]);
    service.versions.push(version("v2", &[&v2.address.to_string()]));
    let (proxy, address) = start(service);
    proxy.data_plane().publish(split(rollout(1, 10)));
    let bad = load(address, 64, 100_000u32.div_ceil(64), &NEVER);
    assert!(bad.is_empty(), "{} failed: {:?}", bad.len(), bad.first());
    let total = v1.served() + v2.served();
    let share = v2.served() as f64 / total as f64;
    println!("{share:.5} of {total} to the candidate");
    assert!(total >= 100_000 && (share - 0.1).abs() <= 0.001, "{share} of {total}");
    let counted = |name: &str| {
        let counts = proxy.data_plane().counts(&service_name("shop")).unwrap();
        counts.of(&version_name(name)).unwrap().judged.good
    };
    // The last client may have its answer before it is counted.
    let began = Instant::now();
    while (counted("v1"), counted("v2")) != (v1.served(), v2.served()) {
        assert!(began.elapsed() < Duration::from_secs(60), "{} {}", counted("v1"), counted("v2"));
        std::thread::yield_now();
    }
}

#[test]
fn a_connection_that_stays_busy_longer_than_an_answer_may_take_is_no_timeout() {
    let origin = Origin::start();
    let mut service = shop_at(&[origin.address]);
    service.timeouts.response = Duration::from_secs(1);
    let (proxy, address) = start(service);
    let mut client = Client { proxy: address, stream: None };
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(2_500) {
        assert_eq!(client.get(), 200, "after {:?}", began.elapsed());
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(proxy);
}

#[test]
fn no_client_notices_an_endpoint_that_is_killed_under_load() {
    let origins = [Origin::start(), Origin::start(), Origin::start()];
    let addresses: Vec<_> = origins.iter().map(|origin| origin.address).collect();
    let (proxy, address) = start(shop_at(&addresses));
    let done = AtomicBool::new(false);
    let bad = std::thread::scope(|scope| {
        let clients = scope.spawn(|| load(address, 32, u32::MAX, &done));
        wait_until(|| origins.iter().all(|origin| origin.served() > 300));
        origins[1].kill();
        let left = origins[0].served();
        wait_until(|| origins[0].served() > left + 3_000);
        done.store(true, Relaxed);
        clients.join().unwrap()
    });
    assert!(bad.is_empty(), "{} failed: {:?}", bad.len(), bad.first());
    drop(proxy);
}

/// A backend in a process of its own, so that it can be stopped.
struct Stoppable {
    process: Child,
    address: SocketAddr,
}

impl Stoppable {
    fn start() -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "forwarding::the_origin_process", "--ignored", "--nocapture"])
            .env("SERIN_TEST_ORIGIN", "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let address = lines.map_while(Result::ok).find_map(|line| {
            let (_, address) = line.split_once("listening on ")?;
            Some(address.parse().unwrap())
        });
        Self { process, address: address.unwrap() }
    }

    fn signal(&self, signal: &str) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }
}

impl Drop for Stoppable {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
#[ignore = "is started by the test of a stopped endpoint"]
fn the_origin_process() {
    if std::env::var_os("SERIN_TEST_ORIGIN").is_some() {
        let origin = Origin::start();
        println!("listening on {}", origin.address);
        loop {
            std::thread::park();
        }
    }
}

#[test]
fn a_stopped_process_is_ejected_by_its_health_check_and_comes_back() {
    let (stopped, steady) = (Stoppable::start(), Origin::start());
    let mut service = shop_at(&[stopped.address, steady.address]);
    service.health_check = Some(HealthCheck {
        kind: HealthKind::Http { path: "/readyz".to_owned(), host: None },
        interval: Duration::from_millis(100),
        timeout: Duration::from_millis(200),
        unhealthy_after: 2,
        healthy_after: 2,
        panic_below: 0.0,
    });
    // Whoever waits for the stopped endpoint is answered by the other one after this time.
    service.timeouts.response = Duration::from_millis(500);
    service.retries.on.push(RetryOn::Timeout);
    let (proxy, address) = start(service);
    let ready = || proxy.data_plane().readiness(&service_name("shop"))[0].ready;
    wait_until(|| ready() == 2);
    let done = AtomicBool::new(false);
    let bad = std::thread::scope(|scope| {
        let clients = scope.spawn(|| load(address, 8, u32::MAX, &done));
        wait_until(|| steady.served() > 200);
        stopped.signal("-STOP");
        let began = Instant::now();
        wait_until(|| ready() == 1);
        println!("ejected after {:?}", began.elapsed());
        stopped.signal("-CONT");
        wait_until(|| ready() == 2);
        done.store(true, Relaxed);
        clients.join().unwrap()
    });
    assert!(bad.is_empty(), "{} failed: {:?}", bad.len(), bad.first());
}

#[test]
fn a_reload_that_replaces_every_endpoint_fails_no_request() {
    let origins: Vec<_> = (0..4).map(|_| Origin::start()).collect();
    let checked = |which: &[usize]| {
        let addresses: Vec<_> = which.iter().map(|n| origins[*n].address).collect();
        let mut service = shop_at(&addresses);
        service.health_check = Some(HealthCheck {
            kind: HealthKind::Tcp,
            interval: Duration::from_millis(50),
            timeout: Duration::from_secs(1),
            unhealthy_after: 2,
            healthy_after: 2,
            panic_below: 0.0,
        });
        service
    };
    let (proxy, address) = start(checked(&[0, 1]));
    let done = AtomicBool::new(false);
    let bad = std::thread::scope(|scope| {
        let clients = scope.spawn(|| load(address, 16, u32::MAX, &done));
        for round in 0..20 {
            let which = if round % 2 == 0 { [2, 3] } else { [0, 1] };
            let before = origins[which[0]].served();
            proxy.apply(listening(checked(&which))).unwrap();
            wait_until(|| origins[which[0]].served() > before + 20);
        }
        done.store(true, Relaxed);
        clients.join().unwrap()
    });
    assert!(bad.is_empty(), "{} failed: {:?}", bad.len(), bad.first());
}

#[test]
fn a_name_that_does_not_resolve_is_a_bad_gateway_and_counts_against_its_version() {
    let mut service = shop_at(&[]);
    service.versions[0].endpoints = [endpoint("no-such-name.invalid:80")].into_iter().collect();
    let (proxy, address) = start(service);
    assert_eq!(Client { proxy: address, stream: None }.get(), 502);
    let counts = proxy.data_plane().counts(&service_name("shop")).unwrap();
    assert_eq!(counts.versions[0].judged.bad, 1);
}

fn wait_until(mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(60), "it never came true");
        std::thread::sleep(Duration::from_millis(2));
    }
}
