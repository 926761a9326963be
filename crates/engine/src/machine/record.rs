//! What is journaled, what has happened, and what is to be performed.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::executor::{Prepared, StepOutcome};
use crate::work::{Operation, Step, StepId};

/// One row of the journal: a fact, and when it became one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Milliseconds of the Unix epoch, by the clock of the worker that wrote it.
    pub at_ms: i64,
    /// What became true.
    #[serde(flatten)]
    pub fact: Fact,
}

/// What can become true of a run.
///
/// The journal outlives the binary: variants and fields are added, never renamed or removed, and added fields have a
/// default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "fact")]
pub enum Fact {
    /// The run began.
    RunBegan {
        /// How many nodes it has.
        nodes: usize,
    },
    /// Another worker, or the same one after a restart, goes on with the run.
    TakenUp {
        /// Who.
        by: String,
    },
    /// A step is about to begin.
    StepIntended {
        /// The node's name.
        node: String,
        /// What is done.
        operation: Operation,
        /// What is to be done to the node afterwards.
        #[serde(default)]
        then: Vec<Operation>,
        /// Number of the attempt at the node, counted from 1.
        attempt: u32,
        /// Names the call to the outside.
        token: String,
        /// When its time is up.
        deadline_ms: i64,
    },
    /// A step's time is up, and it is stopped.
    StepOverdue {
        /// The node's name.
        node: String,
        /// The attempt.
        attempt: u32,
    },
    /// A step was done.
    StepSucceeded {
        /// The node's name.
        node: String,
        /// What was done.
        operation: Operation,
        /// The attempt.
        attempt: u32,
        /// What the executor wants to remember of it.
        #[serde(default)]
        result: Json,
    },
    /// A step failed.
    StepFailed {
        /// The node's name.
        node: String,
        /// What was to be done.
        operation: Operation,
        /// The attempt.
        attempt: u32,
        /// What went wrong.
        error: String,
        /// Whether trying again could have helped.
        retriable: bool,
        /// When it is tried again; never when absent: the node has failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next_try_ms: Option<i64>,
    },
    /// Nobody can tell whether a step was done: the node waits for a person.
    StepIndeterminate {
        /// The node's name.
        node: String,
        /// What was to be done.
        operation: Operation,
        /// The attempt.
        attempt: u32,
        /// What is known.
        known: String,
    },
    /// Nothing (more) is to be done with a node.
    NodeUnchanged {
        /// The node's name.
        node: String,
    },
    /// A node cannot be judged right now.
    NodePostponed {
        /// The node's name.
        node: String,
        /// Why.
        reason: String,
        /// When it is tried again.
        next_try_ms: i64,
    },
    /// A node can never be done as it stands.
    NodeRefused {
        /// The node's name.
        node: String,
        /// What is wrong.
        error: String,
    },
    /// A node waits for a person: what would happen is not what was planned.
    NodeAwaiting {
        /// The node's name.
        node: String,
        /// What would happen.
        reason: String,
    },
    /// A node's wait for its next try is over.
    NodeDue {
        /// The node's name.
        node: String,
    },
    /// A person said that a waiting node goes on.
    NodeApproved {
        /// The node's name.
        node: String,
        /// Who.
        by: String,
    },
    /// A person said that a waiting node does not go on.
    NodeRejected {
        /// The node's name.
        node: String,
        /// Who.
        by: String,
    },
    /// A node is not done (any further).
    NodeSkipped {
        /// The node's name.
        node: String,
        /// Why.
        because: Because,
    },
    /// A person asked the run to end.
    CancelRequested {
        /// Who.
        by: String,
    },
    /// Nothing more will happen.
    RunFinished {
        /// How it ended.
        outcome: RunOutcome,
        /// What failed, one sentence each.
        #[serde(default)]
        failures: Vec<String>,
    },
}

/// Why a node is not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "reason")]
pub enum Because {
    /// It needs a node that was not done.
    Needs {
        /// The name of that node: the one where the trouble began.
        node: String,
    },
    /// A person rejected it.
    Rejected {
        /// Who.
        by: String,
    },
    /// The run was cancelled.
    Cancelled {
        /// Who.
        by: String,
    },
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RunOutcome {
    /// Everything was done.
    Succeeded,
    /// Something failed or was rejected; the rest was done.
    Failed,
    /// A person stopped it.
    Cancelled,
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// How it ended.
    pub outcome: RunOutcome,
    /// What failed, one sentence each.
    pub failures: Vec<String>,
    /// When.
    pub at_ms: i64,
}

/// What has happened, for the machine to judge.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A worker starts the run.
    Begin,
    /// A worker goes on with a run that another one, or itself before a restart, began.
    TakeUp {
        /// Who.
        by: String,
    },
    /// The executor told what is to be done with a node.
    Prepared {
        /// The node's name.
        node: String,
        /// The answer.
        prepared: Prepared,
    },
    /// A step ended, or was found to have ended.
    StepEnded {
        /// Which step.
        step: StepId,
        /// How.
        outcome: StepOutcome,
    },
    /// The time that was set for a node has come.
    TimerFired {
        /// The node's name.
        node: String,
    },
    /// A person says that a waiting node goes on.
    Approved {
        /// The node's name; all that wait, when unset.
        node: Option<String>,
        /// Who.
        by: String,
    },
    /// A person says that a waiting node does not go on.
    Rejected {
        /// The node's name; all that wait, when unset.
        node: Option<String>,
        /// Who.
        by: String,
    },
    /// A person wants the run to end.
    CancelRequested {
        /// Who.
        by: String,
    },
}

/// What is to be performed once the records that ask for it are committed.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Ask the executor what is to be done with the node of this name.
    Prepare(String),
    /// Carry a step out.
    Execute(Step),
    /// Find out what became of a step.
    Recover(Step),
    /// End a step early.
    StopStep(Step),
    /// Tell when a time has come; it replaces the node's earlier time.
    SetTimer {
        /// The node's name.
        node: String,
        /// The time, in milliseconds of the Unix epoch.
        at_ms: i64,
    },
    /// Nothing more is to be done.
    Finish,
}

/// An input that the state does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IllegalInput {
    /// It names a node that the run does not have.
    #[error("the run has no node {0}")]
    UnknownNode(String),
    /// The node is in another state.
    #[error("{node} is {is}; {input} is possible only while it is {must}")]
    WrongPhase {
        /// The node's name.
        node: String,
        /// What was to happen.
        input: &'static str,
        /// Its state.
        is: &'static str,
        /// The states that allow it.
        must: &'static str,
    },
    /// It names a step that is not the one under way.
    #[error("{step} is not the step under way")]
    WrongStep {
        /// Which step.
        step: StepId,
    },
    /// Nothing waits for a person.
    #[error("nothing in the run waits for a person")]
    NothingWaits,
    /// The run has not begun.
    #[error("the run has not begun")]
    NotBegun,
    /// The run began before.
    #[error("the run has begun already")]
    BegunAlready,
    /// The run is being cancelled.
    #[error("the run is being cancelled")]
    Cancelling,
    /// The run is over.
    #[error("the run is over")]
    Over,
}

/// A journal row that does not follow from those before it: the journal belongs to other work, or is damaged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}, which does not follow from the journal before it")]
pub struct IllegalRecord {
    /// What the row says.
    pub what: String,
}
