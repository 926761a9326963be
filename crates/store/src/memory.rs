//! A store in memory, for simulation and tests.
//!
//! **Guarantees** what every store guarantees except durability, and that the same calls in the same order give the
//! same answers: no clock, no thread, no random number, ordered maps throughout.
//!
//! **Refuses** nothing that the other stores take. **Rejected:** SQLite in memory, which would share the very code
//! that this store is compared with in the differential test.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio::sync::watch;

use crate::error::{BlobError, CommitError, SealError, StoreError, WatchError};
use crate::interface::{Store, WatchStream};
use crate::prepare;
use crate::sealing::Sealer;
use crate::types::{
    BlobDigest, Change, Committed, Event, EventKind, JournalRow, Key, Lease, LeaseCheck, ListPage,
    ListRequest, Precondition, Revision, StoredObject, Transaction, WatchRequest,
};

/// A versioned store in memory.
#[derive(Debug)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    /// The revision, to wake watchers.
    revision: watch::Sender<Revision>,
    sealer: Sealer,
}

#[derive(Debug, Default)]
struct State {
    revision: Revision,
    compacted: Revision,
    objects: BTreeMap<Key, StoredObject>,
    /// The commits since `compacted`, by their last revision.
    history: VecDeque<(Revision, Arc<[Event]>)>,
    journal: BTreeMap<Arc<str>, Vec<Arc<serde_json::Value>>>,
    leases: BTreeMap<Arc<str>, LeaseRow>,
    blobs: BTreeMap<BlobDigest, Bytes>,
}

#[derive(Debug)]
struct LeaseRow {
    holder: Option<Arc<str>>,
    token: u64,
    expires_ms: i64,
}

impl MemoryStore {
    /// An empty store.
    ///
    /// # Errors
    /// Those of [`Sealer::from_seed`], which do not happen in practice.
    pub fn new() -> Result<Self, SealError> {
        Ok(Self {
            state: Arc::default(),
            revision: watch::Sender::new(Revision(0)),
            sealer: Sealer::from_seed(b"podium memory store")?,
        })
    }

    /// The sealer of this store; its keys are the same in every memory store.
    pub fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

type Batch = Result<(Revision, Vec<Event>), WatchError>;
type Position = (Option<Revision>, watch::Receiver<Revision>);

/// The next batch of a watch, waiting for it when there is none. No position: an error was delivered.
async fn step(
    state: Arc<Mutex<State>>,
    request: WatchRequest,
    position: Option<Revision>,
    mut wake: watch::Receiver<Revision>,
) -> Option<(Batch, Position)> {
    let position = position?;
    loop {
        // Marked before the look, so that a commit in between wakes at once.
        wake.mark_unchanged();
        let next = lock(&state).next(&request, position);
        match next {
            Ok(Some((revision, events))) => return Some((Ok((revision, events)), (Some(revision), wake))),
            Ok(None) => {}
            Err(error) => return Some((Err(error), (None, wake))),
        }
        if wake.changed().await.is_err() {
            return Some((Err(WatchError::Store(StoreError::Closed)), (None, wake)));
        }
    }
}

impl State {
    fn judge(&self, transaction: &Transaction) -> Result<(), CommitError> {
        if let Some(LeaseCheck { name, token }) = &transaction.lease {
            let held = self
                .leases
                .get(name)
                .is_some_and(|row| row.holder.is_some() && row.token == *token);
            if !held {
                return Err(CommitError::LeaseLost(name.to_string()));
            }
        }
        for precondition in &transaction.preconditions {
            match precondition {
                Precondition::Absent(key) if self.objects.contains_key(key) => {
                    return Err(CommitError::Exists(key.clone()));
                }
                Precondition::Absent(_) => {}
                Precondition::Exists(key) | Precondition::At(key, _) => {
                    let Some(object) = self.objects.get(key) else {
                        return Err(CommitError::Missing(key.clone()));
                    };
                    if let Precondition::At(_, expected) = precondition
                        && object.revision != *expected
                    {
                        let actual = object.revision;
                        return Err(CommitError::Conflict {
                            key: key.clone(),
                            expected: *expected,
                            actual,
                        });
                    }
                }
            }
        }
        if let Some(digest) = transaction
            .blobs
            .iter()
            .find(|digest| !self.blobs.contains_key(digest))
        {
            return Err(CommitError::MissingBlob(digest.clone()));
        }
        let mut lengths: BTreeMap<&str, u64> = BTreeMap::new();
        for entry in &transaction.journal {
            let next = lengths
                .entry(&entry.run)
                .or_insert_with(|| self.journal.get(&entry.run).map_or(0, |rows| rows.len() as u64));
            let free = *next;
            if entry.sequence != free {
                return Err(CommitError::JournalConflict {
                    run: entry.run.to_string(),
                    sequence: entry.sequence,
                    next: free,
                });
            }
            *next += 1;
        }
        Ok(())
    }

