//! A new process takes over, again and again, and no client notices.

use crate::bench::{self, Instance};
use crate::certificates::Authority;
use crate::load::{Load, Target};
use serde_json::Value;
use serin_testkit::{
    ConfigText, Finished, Origin, RawClient, Serin, ServiceText, eventually, temp_dir,
};
use std::process::Command;
use std::time::Duration;

const LISTENERS: [&str; 2] = [
    "{ name: http, address: \"127.0.0.1:0\", protocol: HTTP }",
    "{ name: https, address: \"127.0.0.1:0\", protocol: HTTPS, tls: { certificates: [{ certFile: a.pem, keyFile: a.key }] } }",
];

fn config(origin: &Origin) -> ConfigText {
    let service = ServiceText::new("web").version("v1", &[origin.address()]);
    let route = "{ name: all, matches: [{ path: { prefix: / } }], service: web, \
        request: { setHeaders: { x-generation: \"1\" } }, response: { setHeaders: { x-generation: \"1\" } } }";
    let config = ConfigText::new().listener(LISTENERS[0]).listener(LISTENERS[1]);
    config.service(service).route(route).with("accessLog: { format: off }")
}

/// The processes that took over, ended with the test.
#[derive(Default)]
struct Successors(Vec<u64>);

impl Successors {
    fn signal(pid: u64, name: &str) -> bool {
        let status = Command::new("sh").arg("-c").arg(format!("kill -{name} {pid}")).status();
        status.is_ok_and(|status| status.success())
    }

    fn is_gone(pid: u64) -> bool {
        // One whose parent has not asked for it yet is as good as gone.
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        state.is_ok_and(|s| s.contains(") Z "))
            || !std::path::Path::new(&format!("/proc/{pid}")).exists()
    }
}

impl Drop for Successors {
    fn drop(&mut self) {
        for pid in &self.0 {
            Self::signal(*pid, "KILL 2>/dev/null");
        }
    }
}

fn upgrade(instance: &Instance) -> Finished {
    let admin = instance.admin.to_string();
    serin_testkit::finish(bench::BINARY, &["upgrade", "-o", "json", "--admin", &admin])
}

fn upgraded(instance: &Instance, successors: &mut Successors) -> u64 {
    let finished = upgrade(instance);
    assert_eq!(finished.code, Some(0), "{}\n{}", finished.stderr, instance.serin.log());
    let answer: Value = serde_json::from_str(&finished.stdout).unwrap();
    let pid = answer["pid"].as_u64().unwrap();
    successors.0.push(pid);
    pid
}

#[test]
fn upgrades_under_load_lose_nothing() {
    let long = std::env::var_os("SERIN_LONG").is_some();
    let (upgrades, chunks) = if long { (50, 300) } else { (3, 20) };
    let (origin, authority, folder) = (Origin::start("v1"), Authority::new(), temp_dir());
    authority.write(folder.path());
    let path = config(&origin).write_to(folder.path());
    let mut instance = Instance::over(folder, &path);
    let https = (instance.serin.address("https"), authority.client());
    let load = Load::start(&Target { http: instance.http, https: Some(https) });
    let mut successors = Successors::default();
    let mut tunnel = tunnel(&instance);
    let mut streams = Vec::new();
    let mut pid = 0;
    for n in 0..upgrades {
        let mut stream = RawClient::connect(instance.http).patient(Duration::from_secs(120));
        stream.send(format!("GET /stream/{chunks}/100 HTTP/1.1\r\nHost: a\r\n\r\n"));
        let before = load.good();
        eventually("there is load", || load.good() > before + 20);
        pid = upgraded(&instance, &mut successors);
        streams.push((n, stream));
        tunnel.send("still here?");
        assert_eq!(tunnel.read_exactly(11), b"still here?", "after upgrade {n}");
    }
    for (n, mut stream) in streams {
        let response = stream.response();
        assert_eq!(response.status, 200, "stream {n}");
        assert!(!response.body.is_empty(), "stream {n}");
    }
    let good = load.finish();
    println!(
        "{upgrades} upgrades, {good} requests, {upgrades} streams of {chunks} chunks, 1 tunnel"
    );
    assert!(!Successors::is_gone(u64::from(instance.serin.pid())), "the tunnel's process lingers");
    drop(tunnel);
    assert!(instance.serin.ended().success(), "and leaves when the tunnel has ended");
    for old in successors.0.iter().filter(|old| **old != pid) {
        eventually("every process but the last has left", || Successors::is_gone(*old));
    }
    assert_eq!(instance.get("/").status, 200);
    assert!(Successors::signal(pid, "TERM"));
    eventually("the last one leaves, too", || Successors::is_gone(pid));
}

