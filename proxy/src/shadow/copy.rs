//! A copy of one request: its head as it is sent, and its body's bytes, shared with the primary's.
//!
//! The head is written once, on the serving thread, while the request's own is at hand (see `head`).
//! It leaves out what is redacted, what belongs to a connection, and how the body is framed: a copy is
//! sent when its body is whole, so its length is known.

use super::compare::redact;
use super::counts::Dropped;
use super::head::{field, method_of};
use super::memory::{Held, Slot};
use super::mirror::Mirror;
use super::sampled::Linked;
use bytes::Bytes;
use serin_core::ids::RouteName;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Copy {
    pub(super) mirror: Arc<Mirror>,
    pub(super) route: RouteName,
    /// Request line, fields and the empty line.
    pub(super) head: Vec<u8>,
    /// The same with nothing taken out, for stable to be asked a second time.
    pub(super) again: Option<Vec<u8>>,
    /// Where it is sampled.
    pub(super) linked: Option<Linked>,
    pub(super) body: Vec<Bytes>,
    /// Its length is told, 0 too.
    pub(super) framed: bool,
    pub(super) slot: Option<Slot>,
    pub(super) held: Option<Held>,
}

impl Drop for Copy {
    fn drop(&mut self) {
        self.mirror.shadows.spare().give(std::mem::take(&mut self.head));
    }
}

impl Copy {
    pub(super) fn method(&self) -> &str {
        method_of(&self.head)
    }

    /// Asked again whenever something was waited for: a reload may have come meanwhile.
    pub(super) fn is_allowed(&self) -> bool {
        self.mirror.still_allows(self.method(), &self.route)
    }

    /// What the configuration takes out of bodies; here, because it takes time.
    pub(super) fn redact(&mut self) -> Result<(), Dropped> {
        let paths = &self.mirror.config.redact_json;
        if paths.is_empty() || self.body.is_empty() {
            return Ok(());
        }
        let whole = self.body.concat();
        match redact::redact(&whole, paths) {
            Ok(None) => Ok(()),
            Ok(Some(redacted)) => {
                self.body = vec![Bytes::from(redacted)];
                Ok(())
            }
            // A form or a picture has no such paths; what says that it is JSON should have been.
            Err(redact::NotJson) if self.claims_no_json() => Ok(()),
            Err(redact::NotJson) => Err(Dropped::NotRedacted),
        }
    }

    fn claims_no_json(&self) -> bool {
        let encoded = field(&self.head, "content-encoding").is_some();
        let kind = field(&self.head, "content-type").map(<[u8]>::to_ascii_lowercase);
        !encoded && kind.is_some_and(|kind| !kind.windows(4).any(|message| message == b"json"))
    }
}
