//! The memory of a request: texts and fields, used again and again by its thread.

use crate::free_list::FreeList;
use crate::wire::head::Field;
use std::cell::RefCell;

/// As many as a thread keeps.
const KEPT: usize = 512;

#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// With its port when the client named one.
    pub(crate) host: String,
    /// In normal form.
    pub(crate) path: String,
    /// Empty also when there is none.
    pub(crate) query: String,
    /// As the client sent it.
    pub(crate) target: String,
    /// What the client calls the protocol, where it asks for another.
    pub(crate) protocol: String,
    /// Where a client of HTTP/2 asks for a WebSocket: the key that its backend is sent.
    pub(crate) websocket_key: String,
    pub(crate) request_id: String,
    pub(crate) traceparent: String,
    /// Where a field's value is put together.
    pub(crate) value: String,
    /// Where heads are parsed into.
    pub(crate) fields: Vec<Field>,
}

thread_local! {
    static FREE: RefCell<FreeList<Box<Scratch>>> = const { RefCell::new(FreeList::NEW) };
}

/// Gives back what the thread has not needed since the last sweep.
pub(crate) fn sweep() {
    drop(FREE.with_borrow_mut(FreeList::sweep));
}

pub(super) fn take() -> Box<Scratch> {
    FREE.with_borrow_mut(FreeList::pop).unwrap_or_default()
}

/// For the thread's next request. That of one which is given up in the middle is not kept.
pub(super) fn give_back(mut scratch: Box<Scratch>) {
    scratch.forget();
    FREE.with_borrow_mut(|free| {
        if free.len() < KEPT {
            free.push(scratch);
        }
    });
}

impl Scratch {
    /// As new, but with the memory it has.
    fn forget(&mut self) {
        let Self {
            host,
            path,
            query,
            target,
            protocol,
            websocket_key,
            request_id,
            traceparent,
            value,
            fields,
        } = self;
        for text in
            [host, path, query, target, protocol, websocket_key, request_id, traceparent, value]
        {
            text.clear();
        }
        fields.clear();
    }
}
