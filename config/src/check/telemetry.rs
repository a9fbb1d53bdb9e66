//! `accessLog`, `tracing` and `notifications`.

use super::{Check, given, headers};
use crate::file;
use crate::model::{AccessLog, AccessLogTo, Notification, NotifyTo, Tracing};
use crate::report::shown;
use crate::source::At;
use std::collections::HashMap;

pub(super) fn access_log(found: Option<&At<file::AccessLog>>, check: &mut Check<'_>) -> AccessLog {
    let found = given(found);
    AccessLog {
        format: found.format(),
        to: match (found.to().as_str(), &found.to) {
            ("stdout", _) | (_, None) => AccessLogTo::Stdout,
            ("stderr", _) => AccessLogTo::Stderr,
            (_, Some(file)) => AccessLogTo::File(check.resolve(file)),
        },
        sample: found.sample(),
    }
}

pub(super) fn tracing(found: Option<&At<file::Tracing>>, check: &mut Check<'_>) -> Option<Tracing> {
    let found = found?;
    let otlp = url(found.otlp.as_ref()?, "http://127.0.0.1:4317", check)?;
    Some(Tracing { otlp, sample: found.sample() })
}

/// A whole address of a service to call.
pub(super) fn url(found: &At<String>, example: &str, check: &mut Check<'_>) -> Option<String> {
    let rest = found.value.strip_prefix("http://").or(found.value.strip_prefix("https://"));
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    let clean = found.value.bytes().all(|b| b.is_ascii_graphic());
    if !host.is_empty() && clean && !host.contains('@') {
        return Some(found.value.clone());
    }
    let draft = check.error(found.at, format!("{} is not an address to call", shown(&found.value)));
    if host.contains('@') {
        draft.hint("a password does not belong into an address; send a header");
    } else if rest.is_none() && clean && !found.value.contains("://") && found.value.contains('.') {
        draft.hint(format!("write `http://{}` or `https://{0}`", found.value));
    } else {
        draft.hint(format!("write `{example}`"));
    }
    None
}

pub(super) fn notifications(
    listed: &[At<file::Notification>],
    check: &mut Check<'_>,
) -> Vec<Notification> {
    let mut names = HashMap::new();
    let mut checked = Vec::new();
    for found in listed {
        if let Some(name) = &found.name {
            check.named(&mut names, name, "notification");
        }
        if let Some(on) = found.on.as_ref().filter(|on| on.value.is_empty() && !found.broken) {
            check
                .warning(on.at, "this notification is never sent")
                .hint("name events: `on: [rolledBack]`");
        }
        let to = target(found, check);
        let on = found.on.as_ref().map(|on| on.value.iter().map(|at| at.value).collect());
        let severity = found.severity.as_ref().map(|s| s.value.iter().map(|at| at.value).collect());
        if let (Some(name), Some(to)) = (&found.name, to) {
            checked.push(Notification {
                name: name.value.clone(),
                to,
                on: on.unwrap_or_default(),
                severity: severity.unwrap_or_default(),
            });
        }
    }
    checked
}

fn target(found: &At<file::Notification>, check: &mut Check<'_>) -> Option<NotifyTo> {
    let given = [
        found.slack.is_some(),
        found.pagerduty.is_some(),
        found.alertmanager.is_some(),
        found.webhook.is_some(),
    ];
    let count = given.iter().filter(|given| **given).count();
    if count != 1 && !(count == 0 && found.broken) {
        let message =
            if count == 0 { "a notification to nobody" } else { "a notification to several" };
        check
            .error(found.at, message)
            .hint("give it one of `slack`, `pagerduty`, `alertmanager` and `webhook`");
    }
    if let Some(slack) = &found.slack {
        let path = slack.webhook_url_file.as_ref()?;
        let webhook_url = check.secret(path, "the address of the webhook")?;
        if !webhook_url.expose().starts_with("https://")
            && !webhook_url.expose().starts_with("http://")
        {
            check
                .error(path.at, "the file does not hold an address")
                .hint("it holds one line: `https://hooks.slack.com/services/…`");
        }
        return Some(NotifyTo::Slack { webhook_url });
    }
    if let Some(pagerduty) = &found.pagerduty {
        let default = file::PagerDuty::default().url();
        let url = match &pagerduty.url {
            Some(at) => url(at, &default, check)?,
            None => default,
        };
        let routing_key = check.secret(pagerduty.routing_key_file.as_ref()?, "the routing key")?;
        return Some(NotifyTo::PagerDuty { routing_key, url });
    }
    if let Some(alertmanager) = &found.alertmanager {
        let url = url(alertmanager.url.as_ref()?, "http://127.0.0.1:9093", check)?;
        return Some(NotifyTo::Alertmanager { url });
    }
    let webhook = found.webhook.as_ref()?;
    let headers = headers::pairs(webhook.headers.as_ref(), check);
    let url = url(webhook.url.as_ref()?, "https://example.com/hook", check)?;
    Some(NotifyTo::Webhook { url, headers })
}
