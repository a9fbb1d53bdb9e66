//! Which route the request takes, and whether the route lets it in: rate, size, redirects and
//! fixed answers end here.

use crate::clock;
use crate::request::arrived::Arrived;
use crate::request::reply::Reply;
use crate::route::{Action, Fields, RequestView, Route, Target};
use crate::service::Service;
use crate::upstream::VersionRuntime;
use http::header;
use std::sync::Arc;
use std::time::Instant;

/// A request whose route is known.
pub(crate) struct Routed {
    pub(crate) request: Arrived,
    pub(crate) route: Arc<Route>,
    /// How much of the path the route's match took.
    pub(crate) matched: usize,
}

/// Whom the route has the request go to.
pub(super) struct Destination<'r> {
    pub(super) service: &'r Arc<Service>,
    /// The route forces it to this version.
    pub(super) cohort: Option<&'r Arc<VersionRuntime>>,
}

pub(super) fn find(
    request: &Arrived,
    method: &str,
    fields: &dyn Fields,
) -> Result<(Arc<Route>, usize), Reply> {
    let view = RequestView {
        listener: &request.info.listener.name,
        host: &request.scratch.host,
        path: &request.scratch.path,
        query: request.query(),
        method,
        headers: fields,
        client_ip: request.client,
    };
    let routes = &request.generation.routes;
    let found = routes.find(&view);
    if routes.refuses_parameters(&view, found) {
        return Err(Reply::refused(400, "the path carries parameters"));
    }
    let found = found.ok_or_else(|| Reply::text(404, "no route matches this request"))?;
    Ok((Arc::clone(found.route), found.prefix))
}

impl Routed {
    pub(super) fn let_in(&self, fields: &dyn Fields) -> Result<Destination<'_>, Reply> {
        let Self { request, route, matched } = self;
        if let Some(rate) = &route.rate {
            let now = clock::micros(Instant::now());
            if let Err(wait) = rate.admit(request.client, now) {
                let seconds = (wait.as_secs_f64().ceil() as u64).max(1).to_string();
                let reply = Reply::text(429, "too many requests");
                return Err(reply.with(header::RETRY_AFTER, seconds));
            }
        }
        let length = fields.first("content-length").and_then(|v| std::str::from_utf8(v).ok());
        let length: Option<u64> = length.and_then(|length| length.parse().ok());
        let too_large = length.zip(route.max_body).is_some_and(|(length, most)| length > most);
        if too_large {
            return Err(Reply::refused(413, "the request body is too large"));
        }
        match &route.action {
            Action::Forward { .. } if request.generation.loop_mark.goes_round(fields) => {
                Err(Reply::goes_round())
            }
            Action::Forward { service, cohort } => {
                Ok(Destination { service, cohort: cohort.as_ref() })
            }
            Action::Redirect(redirect) => {
                let target = Target {
                    scheme: request.scheme(),
                    host: &request.scratch.host,
                    path: &request.scratch.path,
                    query: request.query(),
                };
                let location = redirect.location(target, *matched);
                let reply = Reply::empty(redirect.status).with(header::LOCATION, location);
                Err(reply.edited_by(route))
            }
            Action::Respond(fixed) => Err(Reply::fixed(fixed).edited_by(route)),
        }
    }
}
