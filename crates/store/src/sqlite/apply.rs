//! One logical transaction against the object database, inside the physical one that its group shares.
//!
//! All that can be refused is refused before the first write, so a refusal leaves nothing to undo.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::failure::database;
use super::live::{LiveCommit, LiveEvent, Previous};
use crate::error::{CommitError, StoreError};
use crate::prepare::Encoded;
use crate::types::{BlobDigest, Change, Committed, EventKind, Key, Precondition, Revision, Transaction};

/// Commits with more text than this are not held in memory for watchers: those read them from history.
const LIVE_BYTES: usize = 256 * 1024;

/// The state of an object that decides on preconditions.
#[derive(Clone, Copy)]
struct Head {
    revision: Revision,
    created: Revision,
}

/// What a transaction did, once the physical commit has made it true.
pub(super) struct Applied {
    pub(super) committed: Committed,
    /// What watchers see; none when no object changed.
    pub(super) live: Option<LiveCommit>,
}

/// Carries out a transaction. `current` is the revision that the group has reached, `watched` whether anybody would
/// see events.
pub(super) fn apply(
    objects: &Connection,
    blobs: &Connection,
    transaction: &Transaction,
    encoded: &Encoded,
    current: Revision,
    watched: bool,
) -> Result<Applied, CommitError> {
    let heads = judge(objects, blobs, transaction)?;
    let effective = transaction
        .changes
        .iter()
        .filter(|change| {
            matches!(change, Change::Put(..)) || heads.get(change.key()).is_some_and(Option::is_some)
        })
        .count();
    let last = Revision(current.0 + effective as u64);
    let watched = watched && encoded.bytes() <= LIVE_BYTES;
    let mut reached = current;
    let mut revisions = Vec::with_capacity(transaction.changes.len());
    let mut events = watched.then(|| Vec::with_capacity(effective));
    for (change, text) in transaction.changes.iter().zip(&encoded.changes) {
        let key = change.key();
        let head = heads.get(key).copied().flatten();
        if text.is_none() && head.is_none() {
            revisions.push(reached);
            continue;
        }
        let revision = Revision(reached.0 + 1);
        let created = head.map_or(revision, |head| head.created);
        write(
            objects,
            key,
            head,
            revision,
            created,
            last,
            &transaction.principal,
            text.as_deref(),
        )?;
        if let Some(events) = &mut events {
            let previous = head.map(|head| previous(objects, head.revision)).transpose()?;
            let (kind, value) = match change {
                Change::Delete(_) => (EventKind::Deleted, None),
                Change::Put(_, value) if head.is_some() => (EventKind::Updated, Some(Arc::clone(value))),
                Change::Put(_, value) => (EventKind::Created, Some(Arc::clone(value))),
            };
            let key = key.clone();
            let principal = Arc::clone(&transaction.principal);
            events.push(LiveEvent {
                kind,
                key,
                revision,
                created,
                principal,
                value,
                previous,
            });
        }
        revisions.push(revision);
        reached = revision;
    }
    for (entry, record) in transaction.journal.iter().zip(&encoded.journal) {
        objects
            .prepare_cached("INSERT INTO journal (run, sequence, record) VALUES (?1, ?2, ?3)")
            .and_then(|mut statement| statement.execute(params![&*entry.run, entry.sequence, record]))
            .map_err(database("appending to a journal"))?;
    }
    let held: usize = events
        .iter()
        .flatten()
        .filter_map(|event| event.previous.as_ref())
        .map(Previous::bytes)
        .sum();
    if held > LIVE_BYTES {
        events = None;
    }
    let live = (reached > current).then(|| LiveCommit {
        first: Revision(current.0 + 1),
        last: reached,
        events,
    });
    Ok(Applied {
        committed: Committed {
            revisions,
            revision: reached,
        },
        live,
    })
}

/// Checks all that must hold, and returns the heads of the objects that are changed.
fn judge<'a>(
    objects: &Connection,
    blobs: &Connection,
    transaction: &'a Transaction,
) -> Result<HashMap<&'a Key, Option<Head>>, CommitError> {
    if let Some(lease) = &transaction.lease {
        let held = objects
            .prepare_cached("SELECT 1 FROM leases WHERE name = ?1 AND token = ?2 AND holder IS NOT NULL")
            .and_then(|mut statement| {
                // A token that SQLite cannot hold was never given.
                statement.exists(params![&*lease.name, i64::try_from(lease.token).unwrap_or(-1)])
            })
            .map_err(database("checking a lease"))?;
        if !held {
            return Err(CommitError::LeaseLost(lease.name.to_string()));
        }
    }
    let mut heads = HashMap::with_capacity(transaction.changes.len());
    for change in &transaction.changes {
        heads.insert(change.key(), head(objects, change.key())?);
    }
    for precondition in &transaction.preconditions {
        let (Precondition::Absent(key) | Precondition::Exists(key) | Precondition::At(key, _)) = precondition;
        let found = match heads.get(key) {
            Some(found) => *found,
            None => head(objects, key)?,
        };
        match (precondition, found) {
            (Precondition::Absent(_), Some(_)) => return Err(CommitError::Exists(key.clone())),
            (Precondition::Exists(_) | Precondition::At(..), None) => {
                return Err(CommitError::Missing(key.clone()));
            }
            (Precondition::At(_, expected), Some(Head { revision: actual, .. })) if *expected != actual => {
                return Err(CommitError::Conflict {
                    key: key.clone(),
                    expected: *expected,
                    actual,
                });
            }
            _ => {}
        }
    }
    for digest in &transaction.blobs {
        if !blob_exists(blobs, digest)? {
            return Err(CommitError::MissingBlob(digest.clone()));
        }
    }
    let mut lengths: HashMap<&str, u64> = HashMap::new();
    for entry in &transaction.journal {
        let next = match lengths.get(&*entry.run) {
            Some(next) => *next,
            None => journal_length(objects, &entry.run)?,
        };
        if entry.sequence != next {
            let run = entry.run.to_string();
            return Err(CommitError::JournalConflict {
                run,
                sequence: entry.sequence,
                next,
            });
        }
        lengths.insert(&entry.run, next + 1);
    }
    Ok(heads)
}

