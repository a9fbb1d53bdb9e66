//! Whole rollouts on the real data plane, with real origins and clients, and holds of seconds.
//!
//! Counts are asserted. Times are printed, and asserted only when `SERIN_BARS` is set: a machine
//! that is busy with something else fails no test.

mod failing;
mod keeping;
mod killed;
mod outcomes;
mod strangers;
mod telling;
mod test_server;
