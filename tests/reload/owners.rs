//! The files own what is intended, the journal owns what is so: no file, read again or at a start,
//! gives requests to a version that nobody has judged.

use crate::bench::{BINARY, Instance, command};
use serde_json::Value;
use serin_testkit::{
    ConfigText, Finished, Origin, RawClient, Serin, ServiceText, eventually, finish,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tempfile::TempDir;

const STEPS: &str = "steps: [{ weight: 10%, hold: 1h }, { weight: 100%, hold: 1h }]";

struct Shop {
    origins: BTreeMap<&'static str, Origin>,
    instance: Instance,
}

impl Shop {
    /// v1 is stable; nothing is under way.
    fn at_rest() -> Self {
        let origins = ["v1", "v2", "v3"].map(|name| (name, Origin::start(name)));
        let origins = BTreeMap::from(origins);
        let file = file(&origins, "v1", &[("v1", "v1"), ("v2", "v2")], "to: v2");
        Self { instance: Instance::start(&file), origins }
    }

    /// v2 has its tenth.
    fn on_the_first_step() -> Self {
        let shop = Self::at_rest();
        eventually("the rollout starts", || {
            shop.serin(&["rollout", "start", "shop"]).code == Some(0)
        });
        eventually("its first step is in force", || shop.weights()["v2"] == 1_000);
        shop
    }

    /// `listed` says which origin answers for a version.
    fn file(&self, stable: &str, listed: &[(&str, &str)], rollout: &str) -> ConfigText {
        file(&self.origins, stable, listed, rollout)
    }

    fn serin(&self, words: &[&str]) -> Finished {
        let admin = self.instance.admin.to_string();
        let words: Vec<&str> = words.iter().copied().chain(["--admin", &admin]).collect();
        finish(BINARY, &words)
    }

    fn service(&self) -> Value {
        self.instance.admin("/v1/services/shop")
    }

    fn weights(&self) -> Value {
        self.service()["weights"].clone()
    }

    /// Writes the file, and returns why it was refused.
    fn refused(&self, file: &ConfigText) -> String {
        self.instance.write(file);
        eventually("the file is refused", || !self.instance.refused().is_empty());
        self.instance.refused()
    }

    /// Writes the file; returns when it is in force.
    fn taken(&self, file: &ConfigText) {
        let before = self.instance.generation();
        self.instance.write(file);
        eventually("the file is in force", || self.instance.generation() > before);
    }

    /// What `serin diff` says of the file, without putting it where Serin reads.
    fn diff(&self, file: &ConfigText) -> Finished {
        let folder = serin_testkit::temp_dir();
        let path = file.write_to(folder.path());
        self.serin(&["diff", &path.to_string_lossy()])
    }

    /// Ends the process and keeps what it has left.
    fn stopped(self) -> (BTreeMap<&'static str, Origin>, TempDir) {
        let Instance { mut serin, folder, .. } = self.instance;
        serin.kill();
        (self.origins, folder)
    }
}

fn file(
    origins: &BTreeMap<&'static str, Origin>,
    stable: &str,
    listed: &[(&str, &str)],
    rollout: &str,
) -> ConfigText {
    let mut service = ServiceText::new("shop");
    // The first one listed is stable.
    let first = listed.iter().filter(|(name, _)| *name == stable);
    for (name, origin) in first.chain(listed.iter().filter(|(name, _)| *name != stable)) {
        service = service.version(name, &[origins[origin].address()]);
    }
    let service = service.with(&format!("rollout: {{ {rollout}, {STEPS} }}"));
    ConfigText::simple(service).with("accessLog: { format: off }")
}

/// A start that should not serve: what it says.
fn start_refused(folder: &TempDir, file: &ConfigText) -> String {
    let path = file.write_to(folder.path());
    let mut serin = Serin::start(command().args(["run", "--config"]).arg(path));
    let status = serin.ended();
    assert_eq!(status.code(), Some(1), "{}", serin.log());
    serin.log()
}

#[test]
fn a_file_for_the_next_release_gives_the_present_candidate_nothing() {
    let shop = Shop::on_the_first_step();
    let next = shop.file("v2", &[("v2", "v2"), ("v3", "v3")], "to: v3");
    let diff = shop.diff(&next);
    assert_eq!(diff.code, Some(2), "{diff:?}");
    assert!(diff.stdout.contains("! services.shop.versions: refused: v1 is stable"), "{diff:?}");
    let why = shop.refused(&next);
    assert!(why.contains("services.shop.versions: v1 is stable by the journal"), "{why}");
    assert!(why.contains("keep it listed"), "{why}");
    assert_eq!((&shop.weights()["v1"], &shop.weights()["v2"]), (&9_000.into(), &1_000.into()));
    assert_eq!(shop.service()["rollout"]["state"], "running");
}

#[test]
fn a_start_on_such_a_file_is_refused_until_somebody_adopts_it() {
    let (origins, folder) = Shop::on_the_first_step().stopped();
    let next = file(&origins, "v2", &[("v2", "v2"), ("v3", "v3")], "to: v3");
    let why = start_refused(&folder, &next);
    assert!(why.contains("v1 is stable by the journal"), "{why}");
    assert!(why.contains("--adopt-stable"), "{why}");
    let path = next.write_to(folder.path());
    let run = ["run", "--adopt-stable", "shop", "--config"];
    let mut serin = Serin::start(command().args(run).arg(&path));
    let (http, admin) = (serin.address("http"), serin.address("admin"));
    let answered = || serin_testkit::get(http, "a.example", "/").header("x-version");
    eventually("v2 answers", || answered().as_deref() == Some("v2"));
    let shop: Value =
        crate::bench::json(&serin_testkit::get(admin, "127.0.0.1", "/v1/services/shop"));
    assert_eq!((&shop["stable"], &shop["rollout"]["state"]), (&"v2".into(), &"rolledBack".into()));
}

#[test]
fn a_start_without_the_candidate_goes_back_to_stable_and_serves() {
    let (origins, folder) = Shop::on_the_first_step().stopped();
    let path =
        file(&origins, "v1", &[("v1", "v1"), ("v3", "v3")], "to: v3").write_to(folder.path());
    let instance = Instance::over(folder, &path);
    eventually("the rollout is over", || {
        instance.admin("/v1/services/shop")["rollout"]["state"] == "rolledBack"
    });
    assert_eq!(instance.admin("/v1/services/shop")["weights"]["v1"], 10_000);
}

#[test]
fn a_changed_stable_is_not_believed_at_a_reload_nor_at_a_start() {
    let shop = Shop::at_rest();
    let changed = shop.file("v2", &[("v1", "v1"), ("v2", "v2")], "to: v2");
    let diff = shop.diff(&changed);
    assert!(diff.stdout.contains("`stable: v2` is not believed: v1 is stable"), "{diff:?}");
    shop.taken(&changed);
    assert_eq!(shop.weights()["v1"], 10_000);
    let reload = shop.serin(&["reload"]);
    assert!(reload.stderr.contains("is not believed"), "{reload:?}");
    let (_origins, folder) = shop.stopped();
    let path = folder.path().join("serin.yaml");
    let instance = Instance::over(folder, &path);
    assert_eq!(instance.admin("/v1/services/shop")["weights"]["v1"], 10_000);
}

#[test]
fn versions_that_exchange_their_endpoints_are_refused() {
    let shop = Shop::on_the_first_step();
    let swapped = shop.file("v1", &[("v1", "v2"), ("v2", "v1")], "to: v2");
    let why = shop.refused(&swapped);
    assert!(why.contains("is an endpoint of v2 and would serve as v1"), "{why}");
    assert_eq!(shop.weights()["v2"], 1_000);
    let (_origins, folder) = shop.stopped();
    let why = start_refused(&folder, &swapped);
    assert!(why.contains("is an endpoint of v2 and would serve as v1"), "{why}");
}

#[test]
fn a_service_that_leaves_over_a_restart_comes_back_at_rest() {
    let (origins, folder) = Shop::on_the_first_step().stopped();
    let other = ServiceText::new("other").version("v1", &[origins["v1"].address()]);
    let without = ConfigText::simple(other);
    let path = without.write_to(folder.path());
    let instance = Instance::over(folder, &path);
    let back = file(&origins, "v1", &[("v1", "v1"), ("v2", "v2")], "to: v2");
    let before = instance.generation();
    instance.write(&back);
    eventually("the service is back", || instance.generation() > before);
    let shop = instance.admin("/v1/services/shop");
    assert_eq!(
        (&shop["weights"]["v1"], &shop["rollout"]["state"]),
        (&10_000.into(), &"rolledBack".into())
    );
}

#[test]
fn a_second_release_is_queued_and_takes_over_where_the_file_says_so() {
    let shop = Shop::on_the_first_step();
    let all = [("v1", "v1"), ("v2", "v2"), ("v3", "v3")];
    let next = shop.file("v1", &all, "to: v3, start: onChange");
    let diff = shop.diff(&next);
    assert!(
        diff.stdout.contains("> services.shop.rollout.to: no weight moves; v3 is queued"),
        "{diff:?}"
    );
    shop.taken(&next);
    eventually("v3 is queued", || shop.service()["queued"] == "v3");
    assert_eq!(shop.weights()["v2"], 1_000);
    let superseding = shop.file("v1", &all, "to: v3, start: onChange, onBusy: supersede");
    shop.taken(&superseding);
    eventually("v3 has its first step", || shop.weights()["v3"] == 1_000);
    assert_eq!(shop.weights()["v2"], 0);
    let all = shop.instance.admin("/v1/rollouts").to_string();
    assert!(all.contains(r#""state":"superseded""#), "{all}");
}

#[test]
fn a_completed_release_is_taken_back_though_the_file_calls_it_stable_and_nobody_notices() {
    let shop = Shop::on_the_first_step();
    let state = || shop.service()["rollout"]["state"].clone();
    eventually("it completes", || {
        shop.serin(&["rollout", "promote", "shop"]);
        state() == "complete"
    });
    let both = shop.file("v2", &[("v2", "v2"), ("v1", "v1")], "to: v2");
    shop.taken(&both);
    assert_eq!(shop.service()["former"], "v1");
    let version = || shop.instance.get("/").header("x-version").unwrap_or_default();
    assert_eq!(version(), "v2");
    let stop = AtomicBool::new(false);
    let failed = std::thread::scope(|scope| {
        let asking = || {
            let mut failed = 0;
            while !stop.load(Relaxed) {
                failed += u32::from(shop.instance.get("/").status != 200);
            }
            failed
        };
        let all: Vec<_> = (0..3).map(|_| scope.spawn(asking)).collect();
        let undone = shop.serin(&["rollout", "undo", "shop", "--reason", "baskets are empty"]);
        assert_eq!(undone.code, Some(0), "{undone:?}");
        assert!(undone.stdout.contains("v2 was taken back: v1 is stable again"), "{undone:?}");
        assert!((0..20).all(|_| version() == "v1"), "it is in force when it is answered");
        stop.store(true, Relaxed);
        all.into_iter().map(|one| one.join().unwrap()).sum::<u32>()
    });
    assert_eq!(failed, 0);
    assert_eq!((state(), &shop.service()["stable"]), ("rolledBack".into(), &"v1".into()));
    let again = shop.serin(&["rollout", "undo", "shop"]);
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.stderr.contains("nothing that was stable before v1"), "{again:?}");
    // The file for after it would take away what is stable again.
    let why = shop.refused(&shop.file("v2", &[("v2", "v2")], "to: v2"));
    assert!(why.contains("v1 is stable by the journal"), "{why}");
    let dora = shop.serin(&["dora", "shop"]);
    assert!(dora.stdout.contains("change failure rate  100%"), "{dora:?}");
}

#[test]
fn a_release_that_is_waited_for_says_that_another_one_took_its_place_by_hand() {
    let shop = Shop::at_rest();
    let admin = shop.instance.admin.to_string();
    let start = ["rollout", "start", "shop", "--wait", "--admin", &admin];
    let waiting = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| finish(BINARY, &start));
        eventually("its first step is in force", || shop.weights()["v2"] == 1_000);
        shop.taken(&shop.file("v1", &[("v1", "v1"), ("v2", "v2"), ("v3", "v3")], "to: v3"));
        let begun = shop.serin(&["rollout", "start", "shop", "--supersede", "--reason", "a fix"]);
        assert_eq!(begun.code, Some(0), "{begun:?}");
        eventually("v3 has its first step", || shop.weights()["v3"] == 1_000);
        waiting.join().unwrap()
    });
    assert_eq!(waiting.code, Some(3), "{waiting:?}");
    assert!(waiting.stdout.contains("superseded"), "{waiting:?}");
    assert_eq!(
        (&shop.weights()["v2"], &shop.service()["versions"][1]["quarantined"]),
        (&0.into(), &Value::Null)
    );
    let dora = shop.serin(&["dora", "shop"]);
    assert!(dora.stdout.contains("change failure rate  unknown"), "{dora:?}");
}

#[test]
fn what_a_version_that_was_taken_back_still_has_in_flight_is_said_until_it_is_over() {
    let shop = Shop::on_the_first_step();
    assert_eq!(shop.serin(&["weights", "shop", "100%"]).code, Some(0));
    let mut client = RawClient::connect(shop.instance.http);
    client.send(
        "GET /upgrade HTTP/1.1\r\nHost: a.example\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",
    );
    let switched = client.response_to_head();
    assert_eq!((switched.status, switched.header("x-version").as_deref()), (101, Some("v2")));
    assert_eq!(shop.serin(&["rollout", "abort", "shop"]).code, Some(0));
    let says = || shop.serin(&["status", "shop"]).stdout;
    eventually("it is said", || says().contains("in flight   v2 1 (drains)"));
    drop(client);
    eventually("nothing is in flight", || !says().contains("in flight"));
}
