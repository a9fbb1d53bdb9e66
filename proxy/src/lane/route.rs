//! Which route the request takes, and whether the route lets it in: rate, size, redirects and
//! fixed answers end here.

use super::life::Life;
use super::reply::Reply;
use crate::clock;
use crate::route::{Action, Fields, RequestView, Target};
use http::header;
use serin_core::measure::method_word;
use std::sync::Arc;
use std::time::Instant;

pub(super) fn route(method: &str, fields: &dyn Fields, life: &mut Life) -> Result<(), Reply> {
    find(method, fields, life)?;
    admit(fields, life)
}

pub(super) fn find(method: &str, fields: &dyn Fields, life: &mut Life) -> Result<(), Reply> {
    life.asked.method = method_word(method);
    let view = RequestView {
        listener: life.visit.as_ref().map_or("", |visit| visit.listener.name.as_str()),
        host: &life.asked.host,
        path: &life.asked.path,
        query: life.asked.query(),
        method,
        headers: fields,
        client_ip: life.asked.client,
    };
    let found = life.world.as_ref().and_then(|world| {
        let found = world.routes.find(&view);
        if world.routes.refuses_parameters(&view, found) {
            return Some(Err(Reply::refused(400, "the path carries parameters")));
        }
        let found = found?;
        Some(Ok((Arc::clone(found.route), found.prefix)))
    });
    let Some(found) = found else {
        return Err(Reply::text(404, "no route matches this request"));
    };
    let (route, matched) = found?;
    life.matched = matched;
    life.route = Some(route);
    Ok(())
}

/// Whether the route that was found lets the request in, and to whom.
pub(super) fn admit(fields: &dyn Fields, life: &mut Life) -> Result<(), Reply> {
    let Some(route) = &life.route else { return Ok(()) };
    if let Some(rate) = &route.rate {
        let now = clock::micros(Instant::now());
        if let Err(wait) = rate.admit(life.asked.client, now) {
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
            life.service = Some(Arc::clone(service));
            Ok(())
        }
        Action::Redirect(redirect) => {
            let target = Target {
                scheme: life.scheme(),
                host: &life.asked.host,
                path: &life.asked.path,
                query: life.asked.query(),
            };
            let location = redirect.location(target, life.matched);
            Err(Reply::empty(redirect.status).with(header::LOCATION, location).edited())
        }
        Action::Respond(fixed) => Err(Reply::fixed(fixed).edited()),
    }
}
