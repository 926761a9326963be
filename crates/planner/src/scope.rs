//! What a module's expressions see, and the ports that it asks for.

use std::collections::{BTreeMap, BTreeSet};

use podium_expressions::{LookupError, Scope, descend};
use podium_model::coordinate::Coordinate;
use podium_model::value::{Reference, Source, Value};

use crate::context::ContextValues;
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

/// The ports of a node, as expressions see them: by name, and symbolic while they are not allotted.
pub(crate) fn allotted(coordinate: &Coordinate, ports: &BTreeSet<String>, live: &Live) -> Value {
    if ports.is_empty() {
        return Value::empty_map();
    }
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
    Value::Map(allotted)
}

/// The nodes that a module's aliases stand for.
pub(crate) type Dependencies<'a> = BTreeMap<&'a str, Coordinate>;

/// What a module's expressions see.
#[derive(Clone, Copy)]
pub(crate) struct NodeScope<'a> {
    pub(crate) coordinate: &'a Coordinate,
    pub(crate) params: &'a Value,
    pub(crate) context: &'a ContextValues<'a>,
    /// `None` while the dependencies' own classes and ids are found out.
    pub(crate) dependencies: Option<&'a Dependencies<'a>>,
    /// `None` while the names of the ports are found out.
    pub(crate) allotted: Option<&'a Value>,
    /// Whether `outputs` may be used.
    pub(crate) own_outputs: bool,
}

impl Scope for NodeScope<'_> {
    fn lookup(&self, root: &str, keys: &[String]) -> Result<Value, LookupError> {
        let refused = |reason: &str| Err(LookupError::Refused(reason.to_owned()));
        match root {
            "params" => descend(self.params, keys),
            "context" => self.context.lookup(self.coordinate, keys),
            "allotted" => match self.allotted {
                Some(ports) => descend(ports, keys),
                None => refused("ports are not allotted yet"),
            },
            "resources" => match (self.dependencies, keys) {
                (None, _) => refused("a class or id must be known before anything is made"),
                (Some(dependencies), [alias, outputs, path @ ..]) if outputs == "outputs" => {
                    match dependencies.get(alias.as_str()) {
                        Some(node) => Ok(Value::Reference(Reference {
                            node: node.clone(),
                            source: Source::Declared,
                            path: path.to_vec(),
                        })),
                        None => refused(&format!("`{alias}` is no dependency of this module")),
                    }
                }
                _ => refused("write resources.ALIAS.outputs.NAME"),
            },
            "workloads" => match keys {
                [name, path @ ..] if !path.is_empty() => Ok(Value::Reference(Reference {
                    node: Coordinate::workload(name),
                    source: Source::Declared,
                    path: path.to_vec(),
                })),
                _ => refused("write workloads[NAME].OUTPUT"),
            },
            "outputs" if self.own_outputs => Ok(Value::Reference(Reference {
                node: self.coordinate.clone(),
                source: Source::Tool,
                path: keys.to_vec(),
            })),
            other => refused(&format!("there is no `{other}` here")),
        }
    }
}
