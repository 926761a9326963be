//! Resolve: requests to a graph.
//!
//! A node's params are the join of what all its requesters ask for, and a node's own requests depend on its params. So
//! nodes are expanded from a worklist until nothing changes: when a request changes a node's params, the node is
//! expanded again, and its requests replace those it made before; what no document leads to any more goes. The result
//! does not depend on the order of the documents. Modules that never come to rest are refused.

mod fill;
mod node;
mod order;
mod params;
mod work;

use std::collections::BTreeMap;

use podium_document::{Path, Problem};
use podium_model::coordinate::Coordinate;
use podium_model::graph::{Graph, Requester};

use crate::catalogue::Catalogue;
use crate::context::{ContextValues, EnvironmentContext};
use crate::request::{Live, RequestInput, WorkloadInput};
use work::{Order, Origin, Request, RequesterKey, origin_of};
pub(crate) use work::{Slot, Work};

/// Most nodes of one environment.
pub const MAX_NODES: usize = 20_000;
/// How often one node may be expanded. Requests arrive level by level, so a few times the deepest chain is far more than
/// any set of modules needs that comes to rest.
const MAX_EXPANSIONS: usize = 4 * node::MAX_DEPTH;

/// A graph, and what is wrong with the documents.
#[derive(Clone, Debug, Default)]
pub struct Resolution {
    /// The graph; without the nodes that could not be resolved.
    pub graph: Graph,
    /// All mistakes, each with its document. None when the graph may be used.
    pub problems: Vec<Problem>,
}

/// What all nodes have in common.
struct Shared<'a> {
    catalogue: &'a Catalogue,
    context: &'a ContextValues<'a>,
    live: &'a Live,
}

/// Resolves the workloads of one environment.
pub fn resolve(
    catalogue: &Catalogue,
    context: &EnvironmentContext,
    workloads: &[WorkloadInput],
    live: &Live,
) -> Resolution {
    let context = &ContextValues::new(context);
    let shared = &Shared {
        catalogue,
        context,
        live,
    };
    let mut problems = Vec::new();
    let workloads = &by_name(workloads, &mut problems);
    let mut work = Work::default();
    for workload in workloads {
        request(workload, &mut work);
    }
    let complete = expand(shared, &mut work);
    let all = work.by_name();
    for slot in &all {
        problems.append(&mut work.state_mut(*slot).problems);
    }
    let mut graph = Graph::default();
    if complete {
        let nodes: Vec<Slot> = all
            .into_iter()
            .filter(|slot| work.state(*slot).node.is_some())
            .collect();
        let mut needs = order::order(&work, &nodes);
        fill::check_uses(shared, workloads, &mut problems);
        fill::fill(shared, workloads, &mut work, &nodes, &mut needs, &mut problems);
        if problems.is_empty() {
            problems.extend(order::find_cycle(&work, &nodes, &needs));
        }
        graph = made(work, &nodes, &needs);
    } else {
        problems.push(too_many(&work, &all));
    }
    problems.sort_by(|left, right| {
        let key = |problem: &Problem| {
            (
                problem.document.clone(),
                problem.path.clone(),
                problem.range,
                problem.message.clone(),
            )
        };
        key(left).cmp(&key(right))
    });
    problems.dedup();
    Resolution { graph, problems }
}

/// The graph, its nodes and requesters by name.
fn made(work: Work, nodes: &[Slot], needs: &order::Needs) -> Graph {
    let (names, mut states) = work.into_states();
    let nodes = nodes.iter().filter_map(|slot| {
        let state = &mut states[*slot];
        let mut node = state.node.take()?;
        node.needs = needs[*slot].iter().map(|need| names[*need].clone()).collect();
        let mut requests: Vec<_> = std::mem::take(&mut state.requests).into_iter().collect();
        requests.sort_by(|(left, _), (right, _)| {
            let node = |key: &RequesterKey| key.node.map(|slot| &names[slot]);
            node(left)
                .cmp(&node(right))
                .then_with(|| left.by_module.cmp(&right.by_module))
                .then_with(|| left.alias.cmp(&right.alias))
        });
        node.requested_by = requests
            .into_iter()
            .map(|(key, request)| Requester {
                node: key.node.map(|slot| names[slot].clone()),
                alias: key.alias,
                params: request.params,
            })
            .collect();
        Some((names[*slot].clone(), node))
    });
    Graph {
        nodes: nodes.collect(),
    }
}

