//! What a plan should say about a workload before its outputs and secrets are known. Pure.

use std::collections::{BTreeMap, BTreeSet};

use podium_model::value::Value;

use crate::volume;

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
        for part in ["files", "volumes"] {
            for (target, item) in container.get(part).and_then(Value::as_map).into_iter().flatten() {
                if !is_beneath(target) {
                    found.push(format!(
                        "containers.{name}.{part} has the target `{target}`, which is no path beneath the workload's root"
                    ));
                }
                let source = item.at(&["source".to_owned()]).and_then(Value::as_str);
                if let (Some(source), "volumes") = (source, part)
                    && !volume::may_be_handle(source)
                {
                    found.push(format!(
                        "containers.{name}.volumes.{target} has the source `{source}`, which is no handle of a volume; \
                         name a volume by its output `source`, as in `${{resources.data.source}}`"
                    ));
                }
            }
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

/// Whether the runner will find a place for a target: beneath the root, which a leading `/` stands for.
fn is_beneath(target: &str) -> bool {
    let mut parts = target
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .peekable();
    parts.peek().is_some() && parts.all(|part| part != "..")
}

fn containers(inputs: &Value) -> impl Iterator<Item = (&String, &Value)> {
    inputs
        .as_map()
        .and_then(|inputs| inputs.get("containers"))
        .and_then(Value::as_map)
        .into_iter()
        .flatten()
}

#[cfg(test)]
mod tests {
    use podium_model::value::Value;
    use serde_json::json;

    use super::refusals;

    #[test]
    fn targets_and_sources_that_cannot_be_are_refused() {
        let container = json!({
            "command": ["sleep"],
            "files": {"/etc/app.conf": {}, "/../etc/passwd": {}},
            "volumes": {"/data": {"source": "/etc"}, "/": {"source": "volume:demo-dev/data"}},
        });
        let inputs = json!({"containers": {"main": container}});
        let found = refusals(&Value::from_json(&inputs)).join("\n");
        assert_eq!(found.lines().count(), 3, "{found}");
        for part in ["`/../etc/passwd`", "the source `/etc`", "the target `/`"] {
            assert!(found.contains(part), "{found}");
        }
    }
}
