//! Requests and answers of the verbs that Podium adds to its kinds, as the API serves and the CLI uses them.
//!
//! They are subresources: `POST environments/NAME/plan`, `GET runs/NAME/steps` and so on; the table is
//! [`crate::kinds::definitions`]. A request that is refused because of its documents is answered with a Kubernetes
//! `Status` of code 422 whose `details.problems` lists every mistake with its path.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::coordinate::Coordinate;
use crate::kinds::{Cause, Phase, RequestedBy, RunPhase, WorkloadSpec};
use crate::plan::{Action, FieldChange, Plan};

/// Any value at all.
fn any_value(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"x-kubernetes-preserve-unknown-fields": true})
}

/// A workload to deploy or plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamedWorkload {
    /// Its name: that of its Score document.
    pub name: String,
    /// Its spec.
    pub spec: WorkloadSpec,
}

/// What the author agreed to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Consent {
    /// The digest of the plan that was shown; the same plan goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Everything, unseen (`--yes`).
    pub any: bool,
}

/// Body of `plan` and `deploy`: documents to merge into the environment's desired state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DeployRequest {
    /// The workloads.
    pub workloads: Vec<NamedWorkload>,
    /// Whether workloads that are not named go.
    pub prune: bool,
    /// What the author agreed to. A plan that replaces or deletes without consent is refused by `deploy`.
    pub consent: Consent,
    /// What the author says about the change.
    pub message: String,
    /// For `plan`: refuse what can be planned and not carried out, as `deploy` does.
    pub check: bool,
}

/// Answer of `plan`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanResponse {
    /// The plan.
    pub plan: Plan,
}

/// Answer of `deploy`, `rollback` and `destroy`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeployResponse {
    /// The environment's namespace.
    pub namespace: String,
    /// The release that was made, or the newest one when nothing changed.
    pub release: u64,
    /// Whether nothing changed, so that no release was made.
    pub unchanged: bool,
    /// Name of the run; empty when nothing changed.
    pub run: String,
    /// The plan as it stands at the start of the run.
    pub plan: Plan,
}

/// Body of `rollback`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RollbackRequest {
    /// The release whose content comes back; unset together with `lift`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<u64>,
    /// Lifts the pin: the environment follows its documents again.
    pub lift: bool,
    /// Only plan: nothing is written.
    pub plan_only: bool,
    /// What the author agreed to.
    pub consent: Consent,
    /// What the author says about it.
    pub message: String,
}

/// Body of `destroy`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DestroyRequest {
    /// Only plan: nothing is written.
    pub plan_only: bool,
    /// What the author agreed to.
    pub consent: Consent,
    /// What the author says about it.
    pub message: String,
}

/// Body of `approve`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ApproveRequest {
    /// The digest of the plan that is approved; the current one when unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Rejects instead.
    pub reject: bool,
}

/// Body and answer of `protect`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Protection {
    /// Whether replace and delete of the resource are refused.
    pub protect: bool,
}

/// A resource in `overview`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceView {
    /// Its type.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// Its class.
    pub class: String,
    /// Its id.
    pub id: String,
    /// Name of its object.
    pub name: String,
    /// Driver, module and version: `script/sqlite-file v1`.
    pub module: String,
    /// Where it stands.
    pub phase: Phase,
    /// Why, for people: what it waits for or what failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub since: Option<Timestamp>,
    /// Its outputs; a secret is `(secret)`.
    #[schemars(schema_with = "any_value")]
    pub outputs: Json,
}

/// A workload in `overview`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadView {
    /// Its name.
    pub name: String,
    /// Name of its Resource object.
    pub resource: String,
    /// Driver, module and version.
    pub module: String,
    /// Where it stands.
    pub phase: Phase,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub since: Option<Timestamp>,
    /// Where it answers.
    pub urls: Vec<String>,
}

/// Answer of `overview`: what `podium status` shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    /// Project.
    pub project: String,
    /// Environment, by its name in the project.
    pub environment: String,
    /// Namespace.
    pub namespace: String,
    /// Newest release; 0 for none.
    pub release: u64,
    /// Who made it.
    pub author: String,
    /// The pinned release, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<u64>,
    /// The run at work or waiting, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunView>,
    /// The worst phase of all, `Ready` when empty.
    pub phase: Phase,
    /// Resources, workloads not among them.
    pub resources: Vec<ResourceView>,
    /// Workloads.
    pub workloads: Vec<WorkloadView>,
}

/// A run, in short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunView {
    /// Name of its object.
    pub name: String,
    /// Its release.
    pub release: u64,
    /// Where it stands.
    pub phase: RunPhase,
    /// Why a person is needed.
    pub needs: Vec<String>,
}

