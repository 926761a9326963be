//! Outputs of nodes in the inputs and outputs of others: what is known, what can be foretold, and what must wait.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use podium_expressions::{EvaluationError, LookupError, descend, substitute};
use podium_model::coordinate::Coordinate;
use podium_model::graph::Node;
use podium_model::kinds::DriverKind;
use podium_model::value::{Reference, Source, Value};

use crate::context::EnvironmentContext;

/// The inputs of a node with the outputs that `outputs` knows: declared outputs of a node, or `None`.
///
/// # Errors
/// When an expression that waited for an output fails.
pub fn evaluate_inputs(
    inputs: &Value,
    outputs: &dyn Fn(&Coordinate) -> Option<Value>,
) -> Result<Value, EvaluationError> {
    let nothing = |_: &Reference| Ok(None);
    put_outputs(inputs, &|node| outputs(node).map(Cow::Owned), &nothing)
}

/// The mapping of a node's outputs with the outputs of other nodes that `outputs` knows; what its own tool answers stays
/// a reference.
///
/// # Errors
/// When an expression that waited for an output fails.
pub fn evaluate_outputs(
    mapping: &Value,
    outputs: &dyn Fn(&Coordinate) -> Option<Value>,
) -> Result<Value, EvaluationError> {
    evaluate_inputs(mapping, outputs)
}

/// Puts declared outputs of nodes in the place of references, and what `tool` answers in that of tools' answers.
pub(crate) fn put_outputs<'a>(
    value: &Value,
    outputs: &dyn Fn(&Coordinate) -> Option<Cow<'a, Value>>,
    tool: &dyn Fn(&Reference) -> Result<Option<Value>, EvaluationError>,
) -> Result<Value, EvaluationError> {
    substitute(value, &|reference: &Reference| match reference.source {
        Source::Declared => match outputs(&reference.node) {
            Some(value) => descend(&value, &reference.path)
                .map(Some)
                .map_err(|error| not_there(reference.to_string(), error)),
            None => Ok(None),
        },
        Source::Tool => tool(reference),
        Source::Allotted => Ok(None),
    })
}

fn not_there(path: String, error: LookupError) -> EvaluationError {
    let (LookupError::Missing(reason) | LookupError::Refused(reason)) = error;
    EvaluationError::Lookup {
        path,
        reason,
        missing: true,
    }
}

/// What a value waits for, in words. That the node's own tool has not answered yet is no reason to wait.
pub(crate) fn waits_for(value: &Value) -> BTreeSet<String> {
    let mut waits = BTreeSet::new();
    value.each_reference(&mut |reference| match reference.source {
        Source::Tool => {}
        Source::Allotted => {
            waits.insert("a port is known at admission".to_owned());
        }
        Source::Declared => {
            waits.insert(format!("{reference} is known after it is made"));
        }
    });
    waits
}

/// The declared outputs of a node once its tool has answered.
///
/// # Errors
/// When the module's mapping names what the tool did not answer.
pub fn declared_outputs(
    coordinate: &Coordinate,
    mapping: &Value,
    tool: &Value,
    others: &dyn Fn(&Coordinate) -> Option<Value>,
) -> Result<Value, EvaluationError> {
    declare(coordinate, mapping, tool, &|node| others(node).map(Cow::Owned))
}

fn declare<'a>(
    coordinate: &Coordinate,
    mapping: &Value,
    tool: &Value,
    others: &dyn Fn(&Coordinate) -> Option<Cow<'a, Value>>,
) -> Result<Value, EvaluationError> {
    let answered = |reference: &Reference| {
        if reference.node != *coordinate {
            return Ok(None);
        }
        descend(tool, &reference.path)
            .map(Some)
            .map_err(|error| not_there(place("outputs", &reference.path), error))
    };
    let fill = |value: &Value| put_outputs(value, others, &answered);
    // An output taken over by name may be optional: the type's schema decides, not the mapping.
    match mapping {
        Value::Map(map) => {
            let mut values = BTreeMap::new();
            for (name, value) in map {
                let by_name = matches!(value, Value::Reference(reference)
                    if reference.source == Source::Tool && reference.path.as_slice() == [name.clone()]);
                match fill(value) {
                    Ok(value) => {
                        values.insert(name.clone(), value);
                    }
                    Err(EvaluationError::Lookup { .. }) if by_name => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(Value::Map(values))
        }
        other => fill(other),
    }
}

fn place(root: &str, path: &[String]) -> String {
    let mut place = root.to_owned();
    for key in path {
        place.push('.');
        place.push_str(key);
    }
    place
}

/// What is certain of a node's outputs before it is carried out: what follows from its inputs and from what is known of
/// others, and references for the rest.
pub(crate) fn predicted<'a>(
    node: &Node,
    inputs: &Value,
    others: &dyn Fn(&Coordinate) -> Option<Cow<'a, Value>>,
    context: &EnvironmentContext,
) -> Result<Option<Value>, EvaluationError> {
    let tool = match node.driver {
        DriverKind::Template => match inputs.as_map().and_then(|inputs| inputs.get("inputs")) {
            Some(tool) => Cow::Borrowed(tool),
            None => return Ok(None),
        },
        DriverKind::Volume => Cow::Owned(Value::Map(BTreeMap::from([(
            "source".to_owned(),
            Value::String(format!(
                "volume:{}/{}",
                context.namespace,
                node.coordinate.object_name()
            )),
        )]))),
        DriverKind::Script | DriverKind::Workload => return Ok(certain(node, others)),
    };
    declare(&node.coordinate, &node.outputs, &tool, others).map(Some)
}

/// The outputs that do not depend on what the tool will answer, and references for the others.
fn certain<'a>(node: &Node, others: &dyn Fn(&Coordinate) -> Option<Cow<'a, Value>>) -> Option<Value> {
    let Value::Map(outputs) = &node.outputs else {
        return None;
    };
    let mut values = BTreeMap::new();
    for (name, value) in outputs {
        let value = match node.identity.get(name) {
            Some(value) => value.clone(),
            // What cannot be found now may be there when the tool has answered; the run judges that.
            None => match put_outputs(value, others, &|_| Ok(None)) {
                Ok(value) if value.is_known() => value,
                _ => Value::Reference(Reference {
                    node: node.coordinate.clone(),
                    source: Source::Declared,
                    path: vec![name.clone()],
                }),
            },
        };
        values.insert(name.clone(), value);
    }
    Some(Value::Map(values))
}