fn tunnel(instance: &Instance) -> RawClient {
    let mut tunnel = RawClient::connect(instance.http).patient(Duration::from_secs(600));
    tunnel.send("GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    assert_eq!(tunnel.response().status, 101);
    tunnel
}

/// One that neither serves nor ends.
#[test]
fn a_successor_that_hangs_holds_up_neither_reloads_nor_the_next_word() {
    let folder = temp_dir();
    let path = bench::saying("old").write_to(folder.path());
    let program = folder.path().join("serin");
    std::fs::copy(bench::BINARY, &program).unwrap();
    let mut serin = Serin::start(Command::new(&program).args(["run", "--config"]).arg(&path));
    let (http, admin) = (serin.address("http"), serin.address("admin"));
    let instance = Instance { serin, folder, http, admin };
    let hanging = program.with_extension("new");
    // It ends when the process that has started it does.
    std::fs::write(&hanging, "#!/bin/sh\necho it hangs >&2\ncat >/dev/null\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&hanging, mode).unwrap();
    std::fs::rename(&hanging, &program).unwrap();
    instance.serin.signal("USR2");
    eventually("the successor was started", || instance.serin.log().contains("it hangs"));
    instance.write(&bench::saying("new"));
    eventually("a reload takes effect", || instance.answer() == "new");
    assert!(!instance.serin.log().contains("hand-over failed"), "it still hangs");
    let second = upgrade(&instance);
    assert_eq!(second.code, Some(1));
    assert!(second.stderr.contains("is being started already"), "{}", second.stderr);
}

/// A new program that cannot start, and a configuration that it cannot read.
#[test]
fn a_hand_over_that_fails_changes_nothing() {
    let (origin, authority, folder) = (Origin::start("v1"), Authority::new(), temp_dir());
    authority.write(folder.path());
    let path = config(&origin).write_to(folder.path());
    let program = folder.path().join("serin");
    std::fs::copy(bench::BINARY, &program).unwrap();
    let mut command = Command::new(&program);
    let mut serin = Serin::start(command.args(["run", "--config"]).arg(&path));
    let (http, admin) = (serin.address("http"), serin.address("admin"));
    let instance = Instance { serin, folder, http, admin };
    let mut kept = RawClient::connect(instance.http);
    let broken = program.with_extension("new");
    std::fs::write(&broken, "#!/bin/sh\necho 'not today' >&2\nexit 7\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&broken, mode).unwrap();
    let good = program.with_extension("good");
    std::fs::rename(&program, &good).unwrap();
    std::fs::rename(&broken, &program).unwrap();
    let refused = upgrade(&instance);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("nothing has changed"), "{}", refused.stderr);
    assert!(refused.stderr.contains('7'), "how it ended: {}", refused.stderr);
    std::fs::rename(&good, &program).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("protocol: HTTPS", "protocol: HTTTPS")).unwrap();
    let refused = upgrade(&instance);
    assert!(refused.stderr.contains("serin.yaml:"), "{}", refused.stderr);
    std::fs::write(&path, text).unwrap();
    kept.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(kept.response().status, 200);
    eventually("the controller decides as before", || instance.admin("/readyz")["ready"] == true);
    let mut successors = Successors::default();
    upgraded(&instance, &mut successors);
    assert_eq!(instance.get("/").status, 200);
}
