//! The one place from which a run is written: its lease, its journal, and the objects that go with the records.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use podium_store::{
    CommitError, JournalEntry, JournalRow, Lease, LeaseCheck, Store, StoreError, Transaction,
};
use serde::{Deserialize, Serialize};

use super::{LEASE_MILLISECONDS, Runtime, RuntimeError, Worker, lease_name};
use crate::executor::ChangesError;
use crate::machine::{Record, RunState};
use crate::work::{Limits, RunContext, Work};

/// First and longest wait before the store is asked again.
const FIRST_BACKOFF_MILLISECONDS: i64 = 50;
const LONGEST_BACKOFF_MILLISECONDS: i64 = 5_000;

/// How often a transaction is computed anew because objects changed under it, before that counts as a mistake.
const MOST_CONFLICTS: u32 = 100;

/// A journal row as the store has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JournaledRecord {
    /// The lease token of the worker that wrote it: tells a worker's own rows from those of another, and never goes
    /// down within a journal.
    pub epoch: u64,
    /// The record.
    #[serde(flatten)]
    pub record: Record,
}

/// Reads the state of a run, at work or over, from its journal.
pub async fn read(store: &dyn Store, run: RunContext, work: Work) -> Result<RunState, RuntimeError> {
    let uid = run.uid.clone();
    let state = RunState::new(run, work, Limits::default())?;
    let rows = store
        .journal(&uid, 0)
        .await
        .map_err(|source| RuntimeError::Store {
            run: uid.clone(),
            source,
        })?;
    replay(state, &uid, rows)
}

fn replay(state: RunState, run: &str, rows: Vec<JournalRow>) -> Result<RunState, RuntimeError> {
    let mut records = Vec::with_capacity(rows.len());
    for row in rows {
        records.push(parse(run, row)?.record);
    }
    state.replay(&records).map_err(|source| RuntimeError::Journal {
        run: run.to_owned(),
        source,
    })
}

fn parse(run: &str, row: JournalRow) -> Result<JournaledRecord, RuntimeError> {
    serde_json::from_value(row.record).map_err(|source| RuntimeError::Row {
        run: run.to_owned(),
        sequence: row.sequence,
        source,
    })
}

/// Doubles from one try to the next.
struct Backoff(i64);

impl Backoff {
    fn new() -> Self {
        Self(FIRST_BACKOFF_MILLISECONDS)
    }

    async fn wait(&mut self, runtime: &Runtime) {
        runtime
            .timers
            .sleep_until(runtime.clock.now_ms().saturating_add(self.0))
            .await;
        self.0 = (self.0 * 2).min(LONGEST_BACKOFF_MILLISECONDS);
    }
}

impl Runtime {
    /// Takes the run's lease, waiting for it while another worker has it.
    pub(super) async fn acquire(&self, state: &RunState) -> Result<Lease, RuntimeError> {
        let run = &state.run().uid;
        let name = lease_name(run);
        let mut backoff = Backoff::new();
        loop {
            let now_ms = self.clock.now_ms();
            match self
                .store
                .acquire_lease(&name, &self.holder, now_ms, LEASE_MILLISECONDS)
                .await
            {
                Ok(Some(lease)) => return Ok(lease),
                Ok(None) => {}
                Err(error) if error.is_transient() => {
                    tracing::warn!(run, %error, "the lease cannot be asked for; trying again");
                }
                Err(source) => {
                    return Err(RuntimeError::Store {
                        run: run.clone(),
                        source,
                    });
                }
            }
            backoff.wait(self).await;
        }
    }
}