/// State of one step of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepView {
    /// The node.
    pub resource: Coordinate,
    /// Name of its object.
    pub name: String,
    /// Driver, module and version.
    pub module: String,
    /// What is to happen to it.
    pub action: Action,
    /// `waiting`, `running`, `backoff`, `awaitingApproval`, `succeeded`, `unchanged`, `failed` or `skipped`.
    pub state: String,
    /// Number of the attempt, counted from 1; 0 before the first.
    pub attempt: u32,
    /// What it waits for, what failed, or what it does right now.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When its first attempt began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub started: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub finished: Option<Timestamp>,
    /// When it is tried next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub next_try: Option<Timestamp>,
}

/// Answer of `steps`: a run with its steps. With `?follow=true` a stream of these, one JSON text a line, each time
/// something changed, until the run is final.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Steps {
    /// Name of the run.
    pub run: String,
    /// Its release.
    pub release: u64,
    /// Where it stands.
    pub phase: RunPhase,
    /// Why a person is needed.
    pub needs: Vec<String>,
    /// What failed.
    pub failures: Vec<String>,
    /// The steps, in the order in which they begin.
    pub steps: Vec<StepView>,
}

/// How a rule fared in a choice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuleVerdict {
    /// The rule.
    pub rule: String,
    /// The module it would choose.
    pub module: String,
    /// Whether it chose.
    pub chosen: bool,
    /// What it matched by, or why it lost.
    pub reason: String,
}

/// Where an input comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InputView {
    /// Path in the inputs.
    pub path: String,
    /// The value; secrets and unknown parts as marks.
    #[schemars(schema_with = "any_value")]
    pub value: Json,
}

/// One resource, explained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The node.
    pub resource: Coordinate,
    /// Name of its object.
    pub name: String,
    /// Driver, module and version; empty when no rule serves it.
    pub module: String,
    /// Who to ask about the module.
    pub owner: String,
    /// Every rule for its type, the chosen one first.
    pub rules: Vec<RuleVerdict>,
    /// Who asks for it.
    pub requested_by: Vec<RequestedBy>,
    /// What the driver is given.
    pub inputs: Vec<InputView>,
    /// Nodes that must be there first.
    pub needs: Vec<String>,
    /// Where it stands; absent when it is not live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// What it waits for, since when and when it is tried next; `nothing` when it waits for nothing.
    pub waits: String,
}

/// Answer of `explain`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExplainResponse {
    /// Project.
    pub project: String,
    /// Environment, by its name in the project.
    pub environment: String,
    /// The newest release; 0 for none.
    pub release: u64,
    /// The resources asked about.
    pub resources: Vec<Explanation>,
}

/// A node of `graph`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GraphNode {
    /// The node.
    pub resource: Coordinate,
    /// Name of its object.
    pub name: String,
    /// Driver, module and version.
    pub module: String,
    /// Where it stands; absent when it is not live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
}

/// An edge of `graph`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GraphEdge {
    /// Name of the node that needs the other.
    pub from: String,
    /// Name of the node that is needed.
    pub to: String,
    /// Whether `from` waits for `to`; otherwise it only knows of it.
    pub orders: bool,
}

/// Answer of `graph`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GraphResponse {
    /// Project.
    pub project: String,
    /// Environment, by its name in the project.
    pub environment: String,
    /// The release it shows.
    pub release: u64,
    /// The nodes, sorted by coordinate.
    pub nodes: Vec<GraphNode>,
    /// The edges, sorted.
    pub edges: Vec<GraphEdge>,
}

/// Outputs of one resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutputsView {
    /// The node.
    pub resource: Coordinate,
    /// Name of its object.
    pub name: String,
    /// The outputs; secrets as `(secret)` unless revealed.
    #[schemars(schema_with = "any_value")]
    pub outputs: Json,
}

/// Answer of `outputs`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutputsResponse {
    /// The resources, sorted by coordinate.
    pub resources: Vec<OutputsView>,
}

/// A release, in short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseView {
    /// Its number.
    pub number: u64,
    /// Who made it.
    pub author: String,
    /// Why.
    pub cause: Cause,
    /// What its author said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When.
    #[schemars(with = "String")]
    pub created: Timestamp,
    /// What became of it.
    pub phase: RunPhase,
    /// How many nodes had which action.
    pub summary: BTreeMap<Action, u64>,
    /// The release whose content it repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_to: Option<u64>,
}

/// Answer of `history`: what `podium releases` shows, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryResponse {
    /// The pinned release, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<u64>,
    /// The releases.
    pub releases: Vec<ReleaseView>,
}

/// One node that differs between two releases.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeDifference {
    /// The node.
    pub resource: Coordinate,
    /// `create` when only the later has it, `delete` when only the earlier has it, `update` otherwise.
    pub action: Action,
    /// Module before, if it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module_before: Option<String>,
    /// Module after, if it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module_after: Option<String>,
    /// Inputs that differ.
    pub fields: Vec<FieldChange>,
}

/// Answer of `diff`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiffResponse {
    /// The earlier release.
    pub from: u64,
    /// The later release.
    pub to: u64,
    /// The nodes that differ.
    pub nodes: Vec<NodeDifference>,
}
