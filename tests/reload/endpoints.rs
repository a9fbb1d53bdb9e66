//! Endpoints that somebody else says: by a file, by addresses of a name, by SRV records.

use crate::bench::Instance;
use crate::load::{Load, Target};
use serin_testkit::{ConfigText, NameServer, Origin, ServiceText, eventually, temp_dir};
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How soon requests go where a file says.
const FOLLOWS_IN: Duration = Duration::from_secs(2);

const CHECKED: &str = "healthCheck: { path: /readyz, interval: 200ms }";

/// A service `shop`, whose stable version has its endpoints from there.
fn from(source: &str) -> ConfigText {
    let version = format!("{{ release: one, endpoints: {source} }}");
    let service = ServiceText::new("shop").version_yaml("v1", &version).with(CHECKED);
    ConfigText::simple(service).with("accessLog: { format: off }")
}

fn start(folder: TempDir, config: &ConfigText) -> Instance {
    let path = config.write_to(folder.path());
    Instance::over(folder, &path)
}

fn listing(origins: &[&Origin]) -> String {
    origins.iter().map(|origin| format!("- {}\n", origin.address())).collect()
}

/// As a careful program writes: whole, under the name at once.
fn replace(path: &Path, text: &str) {
    let aside = path.with_extension("tmp");
    fs::write(&aside, text).unwrap();
    fs::rename(aside, path).unwrap();
}

/// Requests come to `here`, and no more to the others.
fn follows(what: &str, here: &Origin, others: &[&Origin]) -> Duration {
    let (began, before) = (Instant::now(), here.requests());
    eventually(what, || here.requests() > before);
    let after = began.elapsed();
    let count = || others.iter().map(|other| other.requests()).sum::<u64>();
    eventually(&format!("{what}, alone"), || {
        let (before, until) = (count(), here.requests() + 20);
        eventually("requests", || here.requests() >= until);
        count() == before
    });
    after
}

fn failing(instance: &Instance) -> bool {
    let line = "serin_endpoint_source_failing{service=\"shop\",version=\"v1\"} 1";
    instance.metrics().lines().any(|metric| metric == line)
}

fn troubles(instance: &Instance) -> String {
    instance.admin("/v1/services/shop")["versions"][0]["troubles"].to_string()
}

#[test]
fn requests_follow_a_file_that_is_changed_under_load_and_none_fails() {
    let [a, b, c] = ["a", "b", "c"].map(Origin::start);
    let folder = temp_dir();
    let list = folder.path().join("v1.yaml");
    fs::write(&list, listing(&[&a])).unwrap();
    let instance = start(folder, &from("{ file: v1.yaml }"));
    let load = Load::start(&Target { http: instance.http, https: None });
    follows("the first", &a, &[&b, &c]);
    replace(&list, &listing(&[&b]));
    let renamed = follows("a file that was replaced", &b, &[&a, &c]);
    fs::write(&list, listing(&[&c, &a])).unwrap();
    let written = follows("a file that was written anew", &c, &[&b]);
    fs::write(&list, format!("[\"{}\"]", b.address())).unwrap();
    let json = follows("a file in JSON", &b, &[&a, &c]);
    println!("followed in {renamed:?}, {written:?} and {json:?}");
    assert!(renamed.max(written).max(json) < FOLLOWS_IN);
    load.finish();
}

/// A mounted ConfigMap: the file is a link through `..data`, which is replaced by one rename.
#[test]
fn requests_follow_a_link_that_is_swapped() {
    let [a, b] = ["a", "b"].map(Origin::start);
    let folder = temp_dir();
    let mount = folder.path().join("lists");
    let put = |number: u32, origin: &Origin| {
        fs::create_dir_all(mount.join(format!("..{number}"))).unwrap();
        fs::write(mount.join(format!("..{number}/v1.yaml")), listing(&[origin])).unwrap();
        symlink(format!("..{number}"), mount.join("..data_tmp")).unwrap();
        fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
    };
    put(1, &a);
    symlink("..data/v1.yaml", mount.join("v1.yaml")).unwrap();
    let instance = start(folder, &from("{ file: lists/v1.yaml }"));
    let load = Load::start(&Target { http: instance.http, https: None });
    follows("the first", &a, &[&b]);
    put(2, &b);
    fs::remove_dir_all(mount.join("..1")).unwrap();
    assert!(follows("a link that was swapped", &b, &[&a]) < FOLLOWS_IN);
    load.finish();
}

