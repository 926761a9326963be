//! Spec and status of each kind.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::condition::Condition;
use crate::plan::Action;

/// A part of a document that has its own schema.
fn any_object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// Any value at all.
fn any_value(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"x-kubernetes-preserve-unknown-fields": true})
}

/// Any values by name.
fn any_map(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "additionalProperties": {"x-kubernetes-preserve-unknown-fields": true}
    })
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Conditions and the generation they were observed at; the status of kinds that have nothing else to tell.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SimpleStatus {
    /// The generation of the object that this status describes.
    pub observed_generation: i64,
    /// `Ready`, `Reconciling` and `Stalled`, as kstatus reads them.
    pub conditions: Vec<Condition>,
}

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

/// What may be asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceTypeSpec {
    /// The name as Score writes it; the object's name in lower case is the usual choice.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// What it is, for the one who asks for it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: String,
    /// Who to ask: a person or a group.
    #[serde(default, skip_serializing_if = "is_default")]
    pub owner: String,
    /// Structural schema of the params.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub params: Option<Json>,
    /// Structural schema of the outputs. `writeOnly: true` marks a secret; `x-podium-identity: true` one that is known
    /// before the resource is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub outputs: Option<Json>,
}

/// Which code makes a module's resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DriverKind {
    /// Steps by the Kratix pipeline contract.
    Script,
    /// Outputs computed by expressions; nothing is made.
    Template,
    /// A workload that runs.
    Workload,
    /// A folder on the runner's machine that lives as long as its resource.
    Volume,
}

impl DriverKind {
    /// The name as documents write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Script => "script",
            Self::Template => "template",
            Self::Workload => "workload",
            Self::Volume => "volume",
        }
    }
}

/// When those that need a resource may go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DependantsWait {
    /// When it was made.
    #[default]
    Applied,
    /// When it is healthy as well.
    Healthy,
}

/// How a driver finds out, after a crash, what a step has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Recovery {
    /// What it makes has a name that it chose itself: repeating the step finds it again.
    #[default]
    Named,
    /// Its calls carry a token that the other side remembers.
    Token,
    /// Its tool cannot tell: the step is never repeated silently.
    Indeterminate,
}

/// Files that belong to a module: a root, and the module's folder in it, so that `../shared` keeps working.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// Digest of the uploaded bundle; `podium apply` puts it in the place of a local folder.
    pub bundle: String,
    /// The module's folder in the bundle; empty for the root.
    #[serde(default, skip_serializing_if = "is_default")]
    pub path: String,
}

/// One step of a script.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScriptStep {
    /// Names the step in logs and errors.
    pub name: String,
    /// An inline script for `/bin/sh -e`. Exactly one of `run` and `command` must be given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// An argument vector; `./x` is a file of the module's source.
    #[serde(default, skip_serializing_if = "is_default")]
    pub command: Vec<String>,
    /// Further environment variables; expressions are allowed, secrets too.
    #[serde(default, skip_serializing_if = "is_default")]
    pub env: BTreeMap<String, String>,
}

/// Settings of the driver `script`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScriptSpec {
    /// Makes or updates the resource; must be safe to repeat.
    pub apply: Vec<ScriptStep>,
    /// Removes it; must be safe to repeat. Without it there is nothing to remove.
    #[serde(default, skip_serializing_if = "is_default")]
    pub destroy: Vec<ScriptStep>,
    /// Tells whether it is healthy: exit code 0.
    #[serde(default, skip_serializing_if = "is_default")]
    pub observe: Vec<ScriptStep>,
    /// Volumes to link into the root: name in `$PODIUM_ROOT/volumes` to a volume's `source` output.
    #[serde(default, skip_serializing_if = "is_default")]
    pub volumes: BTreeMap<String, String>,
}

/// A request that a module makes for another resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModuleRequest {
    /// The resource type.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// The class; `default` when unset. `@` stands for the class of the resource that asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// The id; that of the resource that asks when unset. `@` stands for it within a longer id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Params; expressions are allowed.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schemars(schema_with = "any_map")]
    pub params: BTreeMap<String, Json>,
    /// For co-provisioned resources: whether they wait for the resource that asks for them.
    #[serde(default, skip_serializing_if = "is_default")]
    pub depends_on_this: bool,
}

/// How often and how soon a failed step is tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Retry {
    /// Most attempts, the first one included. At least 1.
    #[schemars(range(min = 1, max = 100))]
    pub attempts: u32,
    /// Seconds before the second attempt; doubled each time, up to 5 minutes.
    #[schemars(range(min = 0, max = 300))]
    pub backoff_seconds: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 3,
            backoff_seconds: 1,
        }
    }
}

