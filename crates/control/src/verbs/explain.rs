//! `explain` and `graph`: what is there, and why.

use std::collections::{BTreeMap, BTreeSet};

use podium_apiserver::{Answer, StatusError, SubresourceCall};
use podium_model::api::{ExplainResponse, Explanation, GraphEdge, GraphNode, GraphResponse, InputView};
use podium_model::coordinate::{Coordinate, DEFAULT_CLASS};
use podium_model::graph::Node;
use podium_model::kinds::Phase;
use podium_model::value::{Reference, Value};
use podium_planner::{explain_choice, flatten_with};

use super::outputs::{is_meant, nothing_meant};
use super::{json, number};
use crate::environment::{EnvironmentState, ResourceObject};
use crate::error::ControlError;
use crate::service::ControlPlane;
use crate::verbs::overview::{message, module_title};

/// Most inputs that are shown of one resource.
const MOST_INPUTS: usize = 200;

impl ControlPlane {
    pub(super) async fn verb_explain(&self, call: &SubresourceCall<'_>) -> Result<Answer, ControlError> {
        let state = EnvironmentState::load(&self.store, call.name).await?;
        let catalogue = self.catalogue.current().await?;
        let release = state.object.status.release;
        let graph = self.release_graph(call.name, release).await?;
        let wanted_type = call.query.get("type");
        let wanted = call.query.get("resource");
        let mut all: BTreeSet<Coordinate> = graph
            .nodes
            .keys()
            .chain(state.resources.keys())
            .cloned()
            .collect();
        all.retain(|coordinate| {
            wanted.is_none_or(|wanted| is_meant(coordinate, wanted))
                && wanted_type.is_none_or(|wanted| coordinate.resource_type == *wanted)
        });
        if let (Some(wanted), true) = (wanted, all.is_empty()) {
            let known: BTreeSet<&Coordinate> = graph.nodes.keys().chain(state.resources.keys()).collect();
            return Err(nothing_meant(wanted, known.into_iter()));
        }
        if let (Some(wanted), true) = (wanted_type, all.is_empty()) {
            if catalogue.resource_type(wanted).is_none() {
                let known: Vec<&str> = catalogue.type_names().collect();
                return Err(StatusError::new(
                    404,
                    "NotFound",
                    format!(
                        "there is no resource type `{wanted}`; there is: {}",
                        known.join(", ")
                    ),
                )
                .into());
            }
            // Nothing asks for it yet: tell who would serve it.
            all.insert(Coordinate::new(wanted, DEFAULT_CLASS, "any"));
        }
        let mut resources = Vec::new();
        for coordinate in all {
            let node = graph.nodes.get(&coordinate);
            let live = state.resources.get(&coordinate);
            let rules = explain_choice(&catalogue, &state.context, &coordinate);
            let chosen = rules
                .iter()
                .find(|rule| rule.chosen)
                .and_then(|rule| catalogue.module(&rule.module));
            resources.push(Explanation {
                name: coordinate.object_name(),
                module: match (node, live) {
                    (Some(node), _) => title(node),
                    (None, Some(live)) => module_title(live),
                    (None, None) => chosen
                        .map(podium_planner::CompiledModule::display)
                        .unwrap_or_default(),
                },
                owner: chosen.map(|module| module.owner.clone()).unwrap_or_default(),
                rules,
                requested_by: live
                    .map(|live| live.spec.requested_by.clone())
                    .unwrap_or_default(),
                inputs: node.map(inputs).unwrap_or_default(),
                needs: node
                    .map(|node| node.needs.iter().map(|need| need.id.clone()).collect())
                    .unwrap_or_default(),
                phase: live.map(|live| live.status.phase),
                waits: live.map_or_else(|| "it is not live".to_owned(), waits),
                resource: coordinate,
            });
        }
        json(&ExplainResponse {
            project: state.context.project,
            environment: state.context.environment,
            release,
            resources,
        })
    }

