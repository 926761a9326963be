//! Projects, environment types and environments.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::is_default;
use crate::condition::Condition;

/// A team's space.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ProjectSpec {
    /// Who to ask: a person or a group.
    #[serde(skip_serializing_if = "is_default")]
    pub owner: String,
    /// What it is for.
    #[serde(skip_serializing_if = "is_default")]
    pub description: String,
}

/// Whether releases go on by themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// A release goes on when the gate allows it.
    #[default]
    Automatic,
    /// A release waits for a person.
    Review,
}

/// What environments of a kind have in common.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvironmentTypeSpec {
    /// What it is for.
    #[serde(skip_serializing_if = "is_default")]
    pub description: String,
    /// Mode of environments that name none.
    #[serde(skip_serializing_if = "is_default")]
    pub default_mode: Mode,
}

/// One place where a project's workloads run; it owns the namespace of its own name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentSpec {
    /// The project it belongs to. Cannot be changed.
    pub project: String,
    /// Its name within the project; the object's name is `PROJECT-NAME` unless chosen otherwise. Cannot be changed.
    pub name: String,
    /// Its environment type.
    #[serde(rename = "type")]
    pub environment_type: String,
    /// Whether releases go on by themselves; the environment type's default when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// What modules and the type `environment` see.
    #[serde(default, skip_serializing_if = "is_default")]
    pub variables: BTreeMap<String, String>,
}

/// State of an environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvironmentStatus {
    /// The generation that this status describes.
    pub observed_generation: i64,
    /// `Ready` and `Reconciling`.
    pub conditions: Vec<Condition>,
    /// Number of the newest release; 0 before the first.
    pub release: u64,
    /// The release that a rollback pinned, until the pin is lifted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pinned: Option<u64>,
    /// Digest of the desired state that the newest release was computed from.
    #[serde(skip_serializing_if = "is_default")]
    pub desired: String,
}
