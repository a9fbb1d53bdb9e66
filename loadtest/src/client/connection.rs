//! Connecting, and asking once.

use super::version::VersionBy;
use crate::mix::Request;
use crate::record::Ended;
use crate::target::{Protocol, Target};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// What the meter needs of an answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub version: Option<Arc<str>>,
    pub set_cookies: Vec<String>,
}

#[derive(Debug)]
pub(super) enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// Trusts the certificates in `ca`, or anything when there is none: it is a load test, and what is
/// tested is often signed by itself.
pub fn client_tls(
    ca: Option<&Path>,
    protocol: Protocol,
) -> Result<Arc<rustls::ClientConfig>, String> {
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .map_err(|e| e.to_string())?;
    let mut config = match ca {
        Some(path) => {
            let mut roots = rustls::RootCertStore::empty();
            let read = |e| format!("{}: {e}", path.display());
            for certificate in CertificateDer::pem_file_iter(path).map_err(read)? {
                roots.add(certificate.map_err(read)?).map_err(|e| e.to_string())?;
            }
            builder.with_root_certificates(roots).with_no_client_auth()
        }
        None => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(anything::Anything))
            .with_no_client_auth(),
    };
    config.alpn_protocols = match protocol {
        Protocol::Http1 | Protocol::WebSocket => vec![b"http/1.1".to_vec()],
        Protocol::Http2 => vec![b"h2".to_vec()],
    };
    Ok(Arc::new(config))
}

pub(super) async fn connect(
    target: &Target,
    protocol: Protocol,
    tls: Option<&Arc<rustls::ClientConfig>>,
) -> io::Result<Sender> {
    let stream = TcpStream::connect(target.address).await?;
    stream.set_nodelay(true)?;
    match tls {
        None => handshake(TokioIo::new(stream), protocol).await,
        Some(config) => {
            let name = ServerName::try_from(target.host.clone()).map_err(io::Error::other)?;
            let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await?;
            handshake(TokioIo::new(stream), protocol).await
        }
    }
}

async fn handshake<S>(stream: S, protocol: Protocol) -> io::Result<Sender>
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    match protocol {
        Protocol::Http1 | Protocol::WebSocket => {
            let (sender, connection) = http1::handshake(stream).await.map_err(io::Error::other)?;
            // Its error reaches whoever waits for an answer.
            tokio::task::spawn_local(connection.with_upgrades());
            Ok(Sender::Http1(sender))
        }
        Protocol::Http2 => {
            let (sender, connection) =
                http2::handshake(TokioExecutor::new(), stream).await.map_err(io::Error::other)?;
            tokio::task::spawn_local(connection);
            Ok(Sender::Http2(sender))
        }
    }
}

/// What is sent with every request, whatever the mix says.
#[derive(Debug)]
pub(super) struct Envelope<'a> {
    pub(super) authority: &'a str,
    pub(super) headers: &'a [(String, String)],
    pub(super) cookies: Option<String>,
}

pub(super) async fn exchange(
    sender: &mut Sender,
    request: &Request,
    envelope: &Envelope<'_>,
    version_by: &VersionBy,
) -> Result<Answer, Ended> {
    let message = message(request, envelope, matches!(sender, Sender::Http2(_)))?;
    let response = match sender {
        Sender::Http1(sender) => sender.send_request(message).await,
        Sender::Http2(sender) => sender.send_request(message).await,
    };
    let (head, mut body) = response.map_err(|_| Ended::Broken)?.into_parts();
    let set_cookies = set_cookies(&head.headers);
    let mut kept = version_by.wants_body().then(Vec::new);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Ended::Broken)?;
        if let (Some(kept), Some(data)) = (kept.as_mut(), frame.data_ref()) {
            kept.extend_from_slice(data);
        }
    }
    let version = version_by.of(&head.headers, &set_cookies, kept.as_deref());
    Ok(Answer { status: head.status.as_u16(), version, set_cookies })
}

pub(super) fn set_cookies(headers: &hyper::HeaderMap) -> Vec<String> {
    let values = headers.get_all(hyper::header::SET_COOKIE).iter();
    values.filter_map(|value| value.to_str().ok().map(str::to_owned)).collect()
}

pub(super) fn message(
    request: &Request,
    envelope: &Envelope<'_>,
    absolute: bool,
) -> Result<hyper::Request<Full<Bytes>>, Ended> {
    let uri = if absolute {
        format!("http://{}{}", envelope.authority, request.path)
    } else {
        request.path.clone()
    };
    let mut builder = hyper::Request::builder().method(request.method.as_str()).uri(uri);
    if !absolute {
        builder = builder.header(hyper::header::HOST, envelope.authority);
    }
    for (name, value) in envelope.headers.iter().chain(&request.headers) {
        builder = builder.header(name.as_str(), value.as_str());
    }
    if let Some(cookies) = &envelope.cookies {
        builder = builder.header(hyper::header::COOKIE, cookies.as_str());
    }
    builder.body(Full::new(Bytes::copy_from_slice(&request.body))).map_err(|_| Ended::Invalid)
}

mod anything {
    //! A verifier for tests of servers that sign their own certificates.

    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::{DigitallySignedStruct, Error, SignatureScheme};
    use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

    #[derive(Debug)]
    pub(super) struct Anything;

    impl ServerCertVerifier for Anything {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            rustls::crypto::ring::default_provider()
                .signature_verification_algorithms
                .supported_schemes()
        }
    }
}