/// The content of one version of a module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModuleContent {
    /// The resource type that it makes.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// Which code carries it out.
    pub driver: DriverKind,
    /// Name of the Runner where its work executes.
    #[serde(default = "default_runner", skip_serializing_if = "is_default_runner")]
    pub runner: String,
    /// Its files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Commands that must be found on the runner.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tools: Vec<String>,
    /// What the driver is given: a document whose texts may hold expressions. All params, when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_value")]
    pub inputs: Option<Json>,
    /// Resources that it needs first, by the alias under which expressions name them.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dependencies: BTreeMap<String, ModuleRequest>,
    /// Resources that come along with it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub coprovisioned: Vec<ModuleRequest>,
    /// Names of ports to allot on the runner's machine: a list or a map by name, usually an expression. The ports are
    /// `allotted.NAME` in expressions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_value")]
    pub allot_ports: Option<Json>,
    /// The type's outputs: a map of expressions, or one expression for all of them. Outputs of the tool are
    /// `outputs.NAME`; those that are not mapped are taken over by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_value")]
    pub outputs: Option<Json>,
    /// When those that need it may go on.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dependants_wait: DependantsWait,
    /// Inputs whose change replaces the resource, as paths such as `engine.version`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub replace_on: Vec<String>,
    /// How a step's outcome is found out after a crash.
    #[serde(default, skip_serializing_if = "is_default")]
    pub recovery: Recovery,
    /// Seconds that one step may take.
    #[serde(default = "default_timeout", skip_serializing_if = "is_default_timeout")]
    #[schemars(range(min = 1, max = 86_400))]
    pub timeout_seconds: u32,
    /// Retries of a failed step.
    #[serde(default, skip_serializing_if = "is_default")]
    pub retry: Retry,
    /// Settings of the driver `script`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<ScriptSpec>,
}

/// The runner of modules that name none.
pub const DEFAULT_RUNNER: &str = "process";

fn default_runner() -> String {
    DEFAULT_RUNNER.into()
}

fn is_default_runner(name: &String) -> bool {
    name == DEFAULT_RUNNER
}

fn default_timeout() -> u32 {
    600
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_default_timeout(seconds: &u32) -> bool {
    *seconds == default_timeout()
}

/// A way to make a resource type. Each change of its content makes a new, immutable ModuleVersion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModuleSpec {
    /// Who to ask when it fails: a person or a group.
    #[serde(default, skip_serializing_if = "is_default")]
    pub owner: String,
    /// What it does.
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: String,
    /// The version in use; the newest when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub use_version: Option<u64>,
    /// What the newest version holds.
    #[serde(flatten)]
    pub content: ModuleContent,
}

/// State of a module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ModuleStatus {
    /// The generation that this status describes.
    pub observed_generation: i64,
    /// `Ready`.
    pub conditions: Vec<Condition>,
    /// Number of the newest version.
    pub latest_version: u64,
    /// Number of the version in use.
    pub version: u64,
}

/// One immutable version of a module; its object's name is `MODULE-vN`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModuleVersionSpec {
    /// The module.
    pub module: String,
    /// Its number, counted from 1.
    pub version: u64,
    /// Who to ask.
    #[serde(default, skip_serializing_if = "is_default")]
    pub owner: String,
    /// Digest of the content.
    pub digest: String,
    /// The content.
    #[serde(flatten)]
    pub content: ModuleContent,
}

/// Which module serves a request in which context. What is unset matches everything.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModuleRuleSpec {
    /// The module.
    pub module: String,
    /// The class, exactly; `default` when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// One resource id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<String>,
    /// One environment of the project, by its name there; needs `project`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// One project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// One environment type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment_type: Option<String>,
}

/// A place where drivers' work executes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RunnerSpec {
    /// `process`: on the server's machine.
    #[serde(rename = "type")]
    pub runner_type: RunnerKind,
    /// Most steps at work at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub parallelism: Option<u32>,
    /// Further folders that steps and workloads may read and execute from.
    #[serde(skip_serializing_if = "is_default")]
    pub readable: Vec<String>,
}

/// Ways to execute work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RunnerKind {
    /// Processes on the server's machine.
    #[default]
    Process,
}

/// State of a runner.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RunnerStatus {
    /// The generation that this status describes.
    pub observed_generation: i64,
    /// `Ready`.
    pub conditions: Vec<Condition>,
    /// Commands that modules name and that were found, with their paths.
    pub tools: BTreeMap<String, String>,
}

/// A file that a workload's document names and the client uploaded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UploadedFile {
    /// Digest of its content.
    pub digest: String,
}

/// What a developer runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadSpec {
    /// The Score document, upgraded, with its placeholders as written.
    #[schemars(schema_with = "any_object")]
    pub score: Json,
    /// Patches, applied in order: each is merged as score-compose merges an overrides file.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schemars(schema_with = "any_list")]
    pub overrides: Vec<Json>,
    /// Each `source` that the document names, and the blob that the client uploaded for it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub files: BTreeMap<String, UploadedFile>,
}

fn any_list(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array",
        "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}
    })
}

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
