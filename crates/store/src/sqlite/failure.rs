//! What SQLite's errors mean to a caller.

use rusqlite::ErrorCode;

use crate::error::{OpenError, StoreError};

/// An error of the database that can be told to each member of a group.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    context: &'static str,
    meaning: Meaning,
    message: String,
}

#[derive(Clone, Copy, Debug)]
enum Meaning {
    ReadOnly,
    Damaged,
    Other,
}

impl Failure {
    pub(super) fn new(context: &'static str, source: &rusqlite::Error) -> Self {
        Self {
            context,
            meaning: meaning(source),
            message: source.to_string(),
        }
    }

    /// The group that the answer belonged to was undone.
    pub(super) fn undone(context: &'static str) -> Self {
        let message = "another write of the same group failed, and the whole group was undone".to_owned();
        Self {
            context,
            meaning: Meaning::Other,
            message,
        }
    }

    pub(super) fn error(&self) -> StoreError {
        match self.meaning {
            Meaning::ReadOnly => StoreError::ReadOnly {
                reason: self.message.clone(),
            },
            Meaning::Damaged => StoreError::Damaged {
                what: format!("{}: {}", self.context, self.message),
            },
            Meaning::Other => StoreError::Database {
                context: self.context,
                source: self.message.clone().into(),
            },
        }
    }
}

/// Wraps an error of SQLite with what was being done.
pub(super) fn database(context: &'static str) -> impl Fn(rusqlite::Error) -> StoreError {
    move |source| Failure::new(context, &source).error()
}

/// An error while opening: a file that is no database is damage, and names its file.
pub(super) fn opening(path: &std::path::Path) -> impl Fn(rusqlite::Error) -> OpenError {
    let path = path.display().to_string();
    move |source| match meaning(&source) {
        Meaning::Damaged => OpenError::Damaged {
            path: path.clone(),
            reason: source.to_string(),
        },
        Meaning::ReadOnly | Meaning::Other => OpenError::Store(database("opening the database")(source)),
    }
}

fn meaning(source: &rusqlite::Error) -> Meaning {
    // A write that the system refuses comes as a plain full disk, or, for quotas and the shared memory beside the
    // log, as an error of that very write. None of them leaves a commit behind.
    const IOERR_WRITE: i32 = 778;
    const IOERR_SHMSIZE: i32 = 4874;
    match source {
        rusqlite::Error::SqliteFailure(error, _) => match error.code {
            ErrorCode::DiskFull | ErrorCode::ReadOnly | ErrorCode::PermissionDenied => Meaning::ReadOnly,
            ErrorCode::SystemIoFailure if matches!(error.extended_code, IOERR_WRITE | IOERR_SHMSIZE) => {
                Meaning::ReadOnly
            }
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Meaning::Damaged,
            _ => Meaning::Other,
        },
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::IntegralValueOutOfRange(..) => Meaning::Damaged,
        _ => Meaning::Other,
    }
}
