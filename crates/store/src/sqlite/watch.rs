//! Watches: live commits from the writer, history for what came before or was missed.
//!
//! **Guarantees.** Each revision after the first is either delivered or known to be unselected, in order and once. That does
//! not rest on careful timing: a live commit that does not begin right after the watcher's position sends the watcher
//! to history, and one that lies before it is passed over. A watcher that falls behind the bounded buffer catches up
//! from history, and ends with an error only when that was compacted.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::live::{Live, select};
use super::pool::Pool;
use super::reads::{check_watch, history};
use crate::error::{StoreError, WatchError};
use crate::interface::WatchStream;
use crate::types::{Event, Revision, WatchRequest};

/// Live commits kept for the slowest watcher.
pub(super) const LIVE_COMMITS: usize = 1024;

/// One watcher.
struct Watcher {
    pool: Arc<Pool>,
    live: broadcast::Receiver<Live>,
    request: WatchRequest,
    /// All up to here was delivered, or is ready to be.
    position: Revision,
    ready: VecDeque<(Revision, Vec<Event>)>,
    /// History may hold what was not seen.
    behind: bool,
    ended: bool,
}

/// Begins a watch. `live` was subscribed to before, so that no commit falls between history and it.
pub(super) async fn start(
    pool: Arc<Pool>,
    live: broadcast::Receiver<Live>,
    request: WatchRequest,
) -> Result<WatchStream, WatchError> {
    let position = request.after;
    pool.read(move |connection| check_watch(connection, position))
        .await?;
    let watcher = Watcher {
        pool,
        live,
        request,
        position,
        ready: VecDeque::new(),
        behind: true,
        ended: false,
    };
    Ok(Box::pin(futures::stream::unfold(
        watcher,
        |mut watcher| async move {
            let batch = watcher.next().await?;
            watcher.ended = batch.is_err();
            Some((batch, watcher))
        },
    )))
}

impl Watcher {
    async fn next(&mut self) -> Option<Result<(Revision, Vec<Event>), WatchError>> {
        if self.ended {
            return None;
        }
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Some(Ok(batch));
            }
            if self.behind {
                if let Err(error) = self.catch_up().await {
                    return Some(Err(error));
                }
                continue;
            }
            match self.live.recv().await {
                Ok(Live::Commit(commit)) => {
                    if commit.last <= self.position {
                        continue;
                    }
                    match &commit.events {
                        Some(events) if commit.first.0 <= self.position.0 + 1 => {
                            let selected = match select(events, &self.request, self.position) {
                                Ok(selected) => selected,
                                Err(error) => return Some(Err(WatchError::Store(error))),
                            };
                            self.position = commit.last;
                            self.ready.push_back((commit.last, selected));
                        }
                        _ => self.behind = true,
                    }
                }
                Err(RecvError::Lagged(_)) => self.behind = true,
                Ok(Live::Closed) | Err(RecvError::Closed) => {
                    return Some(Err(WatchError::Store(StoreError::Closed)));
                }
            }
        }
    }

    /// Reads the next page of history.
    async fn catch_up(&mut self) -> Result<(), WatchError> {
        let (request, position) = (self.request.clone(), self.position);
        let page = self
            .pool
            .read(move |connection| history(connection, &request, position))
            .await?;
        // Nothing new: from here on the live commits tell of everything.
        self.behind = page.reached > self.position;
        self.position = page.reached;
        self.ready.extend(page.batches);
        Ok(())
    }
}
