//! The life of one client connection: PROXY header, TLS, then requests until either side ends.
//!
//! A connection that waits for its next request is a task of this size and its client connection, and most
//! connections wait. What is needed while a request is carried, and what is rare, has its place on
//! the heap for that long.

use crate::downstream::forwarder::Forwarder;
use crate::downstream::http1::carry::After;
use crate::downstream::http1::connection::ClientConnection;
use crate::downstream::http1::exchange_pool::ExchangeFuture;
use crate::downstream::http1::waiting::{Next, Waiting};
use crate::downstream::http2;
use crate::ingress::accept::OpenConnection;
use crate::ingress::client_info::ClientInfo;
use crate::ingress::listener::ListenerState;
use crate::ingress::preface::{self, Opened};
use crate::ingress::transport::Transport;
use crate::ingress::worker::{TunnelOpen, Worker};
use crate::wire::refusal::Refusal;
use serin_config::model::ProxyProtocol;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::net::TcpStream;

/// Ends with the connection, and counts it out by then.
pub(crate) struct Connection {
    stage: Stage,
    admitted: OpenConnection<Forwarder>,
}

enum Stage {
    Waiting(Waiting),
    Exchange(ExchangeFuture),
    Tunnel {
        carrying: Pin<Box<dyn Future<Output = Box<ClientConnection>> + Send>>,
        _open: TunnelOpen,
    },
    /// All that is rare. It may give the connection back, for its next request.
    Elsewhere(Pin<Box<dyn Future<Output = Option<Box<ClientConnection>>> + Send>>),
    Over,
}

impl Connection {
    pub(crate) fn begin(
        socket: TcpStream,
        peer: SocketAddr,
        admitted: OpenConnection<Forwarder>,
    ) -> Self {
        let listener = Arc::clone(&admitted.listener);
        let trusted = listener.trusts(peer);
        let announced = listener.proxy_protocol == ProxyProtocol::V1V2 && trusted;
        let stage = if announced || listener.tls.is_some() {
            let worker = Arc::clone(&admitted.worker);
            Stage::Elsewhere(Box::pin(open(socket, peer, announced, listener, worker)))
        } else {
            let info = Arc::new(ClientInfo::new(listener, peer, trusted, None));
            let client = ClientConnection::new(Transport::Plain(socket), &[], info);
            Stage::Waiting(Waiting::new(Box::new(client)))
        };
        Self { stage, admitted }
    }
}

impl Future for Connection {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { stage, admitted } = &mut *self;
        loop {
            *stage = match stage {
                Stage::Waiting(waiting) => {
                    let next = ready!(waiting.poll(&admitted.worker, cx));
                    let Stage::Waiting(waiting) = std::mem::replace(stage, Stage::Over) else {
                        return Poll::Ready(());
                    };
                    begin(next, waiting.client, &admitted.worker)
                }
                Stage::Exchange(carrying) => match ready!(Pin::new(carrying).poll(cx)) {
                    (client, After::Kept) => Stage::Waiting(Waiting::new(client)),
                    (client, After::Closed) => {
                        Stage::Elsewhere(Box::pin(close(client, Vec::new())))
                    }
                    (client, After::Switched(switched)) => {
                        let forwarder = Arc::clone(&admitted.worker.serve);
                        let _open = admitted.worker.tunnel_began();
                        let carrying = Box::pin(forwarder.tunnel(client, *switched));
                        Stage::Tunnel { carrying, _open }
                    }
                    (_, After::Done | After::Cut) => Stage::Over,
                },
                Stage::Tunnel { carrying, .. } => {
                    let client = ready!(carrying.as_mut().poll(cx));
                    Stage::Elsewhere(Box::pin(close(client, Vec::new())))
                }
                Stage::Elsewhere(doing) => match ready!(doing.as_mut().poll(cx)) {
                    Some(client) => Stage::Waiting(Waiting::new(client)),
                    None => Stage::Over,
                },
                Stage::Over => return Poll::Ready(()),
            }
        }
    }
}

/// Waits for what comes before the first request. A connection of HTTP/2 is served to its end.
async fn open(
    socket: TcpStream,
    peer: SocketAddr,
    announced: bool,
    listener: Arc<ListenerState>,
    worker: Arc<Worker<Forwarder>>,
) -> Option<Box<ClientConnection>> {
    let leaving = worker.leaving.clone();
    let opened = preface::read(socket, peer, announced, listener, leaving).await?;
    let Opened { transport, early, info, is_http2 } = opened;
    if is_http2 {
        Box::pin(http2::connection::serve(transport, info, &worker)).await;
        return None;
    }
    Some(Box::new(ClientConnection::new(transport, &early, info)))
}

fn begin(next: Next, client: Box<ClientConnection>, worker: &Arc<Worker<Forwarder>>) -> Stage {
    match next {
        Next::Request(request) => Stage::Exchange(worker.serve.carry(client, request)),
        Next::Refused(refusal) => {
            let counters = &client.info.listener.counters;
            counters.refused_heads.add();
            if refusal == Refusal::HeadTooSlow {
                counters.slow_heads.add();
            }
            worker.serve.note_refusal(&client.info, refusal, client.input.bytes());
            Stage::Elsewhere(Box::pin(close(client, refusal.answer())))
        }
        Next::End => Stage::Over,
    }
}

async fn close(client: Box<ClientConnection>, last: Vec<u8>) -> Option<Box<ClientConnection>> {
    // It holds nothing else meanwhile.
    let ClientConnection { transport, .. } = *client;
    transport.close(&last).await;
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten thousand clients that wait are ten thousand of each of these. The runtime adds about a
    /// hundred bytes to a task, and gives it a power of two from there.
    #[test]
    fn a_connection_that_waits_holds_nothing_of_a_request() {
        assert!(size_of::<Connection>() <= 144, "{}", size_of::<Connection>());
        assert!(size_of::<ClientConnection>() <= 192, "{}", size_of::<ClientConnection>());
        assert!(size_of::<ClientInfo>() <= 128, "{}", size_of::<ClientInfo>());
    }
}
