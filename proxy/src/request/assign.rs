//! Which version the request gets.

use crate::clock;
use crate::meter::RequestMeter;
use crate::request::context::RequestContext;
use crate::request::forwarded;
use crate::route::{Action, Fields};
use crate::service::Who;
use crate::thread::{ThreadId, random};
use std::sync::Arc;

pub(crate) fn assign(fields: &dyn Fields, context: &mut RequestContext) {
    let (Some(route), Some(service)) = (&context.route, &context.service) else { return };
    let thread = ThreadId::current();
    let cohort = match &route.action {
        Action::Forward { cohort, .. } => cohort.as_ref(),
        Action::Redirect(_) | Action::Respond(_) => None,
    };
    let mut assigned = match cohort {
        Some(version) => service.force(thread, version),
        None => {
            let who = Who {
                headers: fields,
                client_ip: context.asked.client,
                secure: context.info.as_ref().is_some_and(|v| forwarded::is_secure(fields, v)),
                wall: &clock::wall,
            };
            service.assign(thread, &who, random())
        }
    };
    if context.is_on_trial() {
        assigned.leave_out();
    }
    context.set_cookie = assigned.set_cookie.take();
    context.next = Some(Arc::clone(&assigned.version));
    context.meter = Some(RequestMeter::start(assigned, context.asked.client, context.began));
}