    pub(super) async fn verb_graph(&self, call: &SubresourceCall<'_>) -> Result<Answer, ControlError> {
        let state = EnvironmentState::load(&self.store, call.name).await?;
        let release = number(call, "release")?.unwrap_or(state.object.status.release);
        let graph = self.release_graph(call.name, release).await?;
        let phases: BTreeMap<&Coordinate, Phase> = state
            .resources
            .iter()
            .map(|(coordinate, resource)| (coordinate, resource.status.phase))
            .collect();
        let nodes = graph
            .nodes
            .values()
            .map(|node| GraphNode {
                resource: node.coordinate.clone(),
                name: node.coordinate.object_name(),
                module: title(node),
                phase: phases.get(&node.coordinate).copied(),
            })
            .collect();
        let mut edges: BTreeMap<(String, String), bool> = BTreeMap::new();
        for node in graph.nodes.values() {
            let from = node.coordinate.object_name();
            for need in &node.needs {
                edges.insert((from.clone(), need.object_name()), true);
            }
            for requester in &node.requested_by {
                if let Some(by) = &requester.node {
                    edges.entry((by.object_name(), from.clone())).or_insert(false);
                }
            }
        }
        json(&GraphResponse {
            project: state.context.project,
            environment: state.context.environment,
            release,
            nodes,
            edges: edges
                .into_iter()
                .map(|((from, to), orders)| GraphEdge { from, to, orders })
                .collect(),
        })
    }
}

fn title(node: &Node) -> String {
    format!(
        "{}/{} v{}",
        node.driver.as_str(),
        node.module.module,
        node.module.version
    )
}

fn inputs(node: &Node) -> Vec<InputView> {
    let own = node
        .inputs
        .at(&["inputs".to_owned()])
        .cloned()
        .unwrap_or(Value::Null);
    flatten_with(&own, &shown)
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .take(MOST_INPUTS)
        .map(|(path, value)| InputView { path, value })
        .collect()
}

/// An input as people see it: what comes from an output is shown by that output's name.
fn shown(value: &Value) -> serde_json::Value {
    let origin = |reference: &Reference| {
        let path = reference.path.join(".");
        let id = &reference.node.id;
        if path.is_empty() {
            format!("outputs of {id}")
        } else {
            format!("output {path} of {id}")
        }
    };
    match value {
        Value::Reference(reference) => origin(reference).into(),
        Value::Concat(parts) => match parts.as_slice() {
            [Value::Reference(reference)] => origin(reference).into(),
            parts if parts.iter().any(|part| matches!(part, Value::Reference(_))) => {
                let texts = parts.iter().map(|part| match part {
                    Value::Reference(reference) => format!("({})", origin(reference)),
                    other => match other.to_display() {
                        serde_json::Value::String(text) => text,
                        other => other.to_string(),
                    },
                });
                texts.collect::<String>().into()
            }
            _ => value.to_display(),
        },
        other => other.to_display(),
    }
}

/// What a resource waits for, since when.
fn waits(resource: &ResourceObject) -> String {
    let message = message(resource);
    // What a step printed follows the first line, and is in the log.
    let message = message.lines().next().unwrap_or_default().to_owned();
    if message.is_empty() {
        return "nothing".to_owned();
    }
    let since = resource
        .status
        .conditions
        .iter()
        .find(|condition| condition.condition_type == "Ready")
        .map(|condition| condition.last_transition_time);
    match since {
        Some(since) => format!("{message} (since {since})"),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use podium_model::coordinate::Coordinate;
    use podium_model::value::{Handle, Reference, Source, Value};
    use serde_json::json;

    use super::shown;

    #[test]
    fn inputs_name_the_outputs_that_they_come_from() {
        let file = Value::Reference(Reference {
            node: Coordinate::new("sqlite", "default", "notes.db"),
            source: Source::Declared,
            path: vec!["file".to_owned()],
        });
        assert_eq!(shown(&file), json!("output file of notes.db"));
        assert_eq!(
            shown(&Value::Concat(vec![file.clone()])),
            json!("output file of notes.db")
        );
        let text = Value::concat(vec![
            Value::String("data/".to_owned()),
            file,
            Value::Sensitive(Handle::new("handle")),
        ]);
        assert_eq!(shown(&text), json!("data/(output file of notes.db)(secret)"));
    }
}