#[test]
fn who_joins_passes_a_check_first_and_who_leaves_stays_until_somebody_has() {
    let [a, b] = ["a", "b"].map(Origin::start);
    b.set_ready(false);
    let folder = temp_dir();
    let list = folder.path().join("v1.yaml");
    fs::write(&list, listing(&[&a])).unwrap();
    let instance = start(folder, &from("{ file: v1.yaml }"));
    let load = Load::start(&Target { http: instance.http, https: None });
    follows("the first", &a, &[&b]);
    replace(&list, &listing(&[&b]));
    eventually("it is checked", || b.health_checks() > 3);
    follows("nobody else is ready", &a, &[&b]);
    assert_eq!(b.requests(), 0);
    b.set_ready(true);
    follows("it is ready", &b, &[&a]);
    load.finish();
}

/// Nobody checks these, so that they are connected to before they get the requests of those that do serve.
#[test]
fn a_set_that_cannot_be_connected_to_does_not_take_the_place_of_one_that_can() {
    let [a, b] = ["a", "b"].map(Origin::start);
    let mut dead = Origin::start("dead");
    let address = dead.address();
    dead.stop();
    let folder = temp_dir();
    let list = folder.path().join("v1.yaml");
    fs::write(&list, listing(&[&a])).unwrap();
    let service = ServiceText::new("shop").version_yaml("v1", "{ endpoints: { file: v1.yaml } }");
    let config = ConfigText::simple(service).with("accessLog: { format: off }");
    let instance = start(folder, &config);
    let load = Load::start(&Target { http: instance.http, https: None });
    follows("the first", &a, &[&b]);
    replace(&list, &format!("- {address}\n"));
    eventually("it is told of", || troubles(&instance).contains("gets no requests yet"));
    follows("nobody else is there", &a, &[&b]);
    replace(&list, &format!("- {address}\n{}", listing(&[&b])));
    follows("who can be connected to", &b, &[&a]);
    load.finish();
    let _back = Origin::start_at("back", address);
    eventually("it joins", || troubles(&instance) == "[]");
}

#[test]
fn a_file_that_says_nothing_keeps_the_last_endpoints_and_is_told_of() {
    let a = Origin::start("a");
    let folder = temp_dir();
    let list = folder.path().join("v1.yaml");
    fs::write(&list, listing(&[&a])).unwrap();
    let instance = start(folder, &from("{ file: v1.yaml }"));
    follows_one(&instance, &a);
    assert!(!failing(&instance));
    type Break<'a> = (&'a str, &'a dyn Fn());
    let breaks: [Break<'_>; 4] = [
        ("names no endpoint", &|| fs::write(&list, "").unwrap()),
        ("v1.yaml:2:3: [1]: `10.0.0.256:80`", &|| {
            fs::write(&list, "- 10.0.0.1:80\n- 10.0.0.256:80\n").unwrap();
        }),
        ("no such file", &|| fs::remove_file(&list).unwrap()),
        ("it is a folder", &|| fs::create_dir(&list).unwrap()),
    ];
    for (said, break_it) in breaks {
        break_it();
        eventually(said, || troubles(&instance).contains(said));
        assert!(troubles(&instance).contains("kept: 1") && failing(&instance));
        follows_one(&instance, &a);
        eventually("the log says so", || instance.serin.log().contains(said));
    }
    fs::remove_dir(&list).unwrap();
    fs::write(&list, listing(&[&a])).unwrap();
    eventually("it is mended", || !failing(&instance));
    eventually("and nothing is told any more", || troubles(&instance) == "[]");
}

