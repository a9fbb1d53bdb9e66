//! What `judgement.md` promises of the split, from outside: exact without sessions, monotone
//! and independent with them.

mod choose;
mod common;
mod split;
mod sticky;
