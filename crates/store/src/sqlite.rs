//! The store on SQLite, inside the server: the default.
//!
//! **Guarantees.** A data folder (mode 0700, files 0600) belongs to one server at a time. Objects are in `podium.db`,
//! blobs in `blobs.db`, both in write-ahead mode with full sync; each has one writer thread that commits in groups,
//! and connections of its own to read. Reads go on while the disk is full, and writes work again as soon as it is
//! not.
//!
//! **Refuses** what [`OpenError`] lists: a folder in use, a key that is missing, wrong or readable by others, a newer
//! schema, a database that is damaged or belongs to another installation.
//!
//! **Rejected.** One connection for everything (a read would wait for a sync); blobs in the object database (a
//! large one would hold up each commit behind it); blobs as files (a sync, an inode and a rename for each, and two
//! ways to back up).

mod apply;
mod blob_writer;
mod blobs;
mod failure;
mod folder;
mod keys;
mod live;
mod pool;
mod reads;
mod schema;
mod watch;
mod writer;

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;
use tokio::sync::{broadcast, mpsc, oneshot};

use self::blob_writer::{BlobJob, BlobWriter, sweep};
use self::blobs::Blobs;
use self::failure::opening;
use self::folder::Folder;
pub use self::keys::MasterKey;
use self::live::Live;
use self::pool::Pool;
use self::writer::{Job, Progress, Writer};
use crate::error::{BlobError, CommitError, OpenError, SealError, StoreError, WatchError};
use crate::interface::{Store, WatchStream};
use crate::prepare;
use crate::sealing::Sealer;
use crate::types::{
    BlobDigest, Committed, JournalRow, Key, Lease, ListPage, ListRequest, Revision, StoredObject,
    Transaction, WatchRequest,
};

/// Transactions that may wait for the writer before a caller waits to queue one.
const QUEUE: usize = 1024;
/// Chunks that may wait for the writer of blobs; it bounds the memory that uploads take.
const BLOB_QUEUE: usize = 16;

/// How to open a [`SqliteStore`].
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// The data folder; made when it is not there.
    pub folder: PathBuf,
    /// The key that wraps the store's keys.
    pub master_key: MasterKey,
}

/// What a store has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Transactions carried out.
    pub transactions: u64,
    /// Physical commits of the object database that wrote something: each is one sync.
    pub physical_commits: u64,
}

