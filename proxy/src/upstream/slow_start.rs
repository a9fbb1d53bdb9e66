//! The share of an endpoint that has just joined.

use std::time::Duration;

/// Nobody starts with less: an endpoint that gets nothing never warms up.
pub(super) const LEAST: f64 = 0.1;

/// The weight of an endpoint that joined `age` ago, beside a weight of 1 for the others. Rises in
/// proportion to its age over the window.
pub(super) fn factor(age: Duration, window: Duration) -> f64 {
    if age >= window {
        return 1.0;
    }
    (age.as_secs_f64() / window.as_secs_f64()).max(LEAST)
}
