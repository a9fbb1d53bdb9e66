//! `serin diff`: what a configuration would change in the running instance.
//!
//! Both sides are written out with every default, so what is shown is what would be
//! different, however it is written. Secrets are compared by the file they come from.

use super::remote::{Remote, finish};
use super::words::plain;
use super::{Exit, output};
use crate::client::{Ask, Failure};
use hyper::Method;
use serde::Serialize;
use serde_json::{Value, json};
use serin_config::model::Config;
use serin_config::{Options, render_all};
use serin_control::intents;
use std::path::PathBuf;

/// Show what a configuration would change in the running instance
///
/// Also says what it would do to each rollout and its users, as a reload would now.
///
/// Exit codes: 0 compared (with --exit-code: 0 only when equal, otherwise 1), 2 the
/// configuration is invalid, or a reload would refuse it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A file, or a folder whose *.yaml files are read together
    path: PathBuf,
    /// Exit with 1 when there is a difference
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Change {
    /// Like `services.checkout.rollout.steps[1].weight`.
    path: String,
    /// In the running instance; absent when it is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Value>,
    /// In the given configuration; absent when it goes away.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Value>,
    /// A reload does not change it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    needs_restart: bool,
}

pub(crate) fn run(args: &Args) -> Exit {
    let loaded = match serin_config::load(&args.path, &Options::default()) {
        Ok(loaded) => loaded,
        Err(refused) => {
            output::note(&render_all(&refused.faults, output::style_of(&std::io::stderr())));
            return Exit::InvalidConfiguration;
        }
    };
    finish(compare(args, &loaded.config))
}

fn compare(args: &Args, config: &Config) -> Result<Exit, Failure> {
    let client = args.remote.client()?;
    let running: Value = client.get("/v1/config")?.read()?;
    let mut changes = Vec::new();
    let wanted = serin_config::effective(config);
    walk(String::new(), Some(&running["config"]), Some(&wanted), &mut changes);
    let ask = Ask::body(json!({ "services": intents(config) }));
    let foretold: Value = client.ask(Method::POST, "/v1/config/check", ask)?.read()?;
    let refused = foretold["ok"] == Value::Bool(false);
    if args.remote.is_json() {
        let consequences = &foretold["consequences"];
        output::json(&json!({ "changes": changes, "consequences": consequences }));
    } else if changes.is_empty() {
        output::line("no difference");
    } else {
        changes.iter().for_each(|change| output::line(&text(change)));
    }
    if !args.remote.is_json() {
        consequences(&foretold).iter().for_each(|line| output::line(line));
    }
    if refused {
        return Ok(Exit::InvalidConfiguration);
    }
    Ok(if args.exit_code && !changes.is_empty() { Exit::Error } else { Exit::Done })
}

/// What happens to rollouts and their users, one line each; nothing of services that rest.
pub(super) fn consequences(answer: &Value) -> Vec<String> {
    let all = answer["consequences"].as_array().map(Vec::as_slice).unwrap_or_default();
    let word = |of: &Value, key: &str| plain(of[key].as_str().unwrap_or_default());
    let told = all.iter().filter(|of| of["kind"] != "rests").map(|of| {
        let (path, message) = (word(of, "path"), word(of, "message"));
        match of["kind"] == "refused" {
            true => format!("! {path}: refused: {message}"),
            false => format!("> {path}: {message}"),
        }
    });
    let noted = all.iter().filter(|of| of["note"].is_string());
    let noted = noted.map(|of| format!("! services.{}: {}", word(of, "service"), word(of, "note")));
    told.chain(noted).collect()
}

/// Objects are compared by key and lists of named things by name, so that a new route at the top
/// is one change and not a hundred.
fn walk(path: String, from: Option<&Value>, to: Option<&Value>, changes: &mut Vec<Change>) {
    if from == to {
        return;
    }
    match (from, to) {
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                walk(path, a.get(key), b.get(key), changes);
            }
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => match (named(a), named(b)) {
            (Some(a), Some(b)) => {
                let new = b.iter().filter(|(name, _)| !a.iter().any(|(n, _)| n == name));
                let names: Vec<&str> = a.iter().chain(new).map(|(name, _)| *name).collect();
                for name in names {
                    let of = |all: &[(&str, &'_ Value)]| -> Option<Value> {
                        all.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).clone())
                    };
                    walk(format!("{path}[{name}]"), of(&a).as_ref(), of(&b).as_ref(), changes);
                }
            }
            _ => {
                for i in 0..a.len().max(b.len()) {
                    walk(format!("{path}[{i}]"), a.get(i), b.get(i), changes);
                }
            }
        },
        _ => {
            let needs_restart = ["admin.address", "state.dir"].contains(&path.as_str());
            let (from, to) = (from.cloned(), to.cloned());
            changes.push(Change { path, from, to, needs_restart });
        }
    }
}

/// The elements with their names, when all have one and no two the same.
fn named(list: &[Value]) -> Option<Vec<(&str, &Value)>> {
    let named: Option<Vec<(&str, &Value)>> =
        list.iter().map(|value| value["name"].as_str().map(|name| (name, value))).collect();
    named.filter(|all| {
        let names: std::collections::BTreeSet<&str> = all.iter().map(|(name, _)| *name).collect();
        names.len() == all.len()
    })
}

fn text(change: &Change) -> String {
    let value = |value: &Value| match value.as_str() {
        Some(text) => plain(text),
        None => plain(&value.to_string()),
    };
    let restart = if change.needs_restart { " (needs a restart)" } else { "" };
    match (&change.from, &change.to) {
        (Some(from), Some(to)) => {
            format!("~ {}: {} -> {}{restart}", change.path, value(from), value(to))
        }
        (None, Some(to)) => format!("+ {}: {}", change.path, value(to)),
        (Some(from), None) => format!("- {}: {}", change.path, value(from)),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn changed(from: &Value, to: &Value) -> Vec<String> {
        let mut changes = Vec::new();
        walk(String::new(), Some(from), Some(to), &mut changes);
        changes.iter().map(text).collect()
    }

    #[test]
    fn what_is_named_is_compared_by_name() {
        let from = json!({ "routes": [{ "name": "a", "to": 1 }, { "name": "b", "to": 2 }] });
        let to = json!({ "routes": [{ "name": "c" }, { "name": "a", "to": 1 }, { "name": "b", "to": 3 }] });
        assert_eq!(
            changed(&from, &to),
            ["~ routes[b].to: 2 -> 3", "+ routes[c]: {\"name\":\"c\"}"]
        );
    }

    #[test]
    fn what_a_reload_does_not_change_is_marked() {
        let from = json!({ "admin": { "address": "a:1" }, "state": { "dir": "/a" } });
        let to = json!({ "admin": { "address": "a:2" }, "state": { "dir": "/b" } });
        assert_eq!(
            changed(&from, &to),
            [
                "~ admin.address: a:1 -> a:2 (needs a restart)",
                "~ state.dir: /a -> /b (needs a restart)"
            ]
        );
    }

    #[test]
    fn steps_are_compared_by_position() {
        let from = json!({ "steps": [{ "weight": "10%" }, { "weight": "50%" }] });
        let to = json!({ "steps": [{ "weight": "10%" }] });
        assert_eq!(changed(&from, &to), ["- steps[1]: {\"weight\":\"50%\"}"]);
        assert!(changed(&from, &from).is_empty());
    }
}
