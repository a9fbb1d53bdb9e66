//! A new connection to an endpoint, within the time that the service gives it.

use super::http2::{self, Making, Shared, Stream, Turn};
use super::tls::Session;
use super::{Conn, Io, Purpose};
use crate::exhaustion::{Descriptors, Lack};
use crate::upstream::{Endpoint, failure_of_io};
use serin_core::outcome::{Failure, TlsFault};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Which HTTP a connection is to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// What its version says, or the endpoint chooses.
    Usual,
    /// HTTP/1.1, where the endpoint may choose.
    Http1,
    Http2,
}

/// What a handshake has led to.
enum Made {
    Own(Io),
    Shared(Arc<Shared>),
}

impl Made {
    fn conn(self, to: &Arc<Endpoint>, purpose: Purpose<'_>) -> Conn {
        match self {
            Self::Own(io) => Conn::http1(io, false),
            Self::Shared(shared) => Conn::http2(http2::share(to, purpose, shared)),
        }
    }
}

/// Connects, and shakes hands where the endpoint wants TLS, within `patience`. An endpoint that may choose
/// its protocol does not where it is to be `http1`.
pub(crate) async fn connect(
    to: &Arc<Endpoint>,
    purpose: Purpose<'_>,
    http1: bool,
    patience: Duration,
) -> Result<Conn, Failure> {
    let connected = tokio::time::timeout(patience, async {
        if http1 && to.may_choose() {
            let made = open(to, purpose, Speaks::Http1, &mut None).await;
            made.map(|made| made.conn(to, purpose))
        } else if to.speaks_http2() {
            shared(to, purpose).await
        } else {
            made(to, purpose, &mut None).await
        }
    });
    connected.await.unwrap_or(Err(Failure::ConnectTimeout))
}

/// A connection that nobody else gets, and that says nothing about the endpoint's next.
pub(crate) async fn connect_alone(
    to: &Endpoint,
    purpose: Purpose<'_>,
    speaks: Speaks,
    patience: Duration,
) -> Result<Conn, Failure> {
    let mut nobody_waits = None;
    let made = tokio::time::timeout(patience, open(to, purpose, speaks, &mut nobody_waits));
    Ok(match made.await.unwrap_or(Err(Failure::ConnectTimeout))? {
        Made::Own(io) => Conn::http1(io, false),
        Made::Shared(shared) => Conn::http2(Stream::alone(&shared)),
    })
}

/// Whether the endpoint can be connected to.
pub(crate) async fn try_to_connect(to: &Endpoint, patience: Duration) -> Result<(), Failure> {
    let made = tokio::time::timeout(patience, dial(to, Purpose::Own, Speaks::Usual));
    made.await.unwrap_or(Err(Failure::ConnectTimeout)).map(drop)
}

/// One that this request makes for all who wait, or waits for.
async fn shared(to: &Arc<Endpoint>, purpose: Purpose<'_>) -> Result<Conn, Failure> {
    loop {
        match http2::turn(to, purpose) {
            Turn::Own(making) => {
                let mut making = Some(making);
                let made = made(to, purpose, &mut making).await;
                if let (Err(failure), Some(making)) = (&made, &making) {
                    making.failed(*failure);
                }
                return made;
            }
            Turn::Others(mut making) => {
                let _made = making.changed().await;
                if let Some(failure) = *making.borrow() {
                    return Err(failure);
                }
                if let Some(stream) = http2::lend(purpose.key(to)) {
                    return Ok(Conn::http2(stream));
                }
                if !to.speaks_http2() {
                    return self::made(to, purpose, &mut None).await;
                }
            }
        }
    }
}

async fn made(
    to: &Arc<Endpoint>,
    purpose: Purpose<'_>,
    making: &mut Option<Making>,
) -> Result<Conn, Failure> {
    let made = open(to, purpose, Speaks::Usual, making).await?;
    to.note_http2(matches!(made, Made::Shared(_)));
    Ok(made.conn(to, purpose))
}

async fn open(
    to: &Endpoint,
    purpose: Purpose<'_>,
    speaks: Speaks,
    making: &mut Option<Making>,
) -> Result<Made, Failure> {
    let (io, http2) = dial(to, purpose, speaks).await?;
    if !http2 {
        return Ok(Made::Own(io));
    }
    http2::shake(io, to.configured.tls, making).await.map(Made::Shared)
}

/// Says also whether it is to speak HTTP/2.
async fn dial(to: &Endpoint, purpose: Purpose<'_>, speaks: Speaks) -> Result<(Io, bool), Failure> {
    let mut socket = socket(to.address).await?;
    if let Some(header) = purpose.header(to) {
        socket.write_all(&header).await.map_err(|error| failure_of_io(&error))?;
    }
    if !to.configured.tls {
        return Ok((Io::Plain(socket), speaks == Speaks::Http2 || to.speaks_http2()));
    }
    let Some(tls) = &to.tls else { return Err(Failure::Tls(TlsFault::Other)) };
    let Session { stream, http2 } = tls.shake(socket, speaks).await?;
    Ok((Io::Tls(stream), http2))
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
