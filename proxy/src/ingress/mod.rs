//! How clients get in: sockets, PROXY protocol, TLS, limits, and the guard through which every HTTP/1
//! head goes before a lane sees it.

mod accept;
mod account;
mod body;
mod certificates;
mod client_connection;
mod client_info;
mod connection;
mod frames;
mod h2;
mod headers;
mod holders;
mod listener;
mod listeners;
mod metrics;
mod preface;
pub mod proxy_header;
mod replay;
mod signals;
mod socket;
mod stream;
mod tighten;
mod timing;
mod tls;
mod transport;
mod waiting;
mod worker;

pub use certificates::CertificateError;
pub use listeners::ListenError;
pub use socket::Inherited;
pub use tls::TlsError;

pub(crate) use account::Account;
pub(crate) use client_connection::{ClientConnection, poll_write, rest_of};
pub(crate) use client_info::ClientInfo;
pub(crate) use h2::OpenStream;
pub(crate) use listeners::{Ingress, Prepared};
pub(crate) use metrics::IngressCollector;
pub(crate) use signals::{Signals, StreamFault};
pub(crate) use stream::ClientStream;
pub(crate) use timing::BodyPace;
