//! `accessLog`, `tracing` and `notifications`.

use super::{Named, record, words};
use crate::model::{self, NotifyOn};
use crate::source::At;
use serin_core::slo::Severity;
use serin_core::weights::BasisPoints;

record! {
    /// One line per request.
    AccessLog, "`accessLog`" {
        /// `json`, `combined` (as Apache and nginx write it) or `off`.
        "format" optional format: model::AccessLogFormat = "json",
        /// `stdout`, `stderr` or a file.
        "to" optional to: String = "stdout",
        /// The share of requests that is written; failures always are.
        "sample" optional sample: BasisPoints = "100%",
    }
}

words!(model::AccessLogFormat, "format of an access log" {
    "json" => model::AccessLogFormat::Json,
    "combined" => model::AccessLogFormat::Combined,
    "off" => model::AccessLogFormat::Off,
});

record! {
    /// Spans for a tracing backend. Left out, there are none.
    Tracing, "`tracing`" {
        /// An OTLP collector, `http://127.0.0.1:4317`.
        "otlp" required otlp: String,
        /// The share of requests that is traced. A `trusted` peer that has decided is followed instead.
        "sample" optional sample: BasisPoints = "1%",
    }
}

record! {
    /// Who is told what: one of `slack`, `pagerduty`, `alertmanager` and `webhook`.
    Notification, "a notification" {
        /// Names the notification in logs.
        "name" required name: String,
        /// A Slack channel.
        "slack" optional slack: Slack,
        /// A PagerDuty service.
        "pagerduty" optional pagerduty: PagerDuty,
        /// An Alertmanager.
        "alertmanager" optional alertmanager: Alertmanager,
        /// Anything that takes CloudEvents as JSON.
        "webhook" optional webhook: Webhook,
        /// `started`, `advanced`, `paused`, `resumed`, `rolledBack` (also when a completed one is taken back), `superseded`, `completed`, `inconclusive`, `certificateExpiring`, `reloadFailed`, `budgetLow`, `warning` (a rule that notifies or holds, a stable that fails its objective), `frozen`.
        "on" required on: Vec<At<NotifyOn>>,
        /// Only these severities. Left out, all of them.
        "severity" optional severity: Vec<At<Severity>> = "[]",
    }
}

record! {
    /// A Slack channel.
    Slack, "`slack`" {
        /// The file that holds the address of the incoming webhook.
        "webhookUrlFile" required webhook_url_file: String,
    }
}

record! {
    /// A PagerDuty service, by the Events API v2.
    PagerDuty, "`pagerduty`" {
        /// The file that holds the routing key.
        "routingKeyFile" required routing_key_file: String,
        /// Where events are sent.
        "url" optional url: String = "https://events.pagerduty.com/v2/enqueue",
    }
}

record! {
    /// An Alertmanager, by its API v2.
    Alertmanager, "`alertmanager`" {
        /// Its address, `http://127.0.0.1:9093`.
        "url" required url: String,
    }
}

record! {
    /// Anything that takes CloudEvents as JSON.
    Webhook, "`webhook`" {
        /// `http://` or `https://`.
        "url" required url: String,
        /// Headers to send along.
        "headers" optional headers: Named<String> = "{}",
    }
}

words!(NotifyOn, "event" {
    "started" => NotifyOn::Started,
    "advanced" => NotifyOn::Advanced,
    "paused" => NotifyOn::Paused,
    "resumed" => NotifyOn::Resumed,
    "rolledBack" => NotifyOn::RolledBack,
    "superseded" => NotifyOn::Superseded,
    "completed" => NotifyOn::Completed,
    "inconclusive" => NotifyOn::Inconclusive,
    "certificateExpiring" => NotifyOn::CertificateExpiring,
    "reloadFailed" => NotifyOn::ReloadFailed,
    "budgetLow" => NotifyOn::BudgetLow,
    "warning" => NotifyOn::Warning,
    "frozen" => NotifyOn::Frozen,
});
