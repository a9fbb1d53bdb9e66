//! Where a request's way touches its copy: what the shadow is told of it.

use crate::meter::Counting;
use crate::request::attempt::Attempt;
use crate::request::attempts::Attempts;
use crate::shadow::Head;
use memchr::memchr;
use std::borrow::Cow;

impl Attempts {
    /// A head leaves for the attempt's version, as it is written here. Only that of the first attempt is
    /// told.
    pub(crate) fn head_leaves(&mut self, attempt: &Attempt, head: &[u8]) {
        if !self.tap.is_unasked() || self.assigned.service.shadow().is_none() {
            return;
        }
        let Some(end) = memchr(b'\n', head) else { return };
        let (line, lines) = head.split_at(end + 1);
        let lines = lines.strip_suffix(b"\r\n").unwrap_or(lines);
        let mut words = line.split(|b| *b == b' ');
        let mut word = || words.next().and_then(|word| std::str::from_utf8(word).ok());
        if let (Some(method), Some(target)) = (word(), word()) {
            self.begin_copy(attempt, method, target, lines);
        }
    }

    /// A request that asks for another protocol has no copy, and neither has one that a route forces
    /// to a version: it says nothing about how the service's traffic would fare.
    fn begin_copy(&mut self, attempt: &Attempt, method: &str, target: &str, lines: &[u8]) {
        let (assigned, request) = (&self.assigned, &self.assigned.request);
        let forced = assigned.meter.counting() == Counting::Cohort;
        let mirror = assigned.service.shadow();
        let mirror = mirror.filter(|_| request.upgrade.is_none() && !forced);
        let sampled = request.trace.is_some();
        let head = Head { method, host: &request.scratch.host, target, sampled };
        self.tap.begin(mirror, &assigned.route, &attempt.on, &head, || Cow::Borrowed(lines));
    }
}
