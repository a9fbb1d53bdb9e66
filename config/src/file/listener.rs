//! `listeners`, `admin` and `state`.

use super::{record, words};
use crate::model;
use crate::source::At;

record! {
    /// Where clients connect.
    Listener, "a listener" {
        /// Names the listener in logs and metrics.
        "name" required name: String,
        /// Address and port, `0.0.0.0:8080` or `[::]:8080`.
        "address" required address: String,
        /// `HTTP` or `HTTPS`. HTTPS offers HTTP/2 and HTTP/1.1. When left out, `tls` decides.
        "protocol" optional protocol: ListenerProtocol,
        /// Certificates and TLS settings; only with `HTTPS`.
        "tls" optional tls: Tls,
        /// Whether each connection begins with a PROXY protocol header: `off` or `v1v2`.
        "proxyProtocol" optional proxy_protocol: model::ProxyProtocol = "off",
        /// Addresses and networks of peers whose `X-Forwarded-*`, `Forwarded` and PROXY headers are believed. Whom a PROXY header names is believed about the others only if it is listed, too.
        "trusted" optional trusted: Vec<At<String>> = "[]",
        /// What becomes of request headers with an underscore in their name, which CGI and its heirs take for a hyphen: `drop` or `forward`.
        "underscores" optional underscores: model::Underscores = "drop",
        /// What one client may cost. A listener without any is safe on the open internet.
        "limits" optional limits: model::ListenerLimits,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListenerProtocol {
    Http,
    Https,
}

words!(ListenerProtocol, "protocol of a listener" {
    "HTTP" => ListenerProtocol::Http,
    "HTTPS" => ListenerProtocol::Https,
});

words!(model::ProxyProtocol, "proxy protocol" {
    "off" => model::ProxyProtocol::Off,
    "v1v2" => model::ProxyProtocol::V1V2,
});

words!(model::Underscores, "handling of underscores" {
    "drop" => model::Underscores::Drop,
    "forward" => model::Underscores::Forward,
});

record! {
    /// Certificates and TLS settings of a listener.
    Tls, "`tls`" {
        /// Chosen by the name that the client asks for; the first serves everyone else. Read again when they change.
        "certificates" required certificates: Vec<At<Certificate>>,
        /// The oldest version that is spoken: `1.2` or `1.3`.
        "minVersion" optional min_version: model::TlsVersion = "1.2",
        /// Certificates of clients.
        "clientAuth" optional client_auth: ClientAuth,
    }
}

record! {
    /// A certificate and its key, both PEM.
    Certificate, "a certificate" {
        /// The chain, the leaf first.
        "certFile" required cert_file: String,
        /// The leaf's private key.
        "keyFile" required key_file: String,
    }
}

words!(model::TlsVersion, "TLS version" {
    "1.2" => model::TlsVersion::V1_2,
    "1.3" => model::TlsVersion::V1_3,
});

record! {
    /// Whether clients have to show a certificate.
    ClientAuth, "`clientAuth`" {
        /// The authorities that sign clients' certificates, PEM.
        "caFile" optional ca_file: String,
        /// `off`, `optional` (one that is shown must be good) or `required`. With a `caFile` the default is `required`.
        "mode" optional mode: ClientAuthMode,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientAuthMode {
    Off,
    Optional,
    Required,
}

words!(ClientAuthMode, "mode of client authentication" {
    "off" => ClientAuthMode::Off,
    "optional" => ClientAuthMode::Optional,
    "required" => ClientAuthMode::Required,
});

record! {
    /// The admin API, the page and the metrics.
    Admin, "`admin`" {
        /// Address and port, or `unix:/path`. Anything but loopback and unix needs `tokens`.
        "address" optional address: String = "127.0.0.1:9901",
        /// Who may do what.
        "tokens" optional tokens: Vec<At<Token>> = "[]",
        /// `Host` headers that are answered beside the address itself and the names of loopback.
        "hosts" optional hosts: Vec<At<String>> = "[]",
        /// HTTPS instead of plain HTTP; read again when the files change.
        "tls" optional tls: Certificate,
        /// Another address for `/livez`, `/readyz` and `/metrics`, which answers whatever happens to the first.
        "probes" optional probes: Probes,
    }
}

record! {
    /// An address for probes alone. It needs no token and changes nothing.
    Probes, "`probes`" {
        /// Address and port.
        "address" required address: String,
    }
}

record! {
    /// A bearer token of the admin API.
    Token, "a token" {
        /// `operator` changes things, `viewer` only looks.
        "role" required role: model::Role,
        /// The file that holds the token; what surrounds it in white space is left out.
        "tokenFile" required token_file: String,
        /// Whom decisions and the log name for it. Left out, it is the file's name, or its whole path where two files have one name.
        "name" optional name: String,
    }
}

words!(model::Role, "role" {
    "operator" => model::Role::Operator,
    "viewer" => model::Role::Viewer,
});

record! {
    /// Where what must survive a restart is kept.
    State, "`state`" {
        /// A folder for the journal, the windows of the objectives and the key of the cookies. Left out, it is `serin-state` in the working directory.
        "dir" required dir: String,
    }
}
