//! Identity outputs: known before anything is made, so that two workloads may name each other.
//!
//! An identity output may use params, context, allotted ports and other identity outputs. It is looked up when it is
//! needed, and a chain that comes back to itself is an error that shows the chain.

use std::cell::RefCell;
use std::collections::BTreeMap;

use podium_expressions::{EvaluationError, descend, substitute};
use podium_model::coordinate::Coordinate;
use podium_model::graph::Graph;
use podium_model::value::{Reference, Source, Value};

use crate::catalogue::Catalogue;
use crate::request::Live;

/// Finds identity outputs, each once.
pub(crate) struct Identities<'a> {
    graph: &'a Graph,
    catalogue: &'a Catalogue,
    live: &'a Live,
    known: RefCell<BTreeMap<(Coordinate, String), Option<Value>>>,
    path: RefCell<Vec<(Coordinate, String)>>,
}

impl<'a> Identities<'a> {
    pub(crate) fn new(graph: &'a Graph, catalogue: &'a Catalogue, live: &'a Live) -> Self {
        Self {
            graph,
            catalogue,
            live,
            known: RefCell::default(),
            path: RefCell::default(),
        }
    }

    /// Whether a reference names an identity output, by its type's schema.
    pub(crate) fn is_identity(&self, reference: &Reference) -> bool {
        reference.source == Source::Declared
            && !reference.path.is_empty()
            && self
                .catalogue
                .resource_type(&reference.node.resource_type)
                .and_then(|entry| entry.outputs.as_ref())
                .is_some_and(|schema| schema.is_identity(&reference.path))
    }

    /// The value with all identity outputs and allotted ports in their places. Others stay references.
    pub(crate) fn fill(&self, value: &Value) -> Result<Value, EvaluationError> {
        substitute(value, &|reference| self.output(reference))
    }

    fn output(&self, reference: &Reference) -> Result<Option<Value>, EvaluationError> {
        match reference.source {
            Source::Tool => Ok(None),
            Source::Allotted => {
                let ports = self.live.ports.get(&reference.node);
                Ok(match reference.path.as_slice() {
                    [name] => ports
                        .and_then(|ports| ports.get(name))
                        .map(|port| Value::Number((*port).into())),
                    _ => None,
                })
            }
            Source::Declared => {
                if !self.is_identity(reference) {
                    return Ok(None);
                }
                let Some((first, rest)) = reference.path.split_first() else {
                    return Ok(None);
                };
                match self.identity(&reference.node, first)? {
                    None => Ok(None),
                    Some(value) => descend(&value, rest).map(Some).map_err(|error| {
                        let reason = match error {
                            podium_expressions::LookupError::Missing(reason)
                            | podium_expressions::LookupError::Refused(reason) => reason,
                        };
                        EvaluationError::Lookup {
                            path: reference.to_string(),
                            reason,
                            missing: true,
                        }
                    }),
                }
            }
        }
    }

    /// One identity output of a node.
    pub(crate) fn identity(&self, node: &Coordinate, name: &str) -> Result<Option<Value>, EvaluationError> {
        let key = (node.clone(), name.to_owned());
        if let Some(value) = self.known.borrow().get(&key) {
            return Ok(value.clone());
        }
        if self.path.borrow().contains(&key) {
            let path = self.path.borrow();
            let from = path.iter().position(|step| *step == key).unwrap_or(0);
            let chain: Vec<String> = path[from..]
                .iter()
                .chain([&key])
                .map(|(node, name)| format!("{}.{name}", node.id))
                .collect();
            return Err(EvaluationError::Failed(format!(
                "these outputs name each other: {}",
                chain.join(" → ")
            )));
        }
        let Some(outputs) = self.graph.nodes.get(node).map(|node| &node.outputs) else {
            return Ok(None);
        };
        let value = match outputs {
            Value::Map(map) => map.get(name),
            _ => None,
        };
        let Some(value) = value else { return Ok(None) };
        self.path.borrow_mut().push(key.clone());
        let filled = self.fill(value);
        self.path.borrow_mut().pop();
        let filled = filled?;
        let mut made = false;
        filled.each_reference(&mut |reference| made |= reference.source != Source::Allotted);
        if made {
            return Err(EvaluationError::Failed(format!(
                "the type {} promises `{name}` before the resource is made (x-podium-identity), but the module takes \
                 it from what is known only afterwards",
                node.resource_type
            )));
        }
        if filled.has_sensitive() {
            return Err(EvaluationError::Failed(format!(
                "`{name}` of {} is an identity output (x-podium-identity) and cannot hold a secret",
                node.id
            )));
        }
        self.known.borrow_mut().insert(key, Some(filled.clone()));
        Ok(Some(filled))
    }
}