fn too_many(work: &Work, all: &[Slot]) -> Problem {
    let mut types: BTreeMap<&str, usize> = BTreeMap::new();
    for slot in all {
        *types.entry(&work.name(*slot).resource_type).or_default() += 1;
    }
    let message = format!("the environment would have more than {MAX_NODES} resources");
    let mut problem = Problem::error(Path::default(), message);
    if let Some((most, count)) = types.into_iter().max_by_key(|(_, count)| *count) {
        problem = problem.label(format!("{count} of them of type {most}"));
    }
    problem.help("spread its workloads over several environments, or find the module that asks without end")
}

/// The workloads by name; of those that share one, none.
fn by_name<'a>(workloads: &'a [WorkloadInput], problems: &mut Vec<Problem>) -> Vec<&'a WorkloadInput> {
    let mut named: BTreeMap<&str, Vec<&WorkloadInput>> = BTreeMap::new();
    for workload in workloads {
        named.entry(&workload.name).or_default().push(workload);
    }
    let mut alone = Vec::with_capacity(named.len());
    for (name, workloads) in named {
        match workloads.as_slice() {
            [workload] => alone.push(*workload),
            several => problems.push(
                Problem::error(
                    ["metadata", "name"].into_iter().collect(),
                    format!("{} documents are named `{name}`", several.len()),
                )
                .in_document(name),
            ),
        }
    }
    alone
}

/// Puts a document's requests to work.
fn request(workload: &WorkloadInput, work: &mut Work) {
    let node = work.slot(&Coordinate::workload(&workload.name));
    let own = Request {
        params: workload.params.clone(),
        origin: Origin::document(0, &workload.name, Path::default()),
        order: Order::None,
    };
    work.request(node, None, "", own);
    let mut requests: Vec<&RequestInput> = workload.requests.iter().collect();
    requests.sort_by(|left, right| (&left.alias, &left.coordinate).cmp(&(&right.alias, &right.coordinate)));
    for asked in requests {
        let request = Request {
            params: asked.params.clone(),
            origin: Origin::document(1, &workload.name, asked.path.clone()),
            order: Order::RequesterWaits,
        };
        let target = work.slot(&asked.coordinate);
        work.request(target, Some(node), &asked.alias, request);
    }
}

/// Makes nodes of requests until nothing changes; answers whether there was room for all.
fn expand(shared: &Shared<'_>, work: &mut Work) -> bool {
    while let Some(slot) = work.next() {
        if work.count() > MAX_NODES {
            return false;
        }
        let state = work.state_mut(slot);
        state.expansions += 1;
        let made = if state.expansions <= MAX_EXPANSIONS {
            node::make(shared, slot, work)
        } else if state.last_problems.is_empty() {
            Err(restless(work, slot))
        } else {
            // Where one of its attempts failed, that is the better explanation.
            Err(state.last_problems.clone())
        };
        let (node, requests, problems) = match made {
            Ok((node, requests)) => (Some(node), requests, Vec::new()),
            Err(problems) => (None, Vec::new(), problems),
        };
        let state = work.state_mut(slot);
        if !problems.is_empty() {
            state.last_problems.clone_from(&problems);
        }
        state.problems = problems;
        state.node = node;
        work.ask(slot, requests);
    }
    true
}

fn restless(work: &Work, slot: Slot) -> Vec<Problem> {
    let message = format!(
        "the modules behind {} never come to rest: each round of their requests changes its params",
        work.name(slot)
    );
    let help = "one of them has to ask for something that does not depend on what it asks for";
    let origin = origin_of(&work.state(slot).requests);
    origin
        .map(|origin| origin.problem(message).help(help))
        .into_iter()
        .collect()
}
