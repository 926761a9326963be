//! Sleeping as a seam, so that simulated time can pass at once.

use std::time::Duration;

use async_trait::async_trait;
use podium_model::clock::SharedClock;

/// Longest sleep in one go: a clock that is set anew is noticed after that.
const LONGEST_SLEEP_MILLISECONDS: i64 = 60_000;

/// Waits for a time of day.
#[async_trait]
pub trait Timers: Send + Sync + 'static {
    /// Returns once the clock shows `at_ms`, in milliseconds of the Unix epoch; at once when it does already.
    async fn sleep_until(&self, at_ms: i64);
}

/// The timers of a server.
#[derive(Clone)]
pub struct TokioTimers {
    clock: SharedClock,
}

impl TokioTimers {
    /// Timers that go by `clock`.
    pub fn new(clock: SharedClock) -> Self {
        Self { clock }
    }
}

#[async_trait]
impl Timers for TokioTimers {
    async fn sleep_until(&self, at_ms: i64) {
        loop {
            let left = at_ms.saturating_sub(self.clock.now_ms());
            if left <= 0 {
                return;
            }
            let nap = left.min(LONGEST_SLEEP_MILLISECONDS);
            tokio::time::sleep(Duration::from_millis(nap.unsigned_abs())).await;
        }
    }
}