fn follows_one(instance: &Instance, origin: &Origin) {
    let before = origin.requests();
    assert_eq!(instance.get("/").status, 200);
    assert_eq!(origin.requests(), before + 1);
}

#[test]
fn a_file_may_come_later() {
    let a = Origin::start("a");
    let folder = temp_dir();
    let list = folder.path().join("v1.yaml");
    let config = from("{ file: v1.yaml }");
    let path = config.write_to(folder.path());
    let instance = Instance::over(folder, &path);
    assert_eq!(instance.get("/").status, 502);
    eventually("why is told", || troubles(&instance).contains("no such file"));
    fs::write(&list, listing(&[&a])).unwrap();
    eventually("it is served", || instance.get("/").status == 200);
}

/// Two origins that differ in their address alone.
fn on_one_port() -> (Origin, Origin) {
    for _ in 0..100 {
        let a = Origin::start_at("a", "127.0.0.2:0".parse().unwrap());
        let other = SocketAddr::new("127.0.0.3".parse().unwrap(), a.address().port());
        if std::net::TcpListener::bind(other).is_ok() {
            return (a, Origin::start_at("b", other));
        }
    }
    panic!("no port is free on two addresses");
}

#[test]
fn requests_follow_the_addresses_of_a_name_when_their_time_is_over() {
    let (a, b) = on_one_port();
    let names = NameServer::start();
    names.addresses("shop.test", &["127.0.0.2"], 1);
    let port = a.address().port();
    let source = format!("{{ dns: shop.test, port: {port}, servers: [\"{}\"] }}", names.address());
    let instance = start(temp_dir(), &from(&source));
    let load = Load::start(&Target { http: instance.http, https: None });
    follows("the first", &a, &[&b]);
    names.addresses("shop.test", &["127.0.0.3"], 3_600);
    assert!(follows("the name has moved", &b, &[&a]) < Duration::from_secs(3));
    load.finish();
    // From here on it holds for an hour, and is not asked for.
    let questions = names.questions();
    names.addresses("shop.test", &["127.0.0.2"], 1);
    let until = Instant::now() + Duration::from_millis(2_500);
    eventually("more than the least time", || Instant::now() > until);
    assert_eq!(names.questions(), questions);
    follows_one(&instance, &b);
}

#[test]
fn what_an_answer_says_of_other_names_is_not_taken() {
    let (a, b) = on_one_port();
    let names = NameServer::start();
    names.alias("shop.test", "a.test", &["127.0.0.2"], ("b.test", "127.0.0.3"));
    let port = a.address().port();
    let source = format!("{{ dns: shop.test, port: {port}, servers: [\"{}\"] }}", names.address());
    let instance = start(temp_dir(), &from(&source));
    (0..10).for_each(|_| follows_one(&instance, &a));
    assert_eq!(b.requests(), 0);
}

#[test]
fn a_name_server_that_fails_or_has_lost_the_name_changes_nothing() {
    let a = Origin::start("a");
    let names = NameServer::start();
    names.targets("_http._tcp.shop.test", &[(0, 1, a.address().port(), "a.test")], 1);
    names.addresses("a.test", &["127.0.0.1"], 1);
    let source = format!("{{ srv: _http._tcp.shop.test, servers: [\"{}\"] }}", names.address());
    let instance = start(temp_dir(), &from(&source));
    follows_one(&instance, &a);
    for (said, break_it) in [
        ("SERVFAIL", &(|| names.fail(Some(2))) as &dyn Fn()),
        ("no SRV record", &|| {
            names.fail(None);
            names.targets("_http._tcp.shop.test", &[], 1);
        }),
        ("no endpoint", &|| {
            names.targets("_http._tcp.shop.test", &[(0, 1, 80, "gone.test")], 1);
        }),
    ] {
        break_it();
        eventually(said, || troubles(&instance).contains(said));
        assert!(failing(&instance));
        follows_one(&instance, &a);
    }
    names.targets("_http._tcp.shop.test", &[(0, 1, a.address().port(), "a.test")], 1);
    eventually("it is mended", || !failing(&instance));
}

