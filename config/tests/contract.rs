//! The configuration contract, word for word, and what becomes of every value in it.

mod support;

use serin_config::load;
use support::Ground;

fn contract(ground: &Ground) -> String {
    let secrets = ground.path().join("secrets").display().to_string();
    include_str!("contract/contract.yaml").replace("/run/secrets", &secrets)
}

#[test]
fn the_contract_loads_without_a_warning() {
    let ground = Ground::new();
    let path = ground.write("serin.yaml", contract(&ground));
    match load(&path, &serin_config::Options::default()) {
        Ok(loaded) => {
            assert_eq!(serin_config::render_all(&loaded.warnings, serin_config::Style::Plain), "");
            println!("{:#?}", loaded.config);
        }
        Err(faults) => panic!("{faults}"),
    }
}
