//! Files are changed in all the ways in which people and machines change files.

use crate::bench::{Instance, saying};
use serin_testkit::{ConfigText, eventually, temp_dir};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

#[test]
fn a_file_that_is_written_anew_is_taken_up() {
    let instance = Instance::start(&saying("one"));
    assert_eq!(instance.answer(), "one");
    instance.write(&saying("two"));
    eventually("the new words are in force", || instance.answer() == "two");
    assert_eq!(instance.generation(), 2);
}

/// Many editors write a new file and move it over the old one, some move the old one away first.
#[test]
fn a_file_that_is_replaced_is_taken_up() {
    let instance = Instance::start(&saying("one"));
    let (path, backup) = (instance.path(), instance.folder.path().join("serin.yaml~"));
    for words in ["two", "three"] {
        fs::rename(&path, &backup).unwrap();
        instance.write(&saying(words));
        eventually("the new words are in force", || instance.answer() == words);
    }
    let aside = instance.folder.path().join("aside");
    fs::create_dir(&aside).unwrap();
    fs::rename(saying("four").write_to(&aside), &path).unwrap();
    eventually("the new words are in force", || instance.answer() == "four");
    assert_eq!(instance.refused(), "");
}

#[test]
fn files_of_a_folder_come_and_go() {
    let folder = temp_dir();
    let conf = folder.path().join("conf");
    fs::create_dir(&conf).unwrap();
    saying("one").write_to(&conf);
    let instance = Instance::over(folder, &conf);
    let more = conf.join("more.yaml");
    let exact = "version: 1\nroutes: [{ name: more, matches: [{ path: { exact: /more } }], respond: { status: 200, body: more } }]";
    fs::write(&more, exact).unwrap();
    eventually("the new file is read", || instance.get("/more").text().trim() == "more");
    fs::remove_file(&more).unwrap();
    eventually("the file is gone", || instance.get("/more").text().trim() == "one");
}

/// A mounted ConfigMap: the files are links through `..data`, which is replaced by one rename.
#[test]
fn a_link_that_is_swapped_as_kubernetes_does_is_taken_up() {
    let folder = temp_dir();
    let (mount, state) = (folder.path().join("mount"), folder.path().join("state"));
    let put = |number: u32, words: &str| {
        let real = mount.join(format!("..{number}"));
        fs::create_dir_all(&real).unwrap();
        let config = saying(words).with(&format!("state: {{ dir: {} }}", state.display()));
        fs::write(real.join("serin.yaml"), config.text()).unwrap();
        symlink(format!("..{number}"), mount.join("..data_tmp")).unwrap();
        fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
    };
    put(1, "one");
    symlink("..data/serin.yaml", mount.join("serin.yaml")).unwrap();
    let instance = Instance::over(folder, &mount);
    assert_eq!(instance.answer(), "one");
    put(2, "two");
    fs::remove_dir_all(mount.join("..1")).unwrap();
    eventually("the new words are in force", || instance.answer() == "two");
}

/// Refused in every way, visible everywhere, and the old configuration serves on.
#[test]
fn a_fault_is_seen_everywhere_until_it_is_repaired() {
    let instance = Instance::start(&saying("one"));
    let good = fs::read_to_string(instance.path()).unwrap();
    let number = good.lines().position(|line| line.contains("protocol: HTTP")).unwrap() + 1;
    let broken = good.replace("protocol: HTTP", "protocol: HTPP");
    fs::write(instance.path(), &broken).unwrap();
    let place = format!("serin.yaml:{number}:");
    eventually("the fault is in the API", || instance.refused().contains(&place));
    assert_eq!(instance.answer(), "one");
    let ready = instance.admin("/readyz");
    assert_eq!(ready["ready"], true, "the old configuration is as good as ever");
    let detail = ready["checks"].as_array().unwrap().iter().find(|c| c["name"] == "config");
    let detail = detail.unwrap()["detail"].as_str().unwrap();
    assert!(detail.contains("the last reload was refused") && !detail.contains(&place), "{ready}");
    assert!(instance.metrics().contains("serin_config_reloads_total{result=\"failure\"} 1"));
    let told = || {
        instance
            .serin
            .log()
            .lines()
            .filter(|line| line.contains("ERROR"))
            .any(|line| line.contains(&place))
    };
    eventually("the fault is in the log", told);
    let admin = instance.admin.to_string();
    let status = serin_testkit::finish(crate::bench::BINARY, &["status", "--admin", &admin]);
    assert!(status.stdout.contains(&place), "{}", status.stdout);
    fs::write(instance.path(), &good).unwrap();
    eventually("the repair is noted", || instance.refused().is_empty());
    assert_eq!(instance.generation(), 1, "what is in force was in force all the time");
}

