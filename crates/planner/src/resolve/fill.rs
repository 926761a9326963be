//! Identity outputs in their places, and the order that the references that are left ask for.

use std::collections::{BTreeMap, BTreeSet};

use podium_document::Problem;
use podium_model::coordinate::Coordinate;
use podium_model::value::{Reference, Source, Value};

use super::Shared;
use super::node::failure;
use super::order::Needs;
use super::work::{Origin, Slot, Work, origin_of};
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
            let message = format!("the placeholder names no output of {}", entry.name);
            problems.push(unknown_output(
                at_use(workload, used, message),
                &entry.name,
                name,
                &known,
            ));
        }
    }
}

fn at_use(workload: &WorkloadInput, used: &ReferenceUse, message: String) -> Problem {
    let mut problem = Problem::error(used.path.clone(), message).in_document(workload.name.clone());
    problem.range = used.range;
    problem
}

/// Puts identity outputs in their places, and adds the order that the references that are left ask for.
pub(super) fn fill(
    shared: &Shared<'_>,
    workloads: &[&WorkloadInput],
    work: &mut Work,
    nodes: &[Slot],
    needs: &mut Needs,
    problems: &mut Vec<Problem>,
) {
    // Identity outputs are found in the nodes' outputs, while the inputs change in their places.
    let mut inputs: Vec<Value> = nodes
        .iter()
        .map(|slot| {
            let node = work.state_mut(*slot).node.as_mut();
            node.map(|node| std::mem::take(&mut node.inputs))
                .unwrap_or_default()
        })
        .collect();
    let mut filled = Vec::with_capacity(nodes.len());
    {
        let identities = Identities::new(work, shared.catalogue, shared.live);
        let mut report = Report {
            shared,
            workloads,
            work,
            problems,
        };
        for (slot, inputs) in nodes.iter().zip(&mut inputs) {
            filled.push(fill_node(
                *slot,
                inputs,
                &identities,
                &mut needs[*slot],
                &mut report,
            ));
        }
        for (slot, failure) in identities.into_failures() {
            report.failure(slot, &failure);
        }
    }
    for ((slot, inputs), (outputs, identity)) in nodes.iter().zip(inputs).zip(filled) {
        if let Some(node) = &mut work.state_mut(*slot).node {
            node.inputs = inputs;
            node.identity = identity;
            if let Some(outputs) = outputs {
                node.outputs = outputs;
            }
        }
    }
}

/// Fills the inputs of one node; answers its outputs, if they change, and those of them that are identity.
fn fill_node(
    slot: Slot,
    inputs: &mut Value,
    identities: &Identities<'_>,
    needs: &mut Vec<Slot>,
    report: &mut Report<'_>,
) -> (Option<Value>, BTreeMap<String, Value>) {
    let mut identity = BTreeMap::new();
    let work = report.work;
    let Some(node) = &work.state(slot).node else {
        return (None, identity);
    };
    check_references(slot, [&*inputs, &node.outputs], report);
    let collector = Collector::default();
    let mut fill = |part: &str, value: &mut Value| {
        if let Err(error) = identities.fill(value, &collector) {
            report.failure(slot, &Failure::Text(format!("{part}: {error}")));
        }
    };
    fill("inputs", inputs);
    let mut outputs = None;
    if let Value::Map(map) = &node.outputs {
        let mut changed = None;
        for (name, value) in map {
            let filled = if identities.marks(node, name) {
                let Some(value) = identities.identity(slot, name) else {
                    continue;
                };
                identity.insert(name.clone(), value.clone());
                value
            } else if identities.concern(value) {
                let mut value = value.clone();
                fill("outputs", &mut value);
                value
            } else {
                continue;
            };
            if filled != *value {
                changed
                    .get_or_insert_with(|| map.clone())
                    .insert(name.clone(), filled);
            }
        }
        outputs = changed.map(Value::Map);
    } else if identities.concern(&node.outputs) {
        let mut value = node.outputs.clone();
        fill("outputs", &mut value);
        outputs = Some(value);
    }
    for (reference, reason) in collector.into_misses() {
        report.failure(slot, &Failure::Missing(reference, reason));
    }
    for value in [&*inputs, outputs.as_ref().unwrap_or(&node.outputs)] {
        value.each_reference(&mut |reference| {
            if reference.source == Source::Declared
                && let Some(other) = work.find(&reference.node)
                && other != slot
                && work.state(other).node.is_some()
                && !identities.is_identity(reference)
            {
                needs.push(other);
            }
        });
    }
    needs.sort_unstable();
    needs.dedup();
    (outputs, identity)
}

