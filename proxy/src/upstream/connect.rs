//! Why a connection to an endpoint was not made.
//!
//! A failure is either this process's own, which says nothing about the endpoint, or the endpoint's; and
//! where TLS is what failed, an operator has to know how. What the TLS library said comes as text, so
//! the text is what is read here.

use crate::exhaustion::Lack;
use serin_core::outcome::{Failure, TlsFault};
use std::io;

/// Of a connection that the system refused to make.
pub(crate) fn failure_of_io(error: &io::Error) -> Failure {
    let Some(lack) = Lack::of(error) else { return Failure::Connect };
    lack.tell();
    Failure::Exhausted
}

/// Of a handshake that failed.
pub(super) fn failure_of_tls(error: &io::Error) -> Failure {
    if Lack::of(error).is_some() {
        return failure_of_io(error);
    }
    Failure::Tls(fault_in(&error.to_string()))
}

/// What is told about an endpoint that could not be connected to.
pub(crate) fn trouble(failure: Failure) -> String {
    match failure {
        Failure::Connect => "it cannot be reached".to_owned(),
        Failure::ConnectTimeout => "it could not be reached in time".to_owned(),
        Failure::Tls(fault) => fault.to_string(),
        Failure::Reset
        | Failure::RefusedStream
        | Failure::Timeout
        | Failure::Invalid
        | Failure::NoEndpoint
        | Failure::Exhausted => failure.as_str().to_owned(),
    }
}

/// The words are rustls's.
fn fault_in(said: &str) -> TlsFault {
    const WORDS: [(&str, TlsFault); 10] = [
        ("UnknownIssuer", TlsFault::UnknownIssuer),
        // By another authority of the same name.
        ("BadSignature", TlsFault::UnknownIssuer),
        ("not valid for name", TlsFault::WrongName),
        ("NotValidForName", TlsFault::WrongName),
        ("certificate expired", TlsFault::Expired),
        ("Expired", TlsFault::Expired),
        ("not valid yet", TlsFault::Expired),
        ("NotValidYet", TlsFault::Expired),
        ("CaUsedAsEndEntity", TlsFault::AuthorityAsOwn),
        ("InvalidContentType", TlsFault::NoTls),
    ];
    let found = WORDS.iter().find(|(words, _)| said.contains(words));
    found.map_or(TlsFault::Other, |(_, fault)| *fault)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{CertificateError, InvalidMessage};

    #[test]
    fn what_rustls_says_is_understood() {
        let says = |error: rustls::Error| fault_in(&format!("TLS connect() failed: {error}"));
        let of = |error| says(rustls::Error::InvalidCertificate(error));
        assert_eq!(of(CertificateError::UnknownIssuer), TlsFault::UnknownIssuer);
        assert_eq!(of(CertificateError::NotValidForName), TlsFault::WrongName);
        assert_eq!(of(CertificateError::Expired), TlsFault::Expired);
        assert_eq!(of(CertificateError::NotValidYet), TlsFault::Expired);
        let plain = rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType);
        assert_eq!(says(plain), TlsFault::NoTls);
        assert_eq!(says(rustls::Error::HandshakeNotComplete), TlsFault::Other);
    }
}