/// The store on SQLite.
pub struct SqliteStore {
    jobs: mpsc::Sender<Job>,
    live: broadcast::Sender<Live>,
    progress: Arc<Progress>,
    objects: Arc<Pool>,
    blobs: Blobs,
    sealer: Arc<Sealer>,
    installation: String,
    closed: AtomicBool,
    /// Given up by [`SqliteStore::close`]; the writers hold it too, until they end.
    folder: Mutex<Option<Arc<Folder>>>,
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SqliteStore")
            .field("installation", &self.installation)
            .finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens the store in a folder, or makes a new one there. It blocks on the disk for a moment.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(options: &OpenOptions) -> Result<Arc<Self>, OpenError> {
        let folder = Arc::new(Folder::open(&options.folder)?);
        let objects_path = folder.database("podium.db")?;
        let blobs_path = folder.database("blobs.db")?;
        let objects = schema::open_writer(&objects_path, schema::OBJECTS)?;
        let blobs = schema::open_writer(&blobs_path, schema::BLOBS)?;
        let sealer = Arc::new(keys::load(&objects, &objects_path, &folder, &options.master_key)?);
        let installation = if let Some(id) = schema::installation(&objects).map_err(opening(&objects_path))? {
            id
        } else {
            let id = uuid::Uuid::new_v4().to_string();
            schema::set_installation(&objects, &id).map_err(opening(&objects_path))?;
            id
        };
        match schema::installation(&blobs).map_err(opening(&blobs_path))? {
            None => schema::set_installation(&blobs, &installation).map_err(opening(&blobs_path))?,
            Some(id) if id == installation => {}
            Some(id) => {
                let reason =
                    format!("it belongs to the installation {id}, the objects beside it to {installation}");
                return Err(OpenError::Damaged {
                    path: blobs_path.display().to_string(),
                    reason,
                });
            }
        }
        let revision = schema::number(&objects, "revision").map_err(opening(&objects_path))?;
        let next_blob = sweep(&blobs)?;

        let progress = Arc::new(Progress {
            revision: AtomicU64::new(revision),
            ..Progress::default()
        });
        let (live, _) = broadcast::channel(watch::LIVE_COMMITS);
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (blob_jobs, blob_queue) = mpsc::channel(BLOB_QUEUE);
        let writer = Writer {
            progress_mark: objects.total_changes(),
            objects,
            blobs: schema::open_reader(&blobs_path).map_err(opening(&blobs_path))?,
            jobs: queue,
            live: live.clone(),
            progress: Arc::clone(&progress),
            revision: Revision(revision),
            folder: Arc::clone(&folder),
        };
        let blob_writer = BlobWriter {
            blobs,
            jobs: blob_queue,
            folder: Arc::clone(&folder),
        };
        thread("store-writer", move || writer.run())?;
        thread("blob-writer", move || blob_writer.run())?;
        Ok(Arc::new(Self {
            jobs,
            live,
            progress,
            objects: Arc::new(Pool::new(objects_path)),
            blobs: Blobs {
                pool: Arc::new(Pool::new(blobs_path)),
                jobs: blob_jobs,
                sealer: Arc::clone(&sealer),
                next: AtomicU64::new(next_blob),
            },
            sealer,
            installation,
            closed: AtomicBool::new(false),
            folder: Mutex::new(Some(folder)),
        }))
    }

    /// Finishes what is queued, folds the logs into the databases and frees the folder. Every later call is
    /// [`StoreError::Closed`], and watches end with it. A store that is dropped without this loses nothing either; it
    /// only frees the folder a moment later.
    pub async fn close(&self) {
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        self.objects.close().await;
        self.blobs.pool.close().await;
        let (reply, done) = oneshot::channel();
        let (blob_reply, blob_done) = oneshot::channel();
        // A writer that is gone needs no telling, and gives no answer.
        let _ = self.jobs.send(Job::Close { reply }).await;
        let _ = self.blobs.jobs.send(BlobJob::Close { reply: blob_reply }).await;
        let _ = (done.await, blob_done.await);
        self.folder.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// The id of this installation: made once, at the first start.
    pub fn installation(&self) -> &str {
        &self.installation
    }

    /// What the store has done since it was opened.
    pub fn statistics(&self) -> Statistics {
        Statistics {
            transactions: self.progress.transactions.load(Ordering::Relaxed),
            physical_commits: self.progress.physical.load(Ordering::Relaxed),
        }
    }

    /// What seals with the keys of this store, to hand to a part that needs nothing else of it.
    pub fn sealer(&self) -> &Arc<Sealer> {
        &self.sealer
    }

    /// Seals `plaintext` so that it opens only with the same `context`.
    ///
    /// # Errors
    /// [`SealError::NoRandom`].
    pub fn seal(&self, context: &str, plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
        self.sealer.seal(context, plaintext)
    }

    /// Opens what [`SqliteStore::seal`] made.
    ///
    /// # Errors
    /// [`SealError::Damaged`] when the bytes were changed or sealed for another context.
    pub fn open_sealed(
        &self,
        context: &str,
        sealed: &[u8],
    ) -> Result<zeroize::Zeroizing<Vec<u8>>, SealError> {
        self.sealer.open_sealed(context, sealed)
    }

    /// A key for another part of Podium, always the same for one label and installation.
    pub fn derive_key(&self, label: &str) -> [u8; 32] {
        self.sealer.derive_key(label)
    }

    async fn ask<T, E: From<StoreError>>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, E>>) -> Job,
    ) -> Result<T, E> {
        if self.closed.load(Ordering::Acquire) {
            return Err(StoreError::Closed.into());
        }
        let (reply, answer) = oneshot::channel();
        self.jobs.send(job(reply)).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    #[cfg(test)]
    async fn statement(&self, sql: &str) -> Result<(), StoreError> {
        self.ask(|reply| Job::Statement {
            sql: sql.to_owned(),
            reply,
        })
        .await
    }
}

