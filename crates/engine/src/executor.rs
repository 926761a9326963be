//! The seam to those who do the work.

use async_trait::async_trait;
use podium_store::{BlobDigest, Change, Precondition, StoreError};
use serde::{Deserialize, Serialize};

use crate::machine::{Record, RunState};
use crate::work::{Operation, RunContext, Step, WorkNode};

/// What is known of a node when it is prepared (again).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Operations that this run has done to it already.
    pub done: Vec<Operation>,
    /// Attempts begun so far.
    pub attempts: u32,
    /// Who approved what lies outside of the plan's envelope; do not answer [`Prepared::Outside`] again.
    pub outside_approved_by: Option<String>,
    /// Who agreed to try again after an outcome that nobody knows.
    pub retry_approved_by: Option<String>,
}

/// What is to be done with a node whose needs are met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prepared {
    /// Carry out these operations, in order. Those done already are left out.
    Proceed {
        /// The operations.
        operations: Vec<Operation>,
    },
    /// It is as it should be.
    Unchanged,
    /// What would happen is not what was planned: a person decides.
    Outside {
        /// What would happen, for people.
        reason: String,
    },
    /// It cannot be told right now, for a reason that passes by itself; asked again after a while.
    Later {
        /// Why.
        reason: String,
    },
    /// It can never be done as it stands.
    Refused {
        /// What is wrong and what to do.
        message: String,
    },
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "outcome")]
pub enum StepOutcome {
    /// It was done.
    Succeeded {
        /// What to remember of it: digests and names, never plaintext. Opaque to the engine.
        result: serde_json::Value,
    },
    /// It was not done, or not to its end, and repeating it is safe.
    Failed {
        /// What went wrong, for people.
        message: String,
        /// Whether trying again may help.
        retriable: bool,
    },
    /// Nobody can tell whether it was done.
    Indeterminate {
        /// What is known, for the person who decides.
        known: String,
    },
}

/// Object changes that go into the transaction of the records that they belong to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObjectChanges {
    /// The changes.
    pub changes: Vec<Change>,
    /// What must hold of the objects that they were computed from.
    pub preconditions: Vec<Precondition>,
    /// Blobs that the changes name.
    pub blobs: Vec<BlobDigest>,
}

/// The object changes cannot be computed.
#[derive(Debug, thiserror::Error)]
pub enum ChangesError {
    /// The store could not be read.
    #[error("the objects of the run cannot be read")]
    Store(#[from] StoreError),
    /// They never can be, as things stand.
    #[error("the objects of the run cannot be written: {0}")]
    Refused(String),
}

/// Does the work of a run.
///
/// **Contract.** Every call may be dropped at any await point, and the server may die at any instruction. At most one call of
/// `execute` and `recover` is under way for a step; across workers, the executor's own step lease sees to that (a
/// `recover` waits until nothing that an earlier worker began for the step can still act).
#[async_trait]
pub trait Executor: Send + Sync + 'static {
    /// Evaluates the node's inputs, which are known now, and tells what is to be done. Reads only.
    async fn prepare(&self, run: &RunContext, node: &WorkNode, progress: &Progress) -> Prepared;

    /// Carries a step out. Its intent is committed.
    async fn execute(&self, step: &Step) -> StepOutcome;

    /// Finds out how a step ended whose intent is committed and whose outcome is not, after a restart. With
    /// recovery `named` or `token` that may be by repeating it; with `indeterminate` it looks only, and answers
    /// [`StepOutcome::Indeterminate`] unless it is certain.
    async fn recover(&self, step: &Step) -> StepOutcome;

    /// Ends a step early. When this returns nothing of the step acts any more, and its `execute` or `recover` ends
    /// soon. Nothing happens when the step is not under way.
    async fn stop(&self, step: &Step);

    /// The object changes that belong to `records`; `state` is the run's state after them. Called again, to read
    /// afresh, when the commit met a conflict. It must not fail for reasons of content: what it refuses ends the
    /// worker.
    async fn changes(
        &self,
        run: &RunContext,
        records: &[Record],
        state: &RunState,
    ) -> Result<ObjectChanges, ChangesError>;
}
