//! The one HTTP client for calls to others: webhooks of gates and notifications.
//!
//! Every call has a deadline over all of it and reads a bounded part of the answer. It never follows a
//! redirect (the address in the configuration is the address), and never logs one: webhook
//! addresses are secrets.

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::time::Duration;
use thiserror::Error;

/// Of an answer, so much is read.
const MAX_ANSWER: usize = 64 * 1024;

#[derive(Debug, Clone)]
pub(crate) struct Outbound(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

#[derive(Debug, Error)]
pub(crate) enum CallError {
    #[error("the address is not a valid http or https URL")]
    Address,
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("{0}")]
    Failed(String),
}

#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
}

pub(crate) struct Call<'a> {
    pub(crate) url: &'a str,
    pub(crate) content_type: &'static str,
    pub(crate) headers: &'a [(String, String)],
    pub(crate) body: String,
    pub(crate) timeout: Duration,
}

impl Outbound {
    /// Without the system's roots only plain HTTP can be called, and the calls say so.
    pub(crate) fn new() -> Self {
        let builder = match HttpsConnectorBuilder::new().with_native_roots() {
            Ok(builder) => builder,
            Err(fault) => {
                tracing::warn!(%fault, "no system certificates: https receivers cannot be reached");
                HttpsConnectorBuilder::new().with_tls_config(without_roots())
            }
        };
        let connector = builder.https_or_http().enable_http1().build();
        let mut client = Client::builder(TokioExecutor::new());
        Self(client.pool_max_idle_per_host(2).build(connector))
    }

    pub(crate) async fn post(&self, call: Call<'_>) -> Result<Answered, CallError> {
        let timeout = call.timeout;
        match tokio::time::timeout(timeout, self.exchange(call)).await {
            Ok(answered) => answered,
            Err(_) => Err(CallError::Timeout(timeout)),
        }
    }

    async fn exchange(&self, call: Call<'_>) -> Result<Answered, CallError> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(call.url)
            .header(CONTENT_TYPE, call.content_type)
            .header(USER_AGENT, concat!("serin/", env!("CARGO_PKG_VERSION")));
        for (name, value) in call.headers {
            let name = HeaderName::try_from(name).map_err(|_| CallError::Address)?;
            let value = HeaderValue::try_from(value).map_err(|_| CallError::Address)?;
            request = request.header(name, value);
        }
        let body = Full::new(Bytes::from(call.body));
        let request = request.body(body).map_err(|_| CallError::Address)?;
        let answer = self.0.request(request).await.map_err(|e| CallError::Failed(chain(&e)))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
        let text = body.map(|b| String::from_utf8_lossy(&b.to_bytes()).into_owned());
        Ok(Answered { status, text: text.unwrap_or_default() })
    }
}

fn without_roots() -> rustls::ClientConfig {
    rustls::ClientConfig::builder()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

/// An error with its causes, innermost last: "client error: connection refused".
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
