//! The admin API over HTTPS, and the command line that speaks it.

use crate::bench::{BINARY, Instance, command, saying};
use serin_testkit::{Finished, Serin, eventually, finish, temp_dir};
use std::path::Path;

/// A certificate that is its own authority, for this machine's names.
fn certify(folder: &Path) {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    std::fs::write(folder.join("admin.key"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(folder.join("admin.pem"), made.cert.pem()).unwrap();
}

fn freeze(admin: &str, more: &[&str]) -> Finished {
    let asked = ["freeze", "on", "--reason", "a test", "--admin", admin];
    finish(BINARY, &[&asked[..], more].concat())
}

#[test]
fn operators_speak_https_and_nobody_else_is_answered() {
    let folder = temp_dir();
    certify(folder.path());
    let tls = "tls: { certFile: admin.pem, keyFile: admin.key }";
    let path = saying("one")
        .admin(&format!("{{ address: \"127.0.0.1:0\", {tls} }}"))
        .write_to(folder.path());
    let mut serin = Serin::start(command().args(["run", "--config"]).arg(&path));
    let port = serin.address("admin").port();
    let pem = folder.path().join("admin.pem").display().to_string();
    for host in ["localhost", "127.0.0.1"] {
        let done = freeze(&format!("https://{host}:{port}"), &["--ca-file", &pem]);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
    }
    let stranger = freeze(&format!("https://localhost:{port}"), &[]);
    assert_ne!(stranger.code, Some(0), "its authority is not the system's: {}", stranger.stdout);
    assert!(stranger.stderr.contains("certificate"), "{}", stranger.stderr);
    assert_ne!(freeze(&format!("127.0.0.1:{port}"), &[]).code, Some(0), "plain text is no answer");
    // A new certificate is taken up like any other file.
    certify(folder.path());
    eventually("the new certificate answers", || {
        freeze(&format!("https://localhost:{port}"), &["--ca-file", &pem]).code == Some(0)
    });
}

#[test]
fn a_start_without_tokens_on_loopback_is_warned_of() {
    let instance = Instance::start(&saying("one"));
    assert!(instance.serin.log().contains("the admin API needs no token"));
}
