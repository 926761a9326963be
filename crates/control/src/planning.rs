//! From documents to a plan, for `plan`, `deploy`, kubectl and the server's own releases alike.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use podium_document::{Path, Problem};
use podium_engine::{Work, WorkNode};
use podium_model::coordinate::Coordinate;
use podium_model::graph::Graph;
use podium_model::kinds::{DriverKind, WorkloadSpec};
use podium_model::plan::{Action, Fidelity, Plan};
use podium_model::value::Value;
use podium_planner::{Catalogue, Draft, DraftNode, GateOptions, resolve};
use podium_store::SharedStore;

use crate::documents;
use crate::environment::{EnvironmentState, OpenWork, read_blob};
use crate::error::ControlError;
use crate::ports::Ports;

/// What is to be planned.
#[derive(Clone, Debug, Default)]
pub(crate) struct Desired {
    /// All workloads of the environment.
    pub(crate) workloads: BTreeMap<String, WorkloadSpec>,
}

impl Desired {
    /// A digest of the documents and of what of the environment they are resolved in.
    pub(crate) fn digest(&self, state: &EnvironmentState) -> String {
        let workloads = self
            .workloads
            .iter()
            .map(|(name, spec)| {
                let json = serde_json::to_value(spec).unwrap_or_default();
                (name.clone(), Value::from_json(&json))
            })
            .collect();
        let mut environment = serde_json::to_value(&state.object.spec).unwrap_or_default();
        // How releases are agreed to changes nothing of what they hold.
        if let Some(environment) = environment.as_object_mut() {
            environment.remove("mode");
        }
        Value::List(vec![Value::Map(workloads), Value::from_json(&environment)]).digest()
    }
}

/// A plan with all that a release needs to be committed.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) graph: Arc<Graph>,
    pub(crate) draft: Draft,
    pub(crate) plan: Plan,
    /// Ports that were allotted for this plan; to be given back when it is not committed.
    pub(crate) ports: BTreeMap<Coordinate, BTreeMap<String, u16>>,
    /// Why it can be planned, but not carried out.
    pub(crate) refusals: Vec<Problem>,
}

/// How a plan is made.
pub(crate) struct Planner<'a> {
    pub(crate) store: &'a SharedStore,
    pub(crate) catalogue: &'a Catalogue,
    /// Where ports come from; `None` for a plan that is only shown.
    pub(crate) ports: Option<&'a Ports>,
}

impl Planner<'_> {
    /// Resolves documents. `other_ports` names a node whose ports are allotted anew.
    ///
    /// # Errors
    /// [`ControlError::Documents`] with every mistake of every document.
    pub(crate) async fn resolve(
        &self,
        state: &EnvironmentState,
        desired: &Desired,
        other_ports: Option<&Coordinate>,
    ) -> Result<(Arc<Graph>, BTreeMap<Coordinate, BTreeMap<String, u16>>), ControlError> {
        let mut problems: Vec<Problem> = Vec::new();
        let mut workloads = Vec::with_capacity(desired.workloads.len());
        for (name, spec) in &desired.workloads {
            match documents::requests(self.store, name, spec).await? {
                Ok(workload) => workloads.push(workload),
                Err(found) => problems.extend(found),
            }
        }
        let mut live = state.live();
        if let Some(coordinate) = other_ports {
            live.ports.remove(coordinate);
        }
        let mut resolution = resolve(self.catalogue, &state.context, &workloads, &live);
        problems.append(&mut resolution.problems);
        if problems.iter().any(Problem::is_error) {
            return Err(ControlError::Documents(problems));
        }
        let mut allotted = BTreeMap::new();
        if let Some(ports) = self.ports {
            for node in resolution.graph.nodes.values() {
                let have = live.ports.get(&node.coordinate);
                let mut own = have.cloned().unwrap_or_default();
                own.retain(|name, _| node.ports.contains(name));
                let missing: Vec<&String> = node
                    .ports
                    .iter()
                    .filter(|name| !own.contains_key(*name))
                    .collect();
                if missing.is_empty() {
                    continue;
                }
                for name in missing {
                    let hint = format!("{}/{}/{name}", state.context.namespace, node.coordinate);
                    own.insert(name.clone(), ports.allot(&hint)?);
                }
                allotted.insert(node.coordinate.clone(), own);
            }
            if !allotted.is_empty() {
                live.ports.extend(allotted.clone());
                resolution = resolve(self.catalogue, &state.context, &workloads, &live);
            }
        }
        Ok((Arc::new(resolution.graph), allotted))
    }

    /// Compares a graph with what is live, and makes the plan of release `number`.
    pub(crate) async fn assemble(
        &self,
        state: &EnvironmentState,
        graph: Arc<Graph>,
        ports: BTreeMap<Coordinate, BTreeMap<String, u16>>,
        number: u64,
        options: &GateOptions,
    ) -> Result<Planned, ControlError> {
        let live = state.live_resources(self.store).await?;
        let mut draft = Draft::assemble(&graph, &live, &state.context).map_err(|(node, error)| {
            let problem = Problem::error(Path::default(), format!("{}: {error}", node.id));
            ControlError::Documents(vec![problem.in_document(asked_by_workload(&graph, &node))])
        })?;
        for open in state.open_work(self.store).await? {
            again(&mut draft, &open.nodes);
            leave_to(&mut draft, &graph, &open);
        }
        let mut applied = BTreeMap::new();
        for coordinate in draft.wants_inputs() {
            let inputs = state
                .resources
                .get(coordinate)
                .and_then(|resource| resource.status.applied.as_ref())
                .map(|applied| applied.inputs.clone())
                .filter(|digest| !digest.is_empty());
            if let Some(digest) = inputs {
                let tagged: serde_json::Value = read_blob(self.store, &digest).await?;
                let value =
                    Value::from_tagged(&tagged).map_err(|error| ControlError::Damaged(error.to_string()))?;
                applied.insert(coordinate.clone(), value);
            }
        }
        let mut plan = draft.finish(&state.context, number, &graph, &applied, options);
        let mut refusals = Vec::new();
        for node in draft
            .nodes
            .iter()
            .filter(|node| node.driver == DriverKind::Workload)
        {
            let Some(inputs) = node.inputs.at(&["inputs".to_owned()]) else {
                continue;
            };
            let own = |text: &String| format!("{}: {text}", node.coordinate.id);
            plan.warnings
                .extend(podium_drivers::workload::warnings(inputs).iter().map(own));
            let refused = podium_drivers::workload::refusals(inputs);
            plan.warnings.extend(refused.iter().map(own));
            let document = asked_by_workload(&graph, &node.coordinate);
            refusals.extend(refused.into_iter().map(|message| {
                let path = message
                    .strip_prefix("containers.")
                    .and_then(|rest| rest.split([' ', '.']).next());
                let mut place = Path::default();
                if let (Some(container), true) = (path, node.coordinate.is_workload()) {
                    place.0.extend(["containers".into(), container.into()]);
                }
                Problem::error(place, message).in_document(document.clone())
            }));
        }
        Ok(Planned {
            graph,
            draft,
            plan,
            ports,
            refusals,
        })
    }
}

