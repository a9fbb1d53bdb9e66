//! A proxy in this process, from the words of a configuration file.

use serin_config::{Options, load};
use serin_core::ids::{ServiceName, VersionName};
use serin_core::measure::VersionCounts;
use serin_core::metrics::Samples;
use serin_core::plane::DataPlane;
use serin_proxy::Proxy;
use serin_testkit::{ConfigText, RawClient, Response, ServiceText, temp_dir};
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

pub(crate) struct Edge {
    pub(crate) proxy: Proxy,
    pub(crate) folder: TempDir,
}

struct Metric {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

impl Edge {
    pub(crate) fn start(config: &ConfigText) -> Self {
        Self::start_in(temp_dir(), config)
    }

    pub(crate) fn start_in(folder: TempDir, config: &ConfigText) -> Self {
        Self::start_on(2, folder, config)
    }

    /// On so many threads.
    pub(crate) fn start_on(threads: u16, folder: TempDir, config: &ConfigText) -> Self {
        let config = parsed(&folder, config);
        let options = serin_proxy::Options { threads: NonZeroU16::new(threads) };
        let proxy = Proxy::start(config, &options).unwrap();
        Self { proxy, folder }
    }

    /// One service `web` with one version `v1`, and a route for everything.
    pub(crate) fn to(origin: SocketAddr) -> Self {
        Self::start(&ConfigText::simple(web(origin)))
    }

    pub(crate) fn apply(&self, config: &ConfigText) {
        self.proxy.apply(parsed(&self.folder, config)).unwrap();
    }

    /// The same words, with the files that they name as they are now.
    pub(crate) fn read_again(&self) {
        self.proxy.apply(read(&self.folder.path().join("serin.yaml"))).unwrap();
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.proxy.address("http").unwrap()
    }

    pub(crate) fn client(&self) -> RawClient {
        RawClient::connect(self.address())
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        serin_testkit::get(self.address(), "a.example", path)
    }

    pub(crate) fn counts(&self, version: &str) -> VersionCounts {
        let service = ServiceName::new("web").unwrap();
        let counts = self.proxy.data_plane().counts(&service).unwrap();
        counts.of(&VersionName::new(version).unwrap()).unwrap().clone()
    }

    pub(crate) fn plane(&self) -> Arc<dyn DataPlane> {
        self.proxy.data_plane()
    }

    /// Every metric, as a scrape sees it.
    fn metrics(&self) -> Vec<Metric> {
        let mut samples = Samples::default();
        self.proxy.meters().iter().for_each(|metered| metered.read(&mut samples));
        let mut all = Vec::new();
        for line in samples.text().lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let labels = labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty());
            let pair = |label: &str| {
                let (name, value) = label.split_once('=').unwrap();
                (name.to_owned(), value.trim_matches('"').to_owned())
            };
            let (name, labels) = (name.to_owned(), labels.map(pair).collect());
            all.push(Metric { name, labels, value: value.parse().unwrap() });
        }
        all
    }

    pub(crate) fn metric(&self, name: &str, label: (&str, &str)) -> f64 {
        let label = (label.0.to_owned(), label.1.to_owned());
        let all = self.metrics().into_iter();
        let found = all.filter(|metric| metric.name == name && metric.labels.contains(&label));
        found.map(|metric| metric.value).sum()
    }

    pub(crate) fn total(&self, name: &str) -> f64 {
        self.metrics().iter().filter(|m| m.name == name).map(|m| m.value).sum()
    }
}

pub(crate) fn web(origin: SocketAddr) -> ServiceText {
    ServiceText::new("web").version("v1", &[origin])
}

pub(crate) fn listener(limits: &str) -> String {
    format!("{{ name: http, address: \"127.0.0.1:0\", protocol: HTTP, limits: {{ {limits} }} }}")
}

pub(crate) const ROUTE: &str = "{ name: all, matches: [{ path: { prefix: / } }], service: web }";

/// The listener's limits, and everything to one version.
pub(crate) fn limited(limits: &str, service: ServiceText) -> ConfigText {
    ConfigText::new().listener(&listener(limits)).service(service).route(ROUTE)
}

pub(crate) const SHORT: Duration = Duration::from_millis(300);

fn parsed(folder: &TempDir, config: &ConfigText) -> Arc<serin_config::model::Config> {
    read(&config.clone().write_to(folder.path()))
}

fn read(path: &std::path::Path) -> Arc<serin_config::model::Config> {
    match load(path, &Options::default()) {
        Ok(loaded) => Arc::new(loaded.config),
        Err(faults) => panic!("{:#?}", faults.faults),
    }
}
