//! Tasks that carry streams of HTTP/2, one at a time and again and again.
//!
//! A stream has a task of its own, so that what goes wrong with one is no other's misfortune. But a
//! task is some kilobytes that would be made, moved into place and thrown away with every request,
//! so one whose stream is over waits for the next.
//!
//! A carrier never leaves its thread, and finds what it is to carry in a berth there.

use super::FastLane;
use super::streams::Boarded;
use crate::wheel::Deadline;
use std::cell::RefCell;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Carriers of one thread that wait.
const KEPT: usize = 512;

thread_local! {
    static BERTHS: RefCell<Berths> = RefCell::default();
}

#[derive(Default)]
struct Berths {
    /// One for each carrier.
    all: Vec<Berth>,
    /// Those without a carrier.
    free: Vec<usize>,
    /// Those whose carriers wait. The last to come is the first to go: its memory is still warm.
    idle: Vec<usize>,
}

#[derive(Default)]
struct Berth {
    hold: Option<Hold>,
    waiting: Option<Waker>,
}

/// What a stream is carried in, empty or not. It changes hands without being moved.
type Hold = Box<Option<Boarded>>;

/// A carrier's place, given up when its task ends, however that comes.
struct Place(usize);

/// Sends a stream on its way.
pub(super) fn board(boarded: Boarded, lane: &Arc<FastLane>) {
    let place = BERTHS.with_borrow_mut(|berths| berths.board(boarded));
    if let Some(place) = place {
        tokio::spawn(work(place, Arc::clone(lane)));
    }
}

async fn work(place: Place, lane: Arc<FastLane>) {
    let mut deadline = Deadline::default();
    let mut hold = None;
    loop {
        let next =
            poll_fn(|cx| BERTHS.with_borrow_mut(|berths| berths.poll_next(&place, &mut hold, cx)));
        let Some(mut taken) = next.await else { return };
        if let Some(boarded) = &mut *taken {
            // It stays where it is on the wheel, and is seldom due before the next stream's.
            boarded.stream.deadline = deadline;
            lane.carry_stream(boarded).await;
            deadline = std::mem::take(&mut boarded.stream.deadline);
        }
        *taken = None;
        hold = Some(taken);
    }
}

impl Berths {
    /// Gives the place of a carrier that is yet to be made, if none waits.
    fn board(&mut self, boarded: Boarded) -> Option<Place> {
        let waiting = self.idle.pop().and_then(|at| self.all.get_mut(at));
        if let Some(berth) = waiting {
            match &mut berth.hold {
                Some(hold) => **hold = Some(boarded),
                None => berth.hold = Some(Box::new(Some(boarded))),
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
        self.all[at].hold = Some(Box::new(Some(boarded)));
        Some(Place(at))
    }

    /// Takes back an empty hold, and gives a full one. `None` says that enough others wait.
    fn poll_next(
        &mut self,
        place: &Place,
        empty: &mut Option<Hold>,
        cx: &Context<'_>,
    ) -> Poll<Option<Hold>> {
        let Some(berth) = self.all.get_mut(place.0) else { return Poll::Ready(None) };
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
            self.idle.push(place.0);
        }
        Poll::Pending
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A thread that ends has nothing to keep.
        let left = BERTHS.try_with(|berths| {
            let Ok(mut berths) = berths.try_borrow_mut() else { return None };
            berths.idle.retain(|at| *at != self.0);
            berths.free.push(self.0);
            berths.all.get_mut(self.0).map(std::mem::take)
        });
        drop(left);
    }
}
