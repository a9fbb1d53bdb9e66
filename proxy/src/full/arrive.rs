//! A request has come: is it sound, and what does it ask for?
//!
//! HTTP/1 heads were judged byte by byte before; here both protocols meet, and what they have in
//! common is settled once: one host, one normalised path, and no header that only the
//! connection, or only Serin, has a right to.

use crate::downstream::stream::ClientStream;
use crate::ingress::ClientInfo;
use crate::request::context::RequestContext;
use crate::request::reply::Reply;
use crate::request::{asked, hop, identify};
use crate::tunnel;
use http::{HeaderName, HeaderValue, Version, header};
use pingora_core::protocols::http::ServerSession;
use pingora_http::RequestHeader;
use pingora_proxy::Session;
use std::sync::Arc;

pub(crate) fn arrive(session: &mut Session, context: &mut RequestContext) -> Result<(), Reply> {
    meet(session, context);
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
    context.asked.target = String::from_utf8_lossy(request.raw_path()).into_owned();
    context.asked.idempotent = asked::is_idempotent(request.method.as_str());
    asked::note_kind(&request.headers, context);
    identify::identify(&request.headers, context);
    asked::within_limits(request, context)?;
    context.asked.host = asked::host(request)?.to_owned();
    asked::right_certificate(context)?;
    asked::split_target(context)?;
    note_upgrade(session, context);
    strip(session.req_header_mut(), context);
    Ok(())
}

/// Finds out whose connection this is. HTTP/1 has the stream itself, HTTP/2 a note about it.
fn meet(session: &Session, context: &mut RequestContext) {
    let stream = session.as_http1().map(|http1| http1.stream());
    if let Some(stream) = stream.and_then(|s| (**s).as_any().downcast_ref::<ClientStream>()) {
        context.info = Some(stream.info().clone());
        context.signals = Some(stream.signals().clone());
    } else {
        let digest = session.digest().and_then(|digest| digest.proxy_digest.as_ref());
        let data = digest.and_then(|digest| digest.user_data.as_ref());
        context.info = data.and_then(|data| data.downcast_ref::<Arc<ClientInfo>>()).cloned();
    }
}

/// Whether the client asks for another protocol, and which.
fn note_upgrade(session: &mut Session, context: &mut RequestContext) {
    let empty = session.is_body_empty();
    let request = session.req_header();
    if request.version == Version::HTTP_11
        && empty
        && let Some((upgrade, protocol)) = tunnel::asked_for(&request.headers)
    {
        context.asked.upgrade = Some(upgrade);
        context.asked.protocol.push_str(protocol);
    }
}

/// Takes out what goes no further, and says what goes on instead.
fn strip(request: &mut RequestHeader, context: &RequestContext) {
    let upgrade = context.asked.upgrade.is_some();
    let protocol = request.headers.get(header::UPGRADE).filter(|_| upgrade).cloned();
    let listed = hop::Listed::of(&request.headers);
    let ends = |name: &&HeaderName| hop::ends_here(name.as_str().as_bytes(), &listed);
    let gone: Vec<HeaderName> = request.headers.keys().filter(ends).cloned().collect();
    for name in gone {
        request.remove_header(&name);
    }
    // pingora passes them on from HTTP/2 to HTTP/2 alone.
    if context.asked.trailers && request.version == Version::HTTP_2 {
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
