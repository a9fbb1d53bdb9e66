//! The admin API from outside: who gets in, what they may do, and what they never see.

mod answers;
mod bench;
mod changes;
mod doors;
mod secrets;
mod slow;
