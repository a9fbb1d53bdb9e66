//! One test on what counts, and the same on everything that was met.
//!
//! Only the first decides. The second says what a few clients would have done, so that it can be told; it is
//! made when the two part for the first time, and not stored.

#[derive(Debug, Clone)]
pub(super) struct Twofold<T> {
    pub(super) counts: T,
    all: Option<Box<T>>,
}

impl<T: Clone> Twofold<T> {
    pub(super) fn new(test: T) -> Self {
        Self { counts: test, all: None }
    }

    pub(super) fn observe<X: Copy + PartialEq>(
        &mut self,
        counted: X,
        all: X,
        observe: impl Fn(&mut T, X),
    ) {
        if counted != all && self.all.is_none() {
            self.all = Some(Box::new(self.counts.clone()));
        }
        if let Some(test) = &mut self.all {
            observe(test, all);
        }
        observe(&mut self.counts, counted);
    }

    pub(super) fn each(&mut self, change: impl Fn(&mut T)) {
        change(&mut self.counts);
        if let Some(test) = &mut self.all {
            change(test);
        }
    }

    /// What all of it together would be, where it is something else.
    pub(super) fn all(&self) -> Option<&T> {
        self.all.as_deref()
    }
}