fn head(objects: &Connection, key: &Key) -> Result<Option<Head>, StoreError> {
    objects
        .prepare_cached(
            "SELECT revision, created FROM objects
             WHERE api_group = ?1 AND resource = ?2 AND namespace = ?3 AND name = ?4",
        )
        .and_then(|mut statement| {
            let ResourceParts { group, resource } = parts(key);
            statement
                .query_row(params![group, resource, &*key.namespace, &*key.name], |row| {
                    Ok(Head {
                        revision: Revision(row.get(0)?),
                        created: Revision(row.get(1)?),
                    })
                })
                .optional()
        })
        .map_err(database("looking up an object"))
}

struct ResourceParts<'a> {
    group: &'a str,
    resource: &'a str,
}

fn parts(key: &Key) -> ResourceParts<'_> {
    ResourceParts {
        group: &key.resource.group,
        resource: &key.resource.resource,
    }
}

fn journal_length(objects: &Connection, run: &str) -> Result<u64, StoreError> {
    objects
        .prepare_cached("SELECT sequence + 1 FROM journal WHERE run = ?1 ORDER BY sequence DESC LIMIT 1")
        .and_then(|mut statement| statement.query_row([run], |row| row.get(0)).optional())
        .map(Option::unwrap_or_default)
        .map_err(database("looking up a journal"))
}

/// Whether the blob database holds a finished blob of this digest.
pub(super) fn blob_exists(blobs: &Connection, digest: &BlobDigest) -> Result<bool, StoreError> {
    blobs
        .prepare_cached("SELECT 1 FROM blobs WHERE digest = ?1")
        .and_then(|mut statement| statement.exists([digest.as_str()]))
        .map_err(database("looking up a blob"))
}

fn previous(objects: &Connection, revision: Revision) -> Result<Previous, StoreError> {
    objects
        .prepare_cached("SELECT value FROM versions WHERE revision = ?1")
        .and_then(|mut statement| statement.query_row([revision.0], |row| row.get::<_, String>(0)))
        .map(Previous::new)
        .map_err(database("reading the value before a change"))
}

#[expect(
    clippy::too_many_arguments,
    reason = "the columns of one row; a struct would only name them twice"
)]
fn write(
    objects: &Connection,
    key: &Key,
    head: Option<Head>,
    revision: Revision,
    created: Revision,
    last: Revision,
    principal: &str,
    text: Option<&str>,
) -> Result<(), StoreError> {
    let failed = database("writing an object");
    let ResourceParts { group, resource } = parts(key);
    let (namespace, name) = (&*key.namespace, &*key.name);
    objects
        .prepare_cached(
            "INSERT INTO versions (revision, last, previous, created, api_group, resource, namespace, name,
                principal, value) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )
        .and_then(|mut statement| {
            let before = head.map(|head| head.revision.0);
            statement.execute(params![
                revision.0, last.0, before, created.0, group, resource, namespace, name, principal, text
            ])
        })
        .map_err(&failed)?;
    let pointer = match (head, text) {
        (None, _) => {
            "INSERT INTO objects (api_group, resource, namespace, name, revision, created)
             VALUES (?1, ?2, ?3, ?4, ?5, ?5)"
        }
        (Some(_), Some(_)) => {
            "UPDATE objects SET revision = ?5
             WHERE api_group = ?1 AND resource = ?2 AND namespace = ?3 AND name = ?4"
        }
        // The revision is compared too, so that the parameters of all three are the same.
        (Some(_), None) => {
            "DELETE FROM objects
             WHERE api_group = ?1 AND resource = ?2 AND namespace = ?3 AND name = ?4 AND revision < ?5"
        }
    };
    let changed = objects
        .prepare_cached(pointer)
        .and_then(|mut statement| statement.execute(params![group, resource, namespace, name, revision.0]))
        .map_err(&failed)?;
    if changed == 1 {
        Ok(())
    } else {
        Err(StoreError::Damaged {
            what: format!("{changed} rows hold {key}"),
        })
    }
}
