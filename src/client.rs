//! A client of the admin API, over TCP or a unix socket: one connection per request.
//!
//! It blocks, because a command does one thing after the other. It knows nothing about what it
//! asks for; every answer that is no success becomes a [`Failure`] with the server's own words.

mod tls;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, HOST, HeaderName};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// Longer than the server gives itself for an answer.
const PATIENCE: Duration = Duration::from_secs(40);
const LARGEST_ANSWER: usize = 256 * 1024 * 1024;

/// Where an instance listens: `127.0.0.1:9901`, `http://…`, `https://…` or `unix:/run/serin/admin.sock`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp(String),
    /// HTTPS.
    Tls(String),
    Unix(PathBuf),
}

impl Address {
    /// Where a configuration that says nothing listens.
    pub(crate) fn usual() -> Self {
        Self::Tcp("127.0.0.1:9901".to_owned())
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self::Unix(path.strip_prefix("//").unwrap_or(path).into()));
        }
        let (of, host): (fn(String) -> Self, _) = match text.strip_prefix("https://") {
            Some(host) => (Self::Tls, host),
            None => (Self::Tcp, text.strip_prefix("http://").unwrap_or(text)),
        };
        let host = host.trim_end_matches('/');
        match host.rsplit_once(':') {
            Some((name, port)) if !name.is_empty() && port.parse::<u16>().is_ok() => {
                Ok(of(host.to_owned()))
            }
            Some(_) | None => {
                Err("write host:port, like 127.0.0.1:9901, or unix:/path/to/socket".into())
            }
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(host) => f.write_str(host),
            Self::Tls(host) => write!(f, "https://{host}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error("cannot reach Serin at {address}: {why}")]
    Unreachable { address: Address, why: String },
    #[error("{}", .0.words())]
    Refused(Box<Problem>),
    #[error("cannot read the token from {path:?}: {source}")]
    Token { path: PathBuf, source: std::io::Error },
    #[error("the answer is not what this version of serin understands: {0}")]
    Strange(String),
    /// What was asked for could mean several things, or none.
    #[error("{0}")]
    Unclear(String),
}

/// A refusal, as the server says it.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Problem {
    #[serde(rename = "type", default)]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) title: String,
    #[serde(default)]
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) detail: String,
}

impl Problem {
    fn words(&self) -> String {
        match (self.title.as_str(), self.detail.as_str()) {
            ("", "") => format!("the server answered {}", self.status),
            (title, "") => title.to_owned(),
            (_, detail) => detail.to_owned(),
        }
    }
}

/// What is sent beside method and path.
#[derive(Debug, Default)]
pub(crate) struct Ask {
    pub(crate) body: Option<Value>,
    pub(crate) if_match: Option<String>,
    pub(crate) key: Option<String>,
}

impl Ask {
    pub(crate) fn body(body: Value) -> Self {
        Self { body: Some(body), ..Self::default() }
    }
}

/// A success.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) etag: Option<String>,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body).map_err(|error| Failure::Strange(error.to_string()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

#[derive(Debug)]
pub(crate) struct Client {
    address: Address,
    /// Asked where nobody listens at the address.
    socket: Option<PathBuf>,
    token: Option<String>,
    /// The authorities to trust; without it, the system's.
    ca_file: Option<PathBuf>,
    runtime: tokio::runtime::Runtime,
}

impl Client {
    pub(crate) fn new(
        address: Address,
        token_file: Option<PathBuf>,
        ca_file: Option<PathBuf>,
    ) -> Result<Self, Failure> {
        let token = match token_file {
            Some(path) => match std::fs::read_to_string(&path) {
                Ok(text) => Some(text.trim().to_owned()),
                Err(source) => return Err(Failure::Token { path, source }),
            },
            None => None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::Unreachable {
            address: address.clone(),
            why: error.to_string(),
        })?;
        Ok(Self { address, socket: None, token, ca_file, runtime })
    }

    /// Where nobody listens at the address, a socket is tried. Whoever named an address means that one.
    pub(crate) fn or_socket(self, path: impl Into<PathBuf>) -> Self {
        Self { socket: Some(path.into()), ..self }
    }

    pub(crate) fn get(&self, path: &str) -> Result<Answer, Failure> {
        self.ask(Method::GET, path, Ask::default())
    }

    pub(crate) fn ask(&self, method: Method, path: &str, ask: Ask) -> Result<Answer, Failure> {
        let answer = self.exchange(method, path, ask)?;
        if (200..300).contains(&answer.status) {
            return Ok(answer);
        }
        let problem = serde_json::from_slice(&answer.body).unwrap_or_default();
        Err(Failure::Refused(Box::new(Problem { status: answer.status, ..problem })))
    }

