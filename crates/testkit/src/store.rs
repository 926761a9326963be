//! The store as one worker sees it: slow, failing, silent, or the place where the worker dies.

use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;
use podium_store::{
    BlobDigest, BlobError, CommitError, Committed, JournalRow, Key, Lease, ListPage, ListRequest, Revision,
    Store, StoreError, StoredObject, Transaction, WatchError, WatchRequest, WatchStream,
};

use crate::world::{LifeId, World};

/// The store of one life of a worker.
pub(crate) struct FaultyStore {
    pub(crate) world: Arc<World>,
    pub(crate) life: LifeId,
}

impl FaultyStore {
    async fn travel(&self) {
        let milliseconds = self.world.between(0, 20);
        self.world.time.sleep(milliseconds).await;
    }

    fn fail(&self, context: &'static str) -> Result<(), StoreError> {
        if self.world.store_fails() {
            self.world
                .tell(format!("life {} store fails {context}", self.life));
            return Err(StoreError::Database {
                context,
                source: "simulated".into(),
            });
        }
        Ok(())
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn commit(&self, transaction: Transaction) -> Result<Committed, CommitError> {
        self.travel().await;
        self.world.point(self.life, "before a commit").await;
        self.fail("before a commit")?;
        let committed = self.world.memory.commit(transaction.clone()).await;
        if committed.is_ok() {
            self.world.committed(self.life, &transaction);
        }
        self.world.point(self.life, "after a commit").await;
        self.travel().await;
        self.fail("after a commit")?;
        committed
    }

    async fn get(&self, key: &Key) -> Result<Option<StoredObject>, StoreError> {
        self.fail("reading an object")?;
        self.world.memory.get(key).await
    }

    async fn list(&self, request: &ListRequest) -> Result<ListPage, StoreError> {
        self.world.memory.list(request).await
    }

    async fn revision(&self) -> Result<Revision, StoreError> {
        self.world.memory.revision().await
    }

    async fn watch(&self, request: WatchRequest) -> Result<WatchStream, WatchError> {
        self.world.memory.watch(request).await
    }

    async fn compact(&self, revision: Revision) -> Result<(), StoreError> {
        self.world.memory.compact(revision).await
    }

    async fn acquire_lease(
        &self,
        name: &str,
        holder: &str,
        now_ms: i64,
        duration_ms: i64,
    ) -> Result<Option<Lease>, StoreError> {
        self.travel().await;
        self.fail("before taking a lease")?;
        let lease = self
            .world
            .memory
            .acquire_lease(name, holder, now_ms, duration_ms)
            .await?;
        if let Some(lease) = &lease {
            let mut observed = self.world.observed();
            if lease.token > observed.newest_token {
                self.world
                    .tell(format!("life {} takes the lease as {}", self.life, lease.token));
            }
            observed.newest_token = observed.newest_token.max(lease.token);
            drop(observed);
            self.world.lives().entry(self.life).or_default().token = Some(lease.token);
        }
        self.world.point(self.life, "after taking the lease").await;
        self.fail("after taking a lease")?;
        Ok(lease)
    }

    async fn release_lease(&self, name: &str, token: u64) -> Result<(), StoreError> {
        self.fail("giving up a lease")?;
        self.world.memory.release_lease(name, token).await
    }

    async fn journal(&self, run: &str, from: u64) -> Result<Vec<JournalRow>, StoreError> {
        self.travel().await;
        self.fail("reading the journal")?;
        self.world.memory.journal(run, from).await
    }

    async fn put_blob(&self, content: Bytes) -> Result<BlobDigest, BlobError> {
        self.world.memory.put_blob(content).await
    }

    async fn put_blob_stream(
        &self,
        content: Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>>,
        limit: u64,
    ) -> Result<BlobDigest, BlobError> {
        self.world.memory.put_blob_stream(content, limit).await
    }

    async fn get_blob(&self, digest: &BlobDigest) -> Result<Bytes, BlobError> {
        self.world.memory.get_blob(digest).await
    }

    fn digest(&self, content: &[u8]) -> BlobDigest {
        self.world.memory.digest(content)
    }
}
