//! The JSON Schema of a configuration file, collected from the types that read it.

use serde_json::{Map, Value as Json, json};

/// One key of a record, as its declaration says.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) key: &'static str,
    pub(crate) about: &'static str,
    pub(crate) required: bool,
    /// As it would be written in a file.
    pub(crate) default: Option<&'static str>,
    pub(crate) schema: Json,
}

/// The named parts met so far.
#[derive(Debug, Default)]
pub(crate) struct Defs(Map<String, Json>);

impl Defs {
    /// A mapping with known keys; described once, referred to wherever it stands.
    pub(crate) fn record(
        &mut self,
        name: &str,
        about: &str,
        fields: impl FnOnce(&mut Self) -> Vec<Field>,
    ) -> Json {
        let name = lower_first(name);
        if !self.0.contains_key(&name) {
            // Reserved first, so that a type that holds itself ends.
            self.0.insert(name.clone(), Json::Null);
            let fields = fields(self);
            self.0.insert(name.clone(), object(about, fields));
        }
        refer(&name)
    }

    /// A kind of single value.
    pub(crate) fn scalar(&mut self, name: &str, schema: impl FnOnce() -> Json) -> Json {
        if !self.0.contains_key(name) {
            self.0.insert(name.to_owned(), schema());
        }
        refer(name)
    }
}

/// One of a few words; a word that looks like a number may be written as one.
pub(crate) fn words(words: &[&str]) -> Json {
    let numbers = words.iter().filter_map(|word| word.parse::<f64>().ok()).map(Json::from);
    // To YAML 1.1, which some editors speak, `off` is a switch.
    let switches = words.iter().filter(|word| **word == "off").map(|_| Json::from(false));
    let texts = words.iter().copied().map(Json::from);
    let all: Vec<Json> = texts.chain(numbers).chain(switches).collect();
    or_variable(json!({ "enum": all }))
}

/// The same, or a text with a variable in it.
pub(crate) fn or_variable(schema: Json) -> Json {
    json!({ "anyOf": [schema, { "type": "string", "pattern": "\\$\\{" }] })
}

fn refer(name: &str) -> Json {
    json!({ "$ref": format!("#/$defs/{name}") })
}

fn lower_first(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

fn object(about: &str, fields: Vec<Field>) -> Json {
    let required: Vec<&str> = fields.iter().filter(|f| f.required).map(|f| f.key).collect();
    let mut properties = Map::new();
    for field in fields {
        let mut schema = field.schema;
        schema["description"] = Json::from(field.about.trim());
        if let Some(default) = field.default {
            schema["default"] = default_value(default);
        }
        properties.insert(field.key.to_owned(), schema);
    }
    // A record whose parts are all optional may be left empty.
    let kinds = if required.is_empty() { json!(["object", "null"]) } else { json!("object") };
    json!({
        "type": kinds,
        "description": about.trim(),
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// A default is written as in a file: numbers, switches and lists as JSON would have them.
fn default_value(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|_| Json::from(text))
}

/// The schema of a file whose root reads as `T`.
pub(crate) fn of<T: crate::file::Read>() -> Json {
    let mut defs = Defs::default();
    let root = T::schema(&mut defs);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Serin configuration",
        "$ref": root["$ref"],
        "$defs": defs.0,
    })
}
