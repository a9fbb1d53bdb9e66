//! Health checks against real sockets.

use super::support::*;
use serin_config::model::{HealthCheck, HealthKind, Service, UpstreamProtocol};
use serin_core::plane::DataPlane;
use serin_proxy::clock;
use serin_proxy::config_generation::{ConfigGeneration, Environment};
use serin_proxy::plane::Plane;
use serin_proxy::upstream::{Unavailable, VersionRuntime};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A backend whose health answer a test sets; 0 takes connections and never answers, 1 closes
/// them.
struct Backend {
    address: SocketAddr,
    status: Arc<AtomicU16>,
    asked: Arc<AtomicU32>,
}

const HANGS: u16 = 0;
const CLOSES: u16 = 1;

async fn backend(status: u16) -> Backend {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (status, asked) = (Arc::new(AtomicU16::new(status)), Arc::new(AtomicU32::new(0)));
    let backend = Backend { address, status: Arc::clone(&status), asked: Arc::clone(&asked) };
    tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            asked.fetch_add(1, Relaxed);
            match status.load(Relaxed) {
                HANGS => held.push(stream),
                CLOSES => {}
                status => {
                    let mut head = vec![0; 1024];
                    let read = stream.read(&mut head).await.unwrap_or(0);
                    let head = String::from_utf8_lossy(&head[..read]).into_owned();
                    assert!(head.starts_with("GET /readyz HTTP/1.1\r\nHost: "), "{head}");
                    let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n");
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            }
        }
    });
    backend
}

fn check(kind: HealthKind) -> HealthCheck {
    HealthCheck {
        kind,
        interval: Duration::from_millis(20),
        timeout: Duration::from_millis(500),
        unhealthy_after: 2,
        healthy_after: 2,
        panic_below: 0.5,
    }
}

fn http() -> HealthKind {
    HealthKind::Http { path: "/readyz".to_owned(), host: None }
}

fn service(endpoints: &[SocketAddr], kind: HealthKind) -> Service {
    let mut shop = shop();
    let named: Vec<String> = endpoints.iter().map(ToString::to_string).collect();
    shop.versions[0].endpoints = named.iter().map(|address| endpoint(address)).collect();
    shop.versions.truncate(1);
    shop.health_check = Some(check(kind));
    shop
}

fn build(service: Service, previous: Option<&ConfigGeneration>) -> ConfigGeneration {
    let config = Arc::new(config(vec![service], Vec::new()));
    ConfigGeneration::build(config, previous, &environment()).unwrap()
}

fn environment() -> Environment {
    Environment::new(1, Some(tokio::runtime::Handle::current()))
}

fn empty() -> Arc<serin_config::model::Config> {
    Arc::new(config(Vec::new(), Vec::new()))
}

fn stable(generation: &ConfigGeneration) -> Arc<VersionRuntime> {
    generation.service(&service_name("shop")).unwrap().stable()
}

async fn ready_becomes(version: &VersionRuntime, expected: u32) {
    let ready = || version.group().readiness(clock::mono(Instant::now())).0;
    eventually(|| ready() == expected).await;
}

#[tokio::test]
async fn an_endpoint_follows_its_health_check() {
    let (good, bad) = (backend(200).await, backend(200).await);
    let generation = build(service(&[good.address, bad.address], http()), None);
    let version = stable(&generation);
    ready_becomes(&version, 2).await;
    for sick in [503, CLOSES] {
        bad.status.store(sick, Relaxed);
        ready_becomes(&version, 1).await;
        let lease = version.pick(5, None, clock::mono(Instant::now())).unwrap();
        assert_eq!(lease.endpoint().address, good.address);
        bad.status.store(204, Relaxed);
        ready_becomes(&version, 2).await;
    }
}

#[tokio::test]
async fn a_stopped_endpoint_that_still_takes_connections_is_found_out() {
    let backend = backend(200).await;
    let mut service = service(&[backend.address], http());
    service.health_check.as_mut().unwrap().timeout = Duration::from_millis(50);
    let generation = build(service, None);
    eventually(|| backend.asked.load(Relaxed) > 0).await;
    backend.status.store(HANGS, Relaxed);
    ready_becomes(&stable(&generation), 0).await;
    let nobody = stable(&generation).pick(1, None, clock::mono(Instant::now()));
    assert_eq!(nobody.unwrap_err(), Unavailable::NoneReady);
}

