//! Why a request is turned away before it is routed, and what the client is told.

/// Closed for good: after any of these nobody can say where the next request begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Refusal {
    Method,
    MethodNotAllowed,
    Target,
    TargetTooLong,
    Version,
    VersionNotSupported,
    LineEnd,
    FieldName,
    FieldValue,
    TooManyFields,
    HeadTooLarge,
    Host,
    HostDiffers,
    ContentLength,
    TransferEncoding,
    Coding,
    Expectation,
    HeadTooSlow,
}

impl Refusal {
    pub fn status(self) -> u16 {
        match self {
            Self::Method
            | Self::Target
            | Self::Version
            | Self::LineEnd
            | Self::FieldName
            | Self::FieldValue
            | Self::Host
            | Self::HostDiffers
            | Self::ContentLength
            | Self::TransferEncoding => 400,
            Self::MethodNotAllowed => 405,
            Self::HeadTooSlow => 408,
            Self::TargetTooLong => 414,
            Self::Expectation => 417,
            Self::TooManyFields | Self::HeadTooLarge => 431,
            Self::Coding => 501,
            Self::VersionNotSupported => 505,
        }
    }

    /// What is told to the client, and written to the access log.
    pub fn detail(self) -> &'static str {
        match self {
            Self::Method => "the method is invalid",
            Self::MethodNotAllowed => "this method is not served",
            Self::Target => "the request target is invalid",
            Self::TargetTooLong => "the request target is too long",
            Self::Version => "the request line does not end in an HTTP version",
            Self::VersionNotSupported => "this HTTP version is not spoken here",
            Self::LineEnd => "a line does not end in CRLF",
            Self::FieldName => "a header's name is invalid",
            Self::FieldValue => "a header's value is invalid",
            Self::TooManyFields => "too many headers",
            Self::HeadTooLarge => "the request head is too large",
            Self::Host => "there must be one valid Host header",
            Self::HostDiffers => "the request target and the Host header differ",
            Self::ContentLength => "the Content-Length header is invalid",
            Self::TransferEncoding => "the Transfer-Encoding header is invalid",
            Self::Coding => "this transfer coding is not spoken here",
            Self::Expectation => "this expectation cannot be met",
            Self::HeadTooSlow => "the request head took too long",
        }
    }

    pub(crate) fn answer(self) -> Vec<u8> {
        let (status, detail) = (self.status(), self.detail());
        let reason = http::StatusCode::from_u16(status)
            .ok()
            .and_then(|s| s.canonical_reason())
            .unwrap_or("Error");
        let allow = if self == Self::MethodNotAllowed {
            "allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"
        } else {
            ""
        };
        let date = httpdate();
        format!(
            "HTTP/1.1 {status} {reason}\r\n{allow}date: {date}\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{detail}\n",
            detail.len() + 1
        )
        .into_bytes()
    }
}

fn httpdate() -> String {
    pingora_core::protocols::http::date::get_cached_date()
        .to_str()
        .map(str::to_owned)
        .unwrap_or_default()
}
