//! Resources: the live nodes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::common::{any_value, is_default};
use super::module::DriverKind;
use crate::condition::Condition;

/// Where something stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// It waits; the condition says for what.
    #[default]
    Waiting,
    /// It is being made or changed.
    Applying,
    /// It is there and healthy.
    Ready,
    /// It is there, but not healthy.
    Degraded,
    /// The last try failed.
    Failed,
    /// It is being removed.
    Deleting,
}

/// Who asks for a resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestedBy {
    /// The workload or resource that asks, as `TYPE.CLASS#ID`.
    pub requester: String,
    /// The alias under which it asks.
    #[serde(default, skip_serializing_if = "is_default")]
    pub alias: String,
    /// The release in which it last changed its request.
    #[serde(default, skip_serializing_if = "is_default")]
    pub release: u64,
    /// Who made that release.
    #[serde(default, skip_serializing_if = "is_default")]
    pub author: String,
    /// What it asks for; unknown parts and secrets are shown as marks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_value")]
    pub params: Option<Json>,
}

/// One live node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceSpec {
    /// Its type.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// Its class.
    pub class: String,
    /// Its id.
    pub id: String,
    /// The module that makes it.
    pub module: String,
    /// That module's version.
    pub module_version: u64,
    /// The driver of that version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<DriverKind>,
    /// The rule that chose the module.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rule: String,
    /// Who asks for it. When nobody does, it is planned for deletion.
    #[serde(default, skip_serializing_if = "is_default")]
    pub requested_by: Vec<RequestedBy>,
    /// Ports that were allotted to it, by name.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ports: BTreeMap<String, u16>,
    /// Refuses replace and delete until lifted.
    #[serde(default, skip_serializing_if = "is_default")]
    pub protect: bool,
}

/// What was last applied to a resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// The release.
    pub release: u64,
    /// The run.
    pub run: String,
    /// The module.
    pub module: String,
    /// Its version.
    pub module_version: u64,
    /// The driver of that version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<DriverKind>,
    /// Digest of module version and inputs: when it equals what is desired, nothing has to be done.
    pub digest: String,
    /// The sealed inputs, as a blob.
    pub inputs: String,
    /// The sealed inputs of the apply before, as a blob; empty for the first.
    #[serde(default, skip_serializing_if = "is_default")]
    pub previous_inputs: String,
    /// Whether the apply came to its end; otherwise the resource may be half made.
    pub complete: bool,
    /// Nodes it needed, as `TYPE.CLASS#ID`: it goes before they do.
    #[serde(default, skip_serializing_if = "is_default")]
    pub needs: Vec<String>,
}

/// State of a resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceStatus {
    /// The generation that this status describes.
    pub observed_generation: i64,
    /// `Ready`, `Reconciling` and `Stalled`.
    pub conditions: Vec<Condition>,
    /// Where it stands.
    pub phase: Phase,
    /// What it offers; secrets are shown as `(secret)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_value")]
    pub outputs: Option<Json>,
    /// The outputs with the handles of their secrets, as a blob.
    #[serde(skip_serializing_if = "is_default")]
    pub outputs_blob: String,
    /// What was last applied, begun or done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied: Option<Applied>,
    /// What its tool answered, as a sealed blob.
    #[serde(skip_serializing_if = "is_default")]
    pub tool_outputs: String,
    /// The driver's own state of it, as a sealed blob.
    #[serde(skip_serializing_if = "is_default")]
    pub driver_state: String,
    /// The last lines of what its last step printed, masked, as a blob.
    #[serde(skip_serializing_if = "is_default")]
    pub log: String,
}
