//! Time that passes only when nothing else can happen.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use async_trait::async_trait;
use jiff::Timestamp;
use podium_engine::Timers;
use podium_model::clock::Clock;

/// Most wakeups without time passing, before that counts as going round in circles.
const MOST_WAKEUPS: u32 = 1_000_000;

/// A clock with its timers.
#[derive(Debug)]
pub struct SimulatedTime {
    state: Mutex<TimeState>,
}

#[derive(Debug)]
struct TimeState {
    now_ms: i64,
    next: u64,
    sleepers: BTreeMap<(i64, u64), Waker>,
}

impl SimulatedTime {
    /// Time that begins at `now_ms`.
    pub fn new(now_ms: i64) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(TimeState {
                now_ms,
                next: 0,
                sleepers: BTreeMap::new(),
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, TimeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time.
    pub fn now(&self) -> i64 {
        self.state().now_ms
    }

    /// Sleeps for a while.
    pub fn sleep(self: &Arc<Self>, milliseconds: i64) -> Sleep {
        let at_ms = self.now().saturating_add(milliseconds);
        Sleep {
            time: self.clone(),
            at_ms,
            place: None,
        }
    }

    /// Lets time pass until the next sleeper wakes. False when nobody sleeps.
    fn pass(&self) -> bool {
        let mut state = self.state();
        let Some((&(at_ms, _), _)) = state.sleepers.first_key_value() else {
            return false;
        };
        state.now_ms = state.now_ms.max(at_ms);
        let later = state.sleepers.split_off(&(at_ms, u64::MAX));
        let due = std::mem::replace(&mut state.sleepers, later);
        drop(state);
        for waker in due.into_values() {
            waker.wake();
        }
        true
    }

    /// Runs a future to its end, letting time pass whenever it waits.
    ///
    /// # Errors
    /// Says why it would never end: nobody would ever wake it, it goes round in circles, or `until_ms` has passed.
    pub fn run<T>(&self, future: impl Future<Output = T>, until_ms: i64) -> Result<T, String> {
        let mut future = Box::pin(future);
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        let waker = Waker::from(flag.clone());
        let mut context = Context::from_waker(&waker);
        let mut wakeups = 0;
        loop {
            while flag.0.swap(false, Ordering::Relaxed) {
                if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
                    return Ok(value);
                }
                wakeups += 1;
                if wakeups > MOST_WAKEUPS {
                    return Err("it goes round in circles".to_owned());
                }
            }
            let before_ms = self.now();
            if !self.pass() {
                return Err("it waits for what will never happen".to_owned());
            }
            if self.now() > until_ms {
                return Err(format!("it has not ended by {until_ms} ms"));
            }
            if self.now() > before_ms {
                wakeups = 0;
            }
        }
    }
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A sleep in simulated time.
#[derive(Debug)]
pub struct Sleep {
    time: Arc<SimulatedTime>,
    at_ms: i64,
    place: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut state = this.time.state();
        if state.now_ms >= this.at_ms {
            return Poll::Ready(());
        }
        let place = *this.place.get_or_insert_with(|| {
            state.next += 1;
            state.next
        });
        state
            .sleepers
            .insert((this.at_ms, place), context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.time.state().sleepers.remove(&(self.at_ms, place));
        }
    }
}

impl Clock for SimulatedTime {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.state().now_ms).unwrap_or(Timestamp::MAX)
    }
}

/// Timers of simulated time.
#[derive(Clone, Debug)]
pub(crate) struct SimulatedTimers(pub(crate) Arc<SimulatedTime>);

#[async_trait]
impl Timers for SimulatedTimers {
    async fn sleep_until(&self, at_ms: i64) {
        if at_ms == i64::MAX {
            std::future::pending::<()>().await;
        }
        let sleep = Sleep {
            time: self.0.clone(),
            at_ms,
            place: None,
        };
        sleep.await;
    }
}
