//! The seam between Podium and its databases.

use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;

use crate::error::{BlobError, CommitError, StoreError, WatchError};
use crate::types::{
    BlobDigest, Committed, Event, JournalRow, Key, Lease, ListPage, ListRequest, Revision, StoredObject,
    Transaction, WatchRequest,
};

/// Batches of events. Each batch is the whole of one commit (as far as the request selects it), in order; the
/// [`Revision`] beside it is the store's revision that the watcher has now seen, also when nothing in the commit
/// was selected (the batch is empty then), so a bookmark can be given at any time. After an error the stream ends.
pub type WatchStream = Pin<Box<dyn Stream<Item = Result<(Revision, Vec<Event>), WatchError>> + Send>>;

/// A versioned store. Implemented for SQLite and PostgreSQL, and in memory for simulation; one test suite holds
/// for all.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Carries out a transaction whole, or not at all. When this returns `Ok`, the change survives power loss.
    ///
    /// # Errors
    /// See [`CommitError`]; after any of them nothing was changed, except after [`StoreError::Database`], when
    /// the outcome is unknown and must be read back.
    async fn commit(&self, transaction: Transaction) -> Result<Committed, CommitError>;

    /// Reads one object.
    async fn get(&self, key: &Key) -> Result<Option<StoredObject>, StoreError>;

    /// Reads a page of a list.
    async fn list(&self, request: &ListRequest) -> Result<ListPage, StoreError>;

    /// The revision of the last commit.
    async fn revision(&self) -> Result<Revision, StoreError>;

    /// Delivers every change after [`WatchRequest::after`].
    async fn watch(&self, request: WatchRequest) -> Result<WatchStream, WatchError>;

    /// Forgets history up to and including `revision`; a later watch from before it is [`WatchError::TooOld`].
    async fn compact(&self, revision: Revision) -> Result<(), StoreError>;

    /// Takes a lease when it is free, expired at `now_ms`, or already held by `holder` (then it is renewed and
    /// keeps its token). `None` when somebody else holds it.
    async fn acquire_lease(
        &self,
        name: &str,
        holder: &str,
        now_ms: i64,
        duration_ms: i64,
    ) -> Result<Option<Lease>, StoreError>;

    /// Gives a lease up. Nothing happens when it is not held with this token.
    async fn release_lease(&self, name: &str, token: u64) -> Result<(), StoreError>;

    /// Reads the journal of a run from a place on.
    async fn journal(&self, run: &str, from: u64) -> Result<Vec<JournalRow>, StoreError>;

    /// Stores a blob and returns its address; durable when this returns. Storing equal content again is cheap and
    /// returns the same address.
    async fn put_blob(&self, content: Bytes) -> Result<BlobDigest, BlobError>;

    /// Stores a blob that arrives in pieces, at most `limit` bytes of it.
    async fn put_blob_stream(
        &self,
        content: Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>>,
        limit: u64,
    ) -> Result<BlobDigest, BlobError>;

    /// Reads a blob.
    async fn get_blob(&self, digest: &BlobDigest) -> Result<Bytes, BlobError>;

    /// The address that `content` has or would have, without storing it.
    fn digest(&self, content: &[u8]) -> BlobDigest;
}

/// A store shared by the parts of a server.
pub type SharedStore = Arc<dyn Store>;
