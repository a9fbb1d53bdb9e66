//! A reload never opens the admin API: what counts is the socket that is bound, not the address
//! that the files have come to name.
//!
//! The socket is bound on every address, so this runs in a network namespace of its own; a machine
//! that gives none to its users skips it.

use crate::bench::{BINARY, command, saying};
use serin_testkit::{Serin, eventually, temp_dir};
use std::net::SocketAddr;
use std::process::Command;

/// Runs a program in a new network namespace, or in that of another process.
struct Namespace {
    as_root: bool,
}

impl Namespace {
    fn new() -> Option<Self> {
        let can = |arguments: &[&str]| {
            let tried = Command::new("unshare").args(arguments).arg("true").output();
            tried.is_ok_and(|output| output.status.success())
        };
        match (can(&["--net"]), can(&["--net", "--map-root-user"])) {
            (true, _) => Some(Self { as_root: true }),
            (false, true) => Some(Self { as_root: false }),
            (false, false) => None,
        }
    }

    fn starting(&self, program: &Command) -> Command {
        let mut command = Command::new("unshare");
        command.arg("--net").args((!self.as_root).then_some("--map-root-user"));
        command.args(["sh", "-c", "ip link set lo up && exec \"$@\"", "sh"]);
        command.arg(program.get_program()).args(program.get_args());
        command.env_remove("SERIN_CONFIG").env_remove("NOTIFY_SOCKET");
        command
    }

    fn within(&self, pid: u32, program: &str, arguments: &[&str]) -> String {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--target", &pid.to_string()]);
        command
            .args((!self.as_root).then_some(["--user", "--preserve-credentials"]).iter().flatten());
        let output = command.arg(program).args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr)
    }
}

#[test]
fn a_reload_that_takes_the_tokens_away_is_refused_while_the_bound_socket_is_on_the_network() {
    let Some(namespace) = Namespace::new() else {
        eprintln!("skipped: this machine gives no network namespaces");
        return;
    };
    let folder = temp_dir();
    std::fs::write(folder.path().join("token"), "0123456789abcdef0123456789abcdef").unwrap();
    let tokens = "tokens: [{ role: operator, tokenFile: token }]";
    let open = saying("one").admin(&format!("{{ address: \"0.0.0.0:0\", {tokens} }}"));
    let path = open.write_to(folder.path());
    let mut run = command();
    run.args(["run", "--config"]).arg(&path);
    let mut serin = Serin::start(&mut namespace.starting(&run));
    let admin = SocketAddr::from(([127, 0, 0, 1], serin.address("admin").port())).to_string();
    let freeze = || {
        let asked = ["freeze", "on", "--admin", &admin, "--reason", "a stranger"];
        namespace.within(serin.pid(), BINARY, &asked)
    };
    assert!(freeze().contains("this needs a token"), "{}", freeze());
    saying("two").admin("{ address: \"127.0.0.1:0\" }").write_to(folder.path());
    let refused = || {
        let log = serin.log();
        let line =
            log.lines().find(|line| line.contains("refused") && line.contains("admin.tokens"));
        line.map(str::to_owned)
    };
    eventually("the files are read", || refused().is_some() || freeze().contains("frozen"));
    assert!(freeze().contains("this needs a token"), "{}", freeze());
    let line = refused().expect("a refusal in the log");
    assert!(line.contains("restart with admin.address on loopback"), "{line}");
    // With a token the same address is only a matter of the next restart.
    let kept = saying("three").admin(&format!("{{ address: \"127.0.0.1:0\", {tokens} }}"));
    kept.write_to(folder.path());
    eventually("the restart is asked for", || {
        serin.log().contains("admin.address has changed, which takes effect with a restart only")
    });
}
