//! Which version the request gets.

use super::forwarded;
use super::life::Life;
use crate::clock;
use crate::meter::Exchange;
use crate::route::{Action, Fields};
use crate::service::Who;
use crate::thread::{ThreadId, random};
use std::sync::Arc;

pub(super) fn assign(fields: &dyn Fields, life: &mut Life) {
    let (Some(route), Some(service)) = (&life.route, &life.service) else { return };
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
                client_ip: life.asked.client,
                secure: life.visit.as_ref().is_some_and(|v| forwarded::is_secure(fields, v)),
                wall: &clock::wall,
            };
            service.assign(thread, &who, random())
        }
    };
    if life.is_on_trial() {
        assigned.leave_out();
    }
    life.set_cookie = assigned.set_cookie.take();
    life.next = Some(Arc::clone(&assigned.version));
    life.exchange = Some(Exchange::start(assigned, life.began));
}
