//! The notes about requests, used again and again by their thread.

use crate::free_list::FreeList;
use crate::plane::Entered;
use crate::request::context::RequestContext;
use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::time::Instant;

/// As many as a thread keeps.
const KEPT: usize = 512;

thread_local! {
    static FREE: RefCell<FreeList<Box<RequestContext>>> = const { RefCell::new(FreeList::NEW) };
}

/// Gives back what the thread has not needed since the last sweep.
pub(crate) fn sweep() {
    drop(FREE.with_borrow_mut(FreeList::sweep));
}

/// Goes back to its thread when the request is over, however it ends.
pub(crate) struct Borrowed(Option<Box<RequestContext>>);

pub(crate) fn take(entered: Entered, now: Instant) -> Borrowed {
    let context = FREE.with_borrow_mut(FreeList::pop);
    Borrowed(Some(match context {
        Some(mut context) => {
            context.renew(entered, now);
            context
        }
        None => Box::new(RequestContext::new(entered, now)),
    }))
}

impl Deref for Borrowed {
    type Target = RequestContext;

    fn deref(&self) -> &RequestContext {
        match &self.0 {
            Some(context) => context,
            None => unreachable!("only dropping takes it"),
        }
    }
}

impl DerefMut for Borrowed {
    fn deref_mut(&mut self) -> &mut RequestContext {
        match &mut self.0 {
            Some(context) => context,
            None => unreachable!("only dropping takes it"),
        }
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        let Some(mut context) = self.0.take() else { return };
        context.forget();
        // A thread that ends has nothing to keep.
        let _ = FREE.try_with(|free| {
            if let Ok(mut free) = free.try_borrow_mut()
                && free.len() < KEPT
            {
                free.push(context);
            }
        });
    }
}
