//! What an answer's head says, whichever lane read it.

use super::fail::{self, Standing};
use super::life::{Life, about};
use crate::route::Fields;
use std::time::Instant;

pub(super) const VERSION: &str = "x-serin-version";

/// The final head has come, and nothing of it has been sent. Says whether another attempt is made
/// instead.
pub(super) fn head_came(
    life: &mut Life,
    status: u16,
    grpc: Option<u32>,
    standing: Standing,
    now: Instant,
) -> bool {
    let Some(attempt) = &mut life.attempt else { return false };
    attempt.status = Some(status);
    attempt.grpc = grpc;
    if let Some(exchange) = &mut life.exchange {
        let about = about(&life.asked, life.route.as_ref(), Some(&*attempt));
        exchange.head(status, about, now);
    }
    if fail::try_again_after_answer(life, standing, now) {
        return true;
    }
    life.first_byte = Some(now);
    false
}

pub(super) fn grpc_status(fields: &dyn Fields) -> Option<u32> {
    std::str::from_utf8(fields.first("grpc-status")?).ok()?.parse().ok()
}
