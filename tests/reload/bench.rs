//! The binary over files that a test changes, and what its admin API says of them.

use serde_json::Value;
use serin_testkit::{ConfigText, Response, Serin, temp_dir};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_serin");

pub(crate) struct Instance {
    pub(crate) serin: Serin,
    pub(crate) folder: TempDir,
    pub(crate) http: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Instance {
    pub(crate) fn start(config: &ConfigText) -> Self {
        let folder = temp_dir();
        let path = config.write_to(folder.path());
        Self::over(folder, &path)
    }

    /// Over a configuration that lies somewhere in the folder.
    pub(crate) fn over(folder: TempDir, path: &Path) -> Self {
        let mut serin = Serin::start(command().args(["run", "--config"]).arg(path));
        let (http, admin) = (serin.address("http"), serin.address("admin"));
        Self { serin, folder, http, admin }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("serin.yaml")
    }

    pub(crate) fn write(&self, config: &ConfigText) {
        config.write_to(self.folder.path());
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        serin_testkit::get(self.http, "a.example", path)
    }

    /// What a client gets for `/`.
    pub(crate) fn answer(&self) -> String {
        self.get("/").text().trim().to_owned()
    }

    pub(crate) fn admin(&self, path: &str) -> Value {
        json(&serin_testkit::get(self.admin, "127.0.0.1", path))
    }

    pub(crate) fn generation(&self) -> u64 {
        self.admin("/v1/config")["generation"].as_u64().unwrap()
    }

    /// Why the files were refused last; empty when they were not.
    pub(crate) fn refused(&self) -> String {
        self.admin("/v1/config")["failed"]["fault"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn metrics(&self) -> String {
        serin_testkit::get(self.admin, "127.0.0.1", "/metrics").text()
    }
}

pub(crate) fn command() -> Command {
    let mut command = Command::new(BINARY);
    command.env_remove("SERIN_CONFIG").env_remove("NOTIFY_SOCKET");
    command
}

pub(crate) fn json(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap_or_else(|e| panic!("{e}: {}", response.text()))
}

/// Answers itself, without any backend, with these words.
pub(crate) fn saying(words: &str) -> ConfigText {
    let route = format!(
        "{{ name: all, matches: [{{ path: {{ prefix: / }} }}], respond: {{ status: 200, body: \"{words}\" }} }}"
    );
    ConfigText::new().http_listener("http").route(&route).with("accessLog: { format: off }")
}
