//! A default is declared with its key, for the schema and the document, and applied by the check. Here
//! the two meet: a file that leaves a key out says what a file says that writes the default.

mod support;

use serde_json::{Map, Value as Json, json};
use std::collections::BTreeSet;
use support::Ground;

const MINIMUM: &str = include_str!("contract/minimum.yaml");

/// A key that could be written with its default: where, and what.
struct Left {
    /// JSON pointer of the mapping.
    mapping: String,
    /// Of the schema: `rollout.start`.
    name: String,
    key: String,
    default: Json,
}

#[test]
fn leaving_a_key_out_and_writing_its_default_say_the_same() {
    let schema = serin_config::schema();
    let mut minimum: Json = serde_saphyr::from_str(MINIMUM).unwrap();
    let mut missed = every_default(&schema);
    compare(&schema, &minimum, &mut missed);
    // Where there are tokens, their own default has no place.
    minimum["admin"] = json!({});
    compare(&schema, &minimum, &mut missed);
    assert!(missed.is_empty(), "the minimum has no place for {missed:?}");
}

/// Of every default that finds a place in a file; those are taken out of `missed`.
fn compare(schema: &Json, minimum: &Json, missed: &mut BTreeSet<String>) {
    let ground = Ground::new();
    let before = effective(&ground, minimum).unwrap_or_else(|faults| panic!("{faults}"));
    let mut left = Vec::new();
    walk(minimum, schema, schema, String::new(), &mut left);
    let mut wrong = Vec::new();
    for Left { mapping, name, key, default } in &left {
        let mut file = minimum.clone();
        let place = file.pointer_mut(mapping).and_then(Json::as_object_mut);
        let place = place.expect("the mapping in which the key was missing");
        place.insert(key.clone(), default.clone());
        // Some keys are refused without another one: there must be a mapping that has it.
        if let Ok(after) = effective(&ground, &file) {
            missed.remove(name);
            if after != before {
                wrong.push(format!("{name} = {default}: {}", difference(&before, &after)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn effective(ground: &Ground, file: &Json) -> Result<Json, String> {
    let path = ground.write("minimum.yaml", file.to_string());
    let loaded = serin_config::load(&path, &serin_config::Options::default());
    loaded
        .map(|loaded| serin_config::effective(&loaded.config))
        .map_err(|faults| faults.to_string())
}

fn walk(value: &Json, schema: &Json, whole: &Json, at: String, left: &mut Vec<Left>) {
    // Of a list or a mapping, a mapping was written.
    let mapping = |one: &&Json| value.is_object() && one["$ref"].is_string();
    let written = schema["anyOf"].as_array().and_then(|any| any.iter().find(mapping));
    let (name, schema) = resolved(written.unwrap_or(schema), whole);
    if let (Some(properties), Some(found)) = (schema["properties"].as_object(), value.as_object()) {
        for (key, property) in properties {
            match (found.get(key), property.get("default")) {
                (Some(value), _) => walk(value, property, whole, format!("{at}/{key}"), left),
                (None, Some(default)) => left.push(Left {
                    mapping: at.clone(),
                    name: format!("{name}.{key}"),
                    key: key.clone(),
                    default: default.clone(),
                }),
                (None, None) => {}
            }
        }
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        walk(item, &schema["items"], whole, format!("{at}/{index}"), left);
    }
    if schema["additionalProperties"].is_object() {
        for (key, item) in value.as_object().into_iter().flatten() {
            walk(item, &schema["additionalProperties"], whole, format!("{at}/{key}"), left);
        }
    }
}

/// The name and the body of a part of the schema.
fn resolved<'a>(schema: &'a Json, whole: &'a Json) -> (&'a str, &'a Json) {
    let name = schema["$ref"].as_str().map(|name| name.trim_start_matches("#/$defs/"));
    name.map_or(("", schema), |name| (name, &whole["$defs"][name]))
}

/// Of keys that need not be written.
fn every_default(schema: &Json) -> BTreeSet<String> {
    let parts = schema["$defs"].as_object().into_iter().flatten();
    let defaults = parts.flat_map(|(part, body)| {
        let properties = body["properties"].as_object().into_iter().flatten();
        let with = properties.filter(|(_, property)| property.get("default").is_some());
        with.map(move |(key, _)| format!("{part}.{key}"))
    });
    defaults.collect()
}

/// The first place where two of them differ.
fn difference(before: &Json, after: &Json) -> String {
    let none = Map::new();
    match (before, after) {
        (Json::Object(a), Json::Object(b)) => {
            let differs = a.iter().find(|(key, value)| b.get(*key) != Some(value));
            let b = if b.is_empty() { &none } else { b };
            differs.map_or_else(
                || "a key more".to_owned(),
                |(key, value)| {
                    format!("{key}.{}", difference(value, b.get(key).unwrap_or(&Json::Null)))
                },
            )
        }
        (Json::Array(a), Json::Array(b)) if a.len() == b.len() => {
            let differs = a.iter().zip(b).find(|(a, b)| a != b);
            differs.map_or_else(String::new, |(a, b)| difference(a, b))
        }
        (a, b) => format!("{a} and {b}"),
    }
}

/// A key that is declared, read and then forgotten would be one that does nothing. Written with another value
/// than its default, each changes what the program runs on, or is refused.
#[test]
fn every_key_with_a_default_means_something() {
    let schema = serin_config::schema();
    let minimum: Json = serde_saphyr::from_str(MINIMUM).unwrap();
    let ground = Ground::new();
    let before = effective(&ground, &minimum).unwrap_or_else(|faults| panic!("{faults}"));
    let mut left = Vec::new();
    walk(&minimum, &schema, &schema, String::new(), &mut left);
    let (mut looked_at, mut idle) = (0, BTreeSet::new());
    for Left { mapping, name, key, default } in left {
        let part = name.split('.').next().unwrap_or_default();
        let property = &schema["$defs"][part]["properties"][&key];
        let Some(other) = other(&default, property, &schema) else { continue };
        let mut file = minimum.clone();
        let place = file.pointer_mut(&mapping).and_then(Json::as_object_mut);
        place.expect("the mapping in which the key was missing").insert(key, other.clone());
        looked_at += 1;
        if effective(&ground, &file).is_ok_and(|after| after == before) {
            idle.insert(format!("{name}: {other}"));
        }
    }
    // It permits methods of which the minimum copies none.
    assert!(idle.remove("shadow.allowUnsafe: true"));
    assert!(idle.is_empty(), "these do nothing: {idle:#?}");
    assert!(looked_at >= 60, "only {looked_at} keys");
}

/// Another value of the same kind, where one is easily made.
fn other(default: &Json, property: &Json, schema: &Json) -> Option<Json> {
    let resolved = resolved(property, schema).1;
    let words = resolved["anyOf"].as_array().into_iter().flatten().chain([resolved]);
    let mut words = words.filter_map(|one| one["enum"].as_array()).flatten();
    let said = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
    if let Some(word) = words.find(|word| word.as_str().is_some_and(|word| word != said)) {
        return Some(word.clone());
    }
    match default {
        Json::Bool(on) => Some(json!(!on)),
        Json::Number(number) => Some(json!(number.as_u64()? + 1)),
        Json::String(text) => {
            let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
            let number: u64 = text[..text.len() - unit.len()].parse().ok()?;
            // `99.9%` and `10%` stay shares, and times stay above zero.
            let number = if number > 1 { number - 1 } else { number + 1 };
            Some(json!(format!("{number}{unit}")))
        }
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

#[test]
fn the_schema_says_the_bounds_that_a_reader_checks() {
    let schema = serin_config::schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let minimum: Json = serde_saphyr::from_str(MINIMUM).unwrap();
    let (ground, mut checked) = (Ground::new(), 0);
    for (key, property) in schema["$defs"]["listenerLimits"]["properties"].as_object().unwrap() {
        let bounds = [&property["minimum"], &property["maximum"]].map(Json::as_u64);
        let [Some(least), Some(most)] = bounds else { continue };
        for (value, good) in [(least - 1, false), (least, true), (most, true), (most + 1, false)] {
            let mut file = minimum.clone();
            file["listeners"][0]["limits"] = json!({ key: value });
            assert_eq!(validator.is_valid(&file), good, "{key}: {value}");
            assert_eq!(effective(&ground, &file).is_ok(), good, "{key}: {value}");
            checked += 1;
        }
    }
    assert!(checked >= 12, "{checked}");
}

#[test]
fn effective_limits_can_be_written_into_a_file() {
    let ground = Ground::new();
    let mut file: Json = serde_saphyr::from_str(MINIMUM).unwrap();
    let before = effective(&ground, &file).unwrap();
    file["listeners"][0]["limits"] = before["listeners"][0]["limits"].clone();
    assert_eq!(effective(&ground, &file).unwrap(), before);
}
