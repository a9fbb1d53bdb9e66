//! Waiting for a condition instead of sleeping for a while.

use std::time::{Duration, Instant};

/// Long enough for a slow machine under load; only a failing test ever waits so long.
pub const PATIENCE: Duration = Duration::from_secs(30);

const PAUSE: Duration = Duration::from_millis(2);

/// What [`eventually`] can wait for: `true`, or something rather than nothing.
pub trait Condition {
    type Held;
    fn held(self) -> Option<Self::Held>;
}

impl Condition for bool {
    type Held = ();
    fn held(self) -> Option<()> {
        self.then_some(())
    }
}

impl<T> Condition for Option<T> {
    type Held = T;
    fn held(self) -> Option<T> {
        self
    }
}

/// Waits until the condition holds and returns what it holds; panics past [`PATIENCE`].
#[track_caller]
pub fn eventually<C: Condition>(what: &str, mut condition: impl FnMut() -> C) -> C::Held {
    let begun = Instant::now();
    loop {
        if let Some(held) = condition().held() {
            return held;
        }
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(PAUSE);
    }
}

/// The same on a runtime: other tasks run while it waits.
pub async fn eventually_async<C: Condition>(
    what: &str,
    mut condition: impl AsyncFnMut() -> C,
) -> C::Held {
    let begun = Instant::now();
    loop {
        if let Some(held) = condition().await.held() {
            return held;
        }
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}
