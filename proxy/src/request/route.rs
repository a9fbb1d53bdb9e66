//! Which route the request takes, and whether the route lets it in: rate, size, redirects and
//! fixed answers end here.

use crate::clock;
use crate::request::context::RequestContext;
use crate::request::reply::Reply;
use crate::route::{Action, Fields, RequestView, Target};
use http::header;
use serin_core::measure::method_word;
use std::sync::Arc;
use std::time::Instant;

pub(crate) fn find(
    method: &str,
    fields: &dyn Fields,
    context: &mut RequestContext,
) -> Result<(), Reply> {
    context.asked.method = method_word(method);
    let view = RequestView {
        listener: context.info.as_ref().map_or("", |info| info.listener.name.as_str()),
        host: &context.asked.host,
        path: &context.asked.path,
        query: context.asked.query(),
        method,
        headers: fields,
        client_ip: context.asked.client,
    };
    let found = context.generation.as_ref().and_then(|generation| {
        let found = generation.routes.find(&view);
        if generation.routes.refuses_parameters(&view, found) {
            return Some(Err(Reply::refused(400, "the path carries parameters")));
        }
        let found = found?;
        Some(Ok((Arc::clone(found.route), found.prefix)))
    });
    let Some(found) = found else {
        return Err(Reply::text(404, "no route matches this request"));
    };
    let (route, matched) = found?;
    context.matched = matched;
    context.route = Some(route);
    Ok(())
}

/// Whether the route that was found lets the request in, and to whom.
pub(crate) fn admit(fields: &dyn Fields, context: &mut RequestContext) -> Result<(), Reply> {
    let Some(route) = &context.route else { return Ok(()) };
    if let Some(rate) = &route.rate {
        let now = clock::micros(Instant::now());
        if let Err(wait) = rate.admit(context.asked.client, now) {
            let seconds = (wait.as_secs_f64().ceil() as u64).max(1).to_string();
            return Err(Reply::text(429, "too many requests").with(header::RETRY_AFTER, seconds));
        }
    }
    let length = fields.first("content-length").and_then(|v| std::str::from_utf8(v).ok());
    let length: Option<u64> = length.and_then(|length| length.parse().ok());
    let too_large = length.zip(route.max_body).is_some_and(|(length, most)| length > most);
    if too_large {
        return Err(Reply::refused(413, "the request body is too large"));
    }
    match &route.action {
        Action::Forward { service, .. } => {
            context.service = Some(Arc::clone(service));
            Ok(())
        }
        Action::Redirect(redirect) => {
            let target = Target {
                scheme: context.scheme(),
                host: &context.asked.host,
                path: &context.asked.path,
                query: context.asked.query(),
            };
            let location = redirect.location(target, context.matched);
            Err(Reply::empty(redirect.status).with(header::LOCATION, location).edited())
        }
        Action::Respond(fixed) => Err(Reply::fixed(fixed).edited()),
    }
}
