//! What the backend gets to see of the request.

use crate::request::context::RequestContext;
use crate::request::identify::REQUEST_ID;
use crate::request::trace::TRACEPARENT;
use crate::request::{copy, forwarded};
use crate::route::Edits;
use http::HeaderName;
use pingora_core::{Error, ErrorType, OrErr, Result};
use pingora_http::RequestHeader;
use pingora_proxy::Session;
use std::time::Instant;

pub(crate) fn shape(
    session: &mut Session,
    request: &mut RequestHeader,
    context: &mut RequestContext,
) -> Result<()> {
    retarget(request, context)?;
    tell(request, context)?;
    request.insert_header(REQUEST_ID, context.asked.request_id.as_str())?;
    request.insert_header(TRACEPARENT, context.asked.traceparent.as_str())?;
    if let Some(route) = &context.route {
        edit(request, &route.request)?;
    }
    if let Some(attempt) = &mut context.attempt {
        attempt.sent = true;
    }
    let target = request.uri.path_and_query().map_or("/", |target| target.as_str());
    copy::request_leaves(context, request.method.as_str(), target, &request.headers);
    if session.is_body_empty() {
        context.tap.ended(Instant::now);
    }
    Ok(())
}

/// The normal form that was matched, rewritten if the route says so, is what is forwarded.
fn retarget(request: &mut RequestHeader, context: &RequestContext) -> Result<()> {
    let rewrite = context.route.as_ref().and_then(|route| route.rewrite.as_ref());
    let path = match rewrite {
        Some(rewrite) => rewrite.apply(&context.asked.path, context.matched),
        None => std::borrow::Cow::Borrowed(context.asked.path.as_str()),
    };
    let target = match context.asked.query() {
        Some(query) => std::borrow::Cow::Owned(format!("{path}?{query}")),
        None => path,
    };
    if target.as_bytes() == request.raw_path() && request.uri.authority().is_none() {
        return Ok(());
    }
    let invalid = || "the forwarded target is invalid";
    let path_and_query = http::uri::PathAndQuery::try_from(target.as_bytes())
        .or_err_with(ErrorType::InvalidHTTPHeader, invalid)?;
    let mut parts = request.uri.clone().into_parts();
    parts.path_and_query = Some(path_and_query);
    let uri = http::Uri::from_parts(parts)
        .map_err(|e| Error::because(ErrorType::InvalidHTTPHeader, invalid(), e))?;
    request.set_uri(uri);
    Ok(())
}

fn edit(request: &mut RequestHeader, edits: &Edits) -> Result<()> {
    for name in &edits.remove {
        request.remove_header(name);
    }
    for (name, value) in &edits.set {
        request.insert_header(name.clone(), value.clone())?;
    }
    for (name, value) in &edits.add {
        request.append_header(name.clone(), value.clone())?;
    }
    Ok(())
}

/// Says who asked.
fn tell(request: &mut RequestHeader, context: &RequestContext) -> Result<()> {
    let Some(info) = &context.info else { return Ok(()) };
    let mut lines: Vec<(&'static str, String)> = Vec::new();
    forwarded::tell(&request.headers, context, &mut String::new(), &mut |name, value| {
        lines.push((name, value.to_owned()));
    });
    let forged = |name: &&HeaderName| forwarded::is_forged(name.as_str().as_bytes(), info);
    let forged: Vec<HeaderName> = request.headers.keys().filter(forged).cloned().collect();
    for name in forged {
        request.remove_header(&name);
    }
    for (name, value) in lines {
        request.insert_header(name, value)?;
    }
    Ok(())
}
