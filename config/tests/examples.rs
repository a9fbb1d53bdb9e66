//! Every example loads without a warning, fits the schema, and so does the contract.

use serde_json::Value as Json;
use std::path::{Path, PathBuf};

fn examples() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root).expect("the folder of examples") {
        let path = entry.expect("an entry").path();
        let nested = path.join("serin.yaml");
        if nested.is_file() {
            found.push(nested);
        } else if path.extension().is_some_and(|ext| ext == "yaml") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn fits(text: &str) -> Result<(), String> {
    let validator = jsonschema::validator_for(&serin_config::schema()).expect("a valid schema");
    let parsed: Json = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    validator.validate(&parsed).map_err(|error| format!("{}: {error}", error.instance_path()))
}

#[test]
fn every_example_loads_without_a_warning() {
    let examples = examples();
    assert!(examples.len() >= 5, "only {examples:?}");
    for path in examples {
        let loaded = serin_config::load(&path, &serin_config::Options::default());
        let mut loaded = loaded.unwrap_or_else(|faults| panic!("{faults}"));
        // A repository keeps no modes: everybody can read its example of a token, and should.
        loaded.warnings.retain(|warning| !warning.message.starts_with("everybody on this machine"));
        let warnings = serin_config::render_all(&loaded.warnings, serin_config::Style::Plain);
        assert_eq!(warnings, "", "{}", path.display());
    }
}

#[test]
fn the_examples_of_one_folder_load_together() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let loaded = serin_config::load(&root, &serin_config::Options::default());
    let loaded = loaded.unwrap_or_else(|faults| panic!("{faults}"));
    assert!(loaded.config.services.len() >= 3);
}

#[test]
fn every_example_fits_the_schema() {
    for path in examples() {
        let text = std::fs::read_to_string(&path).expect("an example");
        if let Err(error) = fits(&text) {
            panic!("{}: {error}", path.display());
        }
    }
}

#[test]
fn the_contract_fits_the_schema() {
    assert_eq!(fits(include_str!("contract/contract.yaml")), Ok(()));
}

#[test]
fn the_schema_refuses_what_the_parser_refuses() {
    for (wrong, part) in [
        ("version: 1\nlistners: []\n", "listners"),
        ("listeners: []\n", "version"),
        ("version: 1\naccessLog: { sample: 0.1 }\n", "0.1"),
        ("version: 1\nlisteners: [ { name: a, address: b, limits: { idleTimeout: 60 } } ]\n", "60"),
        ("version: 1\naccessLog: { format: xml }\n", "xml"),
    ] {
        let error = fits(wrong).expect_err(wrong);
        assert!(error.contains(part), "{error}");
        assert!(serin_config::from_str("wrong.yaml", wrong).is_err(), "{wrong}");
    }
}
