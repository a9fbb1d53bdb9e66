//! Routes, endpoints, certificates, limits and listeners change under load, a tenth of the time
//! into something that cannot be used.

use crate::bench::Instance;
use crate::certificates::Authority;
use crate::load::{Load, Target};
use serin_testkit::{ConfigText, Origin, RawClient, ServiceText, eventually, temp_dir};
use std::fs;
use std::time::Duration;

fn long() -> bool {
    std::env::var_os("SERIN_LONG").is_some()
}

/// Everything that may change does, with the number of the reload.
fn config(n: usize, origins: &[Origin]) -> ConfigText {
    let some: Vec<_> = (0..=n % 3).map(|i| origins[(n + i) % 3].address()).collect();
    let service = ServiceText::new("web")
        .version("v1", &some)
        .with(&format!("timeouts: {{ response: {}s }}", 20 + n % 5))
        .with("retries: { attempts: 1 }");
    let limits = format!("limits: {{ maxHeaders: {} }}", 90 + n % 10);
    let http = format!("{{ name: http, address: \"127.0.0.1:0\", protocol: HTTP, {limits} }}");
    let tls = "tls: { certificates: [{ certFile: a.pem, keyFile: a.key }] }";
    let https =
        format!("{{ name: https, address: \"127.0.0.1:0\", protocol: HTTPS, {tls}, {limits} }}");
    let all = format!(
        "{{ name: all, matches: [{{ path: {{ prefix: / }} }}], service: web, \
         request: {{ setHeaders: {{ x-generation: \"{n}\" }} }}, \
         response: {{ setHeaders: {{ x-generation: \"{n}\" }} }} }}"
    );
    let more = format!(
        "{{ name: more{n}, matches: [{{ path: {{ exact: /only/{n} }} }}], respond: {{ status: 204 }} }}"
    );
    let config = ConfigText::new().listener(&http).listener(&https).service(service);
    let config = config.route(&all).route(&more).with("accessLog: { format: off }");
    if n.is_multiple_of(4) { config.http_listener("other") } else { config }
}

/// One way after the other in which a file can be no good.
fn break_it(n: usize, instance: &Instance) {
    let (path, good) = (instance.path(), fs::read_to_string(instance.path()).unwrap());
    match n % 6 {
        0 => fs::write(&path, &good[..good.len() / 2]).unwrap(),
        1 => fs::remove_file(&path).unwrap(),
        2 => fs::write(&path, good.replace("prefix", "prefixx")).unwrap(),
        3 => fs::write(&path, b"\xff\xfe").unwrap(),
        4 => fs::write(instance.folder.path().join("a.key"), "no key").unwrap(),
        _ => fs::write(&path, good.replace("service: web", "service: nobody")).unwrap(),
    }
}

fn reload(instance: &Instance) -> u16 {
    let mut client = RawClient::connect(instance.admin);
    client.send("POST /v1/config/reload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    client.response().status
}

fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}

#[test]
fn reloads_under_load_fail_nobody_and_mix_nothing() {
    let reloads = if long() { 1_000 } else { 100 };
    let origins = [Origin::start("o1"), Origin::start("o2"), Origin::start("o3")];
    let (authority, folder) = (Authority::new(), temp_dir());
    authority.write(folder.path());
    let path = config(0, &origins).write_to(folder.path());
    let mut instance = Instance::over(folder, &path);
    let https = (instance.serin.address("https"), authority.client());
    let load = Load::start(&Target { http: instance.http, https: Some(https) });
    let mut tunnel = RawClient::connect(instance.http).patient(Duration::from_secs(600));
    tunnel.send("GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    assert_eq!(tunnel.response().status, 101);
    let chunks = if long() { 1_500 } else { 100 };
    let mut download = RawClient::connect(instance.http).patient(Duration::from_secs(600));
    download.send(format!("GET /stream/{chunks}/100 HTTP/1.1\r\nHost: a\r\n\r\n"));
    let (mut refused, mut early) = (0, 0);
    for n in 1..=reloads {
        let breaks = n % 10 == 5;
        if breaks {
            break_it(n / 10, &instance);
            let status = reload(&instance);
            assert_eq!(status, 422, "reload {n} is taken: {}", instance.admin("/v1/config"));
            refused += 1;
        }
        if n.is_multiple_of(7) || breaks {
            authority.write(instance.folder.path());
        }
        instance.write(&config(n, &origins));
        assert_eq!(reload(&instance), 200, "reload {n}: {}", instance.refused());
        if n == reloads / 10 {
            early = resident_kib(instance.serin.pid());
        }
        if n.is_multiple_of(10) {
            tunnel.send("x");
            assert_eq!(tunnel.read_exactly(1), b"x", "the tunnel after {n} reloads");
        }
    }
    let gone = format!("/only/{}", reloads - 1);
    assert_eq!(instance.get(&format!("/only/{reloads}")).status, 204);
    assert_ne!(instance.get(&gone).status, 204);
    let late = resident_kib(instance.serin.pid());
    let body = download.response().body.len();
    assert!(body > 0, "the download of {chunks} chunks is whole");
    let good = load.finish();
    println!("{reloads} reloads, {refused} refused, {good} requests; memory {early} → {late} KiB");
    assert!(late < early + 24 * 1024, "memory grows: {early} → {late} KiB");
    eventually("the last configuration is no failure", || instance.refused().is_empty());
}