#[tokio::test]
async fn a_refused_connection_is_unhealthy_from_the_first_look() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let generation = build(service(&[address], HealthKind::Tcp), None);
    ready_becomes(&stable(&generation), 0).await;
}

#[tokio::test]
async fn an_open_port_is_enough_for_a_tcp_check() {
    let backend = backend(HANGS).await;
    let generation = build(service(&[backend.address], HealthKind::Tcp), None);
    eventually(|| backend.asked.load(Relaxed) > 3).await;
    ready_becomes(&stable(&generation), 1).await;
}

#[tokio::test]
async fn an_endpoint_that_joins_waits_for_its_first_check_and_what_stays_does_not() {
    let (old, new) = (backend(200).await, backend(HANGS).await);
    let before = build(service(&[old.address], http()), None);
    ready_becomes(&stable(&before), 1).await;
    let after = build(service(&[old.address, new.address], http()), Some(&before));
    let version = stable(&after);
    let readiness = || version.group().readiness(clock::mono(Instant::now()));
    assert_eq!(readiness(), (1, 2));
    eventually(|| new.asked.load(Relaxed) > 0).await;
    assert_eq!(readiness(), (1, 2));
    new.status.store(200, Relaxed);
    ready_becomes(&version, 2).await;
}

#[tokio::test]
async fn a_reload_does_not_forget_that_an_endpoint_was_healthy() {
    let backend = backend(200).await;
    let patient = |max_in_flight| {
        let mut service = service(&[backend.address], http());
        service.health_check.as_mut().unwrap().unhealthy_after = 1_000_000;
        Service { max_in_flight, ..service }
    };
    let before = build(patient(0), None);
    ready_becomes(&stable(&before), 1).await;
    eventually(|| backend.asked.load(Relaxed) > 0).await;
    backend.status.store(503, Relaxed);
    let after = build(patient(100), Some(&before));
    let asked = backend.asked.load(Relaxed);
    eventually(|| backend.asked.load(Relaxed) > asked + 10).await;
    assert_eq!(stable(&after).group().readiness(clock::mono(Instant::now())), (1, 1));
}

#[tokio::test]
async fn a_check_that_a_reload_adds_takes_nobody_out_at_its_first_look() {
    let backend = backend(503).await;
    let unchecked = Service { health_check: None, ..service(&[backend.address], http()) };
    let before = build(unchecked.clone(), None);
    let mut checked = service(&[backend.address], http());
    checked.health_check.as_mut().unwrap().unhealthy_after = 1_000_000;
    let after = build(checked, Some(&before));
    eventually(|| backend.asked.load(Relaxed) > 10).await;
    assert_eq!(stable(&after).group().readiness(clock::mono(Instant::now())), (1, 1));
}

#[tokio::test]
async fn a_replaced_world_stops_asking() {
    let backend = backend(200).await;
    let service = service(&[backend.address], http());
    let plane = serin_proxy::plane::Plane::new(build(service.clone(), None));
    eventually(|| backend.asked.load(Relaxed) > 0).await;
    let held = plane.world_full();
    let unchecked = Service { health_check: None, ..service };
    let next = build(unchecked, Some(&held));
    plane.install(Arc::new(next));
    // One probe may still be under way; after it nobody asks, although a request holds the old
    // generation.
    let mut before = u32::MAX;
    eventually(|| std::mem::replace(&mut before, backend.asked.load(Relaxed)) == before).await;
    let settled = backend.asked.load(Relaxed);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(backend.asked.load(Relaxed), settled);
    drop(held);
}

/// A gRPC health service on HTTP/2 without TLS; the status is the enum's value in the answer.
async fn grpc_backend(serving: Arc<AtomicU16>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let serving = Arc::clone(&serving);
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((request, respond))) = connection.accept().await {
                    tokio::spawn(answer_grpc(request, respond, serving.load(Relaxed)));
                }
            });
        }
    });
    address
}

