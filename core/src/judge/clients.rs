//! Does the candidate refuse more than stable does? A release that has lost a route answers 404, and one
//! that no longer knows its tokens 401: no failure, and nothing that anybody wants.
//!
//! The error test on answers of 4xx, by the first of each user. It holds and tells and never rolls
//! back: what clients ask for is theirs to choose.

use super::compare::Batch;
use super::errors::{Batching, ErrorsTest};
use crate::rollout::ErrorTest;

/// Up to this share of 4xx is nobody's concern.
const USUAL: f64 = 0.01;

#[derive(Debug, Clone)]
pub(super) struct ClientErrors {
    /// Below 1 nothing is compared.
    pub(super) margin: f64,
    test: ErrorsTest,
    batching: Batching,
}

impl ClientErrors {
    pub(super) fn new(margin: f64) -> Self {
        let test = ErrorsTest::new(margin.max(1.0), USUAL);
        Self { margin, test, batching: Batching::default() }
    }

    pub(super) fn add(&mut self, more: Batch, at: u64) {
        if self.margin < 1.0 {
            return;
        }
        self.test.hold_to_objective(more);
        if let Some(finished) = self.batching.add(more, at) {
            self.test.compare(finished.all);
        }
    }

    /// The weight changes.
    pub(super) fn finish(&mut self, at: u64) {
        let finished = self.batching.finish(at);
        self.test.compare(finished.all);
    }

    pub(super) fn reading(&self, needed: f64) -> Option<ErrorTest> {
        let seen = self.test.seen;
        (self.margin >= 1.0 && seen.candidate.bad > 0).then(|| ErrorTest {
            value: self.test.comparison(),
            needed,
            floor: self.test.floor(),
            candidate: seen.candidate,
            stable: seen.stable,
            worse: self.test.value() >= needed,
            of_few_clients: false,
        })
    }
}
