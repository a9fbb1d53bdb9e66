//! The configuration in force, written out in the words of the files.
//!
//! Everything resolved and every default filled in, so that two of them can be compared line by
//! line. Secrets appear as the file they come from, never as their value; whatever else may
//! carry one (credentials in a URL, an authorization header) is masked.

mod listener;
mod mask;
mod notification;
pub(crate) mod quantity;
mod rollout;
mod route;
mod service;

use crate::file::Word;
use crate::model::{AccessLogTo, Config};
use listener::{admin, listener};
use mask::url;
use notification::notification;
use quantity::path;
use route::route;
use serde_json::{Map, Value, json};
use service::service;

/// As JSON, because that is what both the API and `serin diff` want.
pub fn effective(config: &Config) -> Value {
    let services: Map<String, Value> =
        config.services.iter().map(|(name, s)| (name.to_string(), service(s))).collect();
    json!({
        "version": 1,
        "listeners": config.listeners.iter().map(listener).collect::<Vec<_>>(),
        "admin": admin(&config.admin),
        "state": { "dir": path(&config.state_dir) },
        "services": services,
        "routes": config.routes.iter().map(route).collect::<Vec<_>>(),
        "accessLog": {
            "format": config.access_log.format.word(),
            "to": match &config.access_log.to {
                AccessLogTo::Stdout => "stdout".to_owned(),
                AccessLogTo::Stderr => "stderr".to_owned(),
                AccessLogTo::File(file) => path(file),
            },
            "sample": config.access_log.sample.to_string(),
        },
        "tracing": config.tracing.as_ref().map(|t| json!({
            "otlp": url(&t.otlp), "sample": t.sample.to_string(),
        })),
        "notifications": config.notifications.iter().map(notification).collect::<Vec<_>>(),
    })
}
