//! The one writer of the object database: a thread that drains its queue and makes one physical commit of all that
//! it found there, so that many writers share one sync.
//!
//! **Guarantees.** An answer is given after the physical commit that it tells of, refusals too: they were judged by a
//! state that only this commit makes true. A logical transaction stands in a savepoint, so one that fails takes
//! nobody with it. When the physical commit fails, all of the group get that error and nothing was changed.
//! Revisions are published in order, before the answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::{broadcast, mpsc, oneshot};

use super::apply::{Applied, apply};
use super::failure::{Failure, database};
use super::folder::Folder;
use super::live::{Live, LiveCommit};
use super::schema::{number, set_number};
use crate::error::{CommitError, StoreError};
use crate::prepare::Encoded;
use crate::types::{Committed, Lease, Revision, Transaction};

/// Most logical transactions in one physical commit.
const GROUP: usize = 512;
/// A group is closed when it has this much text, so that one commit stays short.
const GROUP_BYTES: usize = 8 * 1024 * 1024;
/// History rows that one compaction step removes, so that other writers come in between.
const COMPACTION_STEP: u64 = 1000;

/// What the writer is asked to do.
pub(super) enum Job {
    Commit {
        transaction: Transaction,
        encoded: Encoded,
        reply: oneshot::Sender<Result<Committed, CommitError>>,
    },
    Acquire {
        name: String,
        holder: String,
        now_ms: i64,
        duration_ms: i64,
        reply: oneshot::Sender<Result<Option<Lease>, StoreError>>,
    },
    Release {
        name: String,
        token: u64,
        reply: oneshot::Sender<Result<(), StoreError>>,
    },
    /// One step of a compaction; answers how far history is forgotten now.
    Compact {
        revision: Revision,
        reply: oneshot::Sender<Result<Revision, StoreError>>,
    },
    /// Finish what is queued, fold the log into the database, and end.
    Close { reply: oneshot::Sender<()> },
    #[cfg(test)]
    Statement {
        sql: String,
        reply: oneshot::Sender<Result<(), StoreError>>,
    },
}

/// Counters and the published revision, shared with the store.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) revision: AtomicU64,
    pub(super) transactions: AtomicU64,
    pub(super) physical: AtomicU64,
}

/// An answer that waits for the physical commit.
enum Pending {
    Commit {
        reply: oneshot::Sender<Result<Committed, CommitError>>,
        result: Result<Applied, CommitError>,
    },
    Acquire {
        reply: oneshot::Sender<Result<Option<Lease>, StoreError>>,
        result: Result<Option<Lease>, StoreError>,
    },
    Plain {
        reply: oneshot::Sender<Result<(), StoreError>>,
        result: Result<(), StoreError>,
    },
    Compact {
        reply: oneshot::Sender<Result<Revision, StoreError>>,
        result: Result<Revision, StoreError>,
    },
    Close {
        reply: oneshot::Sender<()>,
    },
}

/// The writer's side of everything.
pub(super) struct Writer {
    pub(super) objects: Connection,
    /// To see whether blobs exist.
    pub(super) blobs: Connection,
    pub(super) jobs: mpsc::Receiver<Job>,
    pub(super) live: broadcast::Sender<Live>,
    pub(super) progress: Arc<Progress>,
    pub(super) revision: Revision,
    /// Rows changed up to the last physical commit, to tell one that writes from one that only refuses.
    pub(super) progress_mark: u64,
    /// Held to the end, so that no other server opens a folder that is still being written.
    pub(super) folder: Arc<Folder>,
}

