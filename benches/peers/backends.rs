//! What stands behind the proxies.

use crate::machine::{Place, await_port, free_port};
use crate::messages;
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Three nginx servers as stable, canary and shadow, on the load's core; the first one speaks TLS and
/// HTTP/2 as well. What sends messages back is the bench itself.
pub(crate) struct Backends {
    children: Vec<Child>,
    ports: [u16; 3],
    secure: u16,
    grpc: u16,
    socket: u16,
    /// How often it was asked for its count.
    counted: Cell<f64>,
}

impl Backends {
    /// `messages`: what the bench itself is to send back, if anything.
    pub(crate) fn start(
        folder: &Path,
        place: Place,
        messages: Option<&str>,
    ) -> Result<Self, String> {
        certificates(folder)?;
        let mut backends = Self {
            children: Vec::new(),
            ports: [free_port()?, free_port()?, free_port()?],
            secure: free_port()?,
            grpc: free_port()?,
            socket: free_port()?,
            counted: Cell::default(),
        };
        let config = folder.join("backend.conf");
        std::fs::write(&config, backends.nginx(folder, messages)?).map_err(|e| e.to_string())?;
        let mut nginx = place.command("1", "nginx");
        nginx.arg("-c").arg(&config);
        backends.spawn(nginx)?;
        if let Some(kind) = messages {
            let port = backends.messages_port(kind);
            backends.spawn(messages::backend(kind, place, port)?)?;
            await_port(port)?;
        }
        backends.ports.into_iter().try_for_each(await_port)?;
        Ok(backends)
    }

    fn messages_port(&self, kind: &str) -> u16 {
        if kind == "grpc-stream" { self.grpc } else { self.socket }
    }

    fn spawn(&mut self, mut command: Command) -> Result<(), String> {
        let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn();
        self.children.push(child.map_err(|e| e.to_string())?);
        Ok(())
    }

    fn nginx(&self, folder: &Path, messages: Option<&str>) -> Result<String, String> {
        let home = folder.join("backend");
        std::fs::create_dir_all(&home).map_err(|e| e.to_string())?;
        for (name, bytes) in [("large", 1 << 20), ("half", 1 << 19)] {
            std::fs::write(home.join(name), vec![b'x'; bytes]).map_err(|e| e.to_string())?;
        }
        let (home, folder) = (home.display(), folder.display());
        let answer = "x".repeat(128);
        // nginx asks the next for `/take` when it has all of a body.
        let places = format!(
            "root {home}; location / {{ return 200 \"{answer}\"; }} location = /large {{ sendfile on; }} location = /half {{ sendfile on; }} location = /asked {{ stub_status; }} location = /take {{ proxy_pass http://127.0.0.1:{}/; }} location /serin.Bench/ {{ default_type application/grpc; add_trailer grpc-status 0; return 200 \"{answer}\"; }}",
            self.ports[1]
        );
        let mut servers: String = self
            .ports
            .iter()
            .map(|port| format!("  server {{ listen 127.0.0.1:{port}; {places} }}\n"))
            .collect();
        servers += &format!(
            "  server {{ listen 127.0.0.1:{} ssl; ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem; {places} }}\n",
            self.secure
        );
        if messages != Some("grpc-stream") {
            servers += &format!("  server {{ listen 127.0.0.1:{} http2; {places} }}\n", self.grpc);
        }
        Ok(format!(
            "worker_processes 1; daemon off; pid {home}/pid; error_log {home}/log crit;\nworker_rlimit_nofile 65536;\nevents {{ worker_connections 32768; }}\nhttp {{\n  access_log off; keepalive_requests 1000000000; keepalive_timeout 300s; client_body_temp_path {home}/t; client_max_body_size 1g;\n{servers}}}\n"
        ))
    }

    /// Requests that all three were sent so far, beside those that ask for this.
    pub(crate) fn asked(&self) -> Result<f64, String> {
        let mut stream =
            TcpStream::connect(("127.0.0.1", self.ports[0])).map_err(|e| e.to_string())?;
        stream.write_all(b"GET /asked HTTP/1.0\r\n\r\n").map_err(|e| e.to_string())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(|e| e.to_string())?;
        // Below a line of names: connections accepted, handled, and requests.
        let counts = answer.lines().skip_while(|line| !line.starts_with("server accepts")).nth(1);
        let requests = counts.and_then(|counts| counts.split_whitespace().nth(2)?.parse().ok());
        let before = self.counted.get();
        self.counted.set(before + 1.0);
        requests.map(|all: f64| all - before).ok_or_else(|| format!("no counts:\n{answer}"))
    }

    /// The words of the templates.
    pub(crate) fn fill(&self, folder: &Path) -> Vec<(&'static str, String)> {
        let file = |name: &str| folder.join(name).display().to_string();
        let address = |port: u16| format!("127.0.0.1:{port}");
        let [stable, canary, shadow] = self.ports;
        vec![
            ("@STABLE@", address(stable)),
            ("@CANARY@", address(canary)),
            ("@SHADOW@", address(shadow)),
            ("@STABLE_PORT@", stable.to_string()),
            ("@CANARY_PORT@", canary.to_string()),
            ("@SHADOW_PORT@", shadow.to_string()),
            ("@SECURE@", address(self.secure)),
            ("@GRPC@", address(self.grpc)),
            ("@SOCKET@", address(self.socket)),
            ("@SECURE_PORT@", self.secure.to_string()),
            ("@GRPC_PORT@", self.grpc.to_string()),
            ("@SOCKET_PORT@", self.socket.to_string()),
            ("@CERT@", file("cert.pem")),
            ("@KEY@", file("key.pem")),
            ("@PEM@", file("both.pem")),
        ]
    }
}

impl Drop for Backends {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = Command::new("kill").arg(child.id().to_string()).status();
            let deadline = Instant::now() + Duration::from_secs(5);
            while Instant::now() < deadline && matches!(child.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// One certificate for everything that speaks TLS: by itself, its key, and both in one file.
fn certificates(folder: &Path) -> Result<(), String> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])
        .map_err(|e| e.to_string())?;
    let (certificate, private) = (made.cert.pem(), made.signing_key.serialize_pem());
    let write =
        |name: &str, text: &str| std::fs::write(folder.join(name), text).map_err(|e| e.to_string());
    write("cert.pem", &certificate)?;
    write("key.pem", &private)?;
    write("both.pem", &format!("{certificate}{private}"))
}
