//! A request has come: is it sound, and what does it ask for?
//!
//! HTTP/1 heads were judged byte by byte before; here both protocols meet, and what they have in
//! common is settled once: one host, one normalised path, and no header that only the
//! connection, or only Serin, has a right to.

use crate::ingress::{ClientStream, Visit};
use crate::lane::life::Life;
use crate::lane::reply::Reply;
use crate::lane::{asked, hop, identify};
use crate::tunnel;
use crate::wire::{authority, fields};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Version, header};
use pingora_core::protocols::http::ServerSession;
use pingora_http::RequestHeader;
use pingora_proxy::Session;
use std::sync::Arc;

pub(super) fn arrive(session: &mut Session, life: &mut Life) -> Result<(), Reply> {
    meet(session, life);
    // pingora looks at the first line of `Connection` alone.
    if hop::has_option(&session.req_header().headers, &|o| o.eq_ignore_ascii_case(b"close")) {
        session.set_keepalive(None);
    }
    if session.req_header().version == Version::HTTP_10
        && let ServerSession::H1(http1) = session.as_mut()
    {
        // It would take an interim answer for the final one.
        http1.set_ignore_info_resp(true);
    }
    let request = session.req_header();
    life.asked.target = String::from_utf8_lossy(request.raw_path()).into_owned();
    life.asked.idempotent = asked::is_idempotent(request.method.as_str());
    life.asked.grpc = asked::is_grpc(&request.headers);
    identify::identify(&request.headers, life);
    if matches!(request.method, Method::TRACE | Method::CONNECT) {
        return Err(Reply::refused(405, "this method is not served"));
    }
    within_limits(session.req_header(), life)?;
    life.asked.host = host(session.req_header())?.to_owned();
    asked::right_certificate(life)?;
    asked::split_target(life)?;
    note_upgrade(session, life);
    strip(session.req_header_mut(), life.asked.upgrade.is_some());
    Ok(())
}

/// A request that is not sound counts where those count whose head could not be read.
pub(super) fn count_refusal(life: &Life) {
    if let Some(visit) = &life.visit {
        visit.listener.counters.refused_heads.add();
    }
}

/// Finds out whose connection this is. HTTP/1 has the stream itself, HTTP/2 a note about it.
fn meet(session: &Session, life: &mut Life) {
    let stream = session.as_http1().map(|http1| http1.stream());
    if let Some(stream) = stream.and_then(|s| (**s).as_any().downcast_ref::<ClientStream>()) {
        life.visit = Some(stream.visit().clone());
        life.signals = Some(stream.signals().clone());
    } else {
        let digest = session.digest().and_then(|digest| digest.proxy_digest.as_ref());
        let data = digest.and_then(|digest| digest.user_data.as_ref());
        life.visit = data.and_then(|data| data.downcast_ref::<Arc<Visit>>()).cloned();
    }
}

/// Whether a request of HTTP/2 is within its limits and asks for nothing that only this lane does.
pub(crate) fn is_plain(request: &Parts, life: &Life) -> bool {
    !matches!(request.method, Method::TRACE | Method::CONNECT)
        && within_limits(request, life).is_ok()
}

/// HTTP/1 was held to these before; for HTTP/2 this is the place.
fn within_limits(request: &Parts, life: &Life) -> Result<(), Reply> {
    let Some(visit) = life.visit.as_ref().filter(|_| request.version == Version::HTTP_2) else {
        return Ok(());
    };
    let limits = &visit.listener.limits;
    let target = request.uri.path_and_query().map_or("", |target| target.as_str());
    if target.len() as u64 > limits.max_uri_bytes {
        return Err(Reply::refused(414, "the request target is too long"));
    }
    if request.headers.len() > limits.max_headers as usize {
        return Err(Reply::refused(431, "too many headers"));
    }
    if request
        .headers
        .get(header::EXPECT)
        .is_some_and(|e| !e.as_bytes().eq_ignore_ascii_case(b"100-continue"))
    {
        return Err(Reply::refused(417, "this expectation cannot be met"));
    }
    let mut lengths = request.headers.get_all(header::CONTENT_LENGTH).iter();
    let (length, second) = (lengths.next(), lengths.next());
    // HTTP/2 needs none to know where a body ends. A backend of HTTP/1 does.
    if second.is_some() || length.is_some_and(|l| fields::content_length(l.as_bytes()).is_none()) {
        return Err(Reply::refused(400, "the Content-Length header is invalid"));
    }
    Ok(())
}

/// The one host that the request names, whichever way.
pub(crate) fn host(request: &Parts) -> Result<&str, Reply> {
    let invalid = || Reply::refused(400, "there must be one valid host");
    let mut named = request.headers.get_all(header::HOST).iter();
    let (host, second) = (named.next(), named.next());
    let authority = request.uri.authority().map(http::uri::Authority::as_str);
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

/// Whether the client asks for another protocol, and which.
fn note_upgrade(session: &mut Session, life: &mut Life) {
    let empty = session.is_body_empty();
    let request = session.req_header();
    if request.version == Version::HTTP_11
        && empty
        && let Some((upgrade, protocol)) = tunnel::asked_for(&request.headers)
    {
        life.asked.upgrade = Some(upgrade);
        life.asked.protocol.push_str(protocol);
    }
}

/// Takes out what goes no further, and says what goes on instead.
fn strip(request: &mut RequestHeader, upgrade: bool) {
    let trailers = request.version == Version::HTTP_2
        && request.headers.get_all(header::TE).iter().any(|te| te.as_bytes() == b"trailers");
    let protocol = request.headers.get(header::UPGRADE).filter(|_| upgrade).cloned();
    let listed = hop::Listed::of(&request.headers);
    let ends = |name: &&HeaderName| hop::ends_here(name.as_str().as_bytes(), &listed);
    let gone: Vec<HeaderName> = request.headers.keys().filter(ends).cloned().collect();
    for name in gone {
        request.remove_header(&name);
    }
    if trailers {
        let _ = request.insert_header(header::TE, HeaderValue::from_static("trailers"));
    }
    if let Some(protocol) = protocol {
        let _ = request.insert_header(header::UPGRADE, protocol);
        let _ = request.insert_header(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    }
    if request.version == Version::HTTP_2 {
        join_cookies(request);
    }
}

/// HTTP/2 may send a line for each; in HTTP/1 there is one.
fn join_cookies(request: &mut RequestHeader) {
    let crumbs = request.headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes);
    let crumbs: Vec<&[u8]> = crumbs.collect();
    if crumbs.len() > 1
        && let Ok(cookies) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]))
    {
        let _ = request.insert_header(header::COOKIE, cookies);
    }
}
