//! Messages over a WebSocket: one is sent, and the next that comes is its answer.
//!
//! Which version a socket belongs to was decided when it was opened, with the cookies of whoever
//! opened it; so a socket is only ever lent to requests with the same cookies.

use super::connection::{Answer, Envelope, Sender, message};
use super::version::VersionBy;
use crate::mix::Request;
use crate::record::Ended;
use futures_util::{SinkExt, StreamExt};
use hyper::StatusCode;
use hyper::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::Role;

#[derive(Debug)]
pub(super) struct Socket {
    stream: WebSocketStream<TokioIo<Upgraded>>,
    /// As the answer to the handshake says it.
    version: Option<Arc<str>>,
    /// Of the handshake's answer, until somebody has taken them.
    pub(super) set_cookies: Vec<String>,
}

/// Handshake on a fresh connection. An answer other than 101 is what the request ended with.
pub(super) async fn open(
    mut sender: Sender,
    request: &Request,
    envelope: &Envelope<'_>,
    version_by: &VersionBy,
) -> Result<Socket, Ended> {
    let Sender::Http1(http1) = &mut sender else { return Err(Ended::Invalid) };
    let asked = Request { body: Vec::new(), ..Request::get(&request.path) };
    let mut asked = message(&asked, envelope, false)?;
    let headers = asked.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    let key = HeaderValue::from_str(&generate_key()).map_err(|_| Ended::Invalid)?;
    headers.insert(SEC_WEBSOCKET_KEY, key);
    let answer = http1.send_request(asked).await.map_err(|_| Ended::Broken)?;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(Ended::Status(answer.status().as_u16()));
    }
    let set_cookies = super::connection::set_cookies(answer.headers());
    let version = version_by.of(answer.headers(), &set_cookies, None);
    let upgraded = hyper::upgrade::on(answer).await.map_err(|_| Ended::Broken)?;
    let stream = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await;
    Ok(Socket { stream, version, set_cookies })
}

impl Socket {
    /// Sends the request's body, or its path when there is none.
    pub(super) async fn exchange(
        &mut self,
        request: &Request,
        version_by: &VersionBy,
    ) -> Result<Answer, Ended> {
        let sent = match request.body.is_empty() {
            true => Message::text(request.path.as_str()),
            false => Message::binary(request.body.clone()),
        };
        self.stream.send(sent).await.map_err(|_| Ended::Broken)?;
        loop {
            let said = match self.stream.next().await {
                Some(Ok(message)) => message,
                Some(Err(_)) | None => return Err(Ended::Broken),
            };
            match said {
                Message::Text(_) | Message::Binary(_) => return Ok(self.answer(&said, version_by)),
                Message::Close(_) => return Err(Ended::Broken),
                // Pings are answered by the next read.
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    fn answer(&mut self, said: &Message, version_by: &VersionBy) -> Answer {
        let bytes = said.clone().into_data();
        let told = version_by.wants_body().then(|| version_by.of_body(&bytes)).flatten();
        Answer {
            status: StatusCode::SWITCHING_PROTOCOLS.as_u16(),
            version: told.or_else(|| self.version.clone()),
            set_cookies: std::mem::take(&mut self.set_cookies),
        }
    }
}
