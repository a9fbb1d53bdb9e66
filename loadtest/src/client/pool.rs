//! The connections of one run. At most so many exchanges are under way; more wait in the order
//! in which they came, and their waiting is part of their latency.

use super::connection::{Answer, Envelope, Sender, connect, exchange};
use super::socket::{self, Socket};
use super::version::VersionBy;
use crate::mix::Request;
use crate::record::Ended;
use crate::target::{Protocol, Target};
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

#[derive(Debug)]
pub struct Pool {
    target: Target,
    protocol: Protocol,
    tls: Option<Arc<rustls::ClientConfig>>,
    headers: Vec<(String, String)>,
    version_by: VersionBy,
    timeout: Duration,
    /// A connection for every request, none kept.
    fresh: bool,
    permits: Semaphore,
    idle: RefCell<Vec<Sender>>,
    /// WebSockets, with the cookies that they were opened with.
    sockets: RefCell<Vec<(Option<String>, Socket)>>,
    most: usize,
    /// HTTP/2 connections, each lent to many at once, and whose turn it is.
    shared: Vec<tokio::sync::Mutex<Option<hyper::client::conn::http2::SendRequest<Body>>>>,
    turn: Cell<usize>,
    pub opened: Cell<u64>,
}

type Body = http_body_util::Full<bytes::Bytes>;

#[derive(Debug, Clone)]
pub struct PoolOptions {
    pub connections: usize,
    /// Per HTTP/2 connection.
    pub streams: usize,
    pub timeout: Duration,
    pub fresh: bool,
}

impl Pool {
    pub fn new(
        target: Target,
        protocol: Protocol,
        tls: Option<Arc<rustls::ClientConfig>>,
        headers: Vec<(String, String)>,
        version_by: VersionBy,
        options: &PoolOptions,
    ) -> Self {
        let (shared, permits) = match protocol {
            Protocol::Http2 => (options.connections, options.connections * options.streams),
            Protocol::Http1 | Protocol::WebSocket => (0, options.connections),
        };
        Self {
            target,
            protocol,
            tls,
            headers,
            version_by,
            timeout: options.timeout,
            fresh: options.fresh,
            permits: Semaphore::new(permits),
            idle: RefCell::default(),
            sockets: RefCell::default(),
            most: options.connections,
            shared: (0..shared).map(|_| tokio::sync::Mutex::new(None)).collect(),
            turn: Cell::new(0),
            opened: Cell::new(0),
        }
    }

    /// Waits for a place; then `sent` is called, and the exchange has `timeout` to end.
    pub async fn ask(
        &self,
        request: &Request,
        cookies: Option<String>,
        sent: impl FnOnce(),
    ) -> Result<Answer, Ended> {
        let Ok(_permit) = self.permits.acquire().await else { return Err(Ended::Connect) };
        sent();
        let envelope =
            Envelope { authority: &self.target.authority, headers: &self.headers, cookies };
        match tokio::time::timeout(self.timeout, self.try_once(request, &envelope)).await {
            Ok(result) => result,
            Err(_) => Err(Ended::Timeout),
        }
    }

    async fn try_once(&self, request: &Request, envelope: &Envelope<'_>) -> Result<Answer, Ended> {
        if self.protocol == Protocol::WebSocket {
            return self.one_message(request, envelope).await;
        }
        let mut sender = self.sender().await.map_err(|_| Ended::Connect)?;
        let answer = exchange(&mut sender, request, envelope, &self.version_by).await?;
        if let Sender::Http1(http1) = &sender
            && !self.fresh
            && !http1.is_closed()
        {
            self.idle.borrow_mut().push(sender);
        }
        Ok(answer)
    }

    async fn one_message(
        &self,
        request: &Request,
        envelope: &Envelope<'_>,
    ) -> Result<Answer, Ended> {
        let mut socket = match self.take_socket(envelope.cookies.as_ref()) {
            Some(socket) => socket,
            None => {
                let sender = self.open().await.map_err(|_| Ended::Connect)?;
                socket::open(sender, request, envelope, &self.version_by).await?
            }
        };
        let answer = socket.exchange(request, &self.version_by).await?;
        // Whoever was given a cookie comes back with it, and then needs a socket of its own.
        if !self.fresh && answer.set_cookies.is_empty() {
            self.keep_socket(envelope.cookies.clone(), socket);
        }
        Ok(answer)
    }

    fn take_socket(&self, cookies: Option<&String>) -> Option<Socket> {
        let mut sockets = self.sockets.borrow_mut();
        let at = sockets.iter().rposition(|(of, _)| of.as_ref() == cookies)?;
        Some(sockets.swap_remove(at).1)
    }

    /// The one that has been idle for longest gives way.
    fn keep_socket(&self, cookies: Option<String>, socket: Socket) {
        let mut sockets = self.sockets.borrow_mut();
        if sockets.len() >= self.most {
            sockets.remove(0);
        }
        sockets.push((cookies, socket));
    }

    async fn sender(&self) -> std::io::Result<Sender> {
        match self.protocol {
            Protocol::Http1 | Protocol::WebSocket => {
                while let Some(mut sender) = self.take_idle() {
                    if let Sender::Http1(http1) = &mut sender
                        && http1.ready().await.is_ok()
                    {
                        return Ok(sender);
                    }
                }
                self.open().await
            }
            Protocol::Http2 => self.lend().await,
        }
    }

    fn take_idle(&self) -> Option<Sender> {
        self.idle.borrow_mut().pop()
    }

    async fn open(&self) -> std::io::Result<Sender> {
        self.opened.set(self.opened.get() + 1);
        connect(&self.target, self.protocol, self.tls.as_ref()).await
    }

    async fn lend(&self) -> std::io::Result<Sender> {
        let turn = self.turn.get();
        self.turn.set((turn + 1) % self.shared.len());
        let mut slot = self.shared[turn].lock().await;
        if let Some(sender) = slot.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(Sender::Http2(sender.clone()));
        }
        let opened = self.open().await?;
        if let Sender::Http2(sender) = &opened {
            *slot = Some(sender.clone());
        }
        Ok(opened)
    }
}
