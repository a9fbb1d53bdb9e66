//! `docs/configuration.md` says what the parser does: the table of every mapping is the schema's
//! own, and every example in it is valid. `BLESS=1` writes the tables anew.

use serde_json::{Map, Value as Json};
use std::fmt::Write as _;
use std::path::PathBuf;

fn document() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md"))
}

#[test]
fn every_key_its_value_and_its_default_stand_in_the_document() {
    let schema = serin_config::schema();
    let defs = schema["$defs"].as_object().expect("the parts of the schema");
    let mut text = std::fs::read_to_string(document()).expect("the document");
    let mut wrong = String::new();
    for (name, def) in defs {
        let Some(properties) = def["properties"].as_object() else { continue };
        let table = table(def, properties, defs);
        let begin = format!("<!-- keys: {name} -->\n");
        let found = text.split_once(&begin).and_then(|(_, after)| after.split_once("<!-- end -->"));
        let Some((found, _)) = found else {
            let _ = writeln!(wrong, "`{name}` has no table: add\n{begin}<!-- end -->");
            continue;
        };
        if found != table {
            let _ = writeln!(wrong, "the table of `{name}` is not what the parser reads:\n{table}");
            text = text.replace(
                &format!("{begin}{found}<!-- end -->"),
                &format!("{begin}{table}<!-- end -->"),
            );
        }
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(document(), text).expect("the document");
    } else {
        assert!(wrong.is_empty(), "{wrong}");
    }
}

fn table(def: &Json, properties: &Map<String, Json>, defs: &Map<String, Json>) -> String {
    let required =
        |key: &str| def["required"].as_array().is_some_and(|all| all.iter().any(|k| k == key));
    let mut keys: Vec<&String> = properties.keys().collect();
    keys.sort_by_key(|key| (!required(key), *key));
    let mut table = String::from("\n| Key | Value | Default | |\n|---|---|---|---|\n");
    for key in keys {
        let property = &properties[key];
        let default = match property.get("default") {
            _ if required(key) => "*required*".to_owned(),
            None => String::new(),
            Some(Json::String(text)) if text.is_empty() => "empty".to_owned(),
            Some(Json::String(text)) => format!("`{text}`"),
            Some(other) => format!("`{other}`"),
        };
        let about = property["description"].as_str().unwrap_or_default();
        assert!(!about.is_empty(), "`{key}` is not described");
        let _ = writeln!(table, "| `{key}` | {} | {default} | {about} |", value(property, defs));
    }
    table.push('\n');
    table
}

/// What may stand after a key.
fn value(schema: &Json, defs: &Map<String, Json>) -> String {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.trim_start_matches("#/$defs/");
        if defs[name].get("properties").is_some() {
            return format!("[mapping](#{name})");
        }
        return match name {
            "aboveShare" => "`\"> 1%\"`".to_owned(),
            "aboveTime" => "`\"> 2s\"`".to_owned(),
            "whole" => "whole number".to_owned(),
            other => other.to_owned(),
        };
    }
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<String> =
            words.iter().filter_map(Json::as_str).map(|w| format!("`{w}`")).collect();
        return words.join(" ");
    }
    if let Some(any) = schema["anyOf"].as_array() {
        let variable = |one: &Json| one["pattern"] == "\\$\\{";
        let parts: Vec<String> =
            any.iter().filter(|one| !variable(one)).map(|one| value(one, defs)).collect();
        return parts.join(" or ");
    }
    if !schema["items"].is_null() {
        return format!("list of {}", value(&schema["items"], defs));
    }
    if !schema["additionalProperties"].is_null() {
        return format!("{} by name", value(&schema["additionalProperties"], defs));
    }
    if schema["type"] == "boolean" { "`true` `false`".to_owned() } else { "text".to_owned() }
}

#[test]
fn every_example_in_the_document_fits_the_schema() {
    let text = std::fs::read_to_string(document()).expect("the document");
    let validator = jsonschema::validator_for(&serin_config::schema()).expect("a valid schema");
    let mut count = 0;
    for block in text.split("```yaml\n").skip(1) {
        let block = block.split("```").next().unwrap_or_default();
        let whole = format!("version: 1\n{}", block.replace("version: 1\n", ""));
        let parsed: Json =
            serde_saphyr::from_str(&whole).unwrap_or_else(|e| panic!("{block}\n{e}"));
        if let Err(error) = validator.validate(&parsed) {
            panic!("{block}\n{}: {error}", error.instance_path());
        }
        count += 1;
    }
    assert!(count >= 15, "only {count} examples");
}
