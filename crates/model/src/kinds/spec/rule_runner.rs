//! Rules that choose modules, and runners where they work.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::is_default;
use crate::condition::Condition;

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
