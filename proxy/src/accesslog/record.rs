//! What is known of a request when it has ended.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

/// Names that a request did not get to are `None`: no route matched, no version was chosen.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) at: SystemTime,
    pub(crate) client: IpAddr,
    pub(crate) method: String,
    pub(crate) scheme: &'static str,
    pub(crate) host: String,
    /// As the client sent it.
    pub(crate) target: String,
    pub(crate) protocol: &'static str,
    /// 0 when the client was gone before anything could be sent.
    pub(crate) status: u16,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) duration: Duration,
    /// To the head of the version's answer.
    pub(crate) first_byte: Option<Duration>,
    pub(crate) route: Option<String>,
    pub(crate) service: Option<String>,
    /// The one that was judged.
    pub(crate) version: Option<String>,
    pub(crate) endpoint: Option<String>,
    pub(crate) outcome: Option<&'static str>,
    /// What went wrong, if something did.
    pub(crate) what: Option<&'static str>,
    pub(crate) attempts: u32,
    /// The version that answered in the chosen one's place.
    pub(crate) rescued_by: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) trace_id: Option<String>,
    pub(crate) referer: Option<String>,
    pub(crate) user_agent: Option<String>,
    pub(crate) tls: Option<&'static str>,
}

impl Record {
    pub(crate) fn new(client: IpAddr) -> Self {
        Self {
            at: SystemTime::now(),
            client,
            method: String::new(),
            scheme: "http",
            host: String::new(),
            target: String::new(),
            protocol: "",
            status: 0,
            bytes_in: 0,
            bytes_out: 0,
            duration: Duration::ZERO,
            first_byte: None,
            route: None,
            service: None,
            version: None,
            endpoint: None,
            outcome: None,
            what: None,
            attempts: 0,
            rescued_by: None,
            request_id: None,
            trace_id: None,
            referer: None,
            user_agent: None,
            tls: None,
        }
    }
}
