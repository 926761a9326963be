//! Releases, plans and runs: the history of an environment.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::is_default;
use crate::condition::Condition;
use crate::plan::Action;

/// Why a release was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Cause {
    /// Documents changed.
    #[default]
    Change,
    /// A rollback wrote the content of an earlier release.
    Rollback,
    /// The environment is being emptied.
    Destroy,
    /// The server made it itself, for example because a port was taken.
    Repair,
}

/// The desired state of one environment after a change. Immutable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseSpec {
    /// Its number, counted from 1 in its environment.
    pub number: u64,
    /// The release it was computed on; 0 for none.
    #[serde(default)]
    pub base: u64,
    /// Who made it.
    pub author: String,
    /// Why.
    #[serde(default)]
    pub cause: Cause,
    /// What its author said about it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub message: String,
    /// The release whose content it repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_to: Option<u64>,
    /// The workloads' specs by name, as a blob.
    pub documents: String,
    /// The resolved graph, as a blob.
    pub graph: String,
    /// Names of the workloads.
    pub workloads: Vec<String>,
}

/// State of a release.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ReleaseStatus {
    /// The generation that this status describes.
    pub observed_generation: i64,
    /// `Ready`.
    pub conditions: Vec<Condition>,
    /// What became of it.
    pub phase: RunPhase,
    /// Its run.
    #[serde(skip_serializing_if = "is_default")]
    pub run: String,
}

/// What a release would do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanSpec {
    /// The release.
    pub release: u64,
    /// Digest that identifies it: consent and approvals name it.
    pub digest: String,
    /// The whole plan, as a blob.
    pub content: String,
    /// How many nodes have which action.
    pub summary: BTreeMap<Action, u64>,
}

/// The journal of carrying out one plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunSpec {
    /// The release.
    pub release: u64,
    /// Name of the Plan.
    pub plan: String,
    /// Digest of the plan.
    pub digest: String,
    /// Who started it.
    pub author: String,
    /// The work, as a blob.
    pub work: String,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RunPhase {
    /// Another run is before it.
    #[default]
    Queued,
    /// A person has to approve it.
    AwaitingApproval,
    /// At work.
    Running,
    /// Everything was done.
    Succeeded,
    /// Something failed; what was made is recorded.
    Failed,
    /// A person stopped it.
    Cancelled,
    /// A later release took its place before it began.
    Superseded,
}

impl RunPhase {
    /// Whether nothing more will happen.
    pub fn is_final(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Failed | Self::Cancelled | Self::Superseded
        )
    }
}

/// State of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RunStatus {
    /// The generation that this status describes.
    pub observed_generation: i64,
    /// `Ready`; while it waits the message says for what, since when, and when it is tried next.
    pub conditions: Vec<Condition>,
    /// Where it stands.
    pub phase: RunPhase,
    /// Why a person is needed, one sentence each.
    #[serde(skip_serializing_if = "is_default")]
    pub needs: Vec<String>,
    /// Who approved it.
    #[serde(skip_serializing_if = "is_default")]
    pub approved_by: String,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub started: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub finished: Option<Timestamp>,
    /// What failed, for people.
    #[serde(skip_serializing_if = "is_default")]
    pub failures: Vec<String>,
}
