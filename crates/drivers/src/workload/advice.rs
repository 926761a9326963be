//! What a plan should say about a workload before its outputs and secrets are known. Pure.

use std::collections::{BTreeMap, BTreeSet};

use podium_model::value::Value;

/// What processes do without, for the plan: one sentence each. Takes inputs whose secrets are not known.
pub fn warnings(inputs: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (name, container) in containers(inputs) {
        let limits = |part: &str| {
            let path = ["resources".to_owned(), part.to_owned()];
            container
                .at(&path)
                .and_then(Value::as_map)
                .is_some_and(|map| !map.is_empty())
        };
        if limits("limits") || limits("requests") {
            found.push(format!(
                "containers.{name}.resources is recorded and not enforced: processes share the machine's memory and CPU"
            ));
        }
        if let Some(container) = container.as_map() {
            let variables = container.get("variables").and_then(Value::as_map);
            let sets = |variable: &str| variables.is_some_and(|variables| variables.contains_key(variable));
            let has_ports = inputs
                .at(&["service".to_owned(), "ports".to_owned()])
                .and_then(Value::as_map)
                .is_some_and(|ports| !ports.is_empty());
            if has_ports && sets("PORT") {
                found.push(format!(
                    "containers.{name}.variables.PORT replaces the port that is allotted; leave it out to listen there"
                ));
            }
        }
    }
    found
}

/// Why processes cannot run these inputs, as far as that can be told before outputs and secrets are known: to be shown
/// by the plan, and refused by deploy.
pub fn refusals(inputs: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let names: BTreeSet<&String> = containers(inputs).map(|(name, _)| name).collect();
    for (name, container) in containers(inputs) {
        let Some(container) = container.as_map() else {
            continue;
        };
        let command = container.get("command");
        if command.is_none_or(|command| matches!(command, Value::Null) || *command == Value::List(Vec::new()))
        {
            found.push(format!(
                "containers.{name} has no `command`, and processes cannot run its image; say `command`, or choose a \
                 module that runs images"
            ));
        }
        for other in container
            .get("before")
            .and_then(Value::as_map)
            .into_iter()
            .flat_map(BTreeMap::keys)
        {
            if !names.contains(other) {
                found.push(format!(
                    "containers.{name}.before.{other} names a container that does not exist"
                ));
            }
        }
    }
    found
}

fn containers(inputs: &Value) -> impl Iterator<Item = (&String, &Value)> {
    inputs
        .as_map()
        .and_then(|inputs| inputs.get("containers"))
        .and_then(Value::as_map)
        .into_iter()
        .flatten()
}
