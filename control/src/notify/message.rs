//! One event in the words of each kind of receiver.

use crate::event::{Event, EventKind};
use serde_json::{Value, json};
use serin_config::model::NotifyTo;

/// What is posted, and where. It may hold secrets, so it is never shown.
pub(crate) struct Message {
    pub(crate) url: String,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

const JSON: &str = "application/json";

impl Message {
    pub(crate) fn new(to: &NotifyTo, event: &Event) -> Self {
        let plain = |url: &str, body: Value| Self {
            url: url.to_owned(),
            content_type: JSON,
            headers: Vec::new(),
            body: body.to_string(),
        };
        match to {
            NotifyTo::Slack { webhook_url } => plain(webhook_url.expose().trim(), slack(event)),
            NotifyTo::PagerDuty { routing_key, url } => {
                plain(url, pagerduty(routing_key.expose().trim(), event))
            }
            NotifyTo::Alertmanager { url } => plain(&alerts(url), alertmanager(event)),
            NotifyTo::Webhook { url, headers } => Self {
                content_type: "application/cloudevents+json",
                headers: headers.clone(),
                ..plain(url, cloud_event(event))
            },
        }
    }
}

/// What the event is about, shortly: `checkout`, or `serin` itself.
fn subject(event: &Event) -> &str {
    event.service.as_deref().unwrap_or("serin")
}

fn slack(event: &Event) -> Value {
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let severity = event.severity.as_deref().map_or_else(String::new, |s| format!(" ({s})"));
    let title = format!("*{}* {}{severity}", escaped(subject(event)), event.kind.as_str());
    let mut text = format!("{title}\n{}", escaped(&event.message));
    if !event.weights.is_empty() {
        let weights = event.weights.iter();
        let parts: Vec<String> =
            weights.map(|(v, w)| format!("{} {}%", escaped(v), f64::from(*w) / 100.0)).collect();
        text.push_str(&format!("\nweights: {}", parts.join(", ")));
    }
    if let Some(rollout) = &event.rollout {
        text.push_str(&format!("\n`serin report {}`", escaped(rollout)));
    }
    json!({ "text": text })
}

/// Events API v2. One incident for each rollout; a completed rollout resolves it.
fn pagerduty(routing_key: &str, event: &Event) -> Value {
    let resolves = matches!(event.kind, EventKind::Completed | EventKind::Resumed);
    let severity = match event.severity.as_deref() {
        Some("P1") => "critical",
        Some("P2") => "error",
        Some(_) => "warning",
        None => "info",
    };
    let summary: String = format!("{} {}: {}", subject(event), event.kind.as_str(), event.message)
        .chars()
        .take(1024)
        .collect();
    json!({
        "routing_key": routing_key,
        "event_action": if resolves { "resolve" } else { "trigger" },
        "dedup_key": dedup(event),
        "payload": {
            "summary": summary,
            "source": subject(event),
            "severity": severity,
            "timestamp": event.at.to_string(),
            "component": subject(event),
            "class": event.kind.as_str(),
            "custom_details": event,
        },
        "client": "serin",
    })
}

fn dedup(event: &Event) -> String {
    let about = event.rollout.as_deref().unwrap_or(event.kind.as_str());
    format!("serin/{}/{about}", subject(event))
}

/// A base address gets the API's path; a full one is taken as it is.
fn alerts(url: &str) -> String {
    if url.contains("/api/") {
        return url.to_owned();
    }
    format!("{}/api/v2/alerts", url.trim_end_matches('/'))
}

fn alertmanager(event: &Event) -> Value {
    let severity = match event.severity.as_deref() {
        Some("P1") => "critical",
        Some("P2" | "P3") => "warning",
        Some(_) | None => "info",
    };
    let mut labels = json!({
        "alertname": format!("Serin{}", capital(event.kind.as_str())),
        "severity": severity,
        "service": subject(event),
    });
    if let (Some(rollout), Some(labels)) = (&event.rollout, labels.as_object_mut()) {
        labels.insert("rollout".to_owned(), Value::String(rollout.clone()));
    }
    json!([{
        "labels": labels,
        "annotations": { "summary": event.message },
        "startsAt": event.at.to_string(),
    }])
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}

/// CloudEvents 1.0, structured mode. The number of an event is given when it is recorded, which may be
/// later than it is told: the data leaves it out rather than say 0.
fn cloud_event(event: &Event) -> Value {
    let mut data = json!(event);
    if let Some(data) = data.as_object_mut() {
        data.remove("id");
    }
    json!({
        "specversion": "1.0",
        "id": cloud_id(event),
        "source": format!("/serin/services/{}", subject(event)),
        "type": format!("serin.rollout.{}", event.kind.as_str()),
        "subject": event.rollout.as_deref().unwrap_or_else(|| subject(event)),
        "time": event.at.to_string(),
        "datacontenttype": JSON,
        "data": data,
    })
}

/// The same for every attempt at the same event: what a receiver tells repetitions by.
fn cloud_id(event: &Event) -> String {
    let text = serde_json::to_string(event).unwrap_or_default();
    blake3::hash(text.as_bytes()).to_hex()[..32].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Timestamp;
    use serin_config::model::Secret;
    use serin_core::time::Wall;

    fn rolled_back() -> Event {
        Event {
            id: 7,
            at: Timestamp(Wall(1_795_226_400_000)),
            kind: EventKind::RolledBack,
            service: Some("checkout".to_owned()),
            rollout: Some("checkout-3".to_owned()),
            severity: Some("P1".to_owned()),
            message: "rolled back from 10%: guard errors: <40%>".to_owned(),
            actor: None,
            weights: [("v41".to_owned(), 10_000), ("v42".to_owned(), 0)].into(),
        }
    }

    fn body(to: &NotifyTo) -> (Message, Value) {
        let message = Message::new(to, &rolled_back());
        let body = serde_json::from_str(&message.body).unwrap();
        (message, body)
    }

    #[test]
    fn slack_gets_one_readable_text_in_which_nothing_is_markup() {
        let webhook_url = Secret::new("/run/slack".into(), "https://hooks.example/T/B\n".into());
        let (message, body) = body(&NotifyTo::Slack { webhook_url });
        assert_eq!(message.url, "https://hooks.example/T/B");
        let text = body["text"].as_str().unwrap();
        assert!(text.starts_with("*checkout* rolledBack (P1)\n"), "{text}");
        assert!(text.contains("&lt;40%&gt;") && text.contains("v42 0%"), "{text}");
    }

    #[test]
    fn pagerduty_gets_an_incident_that_the_rollouts_end_resolves() {
        let routing_key = Secret::new("/run/pd".into(), "R123".into());
        let url = "https://events.pagerduty.com/v2/enqueue".to_owned();
        let (_, body) = body(&NotifyTo::PagerDuty { routing_key, url });
        assert_eq!(body["routing_key"], "R123");
        assert_eq!(body["event_action"], "trigger");
        assert_eq!(body["payload"]["severity"], "critical");
        assert_eq!(body["dedup_key"], "serin/checkout/checkout-3");
        let completed = Event { kind: EventKind::Completed, severity: None, ..rolled_back() };
        let resolved = pagerduty("R123", &completed);
        assert_eq!(resolved["event_action"], "resolve");
        assert_eq!(resolved["dedup_key"], body["dedup_key"]);
    }

    #[test]
    fn alertmanager_gets_its_list_at_its_path() {
        let to = NotifyTo::Alertmanager { url: "http://alerts:9093/".to_owned() };
        let (message, body) = body(&to);
        assert_eq!(message.url, "http://alerts:9093/api/v2/alerts");
        assert_eq!(body[0]["labels"]["alertname"], "SerinRolledBack");
        assert_eq!(body[0]["labels"]["rollout"], "checkout-3");
        assert_eq!(body[0]["startsAt"], "2026-11-21T02:00:00.000Z");
    }

    #[test]
    fn a_webhook_gets_a_cloud_event_with_a_stable_id() {
        let headers = vec![("x-team".to_owned(), "shop".to_owned())];
        let to = NotifyTo::Webhook { url: "http://127.0.0.1:9/".to_owned(), headers };
        let (message, body) = body(&to);
        assert_eq!(message.content_type, "application/cloudevents+json");
        assert_eq!(message.headers[0].0, "x-team");
        assert_eq!(body["specversion"], "1.0");
        assert_eq!(body["type"], "serin.rollout.rolledBack");
        assert_eq!(body["data"]["weights"]["v42"], 0);
        assert!(body["data"].get("id").is_none(), "{body}");
        let again = Message::new(&to, &rolled_back());
        assert_eq!(again.body, message.body);
    }
}
