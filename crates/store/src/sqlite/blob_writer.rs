//! The one writer of the blob database: a thread with group commit of its own, so that a large blob never holds up a
//! small transaction.
//!
//! A blob exists once its header row does, and that row comes last. Chunks before it belong to an upload, which has a
//! row until then; what has one at start was cut short, and is removed.

use std::sync::Arc;

use rusqlite::{Connection, params};
use tokio::sync::{mpsc, oneshot};

use super::failure::{Failure, database};
use super::folder::Folder;
use crate::error::StoreError;
use crate::types::BlobDigest;

/// Most jobs in one physical commit; each holds at most one chunk.
const GROUP: usize = 256;
/// A group is closed when it has this much to write.
const GROUP_BYTES: usize = 8 * 1024 * 1024;

type Reply = oneshot::Sender<Result<(), StoreError>>;

/// What the writer of blobs is asked to do.
pub(super) enum BlobJob {
    /// A chunk that is not the last.
    Chunk {
        blob: u64,
        number: u32,
        sealed: Vec<u8>,
        reply: Reply,
    },
    /// The last chunk, and the header.
    Finish {
        blob: u64,
        number: u32,
        sealed: Vec<u8>,
        digest: BlobDigest,
        header: Vec<u8>,
        reply: Reply,
    },
    /// The rest will not come.
    Abandon { blob: u64 },
    /// Finish what is queued, fold the log into the database, and end.
    Close { reply: oneshot::Sender<()> },
}

/// The writer's side.
pub(super) struct BlobWriter {
    pub(super) blobs: Connection,
    pub(super) jobs: mpsc::Receiver<BlobJob>,
    /// Held to the end, as by the writer of objects.
    pub(super) folder: Arc<Folder>,
}

impl BlobWriter {
    /// Works until the store closes or is dropped.
    pub(super) fn run(mut self) {
        let mut group = Vec::new();
        let mut closing = Vec::new();
        while closing.is_empty() {
            let Some(first) = self.jobs.blocking_recv() else {
                break;
            };
            let mut bytes = size(&first);
            group.push(first);
            while group.len() < GROUP && bytes < GROUP_BYTES {
                let Ok(next) = self.jobs.try_recv() else { break };
                bytes += size(&next);
                group.push(next);
            }
            self.carry_out(&mut group, &mut closing);
        }
        self.jobs.close();
        while self.jobs.try_recv().is_ok() {}
        if let Err(error) = self.blobs.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
            tracing::warn!(%error, "the log of blobs was not folded into the database; the next start does it");
        }
        drop((self.blobs, self.folder));
        for reply in closing {
            let _ = reply.send(());
        }
    }

    /// Writes a group in one commit. An error fails all of it: unlike object transactions, these are only ever
    /// refused by the disk, and then there is nobody to spare.
    fn carry_out(&self, group: &mut Vec<BlobJob>, closing: &mut Vec<oneshot::Sender<()>>) {
        let mut replies = Vec::with_capacity(group.len());
        let mut result = self.blobs.execute_batch("BEGIN IMMEDIATE");
        for job in group.drain(..) {
            let (done, reply) = match job {
                BlobJob::Chunk {
                    blob,
                    number,
                    sealed,
                    reply,
                } => (
                    result.and_then(|()| self.chunk(blob, number, &sealed)),
                    Some(reply),
                ),
                BlobJob::Finish {
                    blob,
                    number,
                    sealed,
                    digest,
                    header,
                    reply,
                } => (
                    result.and_then(|()| self.finish(blob, number, &sealed, &digest, &header)),
                    Some(reply),
                ),
                BlobJob::Abandon { blob } => (result.and_then(|()| remove(&self.blobs, blob)), None),
                BlobJob::Close { reply } => {
                    closing.push(reply);
                    (result, None)
                }
            };
            result = done;
            replies.extend(reply);
        }
        let failure = result
            .and_then(|()| self.blobs.execute_batch("COMMIT"))
            .err()
            .map(|error| Failure::new("writing a blob", &error));
        if let Some(failure) = &failure {
            tracing::warn!(?failure, "a group of blobs was not written");
            if !self.blobs.is_autocommit()
                && let Err(error) = self.blobs.execute_batch("ROLLBACK")
            {
                tracing::error!(%error, "a failed group of blobs cannot be rolled back");
            }
        }
        for reply in replies {
            // An asker that went away needs no answer.
            let _ = reply.send(failure.as_ref().map_or(Ok(()), |failure| Err(failure.error())));
        }
    }

    fn chunk(&self, blob: u64, number: u32, sealed: &[u8]) -> rusqlite::Result<()> {
        if number == 0 {
            self.blobs
                .prepare_cached("INSERT INTO uploads (id) VALUES (?1)")?
                .execute([blob])?;
        }
        self.insert(blob, number, sealed)
    }

    fn finish(
        &self,
        blob: u64,
        number: u32,
        sealed: &[u8],
        digest: &BlobDigest,
        header: &[u8],
    ) -> rusqlite::Result<()> {
        let inserted = self
            .blobs
            .prepare_cached(
                "INSERT INTO blobs (digest, id, header) VALUES (?1, ?2, ?3) ON CONFLICT (digest) DO NOTHING",
            )?
            .execute(params![digest.as_str(), blob, header])?;
        if inserted == 0 {
            // Somebody stored the same content meanwhile.
            return remove(&self.blobs, blob);
        }
        self.insert(blob, number, sealed)?;
        if number > 0 {
            self.blobs
                .prepare_cached("DELETE FROM uploads WHERE id = ?1")?
                .execute([blob])?;
        }
        Ok(())
    }

    fn insert(&self, blob: u64, number: u32, sealed: &[u8]) -> rusqlite::Result<()> {
        self.blobs
            .prepare_cached("INSERT INTO chunks (blob, number, sealed) VALUES (?1, ?2, ?3)")?
            .execute(params![blob, number, sealed])
            .map(drop)
    }
}

/// Removes what was cut short before the last end, and returns the next free number.
pub(super) fn sweep(blobs: &Connection) -> Result<u64, StoreError> {
    let failed = database("removing blobs that were cut short");
    let transaction = blobs.unchecked_transaction().map_err(&failed)?;
    let abandoned: Vec<u64> = transaction
        .prepare("SELECT id FROM uploads")
        .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect())
        .map_err(&failed)?;
    for blob in abandoned {
        remove(&transaction, blob).map_err(&failed)?;
    }
    let largest: Option<u64> = transaction
        .query_row("SELECT max(blob) FROM chunks", [], |row| row.get(0))
        .map_err(&failed)?;
    transaction.commit().map_err(&failed)?;
    Ok(largest.unwrap_or(0) + 1)
}

fn remove(blobs: &Connection, blob: u64) -> rusqlite::Result<()> {
    blobs
        .prepare_cached("DELETE FROM chunks WHERE blob = ?1")?
        .execute([blob])?;
    blobs
        .prepare_cached("DELETE FROM uploads WHERE id = ?1")?
        .execute([blob])
        .map(drop)
}

fn size(job: &BlobJob) -> usize {
    match job {
        BlobJob::Chunk { sealed, .. } | BlobJob::Finish { sealed, .. } => sealed.len(),
        BlobJob::Abandon { .. } | BlobJob::Close { .. } => 0,
    }
}