impl Worker<'_> {
    fn uid(&self) -> String {
        self.state.run().uid.clone()
    }

    fn lost(&self) -> RuntimeError {
        RuntimeError::LeaseLost { run: self.uid() }
    }

    /// Brings the state to where the journal stands.
    pub(super) async fn load(&mut self) -> Result<(), RuntimeError> {
        let rows = self.rows(0).await?;
        self.sequence = rows.len() as u64;
        self.state = replay(self.state.clone(), &self.uid(), rows)?;
        self.snapshots.send_replace(Some(Arc::new(self.state.clone())));
        Ok(())
    }

    async fn rows(&mut self, from: u64) -> Result<Vec<JournalRow>, RuntimeError> {
        let run = self.uid();
        let mut backoff = Backoff::new();
        loop {
            match self.runtime.store.journal(&run, from).await {
                Ok(rows) => return Ok(rows),
                Err(error) if error.is_transient() => {
                    tracing::warn!(run, %error, "the journal cannot be read; trying again");
                }
                Err(source) => return Err(RuntimeError::Store { run, source }),
            }
            backoff.wait(self.runtime).await;
        }
    }

    /// Renews the lease. A store that does not answer leaves it as it is, to be tried again.
    pub(super) async fn renew(&mut self) -> Result<(), RuntimeError> {
        #[cfg(feature = "mutations")]
        if self.unfenced() {
            self.renew_at_ms = i64::MAX;
            self.lease_expires_ms.store(i64::MAX, Ordering::Relaxed);
            return Ok(());
        }
        let runtime = self.runtime;
        let now_ms = runtime.clock.now_ms();
        let asked = runtime
            .store
            .acquire_lease(&self.lease.name, &runtime.holder, now_ms, LEASE_MILLISECONDS)
            .await;
        match asked {
            Ok(Some(lease)) if lease.token == self.lease.token => {
                self.renew_at_ms = now_ms + LEASE_MILLISECONDS / 3;
                self.lease_expires_ms.store(lease.expires_ms, Ordering::Relaxed);
                self.lease = lease;
                Ok(())
            }
            // It was lost and is free again: what others did meanwhile is unknown here. Start afresh, by the journal.
            Ok(Some(newer)) => {
                let _lost = std::mem::replace(&mut self.lease, newer);
                Err(self.lost())
            }
            Ok(None) => Err(self.lost()),
            Err(error) if error.is_transient() => {
                tracing::warn!(lease = %self.lease.name, %error, "the lease cannot be renewed; trying again");
                self.renew_at_ms = now_ms + FIRST_BACKOFF_MILLISECONDS * 10;
                Ok(())
            }
            Err(source) => Err(RuntimeError::Store {
                run: self.uid(),
                source,
            }),
        }
    }

    /// Returns once the lease is known not to have run out: a worker that slept between commit and effect must not act on
    /// what may be another's by now.
    pub(super) async fn prove_lease(&mut self) -> Result<(), RuntimeError> {
        #[cfg(feature = "mutations")]
        if self.unfenced() {
            return Ok(());
        }
        let mut backoff = Backoff::new();
        while self.runtime.clock.now_ms() >= self.lease.expires_ms {
            self.renew().await?;
            if self.runtime.clock.now_ms() >= self.lease.expires_ms {
                backoff.wait(self.runtime).await;
            }
        }
        Ok(())
    }

    /// Commits records with the objects that belong to them: all or nothing, and exactly once.
    pub(super) async fn commit(&mut self, records: &[Record]) -> Result<(), RuntimeError> {
        let run = self.uid();
        let mut after = self.state.clone();
        for record in records {
            after.apply(record);
        }
        let mut backoff = Backoff::new();
        let mut conflicts = 0;
        loop {
            if self.runtime.clock.now_ms() >= self.renew_at_ms {
                self.renew().await?;
            }
            let rows = self.entries(records)?;
            let transaction = match self.transaction(records, &after, &rows).await {
                Ok(transaction) => transaction,
                Err(ChangesError::Store(error)) if error.is_transient() => {
                    tracing::warn!(run, %error, "the run's objects cannot be read; trying again");
                    backoff.wait(self.runtime).await;
                    continue;
                }
                Err(ChangesError::Store(source)) => return Err(RuntimeError::Store { run, source }),
                Err(ChangesError::Refused(message)) => return Err(RuntimeError::Changes { run, message }),
            };
            let Err(error) = self.runtime.store.commit(transaction).await else {
                self.sequence += rows.len() as u64;
                return Ok(());
            };
            match error {
                CommitError::LeaseLost(_) => return Err(self.lost()),
                CommitError::Conflict { .. } | CommitError::Exists(_) | CommitError::Missing(_)
                    if conflicts < MOST_CONFLICTS =>
                {
                    conflicts += 1;
                    tracing::debug!(run, %error, "an object changed under the run; reading afresh");
                    if conflicts > 1 {
                        backoff.wait(self.runtime).await;
                    }
                }
                // The outcome is unknown, or an earlier try whose outcome was unknown came through after all: the journal
                // tells.
                CommitError::JournalConflict { .. } => {
                    if self.already_written(&rows).await? {
                        return Ok(());
                    }
                }
                CommitError::Store(error) if error.is_transient() => {
                    tracing::warn!(run, %error, "the run cannot be written; trying again");
                    backoff.wait(self.runtime).await;
                    if self.already_written(&rows).await? {
                        return Ok(());
                    }
                }
                CommitError::Store(source @ (StoreError::Damaged { .. } | StoreError::Closed)) => {
                    return Err(RuntimeError::Store { run, source });
                }
                source => return Err(RuntimeError::Commit { run, source }),
            }
        }
    }

    /// Whether the rows stand in the journal where they were meant to. Others in their place mean that another
    /// worker is at the run.
    async fn already_written(&mut self, rows: &[JournalEntry]) -> Result<bool, RuntimeError> {
        let found = self.rows(self.sequence).await?;
        if found.is_empty() {
            return Ok(false);
        }
        let ours = found.len() == rows.len()
            && found
                .iter()
                .zip(rows)
                .all(|(found, row)| found.record == *row.record);
        if ours {
            self.sequence += rows.len() as u64;
            return Ok(true);
        }
        #[cfg(feature = "mutations")]
        if self.unfenced() {
            self.sequence += found.len() as u64;
            return Ok(false);
        }
        Err(self.lost())
    }

    async fn transaction(
        &mut self,
        records: &[Record],
        after: &RunState,
        rows: &[JournalEntry],
    ) -> Result<Transaction, ChangesError> {
        let objects = self
            .runtime
            .executor
            .changes(self.state.run(), records, after)
            .await?;
        let lease = LeaseCheck {
            name: self.lease.name.clone(),
            token: self.lease.token,
        };
        let lease = Some(lease);
        #[cfg(feature = "mutations")]
        let lease = lease.filter(|_| !self.unfenced());
        Ok(Transaction {
            principal: self.state.run().author.as_str().into(),
            preconditions: objects.preconditions,
            changes: objects.changes,
            journal: rows.to_vec(),
            blobs: objects.blobs,
            lease,
        })
    }

    fn entries(&self, records: &[Record]) -> Result<Vec<JournalEntry>, RuntimeError> {
        let run: Arc<str> = self.state.run().uid.as_str().into();
        let mut entries = Vec::with_capacity(records.len());
        for (sequence, record) in (self.sequence..).zip(records) {
            let journaled = JournaledRecord {
                epoch: self.lease.token,
                record: record.clone(),
            };
            let record = serde_json::to_value(journaled).map_err(|source| RuntimeError::Record {
                run: run.to_string(),
                source,
            })?;
            entries.push(JournalEntry {
                run: run.clone(),
                sequence,
                record: record.into(),
            });
        }
        Ok(entries)
    }
}
