//! Files that were made to hurt: each is refused with a reason, and none costs more than its
//! budget. Nothing here measures time; a bomb that goes off simply never ends.

mod support;

use serin_config::{Faults, Options, from_str, load};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use support::Ground;

fn refused(text: &str) -> Faults {
    match from_str("hostile.yaml", text) {
        Ok(loaded) => panic!("accepted: {}", loaded.config.summary()),
        Err(faults) => faults,
    }
}

fn first(text: &str) -> String {
    refused(text).faults[0].message.clone()
}

fn folder_refused(path: &Path) -> String {
    match load(path, &Options::default()) {
        Ok(loaded) => panic!("accepted: {}", loaded.config.summary()),
        Err(faults) => faults.to_string(),
    }
}

#[test]
fn brackets_without_end_are_too_deep() {
    assert_eq!(first(&format!("version: {}", "[".repeat(1_000_000))), "nested more than 32 deep");
    assert_eq!(
        first(&format!("version: {}", "{a: ".repeat(1_000_000))),
        "nested more than 32 deep"
    );
    assert_eq!(first(&"- ".repeat(1_000_000)), "nested more than 32 deep");
    let deep: String = (0..2_000).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
    assert_eq!(first(&deep), "nested more than 32 deep");
}

#[test]
fn aliases_that_multiply_are_too_large() {
    let mut text = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for n in 1..12 {
        let many = vec![format!("*a{}", n - 1); 10].join(", ");
        text.push_str(&format!("a{n}: &a{n} [{many}]\n"));
    }
    assert_eq!(first(&text), "the configuration is too large");
    let mut merged = String::from("a0: &a0 { k: v }\n");
    for n in 1..30 {
        merged.push_str(&format!("a{n}: &a{n} {{ x: *a{0}, y: *a{0}, <<: *a{0} }}\n", n - 1));
    }
    assert_eq!(first(&merged), "the configuration is too large");
}

#[test]
fn a_long_text_repeated_by_aliases_is_too_large() {
    let long = "x".repeat(1 << 20);
    let many = vec!["*a"; 100].join(", ");
    assert_eq!(first(&format!("a: &a {long}\nb: [{many}]\n")), "the configuration is too large");
}

#[test]
fn an_alias_of_itself_is_refused() {
    assert_eq!(first("a: &a [ *a ]\n"), "an alias inside the value it stands for");
}

#[test]
fn a_list_of_millions_is_too_large() {
    assert_eq!(
        first(&format!("routes: [{}]", "a,".repeat(1_100_000))),
        "the configuration is too large"
    );
}

#[test]
fn complaints_are_counted_beyond_the_first_thousand() {
    let text: String = (0..20_000).map(|n| format!("unknown{n}: 1\n")).collect();
    let faults = refused(&text);
    assert_eq!(faults.faults.len(), 1_000);
    assert!(faults.more > 18_000);
    assert!(faults.to_string().contains("more"));
}

#[test]
fn a_line_of_megabytes_is_named_and_not_shown() {
    let text = format!("version: 1\nstate: {{ dir: a, nonsense: {} }}\n", "y".repeat(4 << 20));
    let shown = refused(&text).to_string();
    assert!(shown.len() < 10_000, "{} bytes", shown.len());
    assert!(shown.contains("hostile.yaml:2:18"), "{shown}");
}

#[test]
fn a_value_of_megabytes_is_cut_in_messages() {
    let shown = refused(&format!("version: 1\nlanes: {}\n", "y".repeat(4 << 20))).to_string();
    assert!(shown.len() < 10_000, "{} bytes", shown.len());
}

#[test]
fn an_expression_that_explodes_is_too_large() {
    let regex = "(((a{100}){100}){100}){100}";
    let text = format!(
        "version: 1\nroutes: [ {{ name: a, respond: {{}}, matches: [ {{ path: {{ regex: \"/{regex}\" }} }} ] }} ]\n"
    );
    assert_eq!(first(&text), "this expression is too large");
}

#[test]
fn two_hundred_megabytes_are_not_even_read() {
    let ground = Ground::new();
    let path = ground.write("serin.yaml", "");
    let file = std::fs::File::options().write(true).open(&path).expect("the file");
    file.set_len(200 << 20).expect("a sparse file");
    assert!(folder_refused(&path).contains("the file is larger than 16 MiB"));
    assert!(folder_refused(ground.path()).contains("the file is larger than 16 MiB"));
}

#[test]
fn what_is_not_utf8_is_named_by_line_and_column() {
    let ground = Ground::new();
    let path = ground.write("serin.yaml", b"version: 1\nstate: { dir: \"caf\xe9\" }\n");
    let faults = load(&path, &Options::default()).expect_err("refused");
    assert_eq!(faults.faults[0].message, "the file is not UTF-8");
    assert_eq!((faults.faults[0].line, faults.faults[0].column), (2, 19));
    ground.write("serin.yaml", [0u8; 4096]);
    assert!(load(&path, &Options::default()).is_err());
}

