//! What a reload does to a rollout under way: the file owns the plan, the journal the position.

use crate::bench::{BINARY, Instance};
use serde_json::Value;
use serin_testkit::{ConfigText, Origin, ServiceText, eventually};

struct Shop {
    origins: [Origin; 2],
    instance: Instance,
}

impl Shop {
    /// On the first step of its rollout.
    fn open() -> Self {
        let origins = [Origin::start("v1"), Origin::start("v2")];
        let config = config(&origins, "r1", "10%", "50%");
        let shop = Self { instance: Instance::start(&config), origins };
        let admin = shop.instance.admin.to_string();
        let start = ["rollout", "start", "shop", "--reason", "a test", "--admin", &admin];
        eventually("the rollout starts", || serin_testkit::finish(BINARY, &start).code == Some(0));
        eventually("its first step is in force", || shop.weight() == 1_000);
        shop
    }

    fn service(&self) -> Value {
        self.instance.admin("/v1/services/shop")
    }

    fn weight(&self) -> u64 {
        self.service()["weights"]["v2"].as_u64().unwrap_or(0)
    }

    fn state(&self) -> String {
        self.service()["rollout"]["state"].as_str().unwrap_or("none").to_owned()
    }

    /// Returns when it is in force.
    fn reload(&self, config: &ConfigText) {
        let before = self.instance.generation();
        self.instance.write(config);
        eventually("the reload", || self.instance.generation() > before);
    }
}

fn config(origins: &[Origin; 2], release: &str, first: &str, second: &str) -> ConfigText {
    let v2 = format!("{{ release: {release}, endpoints: [\"{}\"] }}", origins[1].address());
    let service = ServiceText::new("shop")
        .version("v1", &[origins[0].address()])
        .version_yaml("v2", &v2)
        .with(&format!(
            "rollout: {{ to: v2, start: manual, steps: [{{ weight: {first}, hold: 1h }}, {{ weight: {second}, hold: 1h }}, {{ weight: 100%, hold: 1h }}] }}"
        ));
    ConfigText::simple(service).with("accessLog: { format: off }")
}

#[test]
fn a_later_step_is_taken_up_and_the_weight_in_force_stays() {
    let shop = Shop::open();
    shop.reload(&config(&shop.origins, "r1", "10%", "60%"));
    assert_eq!((shop.weight(), shop.state().as_str()), (1_000, "running"));
    let admin = shop.instance.admin.to_string();
    let promote = ["rollout", "promote", "shop", "--reason", "a test", "--admin", &admin];
    serin_testkit::finish(BINARY, &promote);
    eventually("the later step has its new weight", || shop.weight() == 6_000);
}

#[test]
fn another_release_of_the_candidate_is_refused_and_its_rollout_goes_on() {
    let shop = Shop::open();
    shop.instance.write(&config(&shop.origins, "r2", "10%", "50%"));
    eventually("it is refused", || shop.instance.refused().contains("the release r2"));
    assert_eq!((shop.weight(), shop.state().as_str()), (1_000, "running"));
}

#[test]
fn a_service_cannot_leave_while_its_rollout_is_under_way() {
    let shop = Shop::open();
    let other = ServiceText::new("other").version("v1", &[shop.origins[0].address()]);
    shop.instance.write(&ConfigText::simple(other));
    eventually("it is refused", || shop.instance.refused().contains("no longer has the service"));
    assert_eq!((shop.weight(), shop.state().as_str()), (1_000, "running"));
}
