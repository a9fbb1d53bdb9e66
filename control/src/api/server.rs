//! The admin address: accepting, bounding and draining connections.
//!
//! hyper serves each connection with a deadline for its head; a client that says nothing, or takes no
//! byte of its answer, is dropped, so neither slow readers nor slow writers hold a place for long. Who
//! has to go when there are too many is decided by `places`; accepting never waits for one.

use super::auth::Peer;
use super::seat::{Seat, Seats};
use super::stream::{Impatient, Stream};
use super::{Api, Reach, limits};
use axum::middleware::AddExtension;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serin_config::model::{Admin, AdminAddress};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket, UnixListener};
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;
use tower::Layer;

#[derive(Debug, Error)]
pub enum BindError {
    #[error(
        "admin.address {0} is reachable from outside and admin.tokens is empty: add a token, or listen on loopback or a unix socket"
    )]
    Open(SocketAddr),
    #[error("cannot listen on admin.address {address}: {source}")]
    Listen { address: String, source: std::io::Error },
    #[error("cannot listen on admin.probes.address {address}: {source}")]
    Probes { address: SocketAddr, source: std::io::Error },
    #[error(
        "the admin socket {0} that was passed may be opened by all, so everybody on this machine could change everything: give it SocketMode=0660 at most, or configure admin.tokens"
    )]
    Wide(PathBuf),
    #[error("another process answers on admin.address {0}")]
    Taken(PathBuf),
}

/// An address that accepts, and is not served yet.
#[derive(Debug)]
pub struct Bound {
    listener: Listener,
    /// Whatever `admin.tls` says.
    plain: bool,
}

#[derive(Debug)]
enum Listener {
    Tcp(TcpListener),
    Unix { listener: UnixListener, path: PathBuf },
}

/// What a server of the admin address is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serve {
    Accept,
    /// Connections wait to be accepted, here or by a process that takes over.
    Wait,
    /// Another process accepts from now on.
    HandedOver,
    Stop,
}

/// Takes over an admin address that another process has opened.
pub fn inherit(admin: &Admin, socket: OwnedFd) -> Result<Bound, BindError> {
    let failed = |source| BindError::Listen { address: "of the process before".to_owned(), source };
    let listener = match &admin.address {
        AdminAddress::Tcp(address) => {
            let listener = std::net::TcpListener::from(socket);
            listener.set_nonblocking(true).map_err(failed)?;
            // The socket may be bound elsewhere than the files say.
            refuse_open(admin, listener.local_addr().unwrap_or(*address))?;
            Listener::Tcp(TcpListener::from_std(listener).map_err(failed)?)
        }
        AdminAddress::Unix(path) => {
            let listener = std::os::unix::net::UnixListener::from(socket);
            listener.set_nonblocking(true).map_err(failed)?;
            let listener = UnixListener::from_std(listener).map_err(failed)?;
            let opened = listener.local_addr().map_err(failed)?;
            refuse_wide(admin, opened.as_pathname().unwrap_or(path))?;
            Listener::Unix { listener, path: path.clone() }
        }
    };
    Ok(Bound { listener, plain: false })
}

fn refuse_wide(admin: &Admin, path: &Path) -> Result<(), BindError> {
    match Reach::of_socket(path) {
        Reach::Everybody if admin.tokens.is_empty() => Err(BindError::Wide(path.to_owned())),
        Reach::Everybody | Reach::Machine | Reach::Network(_) => Ok(()),
    }
}

fn refuse_open(admin: &Admin, address: SocketAddr) -> Result<(), BindError> {
    match Reach::of(address) {
        Reach::Network(address) if admin.tokens.is_empty() => Err(BindError::Open(address)),
        Reach::Network(_) | Reach::Everybody | Reach::Machine => Ok(()),
    }
}

/// With a queue that a burst of connections does not fill: whoever waits in it is served at once, and
/// whoever finds it full tries again after a second.
fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    const QUEUE: u32 = 4096;
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE)
}