async fn answer_grpc(
    request: http::Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<bytes::Bytes>,
    serving: u16,
) {
    assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
    let message = request.into_body().data().await.unwrap().unwrap();
    assert_eq!(&message[..], b"\0\0\0\0\x06\x0a\x04shop");
    let head = http::Response::builder().header("content-type", "application/grpc");
    let mut body = respond.send_response(head.body(()).unwrap(), false).unwrap();
    body.send_data(bytes::Bytes::from(vec![0, 0, 0, 0, 2, 8, serving as u8]), false).unwrap();
    let mut trailers = http::HeaderMap::new();
    trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
    body.send_trailers(trailers).unwrap();
}

#[tokio::test]
async fn a_grpc_endpoint_is_ready_while_it_says_serving() {
    let serving = Arc::new(AtomicU16::new(1));
    let address = grpc_backend(Arc::clone(&serving)).await;
    let mut service = service(&[address], HealthKind::Grpc { service: "shop".to_owned() });
    service.versions[0].protocol = UpstreamProtocol::Http2;
    let generation = build(service, None);
    ready_becomes(&stable(&generation), 1).await;
    serving.store(2, Relaxed);
    ready_becomes(&stable(&generation), 0).await;
    serving.store(1, Relaxed);
    ready_becomes(&stable(&generation), 1).await;
}

/// A backend behind TLS with a certificate for `name`, and the file of the CA that signed it.
async fn tls_backend(name: &str, folder: &std::path::Path) -> (SocketAddr, std::path::PathBuf) {
    let signed = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let file = folder.join(format!("{name}.pem"));
    std::fs::write(&file, signed.cert.pem()).unwrap();
    let key =
        rustls_pki_types::PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut head = [0; 1024];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(b"HTTP/1.1 200 x\r\ncontent-length: 0\r\n\r\n").await;
                let _ = stream.shutdown().await;
            });
        }
    });
    (address, file)
}

#[tokio::test]
async fn a_tls_upstream_is_verified_by_name_and_by_its_ca() {
    let folder = tempfile::tempdir().unwrap();
    let (address, ca) = tls_backend("shop.test", folder.path()).await;
    let (_, other_ca) = tls_backend("other.test", folder.path()).await;
    let ready = async |name: &str, ca: &std::path::Path, expected| {
        let mut service = service(&[address], http());
        let mut listed = service.versions[0].endpoints.listed().to_vec();
        listed[0].tls = true;
        service.versions[0].endpoints = listed.into_iter().collect();
        service.versions[0].tls.ca_file = Some(ca.to_owned());
        service.versions[0].tls.server_name = (!name.is_empty()).then(|| name.to_owned());
        // Each begins as what it must not stay: what joins waits for its check, what was there
        // from the start is ready until then.
        let before = (expected == 1)
            .then(|| ConfigGeneration::build(empty(), None, &environment()).unwrap());
        let generation = build(service, before.as_ref());
        ready_becomes(&stable(&generation), expected).await;
    };
    ready("shop.test", &ca, 1).await;
    ready("other.test", &ca, 0).await;
    ready("shop.test", &other_ca, 0).await;
    ready("", &ca, 0).await;
}

#[tokio::test]
async fn a_ca_file_without_a_certificate_is_an_error_and_not_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("empty.pem", ""),
        ("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    ] {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        let mut shop = shop();
        shop.versions[0].tls.ca_file = Some(file);
        let config = Arc::new(config(vec![shop], Vec::new()));
        let built = ConfigGeneration::build(config, None, &Environment::new(1, None));
        assert!(built.unwrap_err().to_string().contains(name));
    }
}

#[tokio::test]
async fn checks_that_fail_while_own_threads_are_late_weigh_little() {
    let backend = backend(200).await;
    let plane = Plane::new(build(service(&[backend.address], http()), None));
    let version = stable(&plane.generation());
    ready_becomes(&version, 1).await;
    eventually(|| backend.asked.load(Relaxed) > 0).await;
    backend.status.store(CLOSES, Relaxed);
    let asked = backend.asked.load(Relaxed);
    let late = || plane.own_lag(Duration::from_secs(5)).is_some();
    eventually(|| late() && backend.asked.load(Relaxed) > asked + 6).await;
    assert_eq!(version.group().readiness(clock::mono(Instant::now())).0, 1);
    ready_becomes(&version, 0).await;
}
