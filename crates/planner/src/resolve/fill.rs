//! Identity outputs in their places, and the order that the references that are left ask for.

use std::collections::{BTreeMap, BTreeSet};

use podium_document::Problem;
use podium_model::coordinate::Coordinate;
use podium_model::graph::{Graph, Node};
use podium_model::value::{Reference, Source, Value};

use super::Shared;
use super::node::failure;
use super::work::{Origin, Requests, origin_of};
use crate::catalogue::unknown_output;
use crate::identity::{Collector, Failure, Identities};
use crate::request::{ReferenceUse, WorkloadInput};
use crate::values::declares;

/// Checks the outputs that documents name against the types.
pub(super) fn check_uses(shared: &Shared<'_>, workloads: &[&WorkloadInput], problems: &mut Vec<Problem>) {
    for workload in workloads {
        for used in &workload.uses {
            let Some(entry) = shared.catalogue.resource_type(&used.reference.node.resource_type) else {
                continue;
            };
            let Some(schema) = &entry.outputs else { continue };
            if declares(schema, &used.reference.path) {
                continue;
            }
            let name = used.reference.path.first().map_or("", String::as_str);
            let known: Vec<&str> = schema.root().properties().map(|(name, _)| name).collect();
            let problem = at_use(
                workload,
                used,
                format!("the placeholder names no output of {}", entry.name),
            );
            problems.push(unknown_output(problem, &entry.name, name, &known));
        }
    }
}

fn at_use(workload: &WorkloadInput, used: &ReferenceUse, message: String) -> Problem {
    let mut problem = Problem::error(used.path.clone(), message).in_document(workload.name.clone());
    problem.range = used.range;
    problem
}

struct Filled {
    inputs: Option<Value>,
    outputs: Option<Value>,
    identity: BTreeMap<String, Value>,
    needs: Vec<Coordinate>,
}

/// Puts identity outputs in their places, and orders nodes by the references that are left.
pub(super) fn fill(
    shared: &Shared<'_>,
    workloads: &[&WorkloadInput],
    requests: &BTreeMap<Coordinate, Requests>,
    graph: &mut Graph,
    problems: &mut Vec<Problem>,
) {
    let mut filled = Vec::with_capacity(graph.nodes.len());
    {
        let identities = Identities::new(graph, shared.catalogue, shared.live);
        let mut report = Report {
            shared,
            workloads,
            requests,
            problems,
        };
        for node in graph.nodes.values() {
            filled.push(fill_node(graph, node, &identities, &mut report));
        }
        for (coordinate, failure) in identities.into_failures() {
            if let Some(node) = graph.nodes.get(&coordinate) {
                report.failure(node, &failure);
            }
        }
    }
    for (node, filled) in graph.nodes.values_mut().zip(filled) {
        if let Some(inputs) = filled.inputs {
            node.inputs = inputs;
        }
        if let Some(outputs) = filled.outputs {
            node.outputs = outputs;
        }
        node.identity = filled.identity;
        node.needs.extend(filled.needs);
    }
}

fn fill_node(graph: &Graph, node: &Node, identities: &Identities<'_>, report: &mut Report<'_>) -> Filled {
    let own = &node.coordinate;
    check_references(graph, node, report);
    let collector = Collector::default();
    let schema = report
        .shared
        .catalogue
        .resource_type(&own.resource_type)
        .and_then(|entry| entry.outputs.as_ref());
    let mut fill = |part: &str, value: &Value| {
        let filled = identities.fill(value, &collector);
        filled.unwrap_or_else(|error| {
            report.failure(node, &Failure::Text(format!("{part}: {error}")));
            None
        })
    };
    let inputs = fill("inputs", &node.inputs);
    let mut identity = BTreeMap::new();
    let mut outputs = None;
    if let Value::Map(map) = &node.outputs {
        let mut filled = BTreeMap::new();
        for (name, value) in map {
            if schema.is_some_and(|schema| schema.is_identity(&[name.as_str()])) {
                if let Some(value) = identities.identity(own, name) {
                    identity.insert(name.clone(), value.clone());
                    filled.insert(name.clone(), value);
                    continue;
                }
            } else if let Some(value) = fill("outputs", value) {
                filled.insert(name.clone(), value);
                continue;
            }
            filled.insert(name.clone(), value.clone());
        }
        outputs = Some(Value::Map(filled));
    } else if let Some(filled) = fill("outputs", &node.outputs) {
        outputs = Some(filled);
    }
    for (reference, reason) in collector.into_misses() {
        report.failure(node, &Failure::Missing(reference, reason));
    }
    let mut needs = Vec::new();
    for value in [
        inputs.as_ref().unwrap_or(&node.inputs),
        outputs.as_ref().unwrap_or(&node.outputs),
    ] {
        value.each_reference(&mut |reference| {
            if reference.source == Source::Declared
                && reference.node != *own
                && !node.needs.contains(&reference.node)
                && !identities.is_identity(reference)
                && graph.nodes.contains_key(&reference.node)
            {
                needs.push(reference.node.clone());
            }
        });
    }
    Filled {
        inputs,
        outputs,
        identity,
        needs,
    }
}

