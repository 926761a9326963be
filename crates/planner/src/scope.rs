//! What a module's expressions see, and the ports that it asks for.

use std::collections::BTreeSet;

use podium_expressions::{LookupError, Scope, descend};
use podium_model::coordinate::{Coordinate, DEFAULT_CLASS};
use podium_model::value::{Reference, Source, Value};

use crate::catalogue::CompiledModule;
use crate::request::Live;

/// The names in the value of `allotPorts`.
pub(crate) fn port_names(value: Option<Value>) -> Result<BTreeSet<String>, String> {
    match value {
        None | Some(Value::Null) => Ok(BTreeSet::new()),
        Some(Value::Map(map)) => Ok(map.into_keys().collect()),
        Some(Value::List(items)) => items
            .into_iter()
            .map(|item| match item {
                Value::String(name) => Ok(name),
                _ => Err("names of ports must be texts".to_owned()),
            })
            .collect(),
        Some(_) => Err("names of ports must be known before anything is made: a list or a map".to_owned()),
    }
}

/// Puts the allotted ports where [`NodeScope`] finds them.
pub(crate) fn with_ports(
    context: Value,
    coordinate: &Coordinate,
    ports: &BTreeSet<String>,
    live: &Live,
) -> Value {
    let known = live.ports.get(coordinate);
    let allotted = ports
        .iter()
        .map(|name| {
            let value = match known.and_then(|known| known.get(name)) {
                Some(port) => Value::Number((*port).into()),
                None => Value::Reference(Reference {
                    node: coordinate.clone(),
                    source: Source::Allotted,
                    path: vec![name.clone()],
                }),
            };
            (name.clone(), value)
        })
        .collect();
    match context {
        Value::Map(mut map) => {
            map.insert(ALLOTTED.to_owned(), Value::Map(allotted));
            Value::Map(map)
        }
        other => other,
    }
}

/// Key under which the scope keeps allotted ports; expressions cannot name it, as it is no identifier.
const ALLOTTED: &str = "(allotted)";

/// What a module's expressions see.
pub(crate) struct NodeScope<'a> {
    pub(crate) coordinate: &'a Coordinate,
    pub(crate) params: &'a Value,
    pub(crate) context: Value,
    pub(crate) module: &'a CompiledModule,
    /// Whether `outputs` may be used.
    pub(crate) own_outputs: bool,
}

impl NodeScope<'_> {
    /// The node that a dependency's alias stands for.
    fn dependency(&self, alias: &str) -> Result<Coordinate, LookupError> {
        let request = self
            .module
            .dependencies
            .get(alias)
            .ok_or_else(|| LookupError::Refused(format!("`{alias}` is no dependency of this module")))?;
        let part = |template: &Option<podium_expressions::Template>, own: &str, unset: &str| match template {
            None => Ok(unset.to_owned()),
            Some(template) => match template.evaluate(self) {
                Ok(Value::String(text)) => Ok(text.replace('@', own)),
                Ok(Value::Number(number)) => Ok(number.to_string()),
                Ok(_) => Err(LookupError::Refused(format!(
                    "class or id of `{alias}` is not known"
                ))),
                Err(error) => Err(LookupError::Refused(error.to_string())),
            },
        };
        Ok(Coordinate::new(
            &request.resource_type,
            part(&request.class, &self.coordinate.class, DEFAULT_CLASS)?,
            part(&request.id, &self.coordinate.id, &self.coordinate.id)?,
        ))
    }
}

impl Scope for NodeScope<'_> {
    fn lookup(&self, root: &str, keys: &[String]) -> Result<Value, LookupError> {
        match root {
            "params" => descend(self.params, keys),
            "context" => descend(&self.context, keys),
            "allotted" => match &self.context {
                Value::Map(map) => match map.get(ALLOTTED) {
                    Some(ports) => descend(ports, keys),
                    None => Err(LookupError::Refused("ports are not allotted yet".into())),
                },
                _ => Err(LookupError::Refused("ports are not allotted yet".into())),
            },
            "resources" => match keys {
                [alias, outputs, path @ ..] if outputs == "outputs" => Ok(Value::Reference(Reference {
                    node: self.dependency(alias)?,
                    source: Source::Declared,
                    path: path.to_vec(),
                })),
                _ => Err(LookupError::Refused("write resources.ALIAS.outputs.NAME".into())),
            },
            "workloads" => match keys {
                [name, path @ ..] if !path.is_empty() => Ok(Value::Reference(Reference {
                    node: Coordinate::workload(name),
                    source: Source::Declared,
                    path: path.to_vec(),
                })),
                _ => Err(LookupError::Refused("write workloads[NAME].OUTPUT".into())),
            },
            "outputs" if self.own_outputs => Ok(Value::Reference(Reference {
                node: self.coordinate.clone(),
                source: Source::Tool,
                path: keys.to_vec(),
            })),
            other => Err(LookupError::Refused(format!("there is no `{other}` here"))),
        }
    }
}