impl Writer {
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
            // Waiting a moment for more was tried: fewer syncs, and less throughput.
            while group.len() < GROUP && bytes < GROUP_BYTES {
                let Ok(next) = self.jobs.try_recv() else { break };
                bytes += size(&next);
                group.push(next);
            }
            self.carry_out(&mut group, &mut closing);
        }
        self.jobs.close();
        // A job that was queued behind the close is dropped, and its sender sees that the store is closed.
        while self.jobs.try_recv().is_ok() {}
        if let Err(error) = self.objects.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
            tracing::warn!(%error, "the log was not folded into the database; the next start does it");
        }
        // Nobody may be listening.
        let _ = self.live.send(Live::Closed);
        drop((self.objects, self.blobs, self.folder));
        for reply in closing {
            let _ = reply.send(());
        }
    }

    fn carry_out(&mut self, group: &mut Vec<Job>, closing: &mut Vec<oneshot::Sender<()>>) {
        let watched = self.live.receiver_count() > 0;
        let before = self.revision;
        let mut failure = self
            .objects
            .prepare_cached("BEGIN IMMEDIATE")
            .and_then(|mut statement| statement.execute([]))
            .err()
            .map(|error| Failure::new("beginning a commit", &error));
        let mut pending = Vec::with_capacity(group.len());
        for job in group.drain(..) {
            // Without a transaction each statement would be a commit of its own.
            let usable = match &failure {
                Some(failure) => Err(failure.clone()),
                None if self.objects.is_autocommit() => Err(Failure::undone("writing a group")),
                None => Ok(()),
            };
            pending.push(self.one(job, usable, watched));
        }
        if failure.is_none() {
            failure = self.finish(before).err();
        }
        if let Some(failure) = &failure {
            tracing::warn!(?failure, "a group of writes failed");
            self.undo();
            if self.revision > before {
                // The commit took effect and only its end was reported as failed: watchers read it from history.
                let (first, last) = (Revision(before.0 + 1), self.revision);
                self.publish(Some(LiveCommit {
                    first,
                    last,
                    events: None,
                }));
            }
        } else if self.revision > before {
            self.progress
                .revision
                .fetch_max(self.revision.0, Ordering::AcqRel);
        }
        let mut answers = Vec::with_capacity(pending.len());
        for mut waiting in pending {
            if failure.is_none()
                && let Pending::Commit {
                    result: Ok(applied), ..
                } = &mut waiting
            {
                self.progress.transactions.fetch_add(1, Ordering::Relaxed);
                self.publish(applied.live.take());
            }
            answers.push(waiting);
        }
        for waiting in answers {
            waiting.answer(failure.as_ref(), closing);
        }
    }

    fn publish(&self, commit: Option<LiveCommit>) {
        if let Some(commit) = commit {
            // Nobody may be watching.
            let _ = self.live.send(Live::Commit(Arc::new(commit)));
        }
    }

    /// Makes the group true.
    fn finish(&mut self, before: Revision) -> Result<(), Failure> {
        let failed = |error: rusqlite::Error| Failure::new("committing", &error);
        if self.objects.is_autocommit() {
            return Err(Failure::undone("committing"));
        }
        if self.revision > before {
            set_number(&self.objects, "revision", self.revision.0).map_err(failed)?;
        }
        let changes = self.objects.total_changes();
        self.objects
            .prepare_cached("COMMIT")
            .and_then(|mut statement| statement.execute([]))
            .map_err(failed)?;
        if changes > self.progress_mark {
            self.progress_mark = changes;
            self.progress.physical.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// After a failure: leaves the transaction, and takes the revision that the database has.
    fn undo(&mut self) {
        if !self.objects.is_autocommit()
            && let Err(error) = self.objects.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a failed group of writes cannot be rolled back");
        }
        match number(&self.objects, "revision") {
            Ok(revision) => self.revision = Revision(revision),
            // Revisions then skip some numbers, which harms nobody: they are only ever greater.
            Err(error) => tracing::error!(%error, "the revision cannot be read after a failed write"),
        }
    }

    /// One job within its own savepoint.
    fn one(&mut self, job: Job, usable: Result<(), Failure>, watched: bool) -> Pending {
        let savepoint = usable
            .map_err(|failure| failure.error())
            .and_then(|()| self.savepoint("SAVEPOINT job"));
        match job {
            Job::Commit {
                transaction,
                encoded,
                reply,
            } => {
                let result = savepoint.map_err(CommitError::Store).and_then(|()| {
                    let result = apply(
                        &self.objects,
                        &self.blobs,
                        &transaction,
                        &encoded,
                        self.revision,
                        watched,
                    );
                    let failed = matches!(result, Err(CommitError::Store(_)));
                    self.end(failed).map_err(CommitError::Store)?;
                    result
                });
                if let Ok(applied) = &result {
                    self.revision = applied.committed.revision;
                }
                Pending::Commit { reply, result }
            }
            Job::Acquire {
                name,
                holder,
                now_ms,
                duration_ms,
                reply,
            } => {
                let result = savepoint
                    .and_then(|()| self.ended(acquire(&self.objects, &name, &holder, now_ms, duration_ms)));
                Pending::Acquire { reply, result }
            }
            Job::Release { name, token, reply } => {
                let result = savepoint.and_then(|()| self.ended(release(&self.objects, &name, token)));
                Pending::Plain { reply, result }
            }
            Job::Compact { revision, reply } => {
                let target = revision.min(self.revision);
                let result = savepoint.and_then(|()| self.ended(compact(&self.objects, target)));
                Pending::Compact { reply, result }
            }
            Job::Close { reply } => {
                // Nothing was written: whether the savepoint could be set and ended matters to nobody.
                let _ = savepoint.and_then(|()| self.end(false));
                Pending::Close { reply }
            }
            #[cfg(test)]
            Job::Statement { sql, reply } => {
                let run = self
                    .objects
                    .execute_batch(&sql)
                    .map_err(database("running a statement"));
                let result = savepoint.and_then(|()| self.ended(run));
                Pending::Plain { reply, result }
            }
        }
    }

    fn ended<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        self.end(result.is_err())?;
        result
    }

    /// Ends the savepoint, undoing what was written since when `failed`.
    fn end(&self, failed: bool) -> Result<(), StoreError> {
        if self.objects.is_autocommit() {
            // SQLite itself has rolled back the whole transaction; `finish` tells the others.
            return Ok(());
        }
        if failed {
            self.savepoint("ROLLBACK TO job")?;
        }
        self.savepoint("RELEASE job")
    }

    fn savepoint(&self, statement: &str) -> Result<(), StoreError> {
        self.objects
            .prepare_cached(statement)
            .and_then(|mut statement| statement.execute([]))
            .map(drop)
            .map_err(database("setting a savepoint"))
    }
}

