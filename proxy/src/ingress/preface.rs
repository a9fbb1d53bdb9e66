//! What comes before the first request: the PROXY header of a balancer, and TLS.

use super::client_info::ClientInfo;
use super::listener::ListenerState;
use super::tls;
use super::transport::Transport;
use crate::wire::proxy_header::{self, Ends, ProxyVerdict};
use bytes::{Buf, BytesMut};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// A connection on which the first request may come.
pub(crate) struct Opened {
    pub(crate) transport: Transport,
    /// What was read of it already.
    pub(crate) early: BytesMut,
    pub(crate) info: Arc<ClientInfo>,
    /// The client has chosen HTTP/2.
    pub(crate) is_http2: bool,
}

/// Gives the connection, unless it ended before.
pub(crate) async fn read(
    mut socket: TcpStream,
    peer: SocketAddr,
    announced: bool,
    listener: Arc<ListenerState>,
    leaving: watch::Receiver<bool>,
) -> Option<Opened> {
    let deadline = Instant::now() + listener.limits.header_timeout;
    says_something(&socket, deadline, &leaving).await?;
    let (named, early) = match announced {
        true => match announcement(&mut socket, deadline).await {
            Some(announcement) => announcement,
            None => {
                listener.counters.invalid_proxy_headers.add();
                return None;
            }
        },
        false => (None, BytesMut::new()),
    };
    let client = named.map_or(peer, |ends| ends.client);
    // A balancer that only names its client passes on what that client says about itself.
    let trusted = listener.trusts(client);
    let info_of = |listener, tls| {
        let info = ClientInfo::new(listener, client, trusted, tls);
        if let Some(ends) = named {
            info.learn_server(|| Ok(ends.server));
        }
        Arc::new(info)
    };
    let Some(state) = listener.tls.clone() else {
        let info = info_of(listener, None);
        let transport = Transport::Plain(socket);
        return Some(Opened { transport, early, info, is_http2: false });
    };
    if announced {
        says_something(&socket, deadline, &leaving).await?;
    }
    let accepting = Box::pin(timeout_at(deadline, state.accept(socket)));
    let Ok(Ok(stream)) = accepting.await else {
        listener.counters.handshake_failures.add();
        return None;
    };
    let is_http2 = tls::chose_h2(&stream);
    let info = info_of(listener, Some(tls::visit_of(&stream)));
    let transport = Transport::Tls(Box::new(stream));
    // What follows the announcement is read by TLS alone.
    Some(Opened { transport, early: BytesMut::new(), info, is_http2 })
}

/// Waits for the next byte. A client that has said nothing yet holds nothing up: `None` says that the
/// thread is leaving.
async fn says_something(
    socket: &TcpStream,
    deadline: Instant,
    leaving: &watch::Receiver<bool>,
) -> Option<()> {
    let mut leaving = leaving.clone();
    tokio::select! {
        biased;
        // Whoever reads finds out that it came too late.
        _ = timeout_at(deadline, socket.readable()) => Some(()),
        _ = leaving.wait_for(|leaving| *leaving) => None,
    }
}

/// Whose connection it is, unless it is the balancer's own, and what was read beyond the PROXY header. `None`
/// when the header is invalid or does not come.
async fn announcement(
    socket: &mut TcpStream,
    deadline: Instant,
) -> Option<(Option<Ends>, BytesMut)> {
    // Read byte by byte past the fixed part: what follows belongs to TLS, which reads the socket.
    let mut bytes = BytesMut::with_capacity(128);
    loop {
        match proxy_header::parse(&bytes) {
            ProxyVerdict::Whole { length, ends } => {
                bytes.advance(length);
                return Some((ends, bytes));
            }
            ProxyVerdict::Invalid => return None,
            ProxyVerdict::Partial if bytes.len() >= proxy_header::MAX => return None,
            ProxyVerdict::Partial => {}
        }
        let mut limited = (&mut *socket).take(proxy_header::missing(&bytes) as u64);
        let read = timeout_at(deadline, limited.read_buf(&mut bytes)).await;
        if !matches!(read, Ok(Ok(1..))) {
            return None;
        }
    }
}
