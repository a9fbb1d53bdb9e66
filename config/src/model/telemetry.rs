//! The access log, tracing and notifications.

use super::admin::Secret;
use serin_core::slo::Severity;
use serin_core::weights::BasisPoints;
use std::path::PathBuf;

#[derive(Debug, Clone, PartialEq)]
pub struct AccessLog {
    pub format: AccessLogFormat,
    pub to: AccessLogTo,
    pub sample: BasisPoints,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessLogFormat {
    Json,
    Combined,
    Off,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessLogTo {
    Stdout,
    Stderr,
    File(PathBuf),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Tracing {
    pub otlp: String,
    pub sample: BasisPoints,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Notification {
    pub name: String,
    pub to: NotifyTo,
    pub on: Vec<NotifyOn>,
    /// Empty: every severity.
    pub severity: Vec<Severity>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum NotifyTo {
    Slack {
        webhook_url: Secret,
    },
    PagerDuty {
        routing_key: Secret,
        url: String,
    },
    Alertmanager {
        url: String,
    },
    /// CloudEvents JSON.
    Webhook {
        url: String,
        headers: Vec<(String, String)>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotifyOn {
    Started,
    Advanced,
    Paused,
    Resumed,
    RolledBack,
    Superseded,
    Completed,
    Inconclusive,
    CertificateExpiring,
    ReloadFailed,
    BudgetLow,
    Warning,
    Frozen,
}
