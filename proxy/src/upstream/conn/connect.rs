//! A new connection to an endpoint, within the time that the service gives it.

use super::tls::{Offer, Session};
use super::{Conn, Io};
use crate::exhaustion::{Descriptors, Lack};
use crate::upstream::{Endpoint, Spoken, failure_of_io};
use serin_core::outcome::{Failure, TlsFault};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::Duration;
use tokio::net::TcpStream;

/// Connects, and shakes hands where the endpoint wants TLS, within `patience`. Says which protocol the
/// endpoint chose where it was given a choice. One that chooses HTTP/2 is asked once more without it.
pub(crate) async fn connect(
    to: &Endpoint,
    patience: Duration,
) -> Result<(Conn, Option<Spoken>), Failure> {
    let connected = tokio::time::timeout(patience, open(to));
    connected.await.unwrap_or(Err(Failure::ConnectTimeout))
}

/// Which protocol an endpoint chooses that has the choice.
pub(crate) async fn chosen(to: &Endpoint, patience: Duration) -> Result<Spoken, Failure> {
    let asked = tokio::time::timeout(patience, async {
        let tls = to.tls.as_ref().ok_or(Failure::Tls(TlsFault::Other))?;
        let session = tls.shake(socket(to.address).await?, Offer::Either).await?;
        Ok(if session.http2 { Spoken::Http2 } else { Spoken::Http1 })
    });
    asked.await.unwrap_or(Err(Failure::ConnectTimeout))
}

async fn open(to: &Endpoint) -> Result<(Conn, Option<Spoken>), Failure> {
    if !to.configured.tls {
        return Ok((Conn::new(Io::Plain(socket(to.address).await?), false), None));
    }
    let Some(tls) = &to.tls else { return Err(Failure::Tls(TlsFault::Other)) };
    let offer = if tls.has_choice() { Offer::Either } else { Offer::Http1 };
    let Session { stream, http2 } = tls.shake(socket(to.address).await?, offer).await?;
    if !http2 {
        let spoken = tls.has_choice().then_some(Spoken::Http1);
        return Ok((Conn::new(Io::Tls(stream), false), spoken));
    }
    drop(stream);
    let Session { stream, .. } = tls.shake(socket(to.address).await?, Offer::Http1).await?;
    Ok((Conn::new(Io::Tls(stream), false), Some(Spoken::Http2)))
}

async fn socket(to: SocketAddr) -> Result<TcpStream, Failure> {
    let stream = TcpStream::connect(to).await.map_err(|error| failure_of_io(&error))?;
    if !Descriptors::of_this_process().may_be_an_endpoints(stream.as_raw_fd()) {
        Lack::Descriptors.tell();
        return Err(Failure::Exhausted);
    }
    // Without it the kernel holds small pieces back; nothing is lost where it cannot be set.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_is_connected_to_gets_small_pieces_at_once() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = socket(listener.local_addr().unwrap()).await.unwrap();
        assert!(stream.nodelay().unwrap());
    }
}
