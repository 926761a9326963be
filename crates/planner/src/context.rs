//! What modules may know of the place where they work.

use std::collections::BTreeMap;

use podium_expressions::{LookupError, descend};
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

/// The root `context` of expressions.
pub(crate) struct ContextValues<'a> {
    pub(crate) environment: &'a EnvironmentContext,
    variables: Value,
}

impl<'a> ContextValues<'a> {
    pub(crate) fn new(environment: &'a EnvironmentContext) -> Self {
        let variables = environment
            .variables
            .iter()
            .map(|(name, value)| (name.clone(), Value::String(value.clone())))
            .collect();
        Self {
            environment,
            variables: Value::Map(variables),
        }
    }

    /// What is at `keys`, for one node. Only what is asked for is made: most modules use one or two fields.
    pub(crate) fn lookup(&self, node: &Coordinate, keys: &[String]) -> Result<Value, LookupError> {
        match keys {
            [first, rest @ ..] if first == "variables" => descend(&self.variables, rest),
            [first, rest @ ..] => match self.field(node, first) {
                Some(value) if rest.is_empty() => Ok(value),
                Some(value) => descend(&value, rest),
                None => descend(&self.whole(node), keys),
            },
            [] => Ok(self.whole(node)),
        }
    }

    fn field(&self, node: &Coordinate, name: &str) -> Option<Value> {
        let environment = self.environment;
        Some(Value::String(match name {
            "project" => environment.project.clone(),
            "environment" => environment.environment.clone(),
            "environmentType" => environment.environment_type.clone(),
            "namespace" => environment.namespace.clone(),
            "type" => node.resource_type.clone(),
            "class" => node.class.clone(),
            "id" => node.id.clone(),
            "name" => node.object_name(),
            "variables" => return Some(self.variables.clone()),
            _ => return None,
        }))
    }

    fn whole(&self, node: &Coordinate) -> Value {
        let fields = CONTEXT_FIELDS
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), self.field(node, name)?)));
        Value::Map(fields.collect())
    }
}

/// The fields of `context`.
pub(crate) const CONTEXT_FIELDS: [&str; 9] = [
    "project",
    "environment",
    "environmentType",
    "namespace",
    "variables",
    "type",
    "class",
    "id",
    "name",
];