/// The workload for which a node is there: itself, or the first that asks for it, directly or not.
fn asked_by_workload(graph: &Graph, coordinate: &Coordinate) -> String {
    let mut seen = BTreeSet::new();
    let mut open = vec![coordinate];
    while let Some(next) = open.pop() {
        if !seen.insert(next) {
            continue;
        }
        let Some(node) = graph.nodes.get(next) else {
            continue;
        };
        if node.requested_by.iter().any(|requester| requester.node.is_none()) {
            return next.id.clone();
        }
        open.extend(
            node.requested_by
                .iter()
                .rev()
                .filter_map(|requester| requester.node.as_ref()),
        );
    }
    coordinate.id.clone()
}

/// What a run under way already brings there is left to it. A run that has not begun would give way to a new release, so
/// it is left everything or nothing.
fn leave_to(draft: &mut Draft, graph: &Graph, open: &OpenWork) {
    let same = |node: &DraftNode| {
        open.nodes.contains(&node.coordinate)
            && match (
                graph.nodes.get(&node.coordinate),
                open.graph.nodes.get(&node.coordinate),
            ) {
                (Some(wanted), Some(coming)) => {
                    (&wanted.module, &wanted.inputs, &wanted.outputs)
                        == (&coming.module, &coming.inputs, &coming.outputs)
                }
                (None, None) => true,
                _ => false,
            }
    };
    if !open.has_begun && !draft.nodes.iter().all(same) {
        return;
    }
    let (carried, own): (Vec<_>, Vec<_>) = std::mem::take(&mut draft.nodes).into_iter().partition(same);
    draft.nodes = own;
    for mut node in carried {
        node.action = Action::Unchanged;
        node.notes = vec![format!("carried by release {}", open.release)];
        draft.unchanged.push(node);
    }
    let left: BTreeSet<Coordinate> = draft.nodes.iter().map(|node| node.coordinate.clone()).collect();
    for node in &mut draft.nodes {
        node.needs.retain(|need| left.contains(need));
    }
}

/// A node that a run under way is changing is looked at again by the next run, even when it looks right now.
fn again(draft: &mut Draft, in_flight: &BTreeSet<Coordinate>) {
    let mut index = 0;
    while index < draft.unchanged.len() {
        if in_flight.contains(&draft.unchanged[index].coordinate) {
            let mut node = draft.unchanged.remove(index);
            node.action = Action::Update;
            node.notes.push("a run under way is changing it".to_owned());
            draft.nodes.push(node);
        } else {
            index += 1;
        }
    }
}

/// The engine's work for a draft.
pub(crate) fn work(draft: &Draft, plan: &Plan, owners: &dyn Fn(&DraftNode) -> WorkDetails) -> Work {
    let own: BTreeSet<&Coordinate> = draft.nodes.iter().map(|node| &node.coordinate).collect();
    let titles: BTreeMap<&Coordinate, &str> = plan
        .changes
        .iter()
        .map(|change| (&change.resource, change.module.as_str()))
        .collect();
    Work {
        nodes: draft
            .nodes
            .iter()
            .map(|node| {
                let details = owners(node);
                WorkNode {
                    coordinate: node.coordinate.clone(),
                    name: node.coordinate.object_name(),
                    action: node.action,
                    pending: node.fidelity == Fidelity::Pending,
                    driver: node.driver,
                    runner: details.runner,
                    module: titles
                        .get(&node.coordinate)
                        .copied()
                        .unwrap_or_default()
                        .to_owned(),
                    owner: details.owner,
                    needs: node
                        .needs
                        .iter()
                        .filter(|need| own.contains(need))
                        .cloned()
                        .collect(),
                    retry: details.retry,
                    timeout_seconds: details.timeout_seconds,
                    recovery: details.recovery,
                }
            })
            .collect(),
    }
}

/// What of a module the engine must know.
#[derive(Clone, Debug, Default)]
pub(crate) struct WorkDetails {
    pub(crate) runner: String,
    pub(crate) owner: String,
    pub(crate) retry: podium_model::kinds::Retry,
    pub(crate) timeout_seconds: u32,
    pub(crate) recovery: podium_model::kinds::Recovery,
}