#[test]
fn requests_are_shared_by_weight_among_those_of_the_first_priority_that_is_there() {
    let [mut heavy, light, spare] = ["heavy", "light", "spare"].map(Origin::start);
    let port = |origin: &Origin| origin.address().port();
    let names = NameServer::start();
    let records = [
        (0, 30, port(&heavy), "a.test"),
        (0, 10, port(&light), "a.test"),
        (1, 60_000, port(&spare), "a.test"),
    ];
    names.targets("shop.test", &records, 1);
    names.addresses("a.test", &["127.0.0.1"], 1);
    let source = format!("{{ srv: shop.test, servers: [\"{}\"] }}", names.address());
    for balancing in ["roundRobin", "leastRequest"] {
        let before = [heavy.requests(), light.requests(), spare.requests()];
        let config = from(&source).with("").text();
        let folder = temp_dir();
        let path = folder.path().join("serin.yaml");
        let key = format!("    loadBalancing: {balancing}\n    healthCheck:");
        let config = config.replace("    healthCheck:", &key);
        fs::write(&path, format!("{config}state: {{ dir: state }}\n")).unwrap();
        let instance = Instance::over(folder, &path);
        (0..400).for_each(|_| assert_eq!(instance.get("/").status, 200));
        let got = [heavy.requests(), light.requests(), spare.requests()];
        let got: Vec<u64> = got.iter().zip(before).map(|(after, before)| after - before).collect();
        assert!((270..=330).contains(&got[0]) && got[2] == 0, "{balancing}: {got:?}");
        drop(instance);
    }
    let instance = start(temp_dir(), &from(&source));
    heavy.stop();
    light.set_ready(false);
    let before = spare.requests();
    eventually("the next priority serves", || {
        instance.get("/").status == 200 && spare.requests() > before
    });
}

/// What does not fit into a datagram is asked for again over TCP.
#[test]
fn an_answer_of_any_length_is_read() {
    let a = Origin::start("a");
    let names = NameServer::start();
    names.addresses("host.test", &["127.0.0.1"], 60);
    let long = "a-name-that-is-rather-long-and-takes-much-room.host.test";
    names.addresses(long, &["127.0.0.1"], 60);
    let mut records: Vec<_> = (1..40).map(|port| (1, 1, port, long)).collect();
    records.push((0, 1, a.address().port(), "host.test"));
    names.targets("shop.test", &records, 60);
    let source = format!("{{ srv: shop.test, servers: [\"{}\"] }}", names.address());
    let instance = start(temp_dir(), &from(&source));
    follows_one(&instance, &a);
    assert!(names.over_tcp() > 0);
    let total = || instance.admin("/v1/services/shop")["versions"][0]["endpoints"].clone();
    eventually("all are there", || total() == 40);
}

/// What is in a source no configuration says; that it is another version's, each does.
#[test]
fn a_source_is_not_given_from_one_version_to_another_that_serves() {
    let [a, b] = ["a", "b"].map(Origin::start);
    let folder = temp_dir();
    fs::write(folder.path().join("a.yaml"), listing(&[&a])).unwrap();
    fs::write(folder.path().join("b.yaml"), listing(&[&b])).unwrap();
    let config = |first: &str, second: &str| {
        let version = |file: &str| format!("{{ endpoints: {{ file: {file} }} }}");
        let service = ServiceText::new("shop")
            .version_yaml("v1", &version(first))
            .version_yaml("v2", &version(second));
        ConfigText::simple(service).with("accessLog: { format: off }")
    };
    let instance = start(folder, &config("a.yaml", "b.yaml"));
    follows_one(&instance, &a);
    instance.write(&config("b.yaml", "a.yaml"));
    eventually("it is refused", || instance.refused().contains("b.yaml is an endpoint of v2"));
    follows_one(&instance, &a);
}
