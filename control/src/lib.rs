//! Rollouts that act, survive and explain themselves: the tick, the journal, the admin API.