/// Tells of references to nodes and outputs that are not there.
fn check_references(slot: Slot, values: [&Value; 2], report: &mut Report<'_>) {
    let mut nobody: BTreeSet<&Coordinate> = BTreeSet::new();
    let mut unknown: BTreeSet<&Reference> = BTreeSet::new();
    for value in values {
        value.each_reference(&mut |reference| {
            if reference.source != Source::Declared {
                return;
            }
            let Some(other) = report.work.find(&reference.node) else {
                nobody.insert(&reference.node);
                return;
            };
            // A node that failed has its own problem.
            if report.work.state(other).node.is_none() {
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
        let Some(origin) = report.origin(slot) else {
            continue;
        };
        let id = &report.work.name(slot).id;
        let problem = if other.is_workload() {
            let near = podium_document::suggest(
                &other.id,
                report.workloads.iter().map(|workload| workload.name.as_str()),
            );
            origin
                .problem(format!(
                    "{id} names the workload `{}`, which is not in this environment",
                    other.id
                ))
                .help(match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!(
                        "deploy `{}` as well: podium deploy takes several documents",
                        other.id
                    ),
                })
        } else {
            origin.problem(format!("{id} names {other}, which nobody asks for"))
        };
        report.problems.push(problem);
    }
    for reference in unknown {
        // Documents were checked before.
        if report.uses(slot, reference).is_empty() {
            let reason = format!("{} has no such output", reference.node.resource_type);
            report.failure(slot, &Failure::Missing(reference.clone(), reason));
        }
    }
}

/// Where problems of nodes go.
struct Report<'a> {
    shared: &'a Shared<'a>,
    workloads: &'a [&'a WorkloadInput],
    work: &'a Work,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Report<'a> {
    fn origin(&self, slot: Slot) -> Option<&'a Origin> {
        origin_of(&self.work.state(slot).requests)
    }

    /// The places of the document behind a node that name this very output.
    fn uses(&self, slot: Slot, reference: &Reference) -> Vec<(&'a WorkloadInput, &'a ReferenceUse)> {
        let Some(origin) = self.origin(slot) else {
            return Vec::new();
        };
        self.workloads
            .iter()
            .filter(|workload| origin.place.workload == workload.name)
            .flat_map(|workload| workload.uses.iter().map(|used| (*workload, used)))
            .filter(|(_, used)| used.reference == *reference)
            .collect()
    }

    fn failure(&mut self, slot: Slot, found: &Failure) {
        let (Some(origin), Some(node)) = (self.origin(slot), &self.work.state(slot).node) else {
            return;
        };
        let Some(module) = self.shared.catalogue.module(&node.module.module) else {
            return;
        };
        let text = match found {
            Failure::Text(text) => text.clone(),
            Failure::Missing(reference, reason) => {
                let uses = self.uses(slot, reference);
                if !uses.is_empty() {
                    let id = &reference.node.id;
                    self.problems.extend(uses.into_iter().map(|(workload, used)| {
                        let message = format!("the placeholder names an output that {id} does not have");
                        at_use(workload, used, message).label(reason.clone())
                    }));
                    return;
                }
                format!("`{reference}`: {reason}")
            }
        };
        self.problems
            .push(failure(origin, module, &node.coordinate, &text));
    }
}
