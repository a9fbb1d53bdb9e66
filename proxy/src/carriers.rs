//! Tasks that carry one thing after the other, and are made only when all others are busy.
//!
//! What is carried has a task of its own, so that what goes wrong with one is no other's misfortune.
//! But a task is some kilobytes that would be made, moved into place and thrown away each time, so
//! one that is done waits for the next.
//!
//! A carrier never leaves its thread, and finds what it is to carry in a berth there.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::task::{Context, Poll, Waker};
use std::thread::LocalKey;

/// Carriers of one kind that wait on a thread.
const KEPT: usize = 512;

/// A thread's own.
pub(crate) type Local<J> = LocalKey<RefCell<Berths<J>>>;

pub(crate) struct Berths<J> {
    /// One for each carrier.
    all: Vec<Berth<J>>,
    /// Those without a carrier.
    free: Vec<usize>,
    /// Those whose carriers wait. The last to come is the first to go: its memory is still warm.
    idle: Vec<usize>,
}

struct Berth<J> {
    hold: Option<Hold<J>>,
    waiting: Option<Waker>,
}

/// What a job is carried in, empty or not. It changes hands without being moved.
type Hold<J> = Box<Option<J>>;

/// A carrier's side. Its place is given up when its task ends, however that comes.
pub(crate) struct Carrier<J: 'static> {
    berths: &'static Local<J>,
    place: usize,
    hold: Option<Hold<J>>,
}

/// Sends a job on its way. `work` is what a carrier does for all its life, if one has to be made.
pub(crate) fn board<J, F>(berths: &'static Local<J>, job: J, work: impl FnOnce(Carrier<J>) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    if let Some(place) = berths.with_borrow_mut(|berths| berths.board(job)) {
        // Already on the heap: on its way there the runtime would move it ten times.
        tokio::spawn(Box::pin(work(Carrier { berths, place, hold: None })));
    }
}

impl<J> Carrier<J> {
    /// The next job, when there is one; the last is over. `None` says that enough others wait.
    pub(crate) async fn next(&mut self) -> Option<&mut J> {
        let (place, mut empty) = (self.place, self.hold.take());
        if let Some(hold) = &mut empty {
            **hold = None;
        }
        let next = poll_fn(|cx| {
            self.berths.with_borrow_mut(|berths| berths.poll_next(place, &mut empty, cx))
        });
        self.hold = next.await;
        self.hold.as_deref_mut()?.as_mut()
    }

    /// What is left of the job.
    pub(crate) fn take(&mut self) -> Option<J> {
        self.hold.as_deref_mut()?.take()
    }
}

impl<J> Default for Berths<J> {
    fn default() -> Self {
        Self { all: Vec::new(), free: Vec::new(), idle: Vec::new() }
    }
}

impl<J> Default for Berth<J> {
    fn default() -> Self {
        Self { hold: None, waiting: None }
    }
}

impl<J> Berths<J> {
    /// Gives the place of a carrier that is yet to be made, if none waits.
    fn board(&mut self, job: J) -> Option<usize> {
        let waiting = self.idle.pop().and_then(|at| self.all.get_mut(at));
        if let Some(berth) = waiting {
            match &mut berth.hold {
                Some(hold) => **hold = Some(job),
                None => berth.hold = Some(Box::new(Some(job))),
            }
            if let Some(waker) = berth.waiting.take() {
                waker.wake();
            }
            return None;
        }
        let at = self.free.pop().unwrap_or(self.all.len());
        if at == self.all.len() {
            self.all.push(Berth::default());
        }
        self.all[at].hold = Some(Box::new(Some(job)));
        Some(at)
    }

    /// Takes back an empty hold, and gives a full one.
    fn poll_next(
        &mut self,
        place: usize,
        empty: &mut Option<Hold<J>>,
        cx: &Context<'_>,
    ) -> Poll<Option<Hold<J>>> {
        let Some(berth) = self.all.get_mut(place) else { return Poll::Ready(None) };
        if let Some(full) = berth.hold.take_if(|hold| hold.is_some()) {
            return Poll::Ready(Some(full));
        }
        // Something that it once waited for may wake it in between.
        if berth.waiting.is_none() {
            if self.idle.len() >= KEPT {
                return Poll::Ready(None);
            }
            berth.hold = empty.take().or(berth.hold.take());
            berth.waiting = Some(cx.waker().clone());
            self.idle.push(place);
        }
        Poll::Pending
    }
}

impl<J> Drop for Carrier<J> {
    fn drop(&mut self) {
        // A thread that ends has nothing to keep.
        let left = self.berths.try_with(|berths| {
            let Ok(mut berths) = berths.try_borrow_mut() else { return None };
            berths.idle.retain(|at| *at != self.place);
            berths.free.push(self.place);
            berths.all.get_mut(self.place).map(std::mem::take)
        });
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    type Job = (oneshot::Receiver<()>, oneshot::Sender<u32>);

    thread_local! {
        static BERTHS: RefCell<Berths<Job>> = RefCell::default();
    }

    /// Answers with how many jobs it has had, once it is allowed to.
    async fn work(mut carrier: Carrier<Job>) {
        let mut had = 0;
        while let Some((go, done)) = carrier.next().await {
            had += 1;
            go.await.expect("a word");
            let (nobody, _) = oneshot::channel();
            let _ = std::mem::replace(done, nobody).send(had);
        }
    }

    fn begin() -> (oneshot::Sender<()>, oneshot::Receiver<u32>) {
        let ((go, wait), (done, answer)) = (oneshot::channel(), oneshot::channel());
        board(&BERTHS, (wait, done), work);
        (go, answer)
    }

    async fn end((go, answer): (oneshot::Sender<()>, oneshot::Receiver<u32>)) -> Option<u32> {
        let _ = go.send(());
        let had = answer.await.ok();
        // The carrier comes to rest.
        tokio::task::yield_now().await;
        had
    }

    fn counts() -> (usize, usize, usize) {
        BERTHS.with_borrow(|berths| (berths.all.len(), berths.free.len(), berths.idle.len()))
    }

    #[tokio::test]
    async fn a_carrier_that_is_done_takes_the_next_and_others_are_made_only_when_all_are_busy() {
        assert_eq!(end(begin()).await, Some(1));
        assert_eq!(end(begin()).await, Some(2));
        let (first, second) = (begin(), begin());
        assert_eq!(end(second).await, Some(1), "the first is not waited for");
        assert_eq!(end(first).await, Some(3));
        assert_eq!(counts(), (2, 0, 2));
        assert_eq!(end(begin()).await, Some(4), "the last to rest");
    }

    #[tokio::test]
    async fn a_carrier_that_breaks_gives_up_its_place_and_no_other() {
        let (first, (go, answer)) = (begin(), begin());
        drop(go);
        assert!(answer.await.is_err());
        tokio::task::yield_now().await;
        assert_eq!(end(first).await, Some(1));
        assert_eq!(counts(), (2, 1, 1));
    }

    #[tokio::test]
    async fn only_so_many_wait() {
        let all: Vec<_> = (0..KEPT + 10).map(|_| begin()).collect();
        for one in all {
            assert_eq!(end(one).await, Some(1));
        }
        assert_eq!(counts(), (KEPT + 10, 10, KEPT));
    }
}
