//! What a thread keeps to use again, and gives up when it was not needed for a while.
//!
//! A burst of requests needs much of everything at once and then nothing of it. So a list knows the fewest
//! that were in it since it was last swept: so many nobody has missed, and they go.

#[derive(Debug)]
pub(crate) struct FreeList<T> {
    /// The last to come is the first to go: its memory is still warm.
    free: Vec<T>,
    /// There were never fewer since the last sweep.
    fewest: usize,
}

impl<T> FreeList<T> {
    pub(crate) const NEW: Self = Self { free: Vec::new(), fewest: 0 };

    pub(crate) fn len(&self) -> usize {
        self.free.len()
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        let last = self.free.pop();
        self.fewest = self.fewest.min(self.free.len());
        last
    }

    pub(crate) fn push(&mut self, one: T) {
        self.free.push(one);
    }

    /// Takes out all that are not as `kept` says.
    pub(crate) fn retain(&mut self, kept: impl FnMut(&T) -> bool) {
        self.free.retain(kept);
        self.fewest = self.fewest.min(self.free.len());
    }

    /// Gives up what was not needed since the last sweep: those that have been there longest.
    pub(crate) fn sweep(&mut self) -> Vec<T> {
        let unneeded = self.free.drain(..self.fewest).collect();
        self.fewest = self.free.len();
        self.free.shrink_to(2 * self.fewest);
        unneeded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_needs_between_two_sweeps_goes_and_the_last_to_come_stay() {
        let mut list = FreeList::NEW;
        (0..10).for_each(|one| list.push(one));
        assert!(list.sweep().is_empty(), "all came since");
        let taken: Vec<i32> = (0..3).filter_map(|_| list.pop()).collect();
        taken.into_iter().for_each(|one| list.push(one));
        assert_eq!(list.sweep(), [0, 1, 2, 3, 4, 5, 6]);
        list.retain(|one| *one != 8);
        assert_eq!((list.sweep().len(), list.len(), list.pop()), (2, 0, None));
    }
}