/// Opens an address for probes and metrics, which need no token. `socket` is that of a process before.
pub async fn bind_probes(address: SocketAddr, socket: Option<OwnedFd>) -> Result<Bound, BindError> {
    let failed = |source| BindError::Probes { address, source };
    let listener = match socket {
        Some(socket) => {
            let listener = std::net::TcpListener::from(socket);
            listener.set_nonblocking(true).map_err(failed)?;
            TcpListener::from_std(listener).map_err(failed)?
        }
        None => listen(address).map_err(failed)?,
    };
    Ok(Bound { listener: Listener::Tcp(listener), plain: true })
}

/// Opens the admin address. Refuses one that anybody could use.
pub async fn bind(admin: &Admin) -> Result<Bound, BindError> {
    let listener = match &admin.address {
        AdminAddress::Tcp(address) => {
            refuse_open(admin, *address)?;
            let listener = listen(*address)
                .map_err(|source| BindError::Listen { address: address.to_string(), source })?;
            Listener::Tcp(listener)
        }
        AdminAddress::Unix(path) => bind_unix(path).await?,
    };
    Ok(Bound { listener, plain: false })
}

/// The socket appears under its name only once nobody else can open it: it is made in a folder
/// that is ours alone, closed to others, and then moved.
async fn bind_unix(path: &Path) -> Result<Listener, BindError> {
    if tokio::net::UnixStream::connect(path).await.is_ok() {
        return Err(BindError::Taken(path.to_owned()));
    }
    let listener = private_socket(path).map_err(|source| BindError::Listen {
        address: format!("unix:{}", path.display()),
        source,
    })?;
    Ok(Listener::Unix { listener, path: path.to_owned() })
}

fn private_socket(path: &Path) -> std::io::Result<UnixListener> {
    use std::os::unix::fs::DirBuilderExt;
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let private = parent.join(format!(".serin-{}", std::process::id()));
    std::fs::DirBuilder::new().mode(0o700).create(&private)?;
    let made = (|| {
        let socket = private.join("s");
        let listener = UnixListener::bind(&socket)?;
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o600))?;
        std::fs::rename(&socket, path)?;
        Ok(listener)
    })();
    let _ = std::fs::remove_file(private.join("s"));
    let _ = std::fs::remove_dir(&private);
    made
}

impl Bound {
    /// As a client would write it: `127.0.0.1:9901` or `unix:/run/serin/admin.sock`.
    pub fn address(&self) -> String {
        match &self.listener {
            Listener::Tcp(listener) => match listener.local_addr() {
                Ok(address) => address.to_string(),
                Err(_) => "?".to_owned(),
            },
            Listener::Unix { path, .. } => format!("unix:{}", path.display()),
        }
    }

    /// Who can connect to it.
    pub fn reach(&self) -> Reach {
        match &self.listener {
            Listener::Tcp(listener) => match listener.local_addr() {
                Ok(address) => Reach::of(address),
                // Unknown is not safe.
                Err(_) => Reach::Network(SocketAddr::from(([0, 0, 0, 0], 0))),
            },
            // Its own is moved to its place; one that was passed lies where it was opened.
            Listener::Unix { listener, path } => match listener.local_addr() {
                Ok(opened) => match opened.as_pathname().filter(|opened| opened.exists()) {
                    Some(opened) => Reach::of_socket(opened),
                    None => Reach::of_socket(path),
                },
                Err(_) => Reach::of_socket(path),
            },
        }
    }

    /// The socket, for a process that takes over.
    pub fn socket(&self) -> std::io::Result<OwnedFd> {
        match &self.listener {
            Listener::Tcp(listener) => listener.as_fd().try_clone_to_owned(),
            Listener::Unix { listener, .. } => listener.as_fd().try_clone_to_owned(),
        }
    }

    /// Serves until it is told to stop, then lets what runs come to its end, for a few seconds.
    pub async fn serve(self, api: Api, what: watch::Receiver<Serve>) {
        let router = api.router();
        self.run(api, router, what).await;
    }

