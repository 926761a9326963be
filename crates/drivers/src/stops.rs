//! Who is at work on which step, so that it can be told to stop from the moment it began.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// The steps that are under way in this server.
#[derive(Default)]
pub(crate) struct Stops {
    listening: Mutex<BTreeMap<String, Arc<Notify>>>,
}

/// A step that can be told to stop, for as long as this lives: also when its operation is given up from outside.
pub(crate) struct Listening<'a> {
    stops: &'a Stops,
    step: &'a str,
    stop: Arc<Notify>,
}

impl Stops {
    /// Begins to listen for this step. What is told before somebody waits is not lost.
    pub(crate) fn listen<'a>(&'a self, step: &'a str) -> Listening<'a> {
        let stop = Arc::new(Notify::new());
        let mut listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner);
        listening.insert(step.to_owned(), Arc::clone(&stop));
        Listening {
            stops: self,
            step,
            stop,
        }
    }

    /// Tells a step to stop. `false` when nobody is at work on it.
    pub(crate) fn tell(&self, step: &str) -> bool {
        let listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner);
        listening.get(step).inspect(|stop| stop.notify_one()).is_some()
    }
}

impl Listening<'_> {
    /// Returns when the step is told to stop.
    pub(crate) async fn told(&self) {
        self.stop.notified().await;
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        let mut listening = self
            .stops
            .listening
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Another operation with the same id may listen by now.
        if listening
            .get(self.step)
            .is_some_and(|stop| Arc::ptr_eq(stop, &self.stop))
        {
            listening.remove(self.step);
        }
    }
}
