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
    /// The endpoint says that it has not looked at the request, and takes it again and again not.
    RefusedStream,
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
    /// It shows a certificate of an authority as its own.
    AuthorityAsOwn,
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
            Self::AuthorityAsOwn => "tlsAuthorityAsOwn",
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
            Self::AuthorityAsOwn => {
                "it shows a CA certificate as its own: give it one that a CA has signed, with CA:FALSE"
            }
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
            Self::RefusedStream => "refusedStream",
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

/// What any client can make any version answer, by a method or protocol version that nobody
/// implements. Neither good nor bad, unless the operator names them.
pub const ASKED_FOR_BY_CLIENTS: [u16; 2] = [501, 505];
/// The same of gRPC: a deadline that the client chose, and a method that nobody implements.
pub const GRPC_ASKED_FOR_BY_CLIENTS: [u32; 2] = [4, 12];
/// The last gRPC status there is.
pub const GRPC_LAST: u32 = 16;

/// Which statuses the operator calls bad (`slo.availability.bad`): of HTTP 100 to 599, and of
/// gRPC those beside the ones that are always the server's fault.
#[derive(Clone, PartialEq, Eq)]
pub struct BadStatuses {
    http: [u64; 10],
    grpc: u32,
}

impl BadStatuses {
    pub const NONE: Self = Self { http: [0; 10], grpc: 0 };

    /// Every 5xx that a client cannot choose: the default.
    pub fn server_errors() -> Self {
        let mut bad = Self::NONE;
        bad.insert_class(5);
        bad
    }

    /// `5xx` and its kin. What a client can choose is bad only when it is named by itself.
    pub fn insert_class(&mut self, class: u16) {
        let all = class * 100..class * 100 + 100;
        let of_the_version = all.filter(|status| !ASKED_FOR_BY_CLIENTS.contains(status));
        of_the_version.for_each(|status| self.insert(status));
    }

    pub fn insert(&mut self, status: u16) {
        if let Some(word) = self.http.get_mut(usize::from(status / 64)) {
            *word |= 1 << (status % 64);
        }
    }

    pub fn contains(&self, status: u16) -> bool {
        let word = self.http.get(usize::from(status / 64));
        word.is_some_and(|word| word & (1 << (status % 64)) != 0)
    }

    pub fn insert_grpc(&mut self, status: u32) {
        self.grpc |= 1_u32.checked_shl(status).unwrap_or(0);
    }

    /// Whether the operator named it; [`judge`] knows what is bad without being named.
    pub fn names_grpc(&self, status: u32) -> bool {
        self.grpc & 1_u32.checked_shl(status).unwrap_or(0) != 0
    }
}

impl std::fmt::Debug for BadStatuses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let grpc = (0..32).filter(|s| self.names_grpc(*s)).map(|s| format!("grpc:{s}"));
        let http = (0..640).filter(|s| self.contains(*s)).map(|s| s.to_string());
        f.debug_set().entries(http.chain(grpc)).finish()
    }
}

/// gRPC statuses that are the server's fault: unknown, internal, unavailable, data loss; and those
/// that do not exist, which clients take for unknown.
fn grpc_is_bad(status: u32) -> bool {
    matches!(status, GRPC_UNKNOWN | 13..=15 | 17..)
}

/// From 1011, internal error, on. 3000 and above belong to applications, which say with them
/// that a user has logged out as readily as that something broke.
fn close_code_is_bad(code: u16) -> bool {
    (1011..3000).contains(&code)
}

impl Ending {
    /// A clock of this process said so, and nobody else. While the process itself is late, that is
    /// nobody's failure.
    pub fn is_by_own_clock(self) -> bool {
        matches!(self, Self::Failed(Failure::Timeout | Failure::ConnectTimeout))
    }
}

/// The one place where an ending becomes an outcome.
pub fn judge(ending: Ending, bad: &BadStatuses) -> Outcome {
    match ending {
        Ending::Answered { status, grpc } => {
            let named = |grpc| grpc_is_bad(grpc) || bad.names_grpc(grpc);
            let asked_for = |grpc| GRPC_ASKED_FOR_BY_CLIENTS.contains(&grpc);
            if bad.contains(status) || grpc.is_some_and(named) {
                Outcome::Bad
            } else if ASKED_FOR_BY_CLIENTS.contains(&status) || grpc.is_some_and(asked_for) {
                Outcome::Excluded
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
