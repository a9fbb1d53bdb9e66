//! What is known of a request when it has ended, under the names that the access log and the spans
//! give it.

use serin_core::secret::without_secrets;
use std::borrow::Cow;
use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime};

/// Names that a request did not get to are `None`: no route matched, no version was chosen.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) at: SystemTime,
    /// The same moment on the clock that never jumps.
    pub(crate) began: Instant,
    pub(crate) client: IpAddr,
    pub(crate) method: String,
    pub(crate) scheme: &'static str,
    pub(crate) host: String,
    /// As the client sent it; [`without_secrets`] wherever it is told.
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
            began: Instant::now(),
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

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Field<'a> {
    Text(Cow<'a, str>),
    Whole(u64),
    Seconds(Duration),
}

impl Record {
    /// What is known, named by OpenTelemetry's conventions for HTTP; what they have no name for
    /// begins with `serin.`.
    pub(crate) fn fields(&self) -> Vec<(&'static str, Field<'_>)> {
        let target = without_secrets(&self.target);
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (&*target, None),
        };
        let (host, port) = host_and_port(&self.host);
        let all = [
            ("client.address", Some(Field::Text(self.client.to_string().into()))),
            ("http.request.method", text(&self.method)),
            ("url.scheme", text(self.scheme)),
            ("server.address", text(host)),
            ("server.port", port.map(Field::Whole)),
            ("url.path", owned(path)),
            ("url.query", query.and_then(owned)),
            ("network.protocol.version", self.protocol.strip_prefix("HTTP/").and_then(text)),
            ("tls.protocol.version", self.tls.and_then(text)),
            ("http.response.status_code", Some(Field::Whole(self.status.into()))),
            ("http.request.body.size", Some(Field::Whole(self.bytes_in))),
            ("http.response.body.size", Some(Field::Whole(self.bytes_out))),
            ("http.server.request.duration", Some(Field::Seconds(self.duration))),
            ("serin.time_to_head", self.first_byte.map(Field::Seconds)),
            ("serin.route", self.route.as_deref().and_then(text)),
            ("serin.service", self.service.as_deref().and_then(text)),
            ("serin.version", self.version.as_deref().and_then(text)),
            ("serin.endpoint", self.endpoint.as_deref().and_then(text)),
            ("serin.outcome", self.outcome.and_then(text)),
            ("error.type", self.what.and_then(text)),
            ("serin.attempts", Some(Field::Whole(self.attempts.into()))),
            ("serin.rescued_by", self.rescued_by.as_deref().and_then(text)),
            ("serin.request_id", self.request_id.as_deref().and_then(text)),
            (
                "http.request.header.referer",
                self.referer.as_deref().map(without_secrets).and_then(shown),
            ),
            ("user_agent.original", self.user_agent.as_deref().and_then(text)),
        ];
        all.into_iter().filter_map(|(name, field)| Some((name, field?))).collect()
    }
}

fn owned<'a>(text: &str) -> Option<Field<'a>> {
    shown(Cow::Owned(text.to_owned()))
}

fn shown(text: Cow<'_, str>) -> Option<Field<'_>> {
    (!text.is_empty()).then_some(Field::Text(text))
}

fn text(text: &str) -> Option<Field<'_>> {
    (!text.is_empty()).then(|| Field::Text(text.into()))
}

/// A host that is no host at all is told as it came.
fn host_and_port(host: &str) -> (&str, Option<u64>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => match port.parse() {
            Ok(port) => (name, Some(port)),
            Err(_) => (host, None),
        },
        Some(_) | None => (host, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_told_from_its_port() {
        assert_eq!(host_and_port("a.example:8080"), ("a.example", Some(8080)));
        assert_eq!(host_and_port("[::1]:80"), ("[::1]", Some(80)));
        for whole in ["a.example", "[::1]", "::1", "a:b", ""] {
            assert_eq!(host_and_port(whole), (whole, None));
        }
    }
}
