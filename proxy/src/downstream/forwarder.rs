//! What takes requests and carries them: one for each thread, behind every connection of it.

use crate::accesslog::AccessLog;
use crate::buffer;
use crate::downstream::connection::Connection;
use crate::ingress::Serve;
use crate::ingress::accept::OpenConnection;
use crate::ingress::client_info::ClientInfo;
use crate::plane::Plane;
use crate::request::scratch;
use crate::upstream::conn;
use crate::wire::refusal::Refusal;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;
use tokio::net::TcpStream;

pub(crate) struct Forwarder {
    pub(crate) plane: Arc<Plane>,
    pub(crate) log: AccessLog,
    closing: AtomicBool,
}

impl Forwarder {
    pub(crate) fn new(plane: Arc<Plane>, log: AccessLog) -> Self {
        Self { plane, log, closing: AtomicBool::new(false) }
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Relaxed)
    }

    /// A request whose head is refused still leaves a line in the access log.
    pub(crate) fn note_refusal(&self, info: &ClientInfo, refusal: Refusal, head: &[u8]) {
        self.log.refused(info.ip(), refusal, head);
    }
}

impl Serve for Forwarder {
    fn serve(
        socket: TcpStream,
        peer: SocketAddr,
        open: OpenConnection<Self>,
    ) -> impl Future<Output = ()> + Send + 'static {
        Connection::begin(socket, peer, open)
    }

    fn close(&self) {
        self.closing.store(true, Relaxed);
    }

    fn sweep(&self) {
        conn::sweep(Instant::now());
        super::sweep();
        scratch::sweep();
        buffer::sweep();
    }
}