    fn apply(&mut self, transaction: Transaction) -> Committed {
        let mut revisions = Vec::with_capacity(transaction.changes.len());
        let mut events = Vec::with_capacity(transaction.changes.len());
        for change in transaction.changes {
            let next = Revision(self.revision.0 + 1);
            let before = self.objects.remove(change.key());
            let event = match (change, before) {
                (Change::Delete(_), None) => {
                    revisions.push(self.revision);
                    continue;
                }
                (Change::Delete(_), Some(before)) => {
                    let previous = Some(before.value.clone());
                    let object = StoredObject {
                        revision: next,
                        principal: transaction.principal.clone(),
                        ..before
                    };
                    Event {
                        kind: EventKind::Deleted,
                        object,
                        previous,
                    }
                }
                (Change::Put(key, value), before) => {
                    let kind = if before.is_some() {
                        EventKind::Updated
                    } else {
                        EventKind::Created
                    };
                    let object = StoredObject {
                        key: key.clone(),
                        revision: next,
                        created: before.as_ref().map_or(next, |before| before.created),
                        principal: transaction.principal.clone(),
                        value,
                    };
                    self.objects.insert(key, object.clone());
                    Event {
                        kind,
                        object,
                        previous: before.map(|before| before.value),
                    }
                }
            };
            self.revision = next;
            revisions.push(next);
            events.push(event);
        }
        if !events.is_empty() {
            self.history.push_back((self.revision, events.into()));
        }
        for entry in transaction.journal {
            self.journal.entry(entry.run).or_default().push(entry.record);
        }
        Committed {
            revisions,
            revision: self.revision,
        }
    }

