//! The proxy under test as a process of its own.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct Serin {
    child: Child,
    pub(super) http: SocketAddr,
    pub(super) admin: SocketAddr,
    log: PathBuf,
    /// Its state and its log; goes away with it.
    _folder: tempfile::TempDir,
}

/// Where the binary is: `$SERIN`, or beside this program, or on the path.
pub fn binary() -> PathBuf {
    if let Some(named) = std::env::var_os("SERIN") {
        return PathBuf::from(named);
    }
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join("serin")));
    beside.filter(|path| path.exists()).unwrap_or_else(|| PathBuf::from("serin"))
}

impl Serin {
    pub(super) fn start(
        binary: &Path,
        config: &Path,
        threads: Option<u16>,
        backends: &[(String, SocketAddr)],
    ) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("serin-scenario-").tempdir()?;
        let (http, admin) = free_addresses()?;
        let log = folder.path().join("serin.log");
        let written = std::fs::File::create(&log)?;
        let mut command = Command::new(binary);
        command
            .args(["run", "--config"])
            .arg(config)
            .env("HTTP", http.to_string())
            .env("ADMIN", admin.to_string())
            .env("STATE", folder.path().join("state"))
            .stdin(Stdio::null())
            .stdout(written.try_clone()?)
            .stderr(written);
        if let Some(threads) = threads {
            command.args(["--threads", &threads.to_string()]);
        }
        for (name, address) in backends {
            let variable: String = name
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
                .collect();
            command.env(format!("BACKEND_{variable}"), address.to_string());
        }
        let started = command.spawn();
        let child = started.map_err(|e| io::Error::other(format!("{}: {e}", binary.display())))?;
        Ok(Self { child, http, admin, log, _folder: folder })
    }

    /// Waits until it accepts connections on both addresses.
    pub(super) async fn ready(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        for address in [self.admin, self.http] {
            while tokio::net::TcpStream::connect(address).await.is_err() {
                if let Some(status) = self.child.try_wait()? {
                    let said = std::fs::read_to_string(&self.log).unwrap_or_default();
                    return Err(io::Error::other(format!(
                        "the proxy ended with {status}:\n{said}"
                    )));
                }
                if Instant::now() > deadline {
                    return Err(io::Error::other(format!(
                        "the proxy does not listen on {address}"
                    )));
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(())
    }

    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Serin {
    fn drop(&mut self) {
        // It may have ended already; there is nothing to lose in a test's state folder.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Both are bound at once, so that they differ, and released for the proxy to take.
fn free_addresses() -> io::Result<(SocketAddr, SocketAddr)> {
    let (a, b) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    Ok((a.local_addr()?, b.local_addr()?))
}
