//! How clients get in: sockets, PROXY protocol, TLS, limits, and the guard that reads every
//! HTTP/1 head before a lane does.

mod accept;
pub mod authority;
mod body;
mod buffer;
mod certificates;
pub mod chunks;
mod connection;
mod fields;
mod frames;
mod h2;
pub mod head;
mod link;
mod listener;
mod listeners;
mod metrics;
pub mod proxy_header;
pub mod refusal;
mod replay;
mod signals;
mod socket;
mod stream;
mod timing;
mod tls;
mod transport;
mod visit;
mod worker;

pub use certificates::CertificateError;
pub use listeners::ListenError;
pub use socket::Inherited;
pub use tls::TlsError;

pub(crate) use authority::host as host_of;
pub(crate) use authority::is_valid as is_valid_authority;
pub(crate) use buffer::Buffer;
pub(crate) use link::{Link, poll_write, rest_of};
pub(crate) use listeners::{Ingress, Prepared};
pub(crate) use metrics::IngressCollector;
pub(crate) use refusal::Refusal;
pub(crate) use signals::{Signals, StreamFault};
pub(crate) use stream::ClientStream;
pub(crate) use timing::BodyPace;
pub(crate) use visit::Visit;
