//! The head of a stream, as every request's head is judged: what HTTP/2 lets a client say in a way of its own is
//! settled here, and so is what the parser of HTTP/1 would have refused.

use crate::ingress::ClientInfo;
use crate::request::admit::{AskedTunnel, ParsedHead};
use crate::request::head::Translated;
use crate::request::reply::Reply;
use crate::thread::random;
use crate::tunnel;
use crate::wire::refusal::Refusal;
use crate::wire::{authority, fields};
use h2::ext::Protocol;
use http::request::Parts;
use http::{HeaderMap, Method, header};

/// `body`: one follows, and how it is framed towards HTTP/1.
pub(super) fn parsed<'a>(
    head: &'a Parts,
    info: &ClientInfo,
    body: Option<Translated>,
) -> ParsedHead<'a, HeaderMap> {
    let fields = &head.headers;
    let (tunnel, wanted) = match asked_tunnel(head) {
        Ok(tunnel) => (tunnel, Ok(())),
        Err(reply) => (None, Err(reply)),
    };
    let is_tunnel = tunnel.is_some();
    let sound = wanted.and_then(|()| within_limits(head, is_tunnel, info));
    ParsedHead {
        method: if is_tunnel { "GET" } else { head.method.as_str() },
        target: head.uri.path_and_query().map_or("", |target| target.as_str()),
        host: sound.and_then(|()| host(head)),
        fields,
        tunnel,
        expects: !is_tunnel && fields.contains_key(header::EXPECT),
        translated: Some(match body {
            Some(body) if !is_tunnel => body,
            Some(_) | None => Translated { chunked: false, empty: !is_tunnel },
        }),
    }
}

/// An extended CONNECT asks for what an upgrade is in HTTP/1.1, and is one for whoever comes later.
fn asked_tunnel(head: &Parts) -> Result<Option<AskedTunnel<'_>>, Reply> {
    let Some(protocol) = head.extensions.get::<Protocol>() else { return Ok(None) };
    let Some(upgrade) = tunnel::asked_for_by(protocol.as_str()) else {
        return Err(Reply::refused(501, "of other protocols, WebSockets alone are served"));
    };
    let key = tunnel::key([random(), random()]);
    Ok(Some(AskedTunnel { upgrade, protocol: "websocket", key }))
}

/// What is served, and within which limits.
fn within_limits(head: &Parts, is_tunnel: bool, info: &ClientInfo) -> Result<(), Reply> {
    if head.method == Method::TRACE || head.method == Method::CONNECT && !is_tunnel {
        return Err(Reply::refused(405, "this method is not served"));
    }
    if head.method.as_str() == "PRI" {
        return Err(Reply::refused(400, Refusal::Method.detail()));
    }
    let limits = &info.listener.limits;
    let target = head.uri.path_and_query().map_or("", |target| target.as_str());
    if target.len() as u64 > limits.max_uri_bytes {
        return Err(Reply::refused(414, "the request target is too long"));
    }
    if head.headers.len() > limits.max_headers as usize {
        return Err(Reply::refused(431, "too many headers"));
    }
    let is_continue = |value: &[u8]| value.eq_ignore_ascii_case(b"100-continue");
    if head.headers.get(header::EXPECT).is_some_and(|e| !is_continue(e.as_bytes())) {
        return Err(Reply::refused(417, "this expectation cannot be met"));
    }
    let mut lengths = head.headers.get_all(header::CONTENT_LENGTH).iter();
    let (length, second) = (lengths.next(), lengths.next());
    // HTTP/2 needs none to know where a body ends. A backend of HTTP/1 does.
    if second.is_some() || length.is_some_and(|l| fields::content_length(l.as_bytes()).is_none()) {
        return Err(Reply::refused(400, "the Content-Length header is invalid"));
    }
    Ok(())
}

/// The one host that the request names, whichever way.
fn host(head: &Parts) -> Result<&str, Reply> {
    let invalid = || Reply::refused(400, "there must be one valid host");
    let mut named = head.headers.get_all(header::HOST).iter();
    let (host, second) = (named.next(), named.next());
    let authority = head.uri.authority().map(http::uri::Authority::as_str);
    let host = match (authority, host) {
        (Some(authority), None) => authority.as_bytes(),
        (Some(authority), Some(host))
            if authority.as_bytes().eq_ignore_ascii_case(host.as_bytes()) =>
        {
            host.as_bytes()
        }
        (None, Some(host)) => host.as_bytes(),
        (Some(_), Some(_)) | (None, None) => return Err(invalid()),
    };
    if second.is_some() || !authority::is_valid(host) {
        return Err(invalid());
    }
    std::str::from_utf8(host).map_err(|_| invalid())
}
