//! Notifications, as the files write them.

use super::mask::{MASK, url};
use super::quantity::path;
use crate::model::{Notification, NotifyOn, NotifyTo};
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
        "on": n.on.iter().map(|on| notify_on(*on)).collect::<Vec<_>>(),
        "severity": n.severity.iter().map(|s| s.as_str()).collect::<Vec<_>>(),
    })
}

fn notify_on(on: NotifyOn) -> &'static str {
    match on {
        NotifyOn::Started => "started",
        NotifyOn::Advanced => "advanced",
        NotifyOn::Paused => "paused",
        NotifyOn::Resumed => "resumed",
        NotifyOn::RolledBack => "rolledBack",
        NotifyOn::Superseded => "superseded",
        NotifyOn::Completed => "completed",
        NotifyOn::Inconclusive => "inconclusive",
        NotifyOn::CertificateExpiring => "certificateExpiring",
        NotifyOn::ReloadFailed => "reloadFailed",
        NotifyOn::BudgetLow => "budgetLow",
        NotifyOn::Warning => "warning",
        NotifyOn::Frozen => "frozen",
    }
}
