//! pingora's proxy, forwarding as Serin is to forward: what Serin's own exchange is held against.
//!
//! It is a proxy of its own on a thread of its own, and is no part of Serin. The reading of request heads
//! is the one thing that both have in common, because pingora takes what Serin refuses: a request is
//! judged by [`guard`] before pingora reads a byte of it. What is decided about it afterwards is
//! written here once more, in [`forward`], by nobody's function but its own.

mod forward;
mod guard;

use forward::Forward;
use guard::Guarded;
use pingora_core::apps::HttpServerApp;
use pingora_core::protocols::http::ServerSession;
use pingora_core::server::configuration::ServerConf;
use pingora_proxy::{HttpProxy, http_proxy};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Forwards to `backend` for as long as the test's process lives, and says where it listens.
pub(super) fn start(backend: SocketAddr) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    std::thread::spawn(move || {
        let conf = ServerConf { threads: 1, max_retries: 16, ..ServerConf::default() };
        let proxy = Arc::new(http_proxy(&Arc::new(conf), Forward { backend }));
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((socket, client)) = listener.accept().await {
                socket.set_nodelay(true).unwrap();
                tokio::spawn(serve(Guarded::new(socket, client.ip()), Arc::clone(&proxy)));
            }
        });
    });
    address
}

/// One request after the other, until either side ends.
async fn serve(mut client: Guarded, proxy: Arc<HttpProxy<Forward>>) {
    let (_going, shutdown) = watch::channel(false);
    loop {
        match client.next_request().await {
            None => return,
            Some(Err(refusal)) => return client.close(&refusal).await,
            Some(Ok(())) => {}
        }
        let mut session = ServerSession::new_http1(Box::new(client));
        session.set_abort_on_close(false);
        let Some(reused) = proxy.process_new_http(session, &shutdown).await else { return };
        let (stream, _) = reused.consume();
        client = *stream.into_any().downcast::<Guarded>().unwrap();
        if !client.at_boundary() {
            return client.close(b"").await;
        }
    }
}