/// Tells of references to nodes and outputs that are not there.
fn check_references(graph: &Graph, node: &Node, report: &mut Report<'_>) {
    let mut nobody: BTreeSet<&Coordinate> = BTreeSet::new();
    let mut unknown: BTreeSet<&Reference> = BTreeSet::new();
    for value in [&node.inputs, &node.outputs] {
        value.each_reference(&mut |reference| {
            if reference.source != Source::Declared {
                return;
            }
            if reference.node != node.coordinate && !graph.nodes.contains_key(&reference.node) {
                nobody.insert(&reference.node);
                return;
            }
            let entry = report
                .shared
                .catalogue
                .resource_type(&reference.node.resource_type);
            if let Some(schema) = entry.and_then(|entry| entry.outputs.as_ref())
                && !declares(schema, &reference.path)
            {
                unknown.insert(reference);
            }
        });
    }
    for other in nobody {
        // A node that failed has its own problem; only one that nobody asks for is told here.
        if report.requests.contains_key(other) {
            continue;
        }
        let message = if other.is_workload() {
            format!(
                "{} names the workload `{}`, which is not in this environment",
                node.coordinate.id, other.id
            )
        } else {
            format!("{} names {other}, which nobody asks for", node.coordinate.id)
        };
        let Some(origin) = report.origin(node) else {
            continue;
        };
        let mut problem = origin.problem(message);
        if other.is_workload() {
            problem = problem.help(
                match podium_document::suggest(
                    &other.id,
                    report.workloads.iter().map(|workload| workload.name.as_str()),
                ) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!(
                        "deploy `{}` as well: podium deploy takes several documents",
                        other.id
                    ),
                },
            );
        }
        report.problems.push(problem);
    }
    for reference in unknown {
        // Documents were checked before.
        if report.uses(node, reference).next().is_none() {
            let reason = format!("{} has no such output", reference.node.resource_type);
            report.failure(node, &Failure::Missing(reference.clone(), reason));
        }
    }
}

/// Where problems of nodes go.
struct Report<'a> {
    shared: &'a Shared<'a>,
    workloads: &'a [&'a WorkloadInput],
    requests: &'a BTreeMap<Coordinate, Requests>,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Report<'a> {
    fn origin(&self, node: &Node) -> Option<&'a Origin> {
        self.requests.get(&node.coordinate).and_then(origin_of)
    }

    /// The places of the document behind a node that name this very output.
    fn uses<'s>(
        &'s self,
        node: &Node,
        reference: &'s Reference,
    ) -> impl Iterator<Item = (&'a WorkloadInput, &'a ReferenceUse)> + 's {
        let origin = self.origin(node);
        self.workloads
            .iter()
            .copied()
            .filter(move |workload| origin.is_some_and(|origin| origin.place.workload == workload.name))
            .flat_map(|workload| workload.uses.iter().map(move |used| (workload, used)))
            .filter(move |(_, used)| used.reference == *reference)
    }

    fn failure(&mut self, node: &Node, found: &Failure) {
        let Some(origin) = self.origin(node) else { return };
        let Some(module) = self.shared.catalogue.module(&node.module.module) else {
            return;
        };
        match found {
            Failure::Text(text) => {
                self.problems
                    .push(failure(origin, module, &node.coordinate, text));
            }
            Failure::Missing(reference, reason) => {
                let found: Vec<Problem> = self
                    .uses(node, reference)
                    .map(|(workload, used)| {
                        let message = format!(
                            "the placeholder names an output that {} does not have",
                            used.reference.node.id
                        );
                        at_use(workload, used, message).label(reason.clone())
                    })
                    .collect();
                if found.is_empty() {
                    let text = format!("`{reference}`: {reason}");
                    self.problems
                        .push(failure(origin, module, &node.coordinate, &text));
                } else {
                    self.problems.extend(found);
                }
            }
        }
    }
}
