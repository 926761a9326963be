//! Modules and their versions: how resources are made.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::common::{any_map, any_value, is_default};
use crate::condition::Condition;

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
