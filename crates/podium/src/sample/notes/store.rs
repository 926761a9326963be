//! The notes in their SQLite file.
//!
//! One connection behind a lock: SQLite has one writer anyway, and a sample has few readers. Every note is synced
//! before it is acknowledged.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, params};
use thiserror::Error;

/// How many notes the page shows.
const SHOWN: u32 = 100;
/// The largest seed file that is read, in bytes.
const SEED_LIMIT: u64 = 64 * 1024;
/// How long another process may hold the file.
const BUSY_LIMIT: Duration = Duration::from_secs(5);
/// The version of the table that this code makes.
const SCHEMA_VERSION: i64 = 1;
/// Pages of 4 KiB in one MiB.
const PAGES_IN_MEGABYTE: u32 = 256;

/// What can go wrong with the database.
#[derive(Debug, Error)]
pub(super) enum StoreError {
    /// The file cannot be opened or used.
    #[error("cannot use the database {path}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// The seed file is there but cannot be read.
    #[error("cannot read the seed {path}")]
    Seed {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The seed file is larger than a seed should be.
    #[error("the seed {path} has {size} bytes: at most {SEED_LIMIT} are read")]
    SeedTooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        size: u64,
    },
    /// A later version of this program made the table.
    #[error("the database {path} has the table of version {found}, this program knows {SCHEMA_VERSION}")]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
    },
    /// The file was taken away while it was open.
    #[error("the database {path} is gone")]
    Gone {
        /// The file.
        path: PathBuf,
    },
    /// The database has reached its largest size.
    #[error("the database is full")]
    Full,
    /// Anything else that SQLite says.
    #[error("the database failed")]
    Sqlite(#[source] rusqlite::Error),
    /// The program is ending.
    #[error("the work was interrupted")]
    Interrupted,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            _ => Self::Sqlite(error),
        }
    }
}

/// One note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    /// Who wrote it; empty when they did not say.
    pub(super) author: String,
    /// What.
    pub(super) text: String,
    /// When, as `2026-01-31 12:00 UTC`.
    pub(super) written: String,
}

/// The open database.
pub(super) struct NoteStore {
    path: PathBuf,
    connection: Mutex<Connection>,
}

impl NoteStore {
    /// Opens the file, and makes the table when there is none.
    pub(super) fn open(path: &Path, megabytes: u32) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Open {
            path: path.to_owned(),
            source,
        };
        let mut connection = Connection::open(path).map_err(failed)?;
        connection.busy_timeout(BUSY_LIMIT).map_err(failed)?;
        connection
            .pragma_update(None, "journal_mode", "wal")
            .map_err(failed)?;
        connection
            .pragma_update(None, "synchronous", "full")
            .map_err(failed)?;
        let pages = megabytes.saturating_mul(PAGES_IN_MEGABYTE);
        connection
            .query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
            .map_err(failed)?;
        prepare(&mut connection, path)?;
        Ok(Self {
            path: path.to_owned(),
            connection: Mutex::new(connection),
        })
    }

    /// Keeps a note and tells its number.
    pub(super) fn add(&self, author: &str, text: &str) -> Result<i64, StoreError> {
        let connection = self.lock();
        connection
            .prepare_cached("INSERT INTO notes (author, text) VALUES (?1, ?2)")?
            .execute(params![author, text])?;
        Ok(connection.last_insert_rowid())
    }

    /// The newest notes, newest first.
    pub(super) fn newest(&self) -> Result<Vec<Note>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT author, text, strftime('%Y-%m-%d %H:%M UTC', written) FROM notes ORDER BY number DESC LIMIT ?1",
        )?;
        let notes = statement.query_map([SHOWN], |row| {
            Ok(Note {
                author: row.get(0)?,
                text: row.get(1)?,
                written: row.get(2)?,
            })
        })?;
        Ok(notes.collect::<Result<_, _>>()?)
    }

    /// How many notes there are.
    pub(super) fn count(&self) -> Result<u64, StoreError> {
        let count: i64 = self
            .lock()
            .query_row("SELECT count(*) FROM notes", [], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }

    /// Whether the database can be read, and is still where it was: SQLite would go on writing to a deleted file.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if !self.path.exists() {
            return Err(StoreError::Gone {
                path: self.path.clone(),
            });
        }
        let _newest: Option<i64> = self
            .lock()
            .query_row(
                "SELECT number FROM notes ORDER BY number DESC LIMIT 1",
                [],
                |row| row.get(0),
            )
            .optional()?;
        Ok(())
    }

    /// A panic of another request leaves no half statement behind, so its poison says nothing.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the table with its first notes in one transaction, so that a seed is taken once or not at all.
fn prepare(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match version {
        SCHEMA_VERSION => return Ok(()),
        0 => {}
        found => {
            return Err(StoreError::Version {
                path: path.to_owned(),
                found,
            });
        }
    }
    transaction.execute_batch(
        "CREATE TABLE notes (
             number INTEGER PRIMARY KEY,
             author TEXT NOT NULL,
             text TEXT NOT NULL,
             written TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
         ) STRICT;",
    )?;
    for line in seed(path)?.lines().map(str::trim).filter(|line| !line.is_empty()) {
        transaction.execute("INSERT INTO notes (author, text) VALUES ('', ?1)", [line])?;
    }
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()?;
    Ok(())
}

/// The text of `DATABASE.seed`; empty when there is none.
fn seed(database: &Path) -> Result<String, StoreError> {
    let mut name = database.as_os_str().to_owned();
    name.push(".seed");
    let path = PathBuf::from(name);
    let size = match std::fs::metadata(&path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(String::new()),
        Err(source) => return Err(StoreError::Seed { path, source }),
    };
    if size > SEED_LIMIT {
        return Err(StoreError::SeedTooLarge { path, size });
    }
    std::fs::read_to_string(&path).map_err(|source| StoreError::Seed { path, source })
}
