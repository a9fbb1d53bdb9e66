//! What strangers do sends no healthy release back, and a bad release hurts no more for it.
//!
//! Counts, latencies and the sample of origins are made as the data plane makes them; the pilot decides.

mod first_seconds;
mod lasting;
mod service;