    /// The answer, whatever its status.
    pub(crate) fn exchange(&self, method: Method, path: &str, ask: Ask) -> Result<Answer, Failure> {
        let request = self.request(method, path, ask)?;
        let whole = async {
            match tokio::time::timeout(PATIENCE, self.send(request)).await {
                Ok(answer) => answer,
                Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs()).into()),
            }
        };
        self.runtime.block_on(whole).map_err(|why| Failure::Unreachable {
            address: self.address.clone(),
            why: why.to_string(),
        })
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        ask: Ask,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let host = match &self.address {
            Address::Tcp(host) | Address::Tls(host) => host.as_str(),
            Address::Unix(_) => "localhost",
        };
        let mut request = Request::builder().method(method).uri(path).header(HOST, host);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(tag) = ask.if_match {
            request = request.header("if-match", tag);
        }
        if let Some(key) = ask.key {
            request = request.header(HeaderName::from_static("idempotency-key"), key);
        }
        let body = match ask.body {
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                body.to_string()
            }
            None => String::new(),
        };
        request.body(Full::from(body)).map_err(|error| Failure::Strange(error.to_string()))
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, Error> {
        match &self.address {
            Address::Tcp(host) => match TcpStream::connect(host).await {
                Ok(stream) => over(stream, request).await,
                Err(error) => match self.at_socket(&error).await? {
                    Some(stream) => over(stream, request).await,
                    None => Err(error.into()),
                },
            },
            Address::Tls(host) => {
                let stream = TcpStream::connect(host).await?;
                over(tls::connect(stream, host, self.ca_file.as_deref()).await?, request).await
            }
            Address::Unix(path) => over(UnixStream::connect(path).await?, request).await,
        }
    }

    /// The socket in place of an address at which nobody listens, if there is one.
    async fn at_socket(&self, error: &std::io::Error) -> Result<Option<UnixStream>, Error> {
        let refused = error.kind() == ErrorKind::ConnectionRefused;
        let Some(path) = self.socket.as_deref().filter(|_| refused) else { return Ok(None) };
        match UnixStream::connect(path).await {
            Ok(stream) => Ok(Some(stream)),
            Err(denied) if denied.kind() == ErrorKind::PermissionDenied => {
                let path = path.display();
                Err(format!("{error}, and {path} is not this user's to open; try again with sudo, or name the instance with --admin").into())
            }
            Err(_) => {
                Err(format!("{error}; is it running? --admin or SERIN_ADMIN says where it listens")
                    .into())
            }
        }
    }

    /// Waits without missing an interrupt: `false` when the operator wants to leave.
    pub(crate) fn pause(&self, time: Duration) -> bool {
        self.runtime.block_on(async {
            tokio::select! {
                () = tokio::time::sleep(time) => true,
                _ = tokio::signal::ctrl_c() => false,
            }
        })
    }
}

type Error = Box<dyn std::error::Error + Send + Sync>;

async fn over(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<Full<Bytes>>,
) -> Result<Answer, Error> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, LARGEST_ANSWER).collect().await?.to_bytes();
        let etag = head.headers.get(ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        Ok(Answer { status: head.status.as_u16(), etag, body })
    };
    tokio::pin!(exchange, connection);
    tokio::select! {
        answer = &mut exchange => answer,
        // The connection may end as soon as the answer is whole.
        ended = &mut connection => match ended {
            Ok(()) => exchange.await,
            Err(error) => Err(error.into()),
        },
    }
}

/// A name as one segment of a path.
pub(crate) fn segment(name: &str) -> String {
    let mut path = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                path.push(char::from(byte));
            }
            other => path.push_str(&format!("%{other:02X}")),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let tcp = |text: &str| Ok(Address::Tcp(text.to_owned()));
        assert_eq!("127.0.0.1:9901".parse(), tcp("127.0.0.1:9901"));
        assert_eq!("http://localhost:9901/".parse(), tcp("localhost:9901"));
        assert_eq!("[::1]:9901".parse(), tcp("[::1]:9901"));
        let unix: Result<Address, String> = Ok(Address::Unix("/run/s.sock".into()));
        assert_eq!("unix:/run/s.sock".parse(), unix);
        assert_eq!("unix:///run/s.sock".parse(), unix);
        let tls: Result<Address, String> = Ok(Address::Tls("serin.internal:9901".into()));
        assert_eq!("https://serin.internal:9901/".parse(), tls);
        for wrong in ["localhost", "https://x", ":9901", "x:99999", ""] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
    }

    /// An address at which nobody listens.
    fn nobody() -> Address {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        Address::Tcp(listener.local_addr().unwrap().to_string())
    }

    #[test]
    fn where_nobody_listens_the_socket_of_the_package_answers() {
        use std::io::{Read, Write};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let served = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1024]).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap();
        });
        let client = Client::new(nobody(), None, None).unwrap().or_socket(&path);
        assert_eq!(client.get("/v1/services").unwrap().text(), "{}");
        served.join().unwrap();
        let client =
            Client::new(nobody(), None, None).unwrap().or_socket(folder.path().join("none"));
        let says = client.get("/v1/services").unwrap_err().to_string();
        assert!(says.contains("--admin or SERIN_ADMIN says where it listens"), "{says}");
    }

    #[test]
    fn a_name_cannot_leave_its_segment() {
        assert_eq!(segment("checkout-1.a"), "checkout-1.a");
        assert_eq!(segment("a/b?c d"), "a%2Fb%3Fc%20d");
    }
}