#[test]
fn half_written_deleted_and_unreadable_files_change_nothing() {
    let instance = Instance::start(&saying("one"));
    let (path, good) = (instance.path(), fs::read_to_string(instance.path()).unwrap());
    let breaks: [(&str, &dyn Fn()); 6] = [
        ("half", &|| fs::write(&path, &good[..good.len() / 2]).unwrap()),
        ("deleted", &|| fs::remove_file(&path).unwrap()),
        ("not text", &|| fs::write(&path, b"\xff\xfe\x00").unwrap()),
        ("empty", &|| fs::write(&path, "").unwrap()),
        ("a folder", &|| {
            fs::remove_file(&path).unwrap();
            fs::create_dir(&path).unwrap();
        }),
        ("a dangling link", &|| {
            fs::remove_dir(&path).unwrap();
            symlink("nowhere", &path).unwrap();
        }),
    ];
    let mut last = String::new();
    for (how, break_it) in breaks {
        break_it();
        eventually(how, || {
            let fault = instance.refused();
            !fault.is_empty() && fault != last
        });
        last = instance.refused();
        assert_eq!(instance.answer(), "one", "{how}");
    }
    fs::remove_file(&path).unwrap();
    instance.write(&saying("two"));
    eventually("the repaired file is in force", || instance.answer() == "two");
}

#[test]
fn a_file_that_is_written_a_thousand_times_is_in_force_two_seconds_after_the_last() {
    let long = std::env::var_os("SERIN_LONG").is_some();
    let (writes, pause) = if long { (1_000, 10) } else { (200, 10) };
    let instance = Instance::start(&saying("n0"));
    for n in 1..=writes {
        instance.write(&saying(&format!("n{n}")));
        std::thread::sleep(Duration::from_millis(pause));
    }
    let written = Instant::now();
    let last = format!("n{writes}");
    eventually("the last words are in force", || instance.answer() == last);
    let took = written.elapsed();
    println!("{writes} writes; the last one is in force after {took:?}");
    assert!(!long || took < Duration::from_secs(2), "{took:?}");
    assert!(instance.generation() < writes / 10, "{}", instance.generation());
}

#[test]
fn other_files_of_the_folder_are_nobodys_business() {
    let instance = Instance::start(&saying("one"));
    let scratch = instance.folder.path().join("serin.yaml.swp");
    for n in 0..50 {
        fs::write(&scratch, n.to_string()).unwrap();
    }
    touch(&instance.path());
    instance.write(&saying("two"));
    eventually("the new words are in force", || instance.answer() == "two");
    assert_eq!(instance.generation(), 2);
}

fn touch(path: &Path) {
    let file = fs::File::options().append(true).open(path).unwrap();
    file.set_modified(std::time::SystemTime::now()).unwrap();
}

/// A listener comes and goes with its file; what is open on it goes on.
#[test]
fn listeners_come_and_go_with_the_file() {
    let instance = Instance::start(&saying("one"));
    let mut open = serin_testkit::RawClient::connect(instance.http);
    open.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(open.response().status, 200);
    let route =
        "{ name: all, matches: [{ path: { prefix: / } }], respond: { status: 200, body: other } }";
    let other = ConfigText::new().http_listener("other").route(route);
    instance.write(&other);
    eventually("the listener is gone", || std::net::TcpStream::connect(instance.http).is_err());
    open.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(open.response().text().trim(), "other");
}
