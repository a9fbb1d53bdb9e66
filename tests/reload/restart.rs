//! What a reload cannot change, and says that it cannot.

use crate::bench::{BINARY, Instance, json, saying};
use serin_testkit::{RawClient, finish};

#[test]
fn a_reload_that_needs_a_restart_says_so() {
    let instance = Instance::start(&saying("old"));
    let moved = saying("new").with("state: { dir: elsewhere }");
    let elsewhere = moved.clone().admin("{ address: \"127.0.0.1:9\" }");
    elsewhere.write_to(instance.folder.path());
    let mut client = RawClient::connect(instance.admin);
    client.send("POST /v1/config/reload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let answer = json(&client.response());
    let says: Vec<_> = answer["warnings"].as_array().into_iter().flatten().collect();
    let paths: Vec<_> = says.iter().filter_map(|warning| warning["path"].as_str()).collect();
    assert_eq!(paths, ["admin.address", "state.dir"], "{answer}");
    let log = instance.serin.log();
    assert!(log.contains("state.dir has changed, which takes effect with a restart only"), "{log}");
    assert_eq!(instance.answer(), "new");

    let elsewhere = serin_testkit::temp_dir();
    let back = saying("newer").admin("{ address: \"127.0.0.1:10\" }").write_to(elsewhere.path());
    let admin = instance.admin.to_string();
    let diff = finish(BINARY, &["diff", &back.to_string_lossy(), "--admin", &admin]);
    assert!(diff.stdout.contains("127.0.0.1:10 (needs a restart)"), "{}", diff.stdout);
}