fn thread(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), OpenError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map(drop)
        .map_err(|source| {
            OpenError::Store(StoreError::Database {
                context: "starting a writer thread",
                source: source.into(),
            })
        })
}

#[async_trait]
impl Store for SqliteStore {
    async fn commit(&self, transaction: Transaction) -> Result<Committed, CommitError> {
        let encoded = prepare::encode(&transaction)?;
        self.ask(|reply| Job::Commit {
            transaction,
            encoded,
            reply,
        })
        .await
    }

    async fn get(&self, key: &Key) -> Result<Option<StoredObject>, StoreError> {
        let key = key.clone();
        self.objects
            .read(move |connection| reads::get(connection, &key))
            .await
    }

    async fn list(&self, request: &ListRequest) -> Result<ListPage, StoreError> {
        let request = request.clone();
        let page = self
            .objects
            .read(move |connection| reads::list(connection, &request))
            .await?;
        // What a reader sees is committed; `revision` must not lag behind it.
        self.progress
            .revision
            .fetch_max(page.revision.0, Ordering::AcqRel);
        Ok(page)
    }

    async fn revision(&self) -> Result<Revision, StoreError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(StoreError::Closed);
        }
        Ok(Revision(self.progress.revision.load(Ordering::Acquire)))
    }

    async fn watch(&self, request: WatchRequest) -> Result<WatchStream, WatchError> {
        let live = self.live.subscribe();
        // Looked at after subscribing: a store that closes later tells the subscribers.
        if self.closed.load(Ordering::Acquire) {
            return Err(StoreError::Closed.into());
        }
        watch::start(Arc::clone(&self.objects), live, request).await
    }

    async fn compact(&self, revision: Revision) -> Result<(), StoreError> {
        let target = revision.min(self.revision().await?);
        while self
            .ask(|reply| Job::Compact {
                revision: target,
                reply,
            })
            .await?
            < target
        {}
        Ok(())
    }

    async fn acquire_lease(
        &self,
        name: &str,
        holder: &str,
        now_ms: i64,
        duration_ms: i64,
    ) -> Result<Option<Lease>, StoreError> {
        let (name, holder) = (name.to_owned(), holder.to_owned());
        self.ask(|reply| Job::Acquire {
            name,
            holder,
            now_ms,
            duration_ms,
            reply,
        })
        .await
    }

    async fn release_lease(&self, name: &str, token: u64) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.ask(|reply| Job::Release { name, token, reply }).await
    }

    async fn journal(&self, run: &str, from: u64) -> Result<Vec<JournalRow>, StoreError> {
        let run = run.to_owned();
        self.objects
            .read(move |connection| reads::journal(connection, &run, from))
            .await
    }

    async fn put_blob(&self, content: Bytes) -> Result<BlobDigest, BlobError> {
        self.blobs.put(content).await
    }

    async fn put_blob_stream(
        &self,
        content: Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>>,
        limit: u64,
    ) -> Result<BlobDigest, BlobError> {
        self.blobs.put_stream(content, limit).await
    }

    async fn get_blob(&self, digest: &BlobDigest) -> Result<Bytes, BlobError> {
        self.blobs.get(digest).await
    }

    fn digest(&self, content: &[u8]) -> BlobDigest {
        self.sealer.digest(content)
    }
}

#[cfg(test)]
mod tests;
