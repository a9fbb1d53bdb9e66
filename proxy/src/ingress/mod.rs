//! How clients get in: sockets, PROXY protocol, TLS, limits.

pub(crate) mod accept;
mod certificates;
pub(crate) mod client_info;
mod holders;
pub(crate) mod listener;
mod listeners;
mod metrics;
pub(crate) mod preface;
mod socket;
mod tighten;
mod tls;
pub(crate) mod transport;
pub(crate) mod worker;

pub use certificates::CertificateError;
pub use listeners::ListenError;
pub use socket::Inherited;
pub use tls::TlsError;

pub(crate) use client_info::ClientInfo;
pub(crate) use listeners::{Ingress, Prepared};
pub(crate) use metrics::{INGRESS, IngressMeters};
pub(crate) use worker::Serve;