impl Pending {
    fn answer(self, failure: Option<&Failure>, closing: &mut Vec<oneshot::Sender<()>>) {
        // An asker that went away needs no answer.
        match self {
            Self::Commit { reply, result } => {
                let result = match failure {
                    Some(failure) => Err(CommitError::Store(own(result.err().and_then(inner), failure))),
                    None => result.map(|applied| applied.committed),
                };
                let _ = reply.send(result);
            }
            Self::Acquire { reply, result } => drop(reply.send(settle(result, failure))),
            Self::Plain { reply, result } => drop(reply.send(settle(result, failure))),
            Self::Compact { reply, result } => drop(reply.send(settle(result, failure))),
            Self::Close { reply } => closing.push(reply),
        }
    }
}

fn inner(error: CommitError) -> Option<StoreError> {
    match error {
        CommitError::Store(error) => Some(error),
        _ => None,
    }
}

/// The error of one member of a failed group: its own when it has one, which is the more telling.
fn own(error: Option<StoreError>, failure: &Failure) -> StoreError {
    error.unwrap_or_else(|| failure.error())
}

fn settle<T>(result: Result<T, StoreError>, failure: Option<&Failure>) -> Result<T, StoreError> {
    match failure {
        Some(failure) => Err(own(result.err(), failure)),
        None => result,
    }
}

fn size(job: &Job) -> usize {
    match job {
        Job::Commit { encoded, .. } => encoded.bytes(),
        _ => 0,
    }
}

fn acquire(
    objects: &Connection,
    name: &str,
    holder: &str,
    now_ms: i64,
    duration_ms: i64,
) -> Result<Option<Lease>, StoreError> {
    let failed = database("taking a lease");
    let row: Option<(Option<String>, u64, i64)> = objects
        .prepare_cached("SELECT holder, token, expires_ms FROM leases WHERE name = ?1")
        .and_then(|mut statement| {
            statement
                .query_row([name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .optional()
        })
        .map_err(&failed)?;
    let token = match row {
        None => 1,
        Some((Some(current), token, _)) if current == holder => token,
        Some((Some(_), _, expires_ms)) if expires_ms > now_ms => return Ok(None),
        Some((_, token, _)) => token + 1,
    };
    let expires_ms = now_ms.saturating_add(duration_ms);
    objects
        .prepare_cached(
            "INSERT INTO leases (name, holder, token, expires_ms) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (name) DO UPDATE SET holder = ?2, token = ?3, expires_ms = ?4",
        )
        .and_then(|mut statement| statement.execute(params![name, holder, token, expires_ms]))
        .map_err(&failed)?;
    Ok(Some(Lease {
        name: name.into(),
        holder: holder.into(),
        token,
        expires_ms,
    }))
}

fn release(objects: &Connection, name: &str, token: u64) -> Result<(), StoreError> {
    // A token that SQLite cannot hold was never given.
    let token = i64::try_from(token).unwrap_or(-1);
    objects
        .prepare_cached("UPDATE leases SET holder = NULL WHERE name = ?1 AND token = ?2")
        .and_then(|mut statement| statement.execute(params![name, token]))
        .map(drop)
        .map_err(database("giving up a lease"))
}

/// Forgets up to [`COMPACTION_STEP`] revisions: the versions that they replaced, and deletes themselves. What a
/// later change names as the value before it stays.
fn compact(objects: &Connection, target: Revision) -> Result<Revision, StoreError> {
    let failed = database("forgetting history");
    let from = number(objects, "compacted").map_err(&failed)?;
    let to = target.0.min(from.saturating_add(COMPACTION_STEP));
    if to <= from {
        return Ok(Revision(from));
    }
    for sql in [
        "DELETE FROM versions WHERE revision IN
            (SELECT previous FROM versions WHERE revision > ?1 AND revision <= ?2 AND previous IS NOT NULL)",
        "DELETE FROM versions WHERE revision > ?1 AND revision <= ?2 AND value IS NULL",
    ] {
        objects
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(params![from, to]))
            .map_err(&failed)?;
    }
    set_number(objects, "compacted", to).map_err(&failed)?;
    Ok(Revision(to))
}
