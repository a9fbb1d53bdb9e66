//! Tasks that do one job after the other, and are made only when all others are busy.
//!
//! A job has a task of its own, so that what goes wrong with one is no other's misfortune.
//! But a task is some kilobytes that would be made, moved into place and thrown away each time, so
//! one that is done waits for the next.
//!
//! A task never leaves its thread, and finds its next job in a slot there.

use crate::free_list::FreeList;
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::task::{Context, Poll, Waker};
use std::thread::LocalKey;

/// Tasks of one kind that wait on a thread.
const KEPT: usize = 512;

/// A thread's own.
pub(crate) type Local<J> = LocalKey<RefCell<Slots<J>>>;

pub(crate) struct Slots<J> {
    /// One for each task.
    all: Vec<Slot<J>>,
    /// Those without a task.
    free: Vec<usize>,
    /// Those whose tasks wait.
    idle: FreeList<usize>,
}

struct Slot<J> {
    hold: Option<Hold<J>>,
    waiting: Option<Waker>,
    /// Its task is to end.
    over: bool,
}

/// What a job is carried in, empty or not. It changes hands without being moved.
type Hold<J> = Box<Option<J>>;

/// A task's side. Its place is given up when its task ends, however that comes.
pub(crate) struct PoolTask<J: 'static> {
    slots: &'static Local<J>,
    place: usize,
    hold: Option<Hold<J>>,
}

/// Ends the tasks that the thread has not needed since the last sweep.
pub(crate) fn sweep<J>(slots: &'static Local<J>) {
    let ended = slots.with_borrow_mut(Slots::sweep);
    ended.into_iter().for_each(Waker::wake);
}

/// Gives a job to a task that waits, or makes one. `work` is what a task does for all its life, if one has to be made.
pub(crate) fn spawn<J, F>(slots: &'static Local<J>, job: J, work: impl FnOnce(PoolTask<J>) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    if let Some(place) = slots.with_borrow_mut(|slots| slots.put(job)) {
        // Already on the heap: on its way there the runtime would move it ten times.
        tokio::spawn(Box::pin(work(PoolTask { slots, place, hold: None })));
    }
}

impl<J> PoolTask<J> {
    /// The next job, when there is one; the last is over. `None` says that enough others wait.
    pub(crate) async fn next(&mut self) -> Option<&mut J> {
        let (place, mut empty) = (self.place, self.hold.take());
        if let Some(hold) = &mut empty {
            **hold = None;
        }
        let next = poll_fn(|cx| {
            self.slots.with_borrow_mut(|slots| slots.poll_next(place, &mut empty, cx))
        });
        self.hold = next.await;
        self.hold.as_deref_mut()?.as_mut()
    }

    /// What is left of the job.
    pub(crate) fn take(&mut self) -> Option<J> {
        self.hold.as_deref_mut()?.take()
    }
}

impl<J> Default for Slots<J> {
    fn default() -> Self {
        Self { all: Vec::new(), free: Vec::new(), idle: FreeList::NEW }
    }
}

impl<J> Default for Slot<J> {
    fn default() -> Self {
        Self { hold: None, waiting: None, over: false }
    }
}

impl<J> Slots<J> {
    /// Gives the place of a task that is yet to be made, if none waits.
    fn put(&mut self, job: J) -> Option<usize> {
        let waiting = self.idle.pop().and_then(|at| self.all.get_mut(at));
        if let Some(slot) = waiting {
            match &mut slot.hold {
                Some(hold) => **hold = Some(job),
                None => slot.hold = Some(Box::new(Some(job))),
            }
            if let Some(waker) = slot.waiting.take() {
                waker.wake();
            }
            return None;
        }
        let at = self.free.pop().unwrap_or(self.all.len());
        if at == self.all.len() {
            self.all.push(Slot::default());
        }
        self.all[at].hold = Some(Box::new(Some(job)));
        Some(at)
    }

