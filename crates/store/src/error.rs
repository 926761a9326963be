//! Errors of the store. Those that may pass when tried again say so by [`StoreError::is_transient`].

use crate::types::{BlobDigest, Key, Revision};

/// The store cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database answered with an error.
    #[error("the store's database failed: {context}")]
    Database {
        /// What was being done.
        context: &'static str,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No room or no right to write; reads go on.
    #[error("the store cannot write: {reason}")]
    ReadOnly {
        /// Why, for a person: the disk is full, the folder is read-only.
        reason: String,
    },
    /// What was read back is not what was written.
    #[error("the store's data is damaged: {what}")]
    Damaged {
        /// Which part.
        what: String,
    },
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Whether the same call may succeed later without a person's help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Database { .. } | Self::ReadOnly { .. })
    }
}

/// A transaction was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// An object was to be created and exists.
    #[error("{0} already exists")]
    Exists(Key),
    /// An object was to exist and does not.
    #[error("{0} does not exist")]
    Missing(Key),
    /// An object changed since it was read.
    #[error("{key} is at revision {actual}, not {expected}")]
    Conflict {
        /// Which object.
        key: Key,
        /// The revision that the transaction named.
        expected: Revision,
        /// The revision it has.
        actual: Revision,
    },
    /// The lease went to somebody else, or was given up.
    #[error("the lease {0} is lost")]
    LeaseLost(String),
    /// A journal row's place is taken, or would leave a gap.
    #[error("the journal of run {run} has {next} rows; row {sequence} does not follow")]
    JournalConflict {
        /// Which run.
        run: String,
        /// The place that was asked for.
        sequence: u64,
        /// The next free place.
        next: u64,
    },
    /// A named blob does not exist.
    #[error("blob {0} does not exist")]
    MissingBlob(BlobDigest),
    /// An object is too large.
    #[error("{key} has {bytes} bytes, more than the limit of {limit}")]
    TooLarge {
        /// Which object.
        key: Key,
        /// Its size as JSON text.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A value is nested too deeply to be read back.
    #[error("{what} is nested deeper than {limit} levels")]
    TooDeep {
        /// Which object, or which row of which run.
        what: String,
        /// The limit.
        limit: usize,
    },
    /// A journal row is too large.
    #[error("row {sequence} of the journal of run {run} has {bytes} bytes, more than the limit of {limit}")]
    RecordTooLarge {
        /// Which run.
        run: String,
        /// Which row.
        sequence: u64,
        /// Its size as JSON text.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The transaction changes one object twice.
    #[error("{0} is changed twice in one transaction")]
    ChangedTwice(Key),
    /// The store cannot serve.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A watch cannot begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// History before `oldest` is gone, or the watcher fell too far behind: list again and watch from there.
    #[error("revision {requested} is too old; the oldest kept is {oldest}")]
    TooOld {
        /// Where the watch was to begin.
        requested: Revision,
        /// The oldest revision from which a watch can begin.
        oldest: Revision,
    },
    /// The revision lies in the future.
    #[error("revision {requested} is not reached yet; the store is at {current}")]
    TooNew {
        /// Where the watch was to begin.
        requested: Revision,
        /// The store's revision.
        current: Revision,
    },
    /// The store cannot serve.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A blob cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// No blob has this digest.
    #[error("blob {0} does not exist")]
    Missing(BlobDigest),
    /// The blob does not decrypt, decompress or hash to what its address says.
    #[error("blob {0} is damaged")]
    Damaged(BlobDigest),
    /// The blob is larger than the caller allows.
    #[error("the blob has more than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// The store cannot serve.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another server uses the data folder.
    #[error("the data folder {folder} is in use by another server (process {pid})")]
    InUse {
        /// The folder.
        folder: String,
        /// The other process, as it wrote it down; `unknown` when it cannot be read.
        pid: String,
    },
    /// The folder cannot be made or written.
    #[error("the data folder {folder} cannot be written; choose another with --data")]
    Folder {
        /// The folder.
        folder: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// There is sealed data, but no master key.
    #[error(
        "the master key {path} is missing, and the store holds data sealed with it: restore the key file"
    )]
    KeyMissing {
        /// Where it was looked for.
        path: String,
    },
    /// The master key does not open the data keys.
    #[error("the master key {path} is not the one this store was sealed with")]
    KeyWrong {
        /// Where it was read.
        path: String,
    },
    /// The key file can be read by others, or has the wrong size.
    #[error("the master key {path} is not usable: {reason}")]
    KeyUnusable {
        /// Where it was read.
        path: String,
        /// Why.
        reason: String,
    },
    /// The database was written by a newer Podium.
    #[error("the store has schema {found}, this Podium knows up to {known}: use the newer Podium")]
    TooNew {
        /// The schema of the data.
        found: u32,
        /// The newest that is known.
        known: u32,
    },
    /// The database is damaged.
    #[error("the database {path} is damaged: {reason}; restore it from a backup")]
    Damaged {
        /// The file.
        path: String,
        /// What the check found.
        reason: String,
    },
    /// The database failed otherwise.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Sealed bytes cannot be made or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The machine gave no random bytes.
    #[error("the operating system gave no random bytes")]
    NoRandom,
    /// Sealed under a key that this store does not hold.
    #[error("sealed under the key {0}, which this store does not hold")]
    UnknownKey(u32),
    /// Not sealed by this store in this context, or changed since.
    #[error("the sealed bytes were changed, or belong elsewhere")]
    Damaged,
}
