//! Letting go of the journal, and taking it back.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use serin_control::{Actor, Command, Control, Options, Order, Refusal, StartRollout};
use serin_core::ids::{ServiceName, VersionName};
use serin_core::measure::{ServiceCounts, ServiceLatencies};
use serin_core::plane::{BadSample, DataPlane, Readiness};
use serin_core::shadow::ShadowReport;
use serin_core::split::Split;
use std::sync::Arc;
use std::time::Duration;

/// A data plane without traffic, whose endpoints are ready.
struct Quiet;

impl DataPlane for Quiet {
    fn publish(&self, _: Arc<Split>) {}
    fn heartbeat(&self) {}
    fn counts(&self, _: &ServiceName) -> Option<ServiceCounts> {
        None
    }
    fn latencies(&self, _: &ServiceName) -> Option<ServiceLatencies> {
        None
    }
    fn readiness(&self, _: &ServiceName) -> Vec<Readiness> {
        ["v1", "v2"].map(|name| Readiness::new(VersionName::new(name).unwrap(), 1, 1)).into()
    }
    fn bad_samples(&self, _: &ServiceName, _: &VersionName) -> Vec<BadSample> {
        Vec::new()
    }
    fn shadow(&self, _: &ServiceName) -> Option<ShadowReport> {
        None
    }
}

fn config(state: &std::path::Path) -> Arc<serin_config::model::Config> {
    let text = format!(
        "version: 1\nstate: {{ dir: {} }}\nservices: {{ shop: {{ stable: v1, versions: {{ v1: {{ endpoints: [\"127.0.0.1:1\"] }}, v2: {{ endpoints: [\"127.0.0.1:2\"] }} }}, rollout: {{ to: v2, steps: [{{ weight: 100%, hold: 1m }}] }} }} }}\nroutes: [{{ name: all, matches: [{{ path: {{ prefix: / }} }}], service: shop }}]\nlisteners: [{{ name: http, address: \"127.0.0.1:0\", protocol: HTTP }}]\n",
        state.display()
    );
    Arc::new(serin_config::from_str("test", &text).unwrap_or_else(|f| panic!("{f}")).config)
}

fn tell(control: &Control, command: Command) -> Result<(), Refusal> {
    let shop = ServiceName::new("shop").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let order = Order::new(command, Actor("test".into()));
    runtime.block_on(control.handle().command(&shop, order)).map(drop)
}

#[test]
fn another_process_may_write_meanwhile_and_its_decisions_are_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let open = || Control::start(config.clone(), Arc::new(Quiet), Options::default());
    let first = open().unwrap();
    let freeze = |control: &Control, reason: &str| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let reason = Some(reason.to_owned());
        runtime.block_on(control.handle().freeze(reason, Actor("test".into())))
    };
    freeze(&first, "by the first").unwrap();
    assert!(open().is_err(), "the first has the journal");
    first.hand_over();
    let start = StartRollout {
        to: None,
        reason: "x".into(),
        release: None,
        committed_at: None,
        supersede: false,
    };
    let refused = tell(&first, Command::Start(start)).unwrap_err();
    assert!(matches!(refused, Refusal::Stopped), "{refused}");
    let second = open().unwrap();
    assert_eq!(second.handle().snapshot().freeze.as_ref().unwrap().reason, "by the first");
    freeze(&second, "by the second").unwrap();
    let last = second.handle().snapshot().generation;
    drop(second);
    first.take_back(Duration::from_secs(5)).unwrap();
    let snapshot = first.handle().snapshot();
    assert_eq!(snapshot.freeze.as_ref().unwrap().reason, "by the second");
    assert!(last > 0 && snapshot.config.generation == 1);
    freeze(&first, "again").unwrap();
    assert!(open().is_err(), "the first has the journal again");
}
