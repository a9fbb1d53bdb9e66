//! Who ended a WebSocket, and how: whoever began to close it, and not whoever answered.
//!
//! A client must not be able to choose what counts against a version, and a server sends the code back
//! that it was sent. So the first word counts: a close frame, the end of a connection, or something that
//! is no WebSocket at all.

use super::close_code::{CloseCode, Sender};

/// How a WebSocket has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closed {
    /// Its client closed it, went away, or made it impossible to go on.
    ByClient,
    /// Its backend closed it with this code.
    ByBackend(u16),
    /// Its backend went away without a word.
    BrokenOff,
}

#[derive(Debug)]
pub(super) struct Closing {
    client: CloseCode,
    backend: CloseCode,
    closed: Option<Closed>,
}

impl Closing {
    pub(super) fn new() -> Self {
        let [client, backend] = [Sender::Client, Sender::Backend].map(CloseCode::of);
        Self { client, backend, closed: None }
    }

    /// What the client says.
    pub(super) fn client_says(&mut self, bytes: &[u8]) {
        if self.closed.is_none() {
            self.client.watch(bytes);
            if self.client.seen().is_some() || self.client.is_broken() {
                self.closed = Some(Closed::ByClient);
            }
        }
    }

    pub(super) fn backend_says(&mut self, bytes: &[u8]) {
        self.backend.watch(bytes);
        if let Some(code) = self.backend.seen() {
            self.closed.get_or_insert(Closed::ByBackend(code));
        }
    }

    pub(super) fn client_ended(&mut self) {
        self.closed.get_or_insert(Closed::ByClient);
    }

    /// One that never spoke of frames has ended as it may.
    pub(super) fn backend_ended(&mut self) {
        if !self.backend.is_broken() {
            self.closed.get_or_insert(Closed::BrokenOff);
        }
    }

    /// The backend has sent a close frame, whoever began.
    pub(super) fn backend_has_closed(&self) -> bool {
        self.backend.seen().is_some()
    }

    /// `None` when nobody did.
    pub(super) fn closed(&self) -> Option<Closed> {
        self.closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENTS: &[u8] = &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xf3];
    const BACKENDS: &[u8] = &[0x88, 2, 0x03, 0xf3];

    #[test]
    fn whoever_begins_has_closed_it() {
        let mut closing = Closing::new();
        closing.client_says(CLIENTS);
        closing.backend_says(BACKENDS);
        closing.backend_ended();
        assert_eq!(closing.closed(), Some(Closed::ByClient));
        assert!(closing.backend_has_closed());

        let mut closing = Closing::new();
        closing.backend_says(BACKENDS);
        closing.client_says(CLIENTS);
        assert_eq!(closing.closed(), Some(Closed::ByBackend(1011)));
    }

    #[test]
    fn a_backend_that_goes_away_has_broken_it_off_unless_its_client_was_first() {
        let mut closing = Closing::new();
        closing.backend_says(&[0x81, 1, b'x']);
        closing.backend_ended();
        assert_eq!(closing.closed(), Some(Closed::BrokenOff));
        for client in [&b"not a frame"[..], &[0x81, 1, b'x']] {
            let mut closing = Closing::new();
            closing.client_says(client);
            closing.backend_ended();
            assert_eq!(closing.closed(), Some(Closed::ByClient));
        }
        let mut closing = Closing::new();
        closing.client_ended();
        closing.backend_ended();
        assert_eq!(closing.closed(), Some(Closed::ByClient));
        let mut closing = Closing::new();
        closing.backend_says(b"not a frame");
        closing.backend_ended();
        assert_eq!(closing.closed(), None);
    }
}
