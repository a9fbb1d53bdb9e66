//! What becomes of a request: the one place where that is decided, once, for every protocol.

use crate::buffer::Buffer;
use crate::ingress::ClientInfo;
use crate::plane::Entered;
use crate::request::arrived::Arrived;
use crate::request::asked;
use crate::request::assigned::Assigned;
use crate::request::head::{self, Source, Translated};
use crate::request::reply::Reply;
use crate::request::routed::{self, Routed};
use crate::route::Route;
use crate::tunnel::Upgrade;
use std::sync::Arc;
use std::time::Instant;

/// A request's head, as the client's protocol has read it.
pub(crate) struct ParsedHead<'a, F> {
    /// Of a tunnel it is GET, whatever opens one in the client's protocol.
    pub(crate) method: &'a str,
    /// In origin-form, or `*`.
    pub(crate) target: &'a str,
    /// The one host that it names; or what the protocol has found wrong with the head.
    pub(crate) host: Result<&'a str, Reply>,
    pub(crate) fields: &'a F,
    /// It asks for another protocol.
    pub(crate) tunnel: Option<AskedTunnel<'a>>,
    /// It waits for leave to send its body.
    pub(crate) expects: bool,
    /// What has to be said otherwise to a backend of HTTP/1.
    pub(crate) translated: Option<Translated>,
}

pub(crate) struct AskedTunnel<'a> {
    pub(crate) upgrade: Upgrade,
    pub(crate) protocol: &'a str,
    /// Made where the client's protocol has none; else empty.
    pub(crate) key: String,
}

pub(crate) enum Admitted {
    Forward(Forward),
    Declined(Declined),
}

impl Admitted {
    /// The request, and its route if it has one.
    pub(crate) fn request(&self) -> (&Arrived, Option<&Arc<Route>>) {
        match self {
            Self::Forward(Forward { request, .. }) => (&request.request, Some(&request.route)),
            Self::Declined(Declined { request, route, .. }) => (request, route.as_ref()),
        }
    }
}

/// A request that goes on to a version.
pub(crate) struct Forward {
    pub(crate) request: Assigned,
    /// The head as the endpoint gets it.
    pub(crate) out: Buffer,
    /// Where in it the trace's parent stands, which differs from attempt to attempt.
    pub(crate) traceparent: Option<usize>,
}

/// A request that Serin answers by itself.
pub(crate) struct Declined {
    pub(crate) request: Arrived,
    /// Unless it was refused before one was found.
    pub(crate) route: Option<Arc<Route>>,
    pub(crate) reply: Reply,
}

pub(crate) fn admit<F: Source>(
    entered: Entered,
    info: &Arc<ClientInfo>,
    mut head: ParsedHead<'_, F>,
    now: Instant,
) -> Admitted {
    let mut request = Arrived::new(entered, info, &head, now);
    let host = std::mem::replace(&mut head.host, Ok(""));
    if let Err(reply) = asked::settle(&mut request, host) {
        asked::count_refusal(&reply, &request);
        return Admitted::Declined(Declined { request, route: None, reply });
    }
    let (route, matched) = match routed::find(&request, head.method, head.fields) {
        Ok(found) => found,
        Err(reply) => return Admitted::Declined(Declined { request, route: None, reply }),
    };
    let mut routed = Routed { request, route, matched };
    let chosen = match routed.let_in(head.fields) {
        Ok(to) => to.choose(&routed.request, head.fields),
        Err(reply) => {
            let Routed { request, route, .. } = routed;
            return Admitted::Declined(Declined { request, route: Some(route), reply });
        }
    };
    let mut out = Buffer::default();
    let traceparent = head::write(head.method, head.fields, head.translated, &mut routed, &mut out);
    let request = Assigned::new(routed, chosen);
    Admitted::Forward(Forward { request, out, traceparent })
}
