//! Who asks, and under which id: kept when the request brings one, made when it does not.

use super::forwarded;
use super::life::Life;
use super::trace;
use crate::thread::random;
use http::HeaderMap;

pub(super) const REQUEST_ID: &str = "x-request-id";

/// Longer ones would be a way to fill logs.
const LONGEST_ID: usize = 128;

pub(super) fn identify(headers: &HeaderMap, life: &mut Life) {
    if let Some(visit) = &life.visit {
        life.asked.client = forwarded::client(headers, visit);
    }
    life.asked.request_id = request_id(headers).unwrap_or_else(new_id);
    life.asked.traceparent = trace::parent(headers).unwrap_or_else(trace::new_parent);
}

fn request_id(headers: &HeaderMap) -> Option<String> {
    let mut lines = headers.get_all(REQUEST_ID).iter();
    let (id, second) = (lines.next()?.to_str().ok()?, lines.next());
    let sound = second.is_none()
        && (1..=LONGEST_ID).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_graphic());
    sound.then(|| id.to_owned())
}

fn new_id() -> String {
    format!("{:016x}{:016x}", random(), random())
}
