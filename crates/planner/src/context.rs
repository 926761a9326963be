//! What modules may know of the place where they work.

use std::collections::BTreeMap;

use podium_model::coordinate::Coordinate;
use podium_model::value::Value;

/// The environment that is resolved.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EnvironmentContext {
    /// Project.
    pub project: String,
    /// Its name within the project.
    pub environment: String,
    /// Its environment type.
    pub environment_type: String,
    /// Its namespace.
    pub namespace: String,
    /// Its variables.
    pub variables: BTreeMap<String, String>,
}

impl EnvironmentContext {
    /// The root `context` of expressions, for one node.
    pub(crate) fn value(&self, node: &Coordinate) -> Value {
        let text = |text: &str| Value::String(text.to_owned());
        let variables = self
            .variables
            .iter()
            .map(|(name, value)| (name.clone(), text(value)))
            .collect();
        Value::Map(BTreeMap::from([
            ("project".to_owned(), text(&self.project)),
            ("environment".to_owned(), text(&self.environment)),
            ("environmentType".to_owned(), text(&self.environment_type)),
            ("namespace".to_owned(), text(&self.namespace)),
            ("variables".to_owned(), Value::Map(variables)),
            ("type".to_owned(), text(&node.resource_type)),
            ("class".to_owned(), text(&node.class)),
            ("id".to_owned(), text(&node.id)),
            ("name".to_owned(), text(&node.object_name())),
        ]))
    }
}
