//! The tables, and how a connection is set up.
//!
//! A value is written once, in `versions`; `objects` names the version that is current. So an update appends one row
//! and moves one pointer, the value before a change is the row that its successor names, and forgetting history is
//! deleting rows that were superseded. Rejected: a history table beside a table of current values, which writes every
//! value two or three times.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::failure::opening;
use crate::error::OpenError;

/// One step from a schema to the next. Released ones never change.
type Migration = &'static str;

/// The schema of the object database, step by step.
pub(super) const OBJECTS: &[Migration] = &["
    CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
    INSERT INTO meta (name, value) VALUES ('revision', 0), ('compacted', 0);
    -- The keys of this installation, each wrapped by the master key of that name.
    CREATE TABLE keys (
        id INTEGER PRIMARY KEY, purpose TEXT NOT NULL, master TEXT NOT NULL, wrapped BLOB NOT NULL
    ) STRICT;
    CREATE TABLE objects (
        api_group TEXT NOT NULL, resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
        revision INTEGER NOT NULL, created INTEGER NOT NULL,
        PRIMARY KEY (api_group, resource, namespace, name)
    ) STRICT, WITHOUT ROWID;
    -- One row for each change. `last` is the last revision of its commit, `previous` the version it replaced, and a
    -- delete has no value. The value stands last, so that a scan for other columns does not read it.
    CREATE TABLE versions (
        revision INTEGER PRIMARY KEY, last INTEGER NOT NULL, previous INTEGER, created INTEGER NOT NULL,
        api_group TEXT NOT NULL, resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
        principal TEXT NOT NULL, value TEXT
    ) STRICT;
    CREATE TABLE journal (
        run TEXT NOT NULL, sequence INTEGER NOT NULL, record TEXT NOT NULL, PRIMARY KEY (run, sequence)
    ) STRICT, WITHOUT ROWID;
    -- A lease that nobody holds keeps its row, so that its token never goes back.
    CREATE TABLE leases (
        name TEXT PRIMARY KEY, holder TEXT, token INTEGER NOT NULL, expires_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
"];

/// The schema of the blob database, step by step.
pub(super) const BLOBS: &[Migration] = &["
    CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
    -- Uploads that are under way; what is found here at start was abandoned.
    CREATE TABLE uploads (id INTEGER PRIMARY KEY) STRICT;
    CREATE TABLE blobs (digest TEXT PRIMARY KEY, id INTEGER NOT NULL, header BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE chunks (
        blob INTEGER NOT NULL, number INTEGER NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (blob, number)
    ) STRICT;
"];

/// Opens a database to write, and brings its schema up to date.
pub(super) fn open_writer(path: &Path, migrations: &[Migration]) -> Result<Connection, OpenError> {
    let failed = opening(path);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(&failed)?;
    connection.busy_timeout(Duration::from_secs(5)).map_err(&failed)?;
    // The version is read before anything is changed: a newer database must stay as it is.
    let found: u32 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(&failed)?;
    let known = u32::try_from(migrations.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(OpenError::TooNew { found, known });
    }
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;
             PRAGMA journal_size_limit = 67108864; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16384;",
        )
        .map_err(&failed)?;
    for (version, migration) in (1_u32..).zip(migrations).skip(found as usize) {
        let transaction = connection.unchecked_transaction().map_err(&failed)?;
        transaction.execute_batch(migration).map_err(&failed)?;
        transaction
            .pragma_update(None, "user_version", version)
            .map_err(&failed)?;
        transaction.commit().map_err(&failed)?;
    }
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Opens a database to read.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection
        .execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -4096; PRAGMA temp_store = MEMORY;")?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// Reads a number that the first migration wrote.
pub(super) fn number(connection: &Connection, name: &str) -> rusqlite::Result<u64> {
    connection
        .prepare_cached("SELECT value FROM meta WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
}

/// Writes a number.
pub(super) fn set_number(connection: &Connection, name: &str, value: u64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE meta SET value = ?2 WHERE name = ?1")?
        .execute(params![name, value])
        .map(drop)
}

/// The installation's id in this database, when it has one.
pub(super) fn installation(connection: &Connection) -> rusqlite::Result<Option<String>> {
    connection
        .query_row("SELECT value FROM meta WHERE name = 'installation'", [], |row| {
            row.get(0)
        })
        .optional()
}

/// Gives the database its installation's id.
pub(super) fn set_installation(connection: &Connection, id: &str) -> rusqlite::Result<()> {
    connection
        .execute("INSERT INTO meta (name, value) VALUES ('installation', ?1)", [id])
        .map(drop)
}
