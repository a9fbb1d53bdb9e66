//! Which version the request gets.

use super::life::Life;
use super::reply::Reply;
use crate::clock;
use crate::meter::Exchange;
use crate::route::Action;
use crate::service::Who;
use crate::thread::{ThreadId, random};
use pingora_proxy::Session;
use std::sync::Arc;
use std::time::Instant;

pub(super) fn assign(session: &Session, life: &mut Life) -> Result<(), Reply> {
    let (Some(route), Some(service)) = (&life.route, &life.service) else { return Ok(()) };
    let thread = ThreadId::current();
    let cohort = match &route.action {
        Action::Forward { cohort, .. } => cohort.as_ref(),
        Action::Redirect(_) | Action::Respond(_) => None,
    };
    let mut assigned = match cohort {
        Some(version) => service.force(thread, version),
        None => {
            let who = Who {
                headers: &session.req_header().headers,
                client_ip: life.asked.client,
                secure: life.is_secure(),
                wall: clock::wall(),
            };
            service.assign(thread, &who, random())
        }
    };
    life.set_cookie = assigned.set_cookie.take();
    life.next = Some(Arc::clone(&assigned.version));
    life.exchange = Some(Exchange::start(assigned, Instant::now()));
    Ok(())
}
