//! A stream of HTTP/2 as pingora wants to have it.
//!
//! pingora's own session can only be had from pingora's own way of accepting, so this one is of the
//! kind that it leaves to others to make. It translates and decides nothing.

use crate::downstream::http2::stream::Stream;
use crate::ingress::ClientInfo;
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, request};
use pingora_core::protocols::Digest;
use pingora_core::protocols::http::HttpTask;
use pingora_core::protocols::http::body_buffer::FixedBuffer;
use pingora_core::protocols::http::custom::{CustomMessageWrite, server::Session};
use pingora_core::protocols::http::v1::client::http_req_header_to_wire;
use pingora_core::protocols::l4::socket::SocketAddr;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::{Error, ErrorType, OrErr, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use std::any::Any;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::timeout;

/// What is kept of a request's body, to be sent again: as much as pingora keeps of others.
const KEPT: usize = 64 * 1024;

type Messages = Box<dyn futures_util::Stream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>;

pub(crate) struct Http2Session {
    head: RequestHeader,
    stream: Stream,
    /// Who the client is.
    digest: Digest,
    written: Option<Box<ResponseHeader>>,
    /// No body belongs to the request, or all of it was read.
    empty: bool,
    read_whole: bool,
    received: usize,
    sent: usize,
    kept: Option<FixedBuffer>,
    write_timeout: Option<Duration>,
    drain_timeout: Option<Duration>,
}

impl Http2Session {
    pub(crate) fn new(head: request::Parts, stream: Stream) -> Self {
        let digest = Digest { proxy_digest: digest_of(&stream.info), ..Digest::default() };
        Self {
            empty: stream.is_empty(&head),
            head: head.into(),
            stream,
            digest,
            written: None,
            read_whole: false,
            received: 0,
            sent: 0,
            kept: None,
            write_timeout: None,
            drain_timeout: None,
        }
    }

    async fn write(&mut self, mut data: Bytes) -> Result<()> {
        while !data.is_empty() {
            let written = poll_fn(|cx| self.stream.poll_send(&mut data, cx)).await;
            self.sent += written.or_err(ErrorType::WriteError, "to a stream of HTTP/2")?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        self.stream.finish().or_err(ErrorType::WriteError, "at the end of a stream of HTTP/2")
    }

    /// Until the client has given the stream up.
    async fn given_up(&mut self) -> Box<Error> {
        poll_fn(|cx| match self.stream.watch(cx) {
            Ok(()) => Poll::Pending,
            Err(e) => Poll::Ready(Error::because(ErrorType::H2Error, "the client gave up", e)),
        })
        .await
    }
}

/// How the lane learns whose stream it is.
fn digest_of(info: &Arc<ClientInfo>) -> Option<Arc<ProxyDigest>> {
    let nothing = ResponseHeader::build(200, Some(0)).ok()?;
    let info: Box<dyn Any + Send + Sync> = Box::new(Arc::clone(info));
    Some(Arc::new(ProxyDigest::new(Box::new(nothing), Some(info))))
}

async fn within<T>(limit: Option<Duration>, work: impl Future<Output = Result<T>>) -> Result<T> {
    let Some(limit) = limit else { return work.await };
    timeout(limit, work).await.or_err(ErrorType::WriteTimedout, "on a stream of HTTP/2")?
}

#[async_trait]
impl Session for Http2Session {
    fn req_header(&self) -> &RequestHeader {
        &self.head
    }

    fn req_header_mut(&mut self) -> &mut RequestHeader {
        &mut self.head
    }

    async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        let Some(read) = poll_fn(|cx| self.stream.poll_body(cx)).await else {
            self.read_whole = true;
            return Ok(None);
        };
        let data = read.or_err(ErrorType::ReadError, "of a stream of HTTP/2")?;
        self.received += data.len();
        if let Some(kept) = &mut self.kept {
            kept.write_to_buffer(&data);
        }
        Ok(Some(data))
    }

    async fn drain_request_body(&mut self) -> Result<()> {
        let limit = self.drain_timeout;
        let drained = async {
            while !self.is_body_done() && self.read_body_bytes().await?.is_some() {}
            Ok(())
        };
        within(limit, drained).await
    }

    async fn write_response_header(&mut self, head: Box<ResponseHeader>, end: bool) -> Result<()> {
        if self.written.is_some() {
            return Ok(());
        }
        if head.status.is_informational() {
            self.stream.interim(head.status.as_u16(), &head.headers);
            let sent = poll_fn(|cx| self.stream.poll_interim(cx));
            return within(self.write_timeout, async {
                sent.await.or_err(ErrorType::WriteError, "to a stream of HTTP/2")
            })
            .await;
        }
        let sent = self.stream.answer(head.as_owned_parts(), (!end).then_some(None));
        sent.or_err(ErrorType::WriteError, "to a stream of HTTP/2")?;
        self.written = Some(head);
        Ok(())
    }

    async fn write_response_header_ref(&mut self, head: &ResponseHeader, end: bool) -> Result<()> {
        self.write_response_header(Box::new(head.clone()), end).await
    }

    async fn write_body(&mut self, data: Bytes, end: bool) -> Result<()> {
        if end {
            self.stream.ends_after(data.len());
        }
        within(self.write_timeout, self.write(data)).await?;
        if end { self.end() } else { Ok(()) }
    }

    async fn write_trailers(&mut self, trailers: HeaderMap) -> Result<()> {
        self.stream.trailers(trailers).or_err(ErrorType::WriteError, "trailers of HTTP/2")
    }

    async fn response_duplex_vec(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        let mut ended = false;
        for task in tasks {
            ended |= match task {
                HttpTask::Header(head, end) => {
                    self.write_response_header(head, end).await.map_err(|e| e.into_down())?;
                    end
                }
                HttpTask::Body(data, end) => {
                    let data = data.unwrap_or_default();
                    self.write_body(data, end).await.map_err(|e| e.into_down())?;
                    end
                }
                HttpTask::UpgradedBody(..) => {
                    return Error::e_explain(ErrorType::InternalError, "no stream is a tunnel");
                }
                HttpTask::Trailer(Some(trailers)) => {
                    self.write_trailers(*trailers).await.map_err(|e| e.into_down())?;
                    true
                }
                HttpTask::Trailer(None) | HttpTask::Done => true,
                HttpTask::Failed(e) => return Err(e),
            };
        }
        if ended {
            self.end().map_err(|e| e.into_down())?;
        }
        Ok(ended)
    }

    fn set_read_timeout(&mut self, _timeout: Option<Duration>) {}

    fn get_read_timeout(&self) -> Option<Duration> {
        None
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.write_timeout = timeout;
    }

    fn get_write_timeout(&self) -> Option<Duration> {
        self.write_timeout
    }

    fn set_total_drain_timeout(&mut self, timeout: Option<Duration>) {
        self.drain_timeout = timeout;
    }

    fn get_total_drain_timeout(&self) -> Option<Duration> {
        self.drain_timeout
    }

    fn request_summary(&self) -> String {
        format!("{} {}", self.head.method, self.head.uri.path())
    }

    fn response_written(&self) -> Option<&ResponseHeader> {
        self.written.as_deref()
    }

    async fn shutdown(&mut self, _code: u32, _why: &str) {
        self.stream.cut();
    }

    fn is_body_done(&mut self) -> bool {
        self.empty || self.read_whole || self.stream.is_read()
    }

    async fn finish(&mut self) -> Result<()> {
        self.end()
    }

    fn is_body_empty(&mut self) -> bool {
        self.empty
    }

    async fn read_body_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        if no_body_expected || self.is_body_done() {
            return Err(self.given_up().await);
        }
        self.read_body_bytes().await
    }

    fn body_bytes_sent(&self) -> usize {
        self.sent
    }

    fn body_bytes_read(&self) -> usize {
        self.received
    }

    fn digest(&self) -> Option<&Digest> {
        Some(&self.digest)
    }

    fn digest_mut(&mut self) -> Option<&mut Digest> {
        Some(&mut self.digest)
    }

    fn client_addr(&self) -> Option<&SocketAddr> {
        None
    }

    fn server_addr(&self) -> Option<&SocketAddr> {
        None
    }

    fn pseudo_raw_h1_request_header(&self) -> Bytes {
        http_req_header_to_wire(&self.head).unwrap_or_default().freeze()
    }

    fn enable_retry_buffering(&mut self) {
        self.kept.get_or_insert_with(|| FixedBuffer::new(KEPT));
    }

    fn retry_buffer_truncated(&self) -> bool {
        self.kept.as_ref().is_some_and(FixedBuffer::is_truncated)
    }

    fn get_retry_buffer(&self) -> Option<Bytes> {
        self.kept.as_ref().filter(|kept| !kept.is_truncated()).and_then(FixedBuffer::get_buffer)
    }

    async fn finish_custom(&mut self) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_reader(&mut self) -> Option<Messages> {
        None
    }

    fn restore_custom_message_reader(&mut self, _reader: Messages) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_writer(&mut self) -> Option<Box<dyn CustomMessageWrite>> {
        None
    }

    fn restore_custom_message_writer(
        &mut self,
        _writer: Box<dyn CustomMessageWrite>,
    ) -> Result<()> {
        Ok(())
    }
}
