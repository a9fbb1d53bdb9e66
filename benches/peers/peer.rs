//! The proxies: whether they are here, how they start.

use crate::machine::{Place, await_port, found, free_port};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Serin,
    Nginx,
    Haproxy,
    Envoy,
    Traefik,
    Caddy,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] =
        [Self::Serin, Self::Nginx, Self::Haproxy, Self::Envoy, Self::Traefik, Self::Caddy];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Serin => "serin",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
            Self::Traefik => "traefik",
            Self::Caddy => "caddy",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    fn program(self) -> String {
        match self {
            Self::Serin => std::env::var("SERIN").unwrap_or(env!("CARGO_BIN_EXE_serin").to_owned()),
            Self::Nginx | Self::Haproxy | Self::Envoy | Self::Traefik | Self::Caddy => {
                std::env::var(self.name().to_uppercase()).unwrap_or(self.name().to_owned())
            }
        }
    }

    pub(crate) fn present(self) -> bool {
        found(&self.program())
    }

    pub(crate) fn version(self) -> String {
        let flag = match self {
            Self::Serin | Self::Envoy => "--version",
            Self::Nginx | Self::Haproxy => "-v",
            Self::Traefik | Self::Caddy => "version",
        };
        let Ok(output) = Command::new(self.program()).arg(flag).output() else {
            return "unknown".to_owned();
        };
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        text.lines().find(|l| !l.trim().is_empty()).unwrap_or("unknown").trim().to_owned()
    }

    fn ending(self) -> &'static str {
        match self {
            Self::Serin | Self::Envoy | Self::Traefik => "yaml",
            Self::Nginx => "conf",
            Self::Haproxy => "cfg",
            Self::Caddy => "caddyfile",
        }
    }

    /// The template of a configuration, if this peer can do what it is for.
    pub(crate) fn template(self, name: &str) -> Option<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/configs");
        let path = folder.join(self.name()).join(format!("{name}.{}", self.ending()));
        path.exists().then_some(path)
    }

    /// Ten thousand routes in this peer's language; HAProxy reads them from a map.
    fn routes(self) -> String {
        let one = |n: usize| match self {
            Self::Serin => format!(
                "  - {{ name: r{n}, matches: [ {{ path: {{ prefix: /service-{n} }} }} ], service: app }}\n"
            ),
            Self::Nginx => {
                format!("    location /service-{n}/ {{ proxy_pass http://stable; }}\n")
            }
            Self::Haproxy => format!("/service-{n}/ stable\n"),
            Self::Envoy => format!(
                "                        - {{ match: {{ prefix: /service-{n}/ }}, route: {{ cluster: stable }} }}\n"
            ),
            Self::Traefik | Self::Caddy => String::new(),
        };
        (0..10_000).map(one).collect()
    }

    fn command(self, config: &Path, port: u16, place: Place) -> Command {
        let mut command = place.command("0", &self.program());
        let workers = place.workers();
        match self {
            Self::Serin => command.args(["run", "--threads", workers, "--config"]).arg(config),
            Self::Nginx => command.arg("-c").arg(config),
            Self::Haproxy => command.arg("-f").arg(config),
            Self::Envoy => {
                command.args(["--concurrency", workers, "--log-level", "error", "-c"]).arg(config)
            }
            Self::Traefik => command
                .env("GOMAXPROCS", workers)
                .arg(format!("--providers.file.filename={}", config.display()))
                .arg(format!("--entryPoints.edge.address=127.0.0.1:{port}"))
                .args(["--log.level=ERROR", "--global.checkNewVersion=false"])
                .arg("--global.sendAnonymousUsage=false"),
            Self::Caddy => command
                .env("GOMAXPROCS", workers)
                .args(["run", "--adapter", "caddyfile", "--config"])
                .arg(config),
        };
        command
    }
}

/// A running proxy.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) kind: Kind,
    pub(crate) port: u16,
    pub(crate) admin: u16,
    child: Child,
}

impl Peer {
    /// `fill` replaces the words of a template besides the ports.
    pub(crate) fn start(
        kind: Kind,
        template: &Path,
        folder: &Path,
        fill: &[(&str, String)],
        place: Place,
    ) -> Result<Self, String> {
        let (port, admin) = (free_port()?, free_port()?);
        let folder = folder.join(kind.name());
        let failed = |e: std::io::Error| format!("{}: {e}", kind.name());
        std::fs::create_dir_all(&folder).map_err(failed)?;
        let mut text = std::fs::read_to_string(template).map_err(failed)?;
        let own = [
            ("@PORT@", port.to_string()),
            ("@ADMIN@", admin.to_string()),
            ("@TMP@", folder.display().to_string()),
            ("@WORKERS@", place.workers().to_owned()),
        ];
        for (word, value) in own.iter().chain(fill) {
            text = text.replace(word, value);
        }
        if text.contains("@ROUTES@") {
            text = text.replace("@ROUTES@", &kind.routes());
        }
        std::fs::write(folder.join("routes.map"), kind.routes()).map_err(failed)?;
        let config = folder.join(format!("config.{}", kind.ending()));
        std::fs::write(&config, text).map_err(failed)?;
        let log = std::fs::File::create(folder.join("log")).map_err(failed)?;
        let child = kind
            .command(&config, port, place)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(failed)?)
            .stderr(log)
            .spawn()
            .map_err(failed)?;
        let peer = Self { kind, port, admin, child };
        await_port(port).map_err(|e| {
            let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            format!("{}: {e}\n{log}", kind.name())
        })?;
        Ok(peer)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // A polite end first: nginx's master would leave its worker behind.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        for _ in 0..100 {
            if let Ok(Some(_)) = self.child.try_wait() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