    /// The first commit after `after`, as far as the request selects it.
    fn next(
        &self,
        request: &WatchRequest,
        after: Revision,
    ) -> Result<Option<(Revision, Vec<Event>)>, WatchError> {
        if after < self.compacted {
            return Err(WatchError::TooOld {
                requested: after,
                oldest: self.compacted,
            });
        }
        let place = self.history.partition_point(|(last, _)| *last <= after);
        Ok(self.history.get(place).map(|(last, events)| {
            let selected = |event: &&Event| {
                let key = &event.object.key;
                event.object.revision > after
                    && request
                        .resource
                        .as_ref()
                        .is_none_or(|resource| *resource == key.resource)
                    && request
                        .namespace
                        .as_ref()
                        .is_none_or(|namespace| *namespace == key.namespace)
            };
            (*last, events.iter().filter(selected).cloned().collect())
        }))
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn commit(&self, transaction: Transaction) -> Result<Committed, CommitError> {
        prepare::encode(&transaction)?;
        let committed = {
            let mut state = self.state();
            state.judge(&transaction)?;
            state.apply(transaction)
        };
        self.revision.send_if_modified(|seen| {
            let newer = committed.revision > *seen;
            *seen = committed.revision.max(*seen);
            newer
        });
        Ok(committed)
    }

    async fn get(&self, key: &Key) -> Result<Option<StoredObject>, StoreError> {
        Ok(self.state().objects.get(key).cloned())
    }

    async fn list(&self, request: &ListRequest) -> Result<ListPage, StoreError> {
        let state = self.state();
        let namespace = request.namespace.clone().unwrap_or_else(|| "".into());
        let begin = Key {
            resource: request.resource.clone(),
            namespace,
            name: "".into(),
        };
        let after = request.after.as_ref().map(|(namespace, name)| Key {
            resource: request.resource.clone(),
            namespace: namespace.clone(),
            name: name.clone(),
        });
        let lower = match after {
            Some(after) if after >= begin => Bound::Excluded(after),
            _ => Bound::Included(begin),
        };
        let selected = |object: &&StoredObject| {
            object.key.resource == request.resource
                && request
                    .namespace
                    .as_ref()
                    .is_none_or(|namespace| *namespace == object.key.namespace)
        };
        let mut rest = state
            .objects
            .range((lower, Bound::Unbounded))
            .map(|(_, object)| object)
            .take_while(selected);
        let limit = if request.limit == 0 {
            usize::MAX
        } else {
            request.limit
        };
        let items = rest.by_ref().take(limit).cloned().collect();
        Ok(ListPage {
            items,
            revision: state.revision,
            more: rest.next().is_some(),
        })
    }

    async fn revision(&self) -> Result<Revision, StoreError> {
        Ok(self.state().revision)
    }

    async fn watch(&self, request: WatchRequest) -> Result<WatchStream, WatchError> {
        let wake = self.revision.subscribe();
        let (current, compacted) = {
            let state = self.state();
            (state.revision, state.compacted)
        };
        if request.after > current {
            return Err(WatchError::TooNew {
                requested: request.after,
                current,
            });
        }
        if request.after < compacted {
            return Err(WatchError::TooOld {
                requested: request.after,
                oldest: compacted,
            });
        }
        let state = Arc::clone(&self.state);
        let position = Some(request.after);
        Ok(Box::pin(futures::stream::unfold(
            (position, wake),
            move |(position, wake)| step(Arc::clone(&state), request.clone(), position, wake),
        )))
    }

    async fn compact(&self, revision: Revision) -> Result<(), StoreError> {
        let mut state = self.state();
        state.compacted = state.compacted.max(revision.min(state.revision));
        let compacted = state.compacted;
        while state.history.front().is_some_and(|(last, _)| *last <= compacted) {
            state.history.pop_front();
        }
        Ok(())
    }

    async fn acquire_lease(
        &self,
        name: &str,
        holder: &str,
        now_ms: i64,
        duration_ms: i64,
    ) -> Result<Option<Lease>, StoreError> {
        let mut state = self.state();
        let row = state.leases.entry(name.into()).or_insert(LeaseRow {
            holder: None,
            token: 0,
            expires_ms: 0,
        });
        let expires_ms = now_ms.saturating_add(duration_ms);
        match &row.holder {
            Some(current) if **current == *holder => {}
            Some(_) if row.expires_ms > now_ms => return Ok(None),
            _ => {
                row.token += 1;
                row.holder = Some(holder.into());
            }
        }
        row.expires_ms = expires_ms;
        Ok(Some(Lease {
            name: name.into(),
            holder: holder.into(),
            token: row.token,
            expires_ms,
        }))
    }

    async fn release_lease(&self, name: &str, token: u64) -> Result<(), StoreError> {
        if let Some(row) = self.state().leases.get_mut(name)
            && row.token == token
        {
            row.holder = None;
        }
        Ok(())
    }

    async fn journal(&self, run: &str, from: u64) -> Result<Vec<JournalRow>, StoreError> {
        let state = self.state();
        let rows = state.journal.get(run).map(Vec::as_slice).unwrap_or_default();
        let numbered = (0_u64..).zip(rows).filter(|(sequence, _)| *sequence >= from);
        Ok(numbered
            .map(|(sequence, record)| JournalRow {
                sequence,
                record: (**record).clone(),
            })
            .collect())
    }

    async fn put_blob(&self, content: Bytes) -> Result<BlobDigest, BlobError> {
        let digest = self.sealer.digest(&content);
        self.state().blobs.entry(digest.clone()).or_insert(content);
        Ok(digest)
    }

    async fn put_blob_stream(
        &self,
        mut content: Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>>,
        limit: u64,
    ) -> Result<BlobDigest, BlobError> {
        let mut whole = Vec::new();
        while let Some(piece) = content.next().await {
            let piece = piece.map_err(|source| StoreError::Database {
                context: "receiving a blob",
                source: source.into(),
            })?;
            if (whole.len() as u64).saturating_add(piece.len() as u64) > limit {
                return Err(BlobError::TooLarge { limit });
            }
            whole.extend_from_slice(&piece);
        }
        self.put_blob(whole.into()).await
    }

    async fn get_blob(&self, digest: &BlobDigest) -> Result<Bytes, BlobError> {
        self.state()
            .blobs
            .get(digest)
            .cloned()
            .ok_or_else(|| BlobError::Missing(digest.clone()))
    }

    fn digest(&self, content: &[u8]) -> BlobDigest {
        self.sealer.digest(content)
    }
}
