//! Why a worker stops before its run has ended. The run itself goes on when it is driven again.

use podium_store::{CommitError, StoreError};

use crate::machine::IllegalRecord;
use crate::work::WorkError;

/// A worker stopped.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// Another worker has the run now.
    #[error("another worker has taken up run {run}")]
    LeaseLost {
        /// The run's uid.
        run: String,
    },
    /// The work cannot be carried out by anybody.
    #[error("the run cannot be carried out as it is described")]
    Work(#[from] WorkError),
    /// The journal is damaged, or belongs to other work.
    #[error("row {sequence} of the journal of run {run} cannot be read")]
    Row {
        /// The run's uid.
        run: String,
        /// Which row.
        sequence: u64,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
    /// The journal is damaged, or belongs to other work.
    #[error("the journal of run {run} does not fit its work")]
    Journal {
        /// The run's uid.
        run: String,
        /// The cause.
        #[source]
        source: IllegalRecord,
    },
    /// A record cannot be written as JSON.
    #[error("a record of run {run} cannot be written")]
    Record {
        /// The run's uid.
        run: String,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
    /// The store refuses the transaction, and will again.
    #[error("the store refuses what run {run} has to write")]
    Commit {
        /// The run's uid.
        run: String,
        /// The cause.
        #[source]
        source: CommitError,
    },
    /// The executor cannot say which objects to write, and never will.
    #[error("what run {run} has to write is refused: {message}")]
    Changes {
        /// The run's uid.
        run: String,
        /// Why.
        message: String,
    },
    /// The store cannot serve, and trying again does not help.
    #[error("the store cannot serve run {run}")]
    Store {
        /// The run's uid.
        run: String,
        /// The cause.
        #[source]
        source: StoreError,
    },
}