    /// Those that nobody needs are no longer among the idle, and find out that they are over when they are woken.
    fn sweep(&mut self) -> Vec<Waker> {
        let ended = self.idle.sweep().into_iter().filter_map(|at| {
            let slot = self.all.get_mut(at)?;
            slot.over = true;
            slot.waiting.take()
        });
        ended.collect()
    }

    /// Takes back an empty hold, and gives a full one.
    fn poll_next(
        &mut self,
        place: usize,
        empty: &mut Option<Hold<J>>,
        cx: &Context<'_>,
    ) -> Poll<Option<Hold<J>>> {
        let Some(slot) = self.all.get_mut(place) else { return Poll::Ready(None) };
        if let Some(full) = slot.hold.take_if(|hold| hold.is_some()) {
            return Poll::Ready(Some(full));
        }
        if slot.over {
            return Poll::Ready(None);
        }
        // Something that it once waited for may wake it in between.
        if slot.waiting.is_none() {
            if self.idle.len() >= KEPT {
                return Poll::Ready(None);
            }
            slot.hold = empty.take().or(slot.hold.take());
            slot.waiting = Some(cx.waker().clone());
            self.idle.push(place);
        }
        Poll::Pending
    }
}

impl<J> Drop for PoolTask<J> {
    fn drop(&mut self) {
        // A thread that ends has nothing to keep.
        let left = self.slots.try_with(|slots| {
            let Ok(mut slots) = slots.try_borrow_mut() else { return None };
            slots.idle.retain(|at| *at != self.place);
            slots.free.push(self.place);
            slots.all.get_mut(self.place).map(std::mem::take)
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
        static TASKS: RefCell<Slots<Job>> = RefCell::default();
    }

    /// Answers with how many jobs it has had, once it is allowed to.
    async fn work(mut task: PoolTask<Job>) {
        let mut had = 0;
        while let Some((go, done)) = task.next().await {
            had += 1;
            go.await.expect("a word");
            let (nobody, _) = oneshot::channel();
            let _ = std::mem::replace(done, nobody).send(had);
        }
    }

    fn begin() -> (oneshot::Sender<()>, oneshot::Receiver<u32>) {
        let ((go, wait), (done, answer)) = (oneshot::channel(), oneshot::channel());
        spawn(&TASKS, (wait, done), work);
        (go, answer)
    }

    async fn end((go, answer): (oneshot::Sender<()>, oneshot::Receiver<u32>)) -> Option<u32> {
        let _ = go.send(());
        let had = answer.await.ok();
        // The task comes to rest.
        tokio::task::yield_now().await;
        had
    }

    fn counts() -> (usize, usize, usize) {
        TASKS.with_borrow(|slots| (slots.all.len(), slots.free.len(), slots.idle.len()))
    }

    #[tokio::test]
    async fn a_task_that_is_done_takes_the_next_and_others_are_made_only_when_all_are_busy() {
        assert_eq!(end(begin()).await, Some(1));
        assert_eq!(end(begin()).await, Some(2));
        let (first, second) = (begin(), begin());
        assert_eq!(end(second).await, Some(1), "the first is not waited for");
        assert_eq!(end(first).await, Some(3));
        assert_eq!(counts(), (2, 0, 2));
        assert_eq!(end(begin()).await, Some(4), "the last to rest");
    }

    #[tokio::test]
    async fn a_task_that_breaks_gives_up_its_place_and_no_other() {
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

    #[tokio::test]
    async fn those_that_nobody_needs_end_and_the_others_stay() {
        for one in (0..10).map(|_| begin()).collect::<Vec<_>>() {
            end(one).await;
        }
        sweep(&TASKS);
        for one in (0..3).map(|_| begin()).collect::<Vec<_>>() {
            end(one).await;
        }
        sweep(&TASKS);
        tokio::task::yield_now().await;
        assert_eq!(counts(), (10, 7, 3));
        sweep(&TASKS);
        tokio::task::yield_now().await;
        assert_eq!(counts(), (10, 10, 0));
        assert_eq!(end(begin()).await, Some(1));
    }
}
