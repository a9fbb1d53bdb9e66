//! An admin server in this process, in front of control with a data plane that does nothing.

use serin_config::model::{
    AccessLog, AccessLogFormat, AccessLogTo, Admin, AdminAddress, Config, Endpoint, EndpointHost,
    Endpoints, Failover, LoadBalancing, Outliers, Retries, Role, Secret, Service, SessionBy,
    Timeouts, Token, UpstreamProtocol, UpstreamProxyProtocol, UpstreamTls, Version,
};
use serin_control::api::{Api, AppliedConfig, Hooks, Loaded, Serve, bind};
use serin_control::{Control, Handle, Options};
use serin_core::ids::{ServiceName, VersionName};
use serin_core::measure::{ServiceCounts, ServiceLatencies, VersionCounts};
use serin_core::plane::{BadSample, DataPlane, Readiness};
use serin_core::shadow::ShadowReport;
use serin_core::slo::Objectives;
use serin_core::split::Split;
use serin_core::weights::BasisPoints;
use serin_testkit::{Answer, Connection};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    pub(crate) control: Control,
    pub(crate) api: Api,
    /// While it is set, the data plane's counts cannot be had, and the controller waits for them.
    pub(crate) stuck: Arc<AtomicBool>,
    /// Goes away with the bench.
    _state: tempfile::TempDir,
    served: tokio::task::JoinHandle<()>,
    stop: tokio::sync::watch::Sender<Serve>,
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.stuck.store(false, SeqCst);
        self.served.abort();
    }
}

impl TestServer {
    pub(crate) async fn open() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with_tokens(tokens: &[(Role, &str)]) -> Self {
        Self::with(|config| config.admin.tokens = tokens.iter().map(token).collect()).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::of(change, hooks()).await
    }

    pub(crate) async fn with_hooks(hooks: Hooks) -> Self {
        Self::of(|_| {}, hooks).await
    }

    pub(crate) async fn of(change: impl FnOnce(&mut Config), hooks: Hooks) -> Self {
        let state = serin_testkit::temp_dir();
        let mut config = config(state.path());
        change(&mut config);
        let admin = config.admin.clone();
        let stuck = Arc::new(AtomicBool::new(false));
        let plane = Arc::new(Idle(Arc::clone(&stuck)));
        let control = Control::start(Arc::new(config), plane, Options::default());
        let control = control.expect("control starts");
        let bound = bind(&admin).await.expect("an admin address");
        let api = Api::new(control.handle(), &admin, bound.reach(), hooks).expect("an API");
        let address = bound.address().parse().expect("a TCP address");
        let (stop, stopped) = tokio::sync::watch::channel(Serve::Accept);
        let served = tokio::spawn(bound.serve(api.clone(), stopped));
        Self { address, control, api, stuck, _state: state, served, stop }
    }

    /// Stops the server, and waits until it has let go of its connections.
    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(Serve::Stop);
        let ended = tokio::time::timeout(serin_testkit::PATIENCE, &mut self.served).await;
        ended.expect("the server stops").expect("and does not panic");
    }

    pub(crate) fn handle(&self) -> Handle {
        self.control.handle()
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::http1(self.address, &self.address.to_string()).await
    }

    /// One request on a connection of its own, with headers in place of the usual ones.
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut connection = self.connect().await;
        let mut request = connection.request(method, path, body.to_owned());
        if !body.is_empty() {
            request.headers_mut().insert("content-type", "application/json".parse().unwrap());
        }
        for (name, value) in headers {
            let name: hyper::header::HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        connection.send(request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.ask("POST", path, &[], body).await
    }

    pub(crate) async fn put(&self, path: &str, body: &str) -> Answer {
        self.ask("PUT", path, &[], body).await
    }
}

/// The detail of a problem; panics when the answer is none.
#[track_caller]
pub(crate) fn detail(answer: &Answer, status: u16) -> String {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let problem = answer.json();
    assert_eq!(problem["status"], status);
    assert!(problem["type"].as_str().is_some_and(|kind| kind.starts_with("urn:serin:problem:")));
    problem["detail"].as_str().expect("a detail").to_owned()
}

pub(crate) fn token((role, value): &(Role, &str)) -> Token {
    let name = match role {
        Role::Viewer => "viewer",
        Role::Operator => "operator",
    };
    Token {
        role: *role,
        name: name.to_owned(),
        secret: Secret::new(format!("/run/secrets/{name}").into(), (*value).to_owned()),
    }
}

/// Of somebody by name.
pub(crate) fn named_token((role, name): &(Role, &str)) -> Token {
    Token { name: (*name).to_owned(), ..token(&(*role, &secret_of(name))) }
}

pub(crate) fn secret_of(name: &str) -> String {
    format!("{name}-0123456789abcdef")
}

pub(crate) fn everything_is_fine() -> Loaded {
    Loaded { intents: None, warnings: Vec::new() }
}

