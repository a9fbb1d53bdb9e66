//! Whether what came of a request speaks for or against the version that got it.

/// How one attempt on one version ended, as the data plane saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// A whole response. `grpc` is the `grpc-status` of a gRPC exchange, from its trailers or head;
    /// one that ended without it has [`GRPC_UNKNOWN`].
    Answered { status: u16, grpc: Option<u32> },
    /// The head was sent and the body broke off: reset, short, or without its last chunk.
    Truncated { status: u16 },
    /// An upgraded connection ended in good order. `close_code` is a WebSocket's, when one was
    /// seen. One that the version broke off is `Truncated`.
    Upgraded { close_code: Option<u16> },
    /// No connection, no answer, or an answer that is not HTTP.
    Failed(Failure),
    /// The client went away first.
    ClientAborted,
}

/// What gRPC makes of an exchange that says nothing about how it went.
pub const GRPC_UNKNOWN: u32 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Failure {
    /// Refused, unreachable, or unresolvable.
    Connect,
    /// Its TLS handshake failed.
    Tls(TlsFault),
    /// No connection in time.
    ConnectTimeout,
    /// The connection broke before a response head.
    Reset,
    /// No response head in time.
    Timeout,
    /// What came was not a valid response.
    Invalid,
    /// The version has no ready endpoint.
    NoEndpoint,
    /// This process has run out of descriptors, memory or ports: nobody else's fault.
    Exhausted,
}

/// What was wrong with an endpoint's TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TlsFault {
    /// No authority that is trusted has signed its certificate.
    UnknownIssuer,
    /// Its certificate is for another name.
    WrongName,
    /// Its certificate has expired, or is not valid yet.
    Expired,
    /// It does not speak TLS.
    NoTls,
    Other,
}

impl TlsFault {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownIssuer => "tlsUnknownIssuer",
            Self::WrongName => "tlsWrongName",
            Self::Expired => "tlsExpired",
            Self::NoTls => "tlsPlainText",
            Self::Other => "tlsHandshake",
        }
    }
}

impl std::fmt::Display for TlsFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::UnknownIssuer => "its certificate is signed by no authority that is trusted",
            Self::WrongName => "its certificate is for another name",
            Self::Expired => "its certificate has expired, or is not valid yet",
            Self::NoTls => "it does not speak TLS, which https:// asks for",
            Self::Other => "the TLS handshake failed",
        })
    }
}

impl Failure {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connectFailure",
            Self::ConnectTimeout => "connectTimeout",
            Self::Tls(fault) => fault.as_str(),
            Self::Reset => "reset",
            Self::Timeout => "timeout",
            Self::Invalid => "invalidResponse",
            Self::NoEndpoint => "noEndpoint",
            Self::Exhausted => "proxyExhausted",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    Good,
    Bad,
    /// Says nothing about the version.
    Excluded,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Excluded => "excluded",
        }
    }
}

/// Which statuses the operator calls bad (`slo.availability.bad`), 100 to 599.
#[derive(Clone, PartialEq, Eq)]
pub struct BadStatuses([u64; 10]);

impl BadStatuses {
    pub const NONE: Self = Self([0; 10]);

    /// Every 5xx: the default.
    pub fn server_errors() -> Self {
        let mut bad = Self::NONE;
        (500..600).for_each(|status| bad.insert(status));
        bad
    }

    pub fn insert(&mut self, status: u16) {
        if let Some(word) = self.0.get_mut(usize::from(status / 64)) {
            *word |= 1 << (status % 64);
        }
    }

    pub fn contains(&self, status: u16) -> bool {
        self.0.get(usize::from(status / 64)).is_some_and(|word| word & (1 << (status % 64)) != 0)
    }
}

impl std::fmt::Debug for BadStatuses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries((0..640).filter(|s| self.contains(*s))).finish()
    }
}

/// gRPC statuses that are the server's fault: unknown, deadline exceeded, unimplemented,
/// internal, unavailable, data loss; and those that do not exist, which clients take for unknown.
fn grpc_is_bad(status: u32) -> bool {
    matches!(status, GRPC_UNKNOWN | 4 | 12..=15 | 17..)
}

/// From 1011, internal error, on. 3000 and above belong to applications, which say with them
/// that a user has logged out as readily as that something broke.
fn close_code_is_bad(code: u16) -> bool {
    (1011..3000).contains(&code)
}

/// The one place where an ending becomes an outcome.
pub fn judge(ending: Ending, bad: &BadStatuses) -> Outcome {
    match ending {
        Ending::Answered { status, grpc } => {
            if bad.contains(status) || grpc.is_some_and(grpc_is_bad) {
                Outcome::Bad
            } else {
                Outcome::Good
            }
        }
        Ending::Failed(Failure::Exhausted) => Outcome::Excluded,
        Ending::Truncated { .. } | Ending::Failed(_) => Outcome::Bad,
        Ending::Upgraded { close_code: Some(code) } if close_code_is_bad(code) => Outcome::Bad,
        Ending::Upgraded { .. } => Outcome::Good,
        Ending::ClientAborted => Outcome::Excluded,
    }
}
