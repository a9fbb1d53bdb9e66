//! One connection's place, as the tasks that serve it use it: taken at accept, given back when the
//! connection ends, lost when it is closed for another.

use super::auth::Peer;
use super::limits;
use super::places::{Doing, Full, Places};
use super::problem::{Kind, Problem};
use crate::metrics::Tallies;
use axum::http::{HeaderValue, StatusCode, header};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// The places of one listener.
#[derive(Debug, Clone)]
pub(super) struct Seats {
    places: Arc<Mutex<Places<oneshot::Sender<()>>>>,
    tallies: Arc<Tallies>,
}

#[derive(Debug)]
pub(crate) struct Seat {
    id: u64,
    seats: Seats,
}

/// Held while a request is answered, or streamed to.
#[derive(Debug)]
pub(crate) struct Busy {
    seat: Arc<Seat>,
    doing: Doing,
}

impl Seats {
    pub(super) fn new(tallies: Arc<Tallies>) -> Self {
        Self { places: Arc::new(Mutex::new(Places::new(limits::BOUNDS))), tallies }
    }

    /// A place, and what ends when it is lost; `None` when there is none.
    pub(super) fn take(&self, peer: Peer) -> Option<(Arc<Seat>, oneshot::Receiver<()>)> {
        let (held, lost) = oneshot::channel();
        let (admitted, gone) = self.lock().admit(peer, held);
        match (&admitted, gone) {
            (_, Some((Doing::Silent, _))) => self.tallies.admin_closed("silent"),
            (_, Some(_)) => self.tallies.admin_closed("idle"),
            (Err(Full::Address), None) => self.tallies.admin_closed("addressFull"),
            (Err(Full::Everywhere), None) => self.tallies.admin_closed("full"),
            (Ok(_), None) => {}
        }
        let id = admitted.ok()?;
        Some((Arc::new(Seat { id, seats: self.clone() }), lost))
    }

    fn lock(&self) -> MutexGuard<'_, Places<oneshot::Sender<()>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// For the time of one answer.
    pub(super) fn answer(self: &Arc<Self>, probe: bool) -> Result<Busy, Problem> {
        let may = self.seats.lock().answer(self.id, probe);
        may.map(|()| self.busy(Doing::Answering))
            .map_err(|_| full("too many requests are being answered".to_owned()))
    }

    /// For an answer that goes on.
    pub(super) fn stream(self: &Arc<Self>) -> Result<Busy, Problem> {
        let may = self.seats.lock().stream(self.id);
        let limit = limits::BOUNDS;
        may.map(|()| self.busy(Doing::Streaming)).map_err(|full| {
            self::full(match full {
                Full::Everywhere => format!("{} event streams are open already", limit.streams),
                Full::Address => format!(
                    "{} event streams are open already from this address",
                    limit.streams_per_address
                ),
            })
        })
    }

    fn busy(self: &Arc<Self>, doing: Doing) -> Busy {
        Busy { seat: Arc::clone(self), doing }
    }
}

fn full(detail: String) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, Kind::Unavailable, detail)
        .with_header(header::RETRY_AFTER, HeaderValue::from_static("5"))
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.seat.seats.lock().ended(self.seat.id, self.doing);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.lock().leave(self.id);
    }
}
