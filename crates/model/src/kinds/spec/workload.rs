//! Workloads: what developers run.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::common::{any_list, any_object, is_default};

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
