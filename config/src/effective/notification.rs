//! Notifications, as the files write them.

use super::mask::{MASK, url};
use super::quantity::path;
use crate::file::Word;
use crate::model::{Notification, NotifyTo};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) fn notification(n: &Notification) -> Value {
    let (key, to) = match &n.to {
        NotifyTo::Slack { webhook_url } => {
            ("slack", json!({ "webhookUrlFile": path(&webhook_url.file) }))
        }
        NotifyTo::PagerDuty { routing_key, url: to } => {
            ("pagerduty", json!({ "routingKeyFile": path(&routing_key.file), "url": url(to) }))
        }
        NotifyTo::Alertmanager { url: to } => ("alertmanager", json!({ "url": url(to) })),
        NotifyTo::Webhook { url: to, headers } => {
            let names: BTreeMap<&str, &str> =
                headers.iter().map(|(name, _)| (name.as_str(), MASK)).collect();
            ("webhook", json!({ "url": url(to), "headers": names }))
        }
    };
    json!({
        "name": n.name,
        key: to,
        "on": n.on.iter().map(|on| on.word()).collect::<Vec<_>>(),
        "severity": n.severity.iter().map(|s| s.as_str()).collect::<Vec<_>>(),
    })
}
