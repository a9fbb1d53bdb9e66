//! What tests of configurations share: folders with certificates and secrets in them.

use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder in which configurations find what they refer to.
#[derive(Debug)]
pub(crate) struct Ground(TempDir);

impl Ground {
    pub(crate) fn new() -> Self {
        let ground = Self(tempfile::tempdir().expect("a temporary folder"));
        std::fs::create_dir(ground.path().join("tls")).expect("a folder for certificates");
        std::fs::create_dir(ground.path().join("secrets")).expect("a folder for secrets");
        ground.certificate("shop", &["shop.example.com"]);
        ground.certificate("other", &["other.example.com"]);
        ground.certificate("clients", &["clients.example.com"]);
        ground.write("secrets/serin-operator", "0123456789abcdef0123456789abcdef\n");
        ground.write("secrets/cookie-key", "fedcba9876543210fedcba9876543210\n");
        ground.write("secrets/slack", "https://hooks.slack.example/services/T/B/x\n");
        ground.write("secrets/pd", "R0UTINGKEY\n");
        ground
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, content).expect("a file");
        if name.starts_with("secrets/") {
            let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(&path, private).expect("a file of its own");
        }
        path
    }

    /// `tls/NAME.pem` and `tls/NAME.key`.
    pub(crate) fn certificate(&self, name: &str, hosts: &[&str]) {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(hosts).expect("a certificate");
        self.write(&format!("tls/{name}.pem"), made.cert.pem());
        self.write(&format!("tls/{name}.key"), made.signing_key.serialize_pem());
    }
}
