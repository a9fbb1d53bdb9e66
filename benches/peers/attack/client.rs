//! A client that holds what it has asked for.

use super::http2::{self, Connection};
use super::{STREAMS, Shape};
use std::error::Error;
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

pub(super) type Outcome<T = ()> = Result<T, Box<dyn Error>>;

pub(super) struct Client {
    port: u16,
    tls: tokio_rustls::TlsConnector,
}

/// An open connection. Its end is the client's leaving.
pub(super) enum Held {
    Http1 { _socket: TcpStream, sent: usize },
    Http2(Connection),
}

impl Held {
    pub(super) fn sent(&self) -> usize {
        match self {
            Self::Http1 { sent, .. } => *sent,
            Self::Http2(connection) => connection.sent(),
        }
    }

    pub(super) fn under_way(&self) -> usize {
        match self {
            Self::Http1 { .. } => 1,
            Self::Http2(connection) => connection.under_way(),
        }
    }
}

impl Client {
    pub(super) fn of(port: u16, certificate: &Path) -> Outcome<Self> {
        Ok(Self { port, tls: crate::messages::tls(&certificate.to_string_lossy())? })
    }

    /// One request as anybody makes it.
    pub(super) async fn warm(&self, shape: Shape) -> Outcome {
        match shape {
            Shape::UnreadHttp1 | Shape::HalfPostsHttp1 => {
                let mut socket = self.socket().await?;
                socket
                    .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    .await?;
                let mut answer = Vec::new();
                socket.read_to_end(&mut answer).await?;
                if answer.starts_with(b"HTTP/1.1 200") { Ok(()) } else { Err("no 200".into()) }
            }
            Shape::Unread { .. } | Shape::Hpack { .. } | Shape::HalfPosts => {
                let connection = Connection::open(self.secure().await?, 65_535).await?;
                connection.send(&http2::get(1, "/", 0, 0)).await;
                connection.answered().await
            }
        }
    }

    pub(super) async fn attack(&self, shape: Shape) -> Outcome<Held> {
        let http1 = match shape {
            Shape::UnreadHttp1 => Some(b"GET /half HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
            Shape::HalfPostsHttp1 => {
                let head =
                    b"POST /take HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8192\r\n\r\n";
                Some([head.as_slice(), &[b'x'; 4096]].concat())
            }
            Shape::Unread { .. } | Shape::Hpack { .. } | Shape::HalfPosts => None,
        };
        if let Some(request) = http1 {
            let mut socket = self.socket().await?;
            socket.write_all(&request).await?;
            return Ok(Held::Http1 { _socket: socket, sent: request.len() });
        }
        let window = match shape {
            Shape::Unread { window } => window,
            Shape::Hpack { .. } => 0,
            Shape::HalfPosts | Shape::UnreadHttp1 | Shape::HalfPostsHttp1 => 65_535,
        };
        let connection = Connection::open(self.secure().await?, window).await?;
        for number in 0..STREAMS {
            let stream = 1 + 2 * number;
            let frames = match shape {
                Shape::Hpack { bytes, references } => {
                    http2::get(stream, "/half", bytes, references)
                }
                Shape::HalfPosts => http2::half_post(stream),
                Shape::Unread { .. } | Shape::UnreadHttp1 | Shape::HalfPostsHttp1 => {
                    http2::get(stream, "/half", 0, 0)
                }
            };
            connection.send(&frames).await;
        }
        Ok(Held::Http2(connection))
    }

    /// With room for little, so that what is not read stays where it was.
    async fn socket(&self) -> Outcome<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(4096)?;
        Ok(socket.connect(([127, 0, 0, 1], self.port).into()).await?)
    }

    async fn secure(&self) -> Outcome<tokio_rustls::client::TlsStream<TcpStream>> {
        let socket = TcpStream::connect(("127.0.0.1", self.port)).await?;
        socket.set_nodelay(true)?;
        Ok(self.tls.connect("localhost".try_into()?, socket).await?)
    }
}
