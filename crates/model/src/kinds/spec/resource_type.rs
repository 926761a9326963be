//! Resource types: what may be asked for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::common::{any_object, is_default};

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
