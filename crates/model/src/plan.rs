//! What a release would do: the Plan, as the API shows it.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::coordinate::Coordinate;

/// What happens to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// It does not exist, and is made.
    Create,
    /// It changes in place.
    Update,
    /// It is removed and made anew.
    Replace,
    /// It is removed.
    Delete,
    /// It exists outside Podium, and is taken over.
    Adopt,
    /// Nothing happens to it.
    Unchanged,
}

impl Action {
    /// The sign that stands for it everywhere.
    pub fn sign(self) -> char {
        match self {
            Self::Create => '+',
            Self::Update => '~',
            Self::Replace => '±',
            Self::Delete => '-',
            Self::Adopt => '>',
            Self::Unchanged => '=',
        }
    }

    /// Whether something that exists may be lost.
    pub fn is_destructive(self) -> bool {
        matches!(self, Self::Replace | Self::Delete)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Replace => "replace",
            Self::Delete => "delete",
            Self::Adopt => "adopt",
            Self::Unchanged => "unchanged",
        })
    }
}

/// How sure an action is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fidelity {
    /// The driver knows exactly what will happen.
    Exact,
    /// The driver cannot preview: only the inputs are compared.
    InputsOnly,
    /// An input is not known yet.
    Pending,
}

/// One field that changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldChange {
    /// Where it is in the inputs.
    pub path: String,
    /// Its value before; absent when it is new. Secrets are `(secret)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Json>,
    /// Its value after; absent when it goes. What is not known yet is `(later)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Json>,
    /// Whether this change replaces the resource.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forces_replacement: bool,
}

/// What happens to one node, and how sure that is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedChange {
    /// Which node.
    pub resource: Coordinate,
    /// Name of its object.
    pub name: String,
    /// What happens.
    pub action: Action,
    /// How sure that is.
    pub fidelity: Fidelity,
    /// Driver, module and version: `script/sqlite-file v1`.
    pub module: String,
    /// The module and version that it was made by, when that changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_module: Option<String>,
    /// The rule that chose the module.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rule: String,
    /// The fields that change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldChange>,
    /// Why it is pending, which one it waits for, or why it is as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Whether a plan may go on by itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gate {
    /// Why a person is needed, one sentence each; none when it may go on.
    #[serde(default)]
    pub needs: Vec<String>,
    /// What would be lost: the nodes that are replaced or deleted, by name for people.
    #[serde(default)]
    pub destructive: Vec<String>,
}

/// A plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Project.
    pub project: String,
    /// Environment, by its name in the project.
    pub environment: String,
    /// Namespace.
    pub namespace: String,
    /// The release that it is, or would be.
    pub release: u64,
    /// Digest of the changes: what a consent names.
    pub digest: String,
    /// Changes in the order in which they will be carried out; nodes that do not change come last.
    pub changes: Vec<PlannedChange>,
    /// What to know before going on.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Whether it may go on by itself.
    pub gate: Gate,
}

impl Plan {
    /// The changes that change something.
    pub fn effective(&self) -> impl Iterator<Item = &PlannedChange> {
        self.changes
            .iter()
            .filter(|change| change.action != Action::Unchanged)
    }

    /// Whether anything changes.
    pub fn is_empty(&self) -> bool {
        self.effective().next().is_none()
    }
}