#[test]
fn pipes_sockets_devices_and_folders_are_never_opened() {
    let ground = Ground::new();
    let folder = ground.path().join("conf");
    std::fs::create_dir(&folder).expect("a folder");
    for n in 0..20 {
        let made = Command::new("mkfifo").arg(folder.join(format!("{n}.yaml"))).status();
        assert!(made.expect("mkfifo").success());
    }
    let _socket = UnixListener::bind(folder.join("socket.yaml")).expect("a socket");
    symlink("/dev/zero", folder.join("zero.yaml")).expect("a link");
    symlink("loop.yaml", folder.join("loop.yaml")).expect("a link");
    std::fs::create_dir(folder.join("folder.yaml")).expect("a folder");
    let shown = folder_refused(&folder);
    for kind in ["it is a pipe", "it is a socket", "it is a device", "it is a folder"] {
        assert!(shown.contains(kind), "{kind}: {shown}");
    }
    assert!(folder_refused(&folder.join("3.yaml")).contains("it is a pipe"));
}

#[test]
fn a_secret_is_read_from_a_regular_file_of_bounded_size_only() {
    let ground = Ground::new();
    let made = Command::new("mkfifo").arg(ground.path().join("secrets/pipe")).status();
    assert!(made.expect("mkfifo").success());
    ground.write("secrets/large", vec![b'x'; 2 << 20]);
    for (file, reason) in [
        ("secrets/pipe", "it is a pipe"),
        ("/dev/zero", "it is a device"),
        ("secrets/large", "it is larger than 1024 KiB"),
    ] {
        let text =
            format!("version: 1\nadmin: {{ tokens: [ {{ role: viewer, tokenFile: {file} }} ] }}\n");
        let path = ground.write("serin.yaml", text);
        assert!(folder_refused(&path).contains(reason), "{file}");
    }
}

#[test]
fn a_folder_of_too_many_files_is_refused() {
    let ground = Ground::new();
    let folder = ground.path().join("many");
    std::fs::create_dir(&folder).expect("a folder");
    for n in 0..1_001 {
        std::fs::write(folder.join(format!("{n}.yaml")), "version: 1\n").expect("a file");
    }
    assert!(folder_refused(&folder).contains("more than 1000 *.yaml files"));
}

#[test]
fn what_is_not_there_says_so() {
    assert!(folder_refused(Path::new("/nowhere/serin.yaml")).contains("no such file or directory"));
    let ground = Ground::new();
    assert!(folder_refused(&ground.path().join("tls")).contains("there is no *.yaml"));
}

#[test]
fn a_text_from_elsewhere_is_checked_without_environment_and_files() {
    let warned = |text: &str| {
        let warnings = serin_config::check_text("request", text).unwrap_or_else(|f| panic!("{f}"));
        warnings.into_iter().map(|fault| fault.title()).collect::<Vec<_>>()
    };
    let variable = warned("version: 1\nadmin: { address: \"${PATH}\" }\n");
    assert_eq!(variable, ["admin.address: `${PATH}` is not looked at"]);
    assert_eq!(warned("version: 1\nadmin: { address: \"127.0.0.1:${PATH:-81}\" }\n").len(), 0);
    let files = warned(
        "version: 1\nadmin: { tokens: [{ role: viewer, tokenFile: /etc/passwd }, { role: operator, tokenFile: /none }] }\n",
    );
    assert_eq!(files, ["admin.tokens[0].tokenFile: 2 files are named, which are not looked at"]);
    let shape = "version: 1\nlisteners: ${X}\nadmin: { adress: x }\n";
    assert!(serin_config::check_text("request", shape).is_err(), "its shape is checked");
}

#[test]
fn tokens_are_told_apart_and_files_that_everybody_reads_are_warned_of() {
    let ground = Ground::new();
    std::fs::create_dir_all(ground.path().join("a")).unwrap();
    std::fs::create_dir_all(ground.path().join("b")).unwrap();
    let token = |name: &str, value: &str| {
        let path = ground.write(name, value.repeat(20));
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o640);
        std::fs::set_permissions(path, private).unwrap();
    };
    for (name, value) in [("a/token", "x"), ("b/token", "y"), ("c", "z"), ("d", "w")] {
        token(name, value);
    }
    let listed = "[{ role: viewer, tokenFile: a/token }, { role: viewer, tokenFile: b/token }, { role: operator, tokenFile: c }, { role: operator, name: ci, tokenFile: d }]";
    let path = ground.write("serin.yaml", format!("version: 1\nadmin: {{ tokens: {listed} }}\n"));
    let loaded = load(&path, &Options::default()).unwrap_or_else(|f| panic!("{f}"));
    let names: Vec<_> = loaded.config.admin.tokens.iter().map(|t| t.name.as_str()).collect();
    let whole = |name: &str| ground.path().join(name).display().to_string();
    assert_eq!(names, [whole("a/token").as_str(), &whole("b/token"), "c", "ci"]);
    assert_eq!(loaded.warnings, []);
    ground.write("c", "v".repeat(20));
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(ground.path().join("c"), open).unwrap();
    let loaded = load(&path, &Options::default()).unwrap_or_else(|f| panic!("{f}"));
    let warned: Vec<_> = loaded.warnings.iter().map(serin_config::Fault::title).collect();
    assert_eq!(warned, ["admin.tokens[2].tokenFile: everybody on this machine can read the token"]);
}
