//! What pingora asks of a stream besides its bytes. Most of it is known elsewhere, and better.

use super::{ClientStream, Mode};
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    TimingDigest, UniqueID, UniqueIDType,
};
use std::sync::Arc;
use tokio::io::AsyncWriteExt;

#[async_trait::async_trait]
impl Shutdown for ClientStream {
    async fn shutdown(&mut self) {
        let _ = AsyncWriteExt::shutdown(self).await;
    }
}

impl UniqueID for ClientStream {
    fn id(&self) -> UniqueIDType {
        self.transport.fd()
    }
}

impl Ssl for ClientStream {
    fn selected_alpn_proto(&self) -> Option<ALPN> {
        matches!(self.mode, Mode::Frames(_)).then_some(ALPN::H2)
    }
}

impl GetTimingDigest for ClientStream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for ClientStream {
    /// How a lane of HTTP/2, which never sees this stream, learns who its client is.
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        let Mode::Frames(_) = self.mode else { return None };
        let nothing = pingora_http::ResponseHeader::build(200, Some(0)).ok()?;
        let visit: Box<dyn std::any::Any + Send + Sync> = Box::new(self.visit.clone());
        Some(Arc::new(ProxyDigest::new(Box::new(nothing), Some(visit))))
    }
}

impl GetSocketDigest for ClientStream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        None
    }
}

impl Peek for ClientStream {}
