//! What the environment and the disk hold is seen by nobody who sends a configuration or asks how
//! things are.

use crate::bench::{Instance, command, json, saying};
use serde_json::json;
use serin_testkit::{RawClient, Response, Serin, eventually, temp_dir};

const SECRET: &str = "hunter2-Very-Secret";

fn instance() -> Instance {
    let folder = temp_dir();
    let path = saying("one").write_to(folder.path());
    let mut command = command();
    command.args(["run", "--config"]).arg(path);
    command.env("DB_PASSWORD", SECRET).env("DB_PORT", "xyz");
    let mut serin = Serin::start(&mut command);
    let (http, admin) = (serin.address("http"), serin.address("admin"));
    Instance { serin, folder, http, admin }
}

fn check(instance: &Instance, yaml: &str) -> Response {
    let body = json!({ "yaml": yaml }).to_string();
    let request = format!(
        "POST /v1/config/check HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    RawClient::connect(instance.admin).send(request).response()
}

const USES: [&str; 4] = [
    "version: 1\nadmin: { address: \"${DB_PASSWORD}\" }\n",
    "version: 1\nadmin: { address: \"127.0.0.1:${DB_PORT}\" }\n",
    "version: 1\n${DB_PASSWORD}: 1\n",
    "version: 1\nstate: { dir: [\"${DB_PASSWORD}\"] }\nroutes: \"${DB_PASSWORD}\"\n",
];

#[test]
fn a_text_that_is_sent_to_be_checked_reads_no_environment_and_no_file() {
    let instance = instance();
    for yaml in USES {
        let answer = check(&instance, yaml);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let text = answer.text();
        assert!(!text.contains(SECRET) && !text.contains("xyz"), "{text}");
        assert!(text.contains("is not looked at"), "{text}");
    }
    let with = |file: &str| {
        let tokens = format!("[{{ role: operator, tokenFile: {file} }}]");
        let yaml = format!("version: 1\nadmin: {{ tokens: {tokens} }}\n");
        let listed = json(&check(&instance, &yaml));
        assert_eq!(listed["ok"], true, "{listed}");
        listed["faults"][0]["message"].as_str().unwrap().to_owned()
    };
    let there = with("/etc/passwd");
    assert_eq!(there, with("/no/such/file"), "whether a file exists is not told");
    assert!(there.contains("not looked at"), "{there}");
}

#[test]
fn a_fault_shows_a_variable_as_it_is_written() {
    let instance = instance();
    let good = std::fs::read_to_string(instance.path()).unwrap();
    for (n, yaml) in USES.into_iter().enumerate() {
        std::fs::write(instance.path(), format!("# {n}\n{yaml}")).unwrap();
        eventually("the fault is told", || !instance.refused().is_empty());
        let log = instance.serin.log();
        for text in [log.clone(), instance.refused(), instance.admin("/readyz").to_string()] {
            assert!(!text.contains(SECRET), "{text}");
            assert!(!text.contains("xyz"), "{text}");
        }
        assert!(!instance.admin("/readyz").to_string().contains("DB_"));
        assert!(log.contains("${DB_P"), "{log}");
        std::fs::write(instance.path(), &good).unwrap();
        eventually("the repair is noted", || instance.refused().is_empty());
    }
}