pub(crate) fn hooks() -> Hooks {
    Hooks {
        reload: Arc::new(|_| Ok(AppliedConfig::default())),
        canary: Arc::new(|_| Ok(Vec::new())),
        end_canary: Arc::new(|| true),
        check: Arc::new(|_| Ok(everything_is_fine())),
        not_ready: Arc::new(|| None),
        upgrade: Arc::new(|| Err("there is no program".to_owned())),
    }
}

/// One service, `checkout`, with stable `v41` and a version `v42` that its rollout brings in.
fn config(state: &Path) -> Config {
    let service = service();
    Config {
        listeners: Vec::new(),
        admin: Admin {
            address: AdminAddress::Tcp("127.0.0.1:0".parse().unwrap()),
            tokens: Vec::new(),
            hosts: Vec::new(),
            tls: None,
            probes: None,
        },
        state_dir: state.to_owned(),
        services: [(service.name.clone(), service)].into(),
        routes: Vec::new(),
        access_log: AccessLog {
            format: AccessLogFormat::Off,
            to: AccessLogTo::Stdout,
            sample: BasisPoints::WHOLE,
        },
        tracing: None,
        notifications: Vec::new(),
        hash: "cafe".to_owned(),
    }
}

fn service() -> Service {
    let version = |name: &str, port| Version {
        name: VersionName::new(name).unwrap(),
        release: format!("release of {name}"),
        endpoints: Endpoints::from_iter([Endpoint {
            host: EndpointHost::Ip("127.0.0.1".parse().unwrap()),
            port,
            tls: false,
        }]),
        protocol: UpstreamProtocol::Http1,
        proxy_protocol: UpstreamProxyProtocol::Off,
        tls: UpstreamTls::default(),
    };
    let second = Duration::from_secs(1);
    Service {
        name: ServiceName::new("checkout").unwrap(),
        stable: VersionName::new("v41").unwrap(),
        versions: vec![version("v41", 1), version("v42", 2)],
        load_balancing: LoadBalancing::LeastRequest,
        health_check: None,
        outliers: Outliers { consecutive_failures: 5, eject_for: second * 30, max_ejected: 0.5 },
        timeouts: Timeouts { connect: second, response: second * 30, idle: second * 60 },
        retries: Retries { attempts: 1, on: Vec::new(), budget: 0.2 },
        session: SessionBy::None,
        failover: Failover::None,
        slow_start: Duration::ZERO,
        max_in_flight: 0,
        adaptive_concurrency: true,
        signals: Vec::new(),
        shadow: None,
        objectives: Objectives::default(),
        rollout: Some(plan()),
    }
}

fn plan() -> serin_core::rollout::Plan {
    use serin_core::rollout::{
        Accept, Demand, Harm, OnRollback, OnTooFew, Plan, Regression, Start, Step, Strategy,
    };
    let hour = Duration::from_secs(3600);
    let step = |points| Step {
        weight: BasisPoints::new(points).unwrap(),
        hold: hour,
        of: serin_core::split::Scope::All,
    };
    Plan {
        on_busy: serin_core::rollout::OnBusy::Queue,
        to: VersionName::new("v42").unwrap(),
        release: "release of v42".to_owned(),
        strategy: Strategy::Canary,
        start: Start::Manual,
        baseline: serin_core::weights::BasisPoints::ZERO,
        steps: vec![step(1000), step(5000), step(10_000)],
        evidence: Demand {
            accept: Accept::Proof,
            false_alarm: 0.001,
            min_requests: 500,
            on_too_few: OnTooFew::Hold,
            give_up_after: hour * 24,
        },
        regression: Regression {
            errors: 1.5,
            client_errors: 2.0,
            latency: 0.2,
            latency_floor: Duration::ZERO,
        },
        guards: Vec::new(),
        harm: Harm::default(),
        rescue: false,
        gates: Vec::new(),
        windows: Vec::new(),
        on_rollback: OnRollback::Revoke,
        dark: None,
    }
}

/// A data plane without traffic, all of whose endpoints are ready.
struct Idle(Arc<AtomicBool>);

impl DataPlane for Idle {
    fn publish(&self, _: Arc<Split>) {}

    fn heartbeat(&self) {}

    fn counts(&self, _: &ServiceName) -> Option<ServiceCounts> {
        while self.0.load(SeqCst) {
            std::thread::sleep(Duration::from_millis(2));
        }
        let version = |name: &str| VersionCounts::new(VersionName::new(name).unwrap());
        Some(ServiceCounts {
            versions: vec![version("v41"), version("v42")],
            ..ServiceCounts::default()
        })
    }

    fn latencies(&self, _: &ServiceName) -> Option<ServiceLatencies> {
        Some(ServiceLatencies::default())
    }

    fn readiness(&self, _: &ServiceName) -> Vec<Readiness> {
        let ready = |name: &str| Readiness::new(VersionName::new(name).unwrap(), 1, 1);
        vec![ready("v41"), ready("v42")]
    }

    fn bad_samples(&self, _: &ServiceName, _: &VersionName) -> Vec<BadSample> {
        Vec::new()
    }

    fn shadow(&self, _: &ServiceName) -> Option<ShadowReport> {
        None
    }
}
