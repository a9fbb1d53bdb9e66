//! Configuration files, put together as text.
//!
//! A test says only what it is about; the rest is the smallest configuration that works. What
//! a builder method does not cover is given as YAML, so that tests exercise the same words as
//! an operator writes.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// `listeners`, `admin`, `services`, `routes` and whatever else a test adds.
#[derive(Debug, Clone)]
pub struct ConfigText {
    listeners: Vec<String>,
    admin: String,
    services: Vec<ServiceText>,
    routes: Vec<String>,
    more: Vec<String>,
}

impl Default for ConfigText {
    fn default() -> Self {
        Self::new()
    }
}

impl ConfigText {
    /// No listener, no service; the admin API on a free port of 127.0.0.1.
    pub fn new() -> Self {
        Self {
            listeners: Vec::new(),
            admin: "{ address: \"127.0.0.1:0\" }".to_owned(),
            services: Vec::new(),
            routes: Vec::new(),
            more: Vec::new(),
        }
    }

    /// One plain listener `http` on a free port, one service and a route for everything to it.
    pub fn simple(service: ServiceText) -> Self {
        let route = format!(
            "{{ name: all, matches: [{{ path: {{ prefix: / }} }}], service: {} }}",
            service.name
        );
        Self::new().http_listener("http").service(service).route(&route)
    }

    /// A plain listener on a free port.
    #[must_use]
    pub fn http_listener(self, name: &str) -> Self {
        self.listener(&format!("{{ name: {name}, address: \"127.0.0.1:0\", protocol: HTTP }}"))
    }

    /// A listener, as YAML.
    #[must_use]
    pub fn listener(mut self, yaml: &str) -> Self {
        self.listeners.push(yaml.to_owned());
        self
    }

    /// `admin`, as YAML.
    #[must_use]
    pub fn admin(mut self, yaml: &str) -> Self {
        yaml.clone_into(&mut self.admin);
        self
    }

    #[must_use]
    pub fn service(mut self, service: ServiceText) -> Self {
        self.services.push(service);
        self
    }

    /// A route, as YAML.
    #[must_use]
    pub fn route(mut self, yaml: &str) -> Self {
        self.routes.push(yaml.to_owned());
        self
    }

    /// More top-level keys, as YAML.
    #[must_use]
    pub fn with(mut self, yaml: &str) -> Self {
        self.more.push(yaml.to_owned());
        self
    }

    pub fn text(&self) -> String {
        let mut text = String::from("version: 1\n");
        list(&mut text, "listeners", &self.listeners);
        block(&mut text, 0, "admin", &self.admin);
        if !self.services.is_empty() {
            text.push_str("services:\n");
            self.services.iter().for_each(|service| service.append(&mut text));
        }
        list(&mut text, "routes", &self.routes);
        for more in &self.more {
            text.push_str(more);
            text.push('\n');
        }
        text
    }

    /// Writes `serin.yaml` into a folder, with the state in the same folder unless the test
    /// says where else.
    pub fn write_to(&self, folder: &Path) -> PathBuf {
        let mut text = self.text();
        if !text.contains("\nstate:") {
            text.push_str("state: { dir: state }\n");
        }
        let path = folder.join("serin.yaml");
        std::fs::write(&path, text).expect("a writable folder");
        path
    }
}

/// One entry of `services`.
#[derive(Debug, Clone)]
pub struct ServiceText {
    name: String,
    stable: Option<String>,
    versions: Vec<String>,
    more: Vec<String>,
}

impl ServiceText {
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), stable: None, versions: Vec::new(), more: Vec::new() }
    }

    /// A version with its endpoints; its release is its name. The first one is stable.
    #[must_use]
    pub fn version(self, name: &str, endpoints: &[SocketAddr]) -> Self {
        let endpoints: Vec<_> = endpoints.iter().map(|e| format!("\"{e}\"")).collect();
        let endpoints = endpoints.join(", ");
        let yaml = format!("{{ release: {name}, endpoints: [{endpoints}] }}");
        self.version_yaml(name, &yaml)
    }

    /// A version, as YAML.
    #[must_use]
    pub fn version_yaml(mut self, name: &str, yaml: &str) -> Self {
        self.stable.get_or_insert_with(|| name.to_owned());
        self.versions.push(format!("{name}: {yaml}"));
        self
    }

    /// More keys of the service, as YAML.
    #[must_use]
    pub fn with(mut self, yaml: &str) -> Self {
        self.more.push(yaml.to_owned());
        self
    }

    fn append(&self, text: &mut String) {
        let _infallible = writeln!(text, "  {}:", self.name);
        if let Some(stable) = &self.stable {
            let _infallible = writeln!(text, "    stable: {stable}");
        }
        text.push_str("    versions:\n");
        self.versions.iter().for_each(|version| indented(text, 6, version));
        self.more.iter().for_each(|more| indented(text, 4, more));
    }
}

fn list(text: &mut String, key: &str, items: &[String]) {
    if items.is_empty() {
        return;
    }
    let _infallible = writeln!(text, "{key}:");
    for item in items {
        let mut lines = item.trim_matches('\n').lines();
        let _infallible = writeln!(text, "  - {}", lines.next().unwrap_or_default());
        lines.for_each(|line| indented(text, 4, line));
    }
}

fn block(text: &mut String, indent: usize, key: &str, yaml: &str) {
    if yaml.contains('\n') {
        indented(text, indent, &format!("{key}:"));
        indented(text, indent + 2, yaml);
    } else {
        indented(text, indent, &format!("{key}: {yaml}"));
    }
}

fn indented(text: &mut String, indent: usize, yaml: &str) {
    for line in yaml.trim_matches('\n').lines() {
        let _infallible = writeln!(text, "{:indent$}{line}", "");
    }
}
