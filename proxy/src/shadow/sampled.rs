//! The span of a copy: made only where Serin samples the request, and only when the copy was sent.

use super::copy::Copy;
use super::counts::Dropped;
use super::head::path_of;
use super::response_pair::Answer;
use crate::spans::{Copied, Place, Sampled};
use std::time::{Instant, SystemTime};

/// Where the copy's span belongs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Linked {
    pub(super) own: Place,
    /// The attempt whose copy it is.
    pub(super) of: Place,
}

/// When it began.
pub(super) struct Sample(Linked, SystemTime, Instant);

impl Sample {
    /// `None` where nobody samples: the clocks are read for nothing else.
    pub(super) fn begin(copy: &Copy) -> Option<Self> {
        copy.linked.map(|linked| Self(linked, SystemTime::now(), Instant::now()))
    }

    pub(super) fn end(self, copy: &Copy, came: Result<&Answer, &Dropped>) {
        let Self(Linked { own, of }, at, began) = self;
        let (status, failure) = match came {
            Ok(answer) => (Some(answer.status), None),
            Err(why) if why.is_failure() => (None, Some(why.as_str())),
            Err(_) => return,
        };
        let mirror = &copy.mirror;
        mirror.shadows.spans().write(Sampled::Copy(Box::new(Copied {
            at,
            lasted: began.elapsed(),
            own,
            of,
            method: copy.method().to_owned(),
            path: path_of(&copy.head),
            service: mirror.service.to_string(),
            route: copy.route.to_string(),
            version: mirror.to.name.to_string(),
            status,
            failure,
        })));
    }
}
