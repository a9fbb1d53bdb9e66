//! A request whose head was read: what it asks for, who asks, and under which id. Nothing about it is decided.

use crate::config_generation::ConfigGeneration;
use crate::ingress::ClientInfo;
use crate::plane::Entered;
use crate::request::admit::ParsedHead;
use crate::request::scratch::{self, Scratch};
use crate::request::{asked, forwarded, identify};
use crate::route::Fields;
use crate::spans::Trace;
use crate::trial::{Side, Ticket};
use crate::tunnel::Upgrade;
use serin_core::measure::method_word;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

pub(crate) struct Arrived {
    pub(crate) began: Instant,
    /// The one configuration that this request ever sees.
    pub(crate) generation: Arc<ConfigGeneration>,
    /// Only while two configurations serve: which of them counts it.
    pub(crate) ticket: Option<Ticket>,
    pub(crate) info: Arc<ClientInfo>,
    pub(crate) client: IpAddr,
    /// Only when the request is sampled.
    pub(crate) trace: Option<Box<Trace>>,
    /// In the words of the verdict: of a fixed list.
    pub(crate) method: &'static str,
    pub(crate) idempotent: bool,
    pub(crate) grpc: bool,
    /// It asks for another protocol.
    pub(crate) upgrade: Option<Upgrade>,
    /// The client reads what stands after a body.
    pub(crate) trailers: bool,
    /// The client waits for leave to send its body, in a version of HTTP that knows that.
    pub(crate) expects: bool,
    pub(super) has_query: bool,
    /// Its texts.
    pub(crate) scratch: Box<Scratch>,
}

impl Arrived {
    pub(super) fn new<F: Fields>(
        entered: Entered,
        info: &Arc<ClientInfo>,
        head: &ParsedHead<'_, F>,
        now: Instant,
    ) -> Self {
        let Entered { generation, ticket } = entered;
        let mut scratch = scratch::take();
        scratch.target.push_str(head.target);
        let upgrade = head.tunnel.as_ref().map(|tunnel| {
            scratch.protocol.push_str(tunnel.protocol);
            scratch.websocket_key.push_str(&tunnel.key);
            tunnel.upgrade
        });
        let tracing = generation.config.tracing.as_ref();
        let trace = identify::identify(head.fields, info, tracing, &mut scratch);
        Self {
            began: now,
            generation,
            ticket,
            info: Arc::clone(info),
            client: forwarded::client(head.fields, info),
            trace,
            method: method_word(head.method),
            idempotent: asked::is_idempotent(head.method),
            grpc: asked::is_grpc(head.fields),
            upgrade,
            trailers: asked::takes_trailers(head.fields),
            expects: head.expects,
            has_query: false,
            scratch,
        }
    }

    pub(crate) fn query(&self) -> Option<&str> {
        self.has_query.then_some(self.scratch.query.as_str())
    }

    pub(crate) fn scheme(&self) -> &'static str {
        self.info.scheme()
    }

    /// Whether a configuration serves it that is not in force, and may never be.
    pub(super) fn is_on_trial(&self) -> bool {
        self.ticket.as_ref().is_some_and(|ticket| ticket.side() == Side::New)
    }
}