    /// The same for probes and metrics alone, in plain HTTP.
    pub async fn serve_probes(self, api: Api, what: watch::Receiver<Serve>) {
        let router = api.probes();
        self.run(api, router, what).await;
    }

    async fn run(self, api: Api, router: axum::Router, mut what: watch::Receiver<Serve>) {
        let seats = Seats::new(api.handle().tallies());
        let (open, mut all_closed) = mpsc::channel::<Infallible>(1);
        loop {
            let now = *what.borrow_and_update();
            let accepted = async {
                match now {
                    Serve::Accept => {}
                    Serve::Wait | Serve::HandedOver | Serve::Stop => std::future::pending().await,
                }
                self.listener.accept().await
            };
            let accepted = tokio::select! {
                accepted = accepted, if !over(now) => accepted,
                changed = what.changed(), if !over(now) => match changed {
                    Ok(()) => continue,
                    Err(_) => break,
                },
                else => break,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let Some((seat, lost)) = seats.take(peer) else { continue };
                    let tls = api.access().tls.clone().filter(|_| !self.plain);
                    let service = axum::Extension(peer).layer(router.clone());
                    let service = axum::Extension(seat).layer(service);
                    let served = connection(stream, tls, service, api.stopping());
                    let open = open.clone();
                    tokio::spawn(async move {
                        tokio::select! {
                            () = served => {}
                            _ = lost => {}
                        }
                        drop(open);
                    });
                }
                Err(error) => {
                    // Out of descriptors, most likely: trying at once would only spin.
                    tracing::warn!(%error, "the admin address cannot accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        api.inner.stopping.send_replace(true);
        drop(open);
        let _ = tokio::time::timeout(DRAIN, all_closed.recv()).await;
        if let Listener::Unix { path, .. } = &self.listener
            && *what.borrow() != Serve::HandedOver
        {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn over(what: Serve) -> bool {
    match what {
        Serve::Accept | Serve::Wait => false,
        Serve::HandedOver | Serve::Stop => true,
    }
}

const DRAIN: Duration = Duration::from_secs(5);

impl Listener {
    async fn accept(&self) -> std::io::Result<(Stream, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, remote) = listener.accept().await?;
                let local = stream.local_addr()?;
                stream.set_nodelay(true)?;
                Ok((Stream::Tcp(stream), Peer::Tcp { remote, local }))
            }
            Self::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                let uid = stream.peer_cred().ok().map(|peer| peer.uid());
                Ok((Stream::Unix(stream), Peer::Unix { uid }))
            }
        }
    }
}

type Guarded = AddExtension<AddExtension<axum::Router, Peer>, Arc<Seat>>;

async fn connection(
    stream: Stream,
    tls: Option<TlsAcceptor>,
    service: Guarded,
    stopping: impl Future<Output = ()>,
) {
    let Some(stream) = encrypted(stream, tls).await else { return };
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEAD_TIME)
        .max_buf_size(limits::MAX_HEAD)
        .serve_connection(TokioIo::new(Impatient::new(stream)), TowerToHyperService::new(service));
    let mut served = pin!(served);
    // A client's mistake or absence is not worth a line in the log.
    tokio::select! {
        _ = &mut served => {}
        () = stopping => {
            served.as_mut().graceful_shutdown();
            let _ = served.await;
        }
    }
}

/// After the handshake, where there is one. Who comes without TLS gets no answer.
async fn encrypted(stream: Stream, tls: Option<TlsAcceptor>) -> Option<Stream> {
    match (stream, tls) {
        (Stream::Tcp(stream), Some(tls)) => {
            let shaken = tokio::time::timeout(limits::HANDSHAKE, tls.accept(stream)).await;
            Some(Stream::Tls(Box::new(shaken.ok()?.ok()?)))
        }
        (stream @ (Stream::Tcp(_) | Stream::Unix(_) | Stream::Tls(_)), _) => Some(stream),
    }
}
