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
use crate::request::{Live, WorkloadInput};
use work::{Order, Origin, Request, RequesterKey, Work, origin_of};

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
    problems.extend(std::mem::take(&mut work.problems).into_values().flatten());
    let mut graph = Graph::default();
    if complete {
        graph.nodes = std::mem::take(&mut work.nodes);
        order::order(&work.requests, &mut graph);
        fill::check_uses(shared, workloads, &mut problems);
        fill::fill(shared, workloads, &work.requests, &mut graph, &mut problems);
        if problems.is_empty() {
            problems.extend(order::find_cycle(&graph, &work.requests));
        }
        for (coordinate, requests) in work.requests {
            if let Some(node) = graph.nodes.get_mut(&coordinate) {
                node.requested_by = requests
                    .into_iter()
                    .map(|(key, request)| Requester {
                        node: key.node,
                        alias: key.alias,
                        params: request.params,
                    })
                    .collect();
            }
        }
    } else {
        problems.push(too_many(&work));
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

fn too_many(work: &Work) -> Problem {
    let mut types: BTreeMap<&str, usize> = BTreeMap::new();
    for node in work.requests.keys() {
        *types.entry(&node.resource_type).or_default() += 1;
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
    let node = Coordinate::workload(&workload.name);
    let key = |node: Option<&Coordinate>, alias: &str| RequesterKey {
        node: node.cloned(),
        by_module: false,
        alias: alias.to_owned(),
    };
    let own = Request {
        params: workload.params.clone(),
        origin: Origin::document(0, &workload.name, Path::default()),
        order: Order::None,
    };
    for asked in &workload.requests {
        let request = Request {
            params: asked.params.clone(),
            origin: Origin::document(1, &workload.name, asked.path.clone()),
            order: Order::RequesterWaits,
        };
        work.request(asked.coordinate.clone(), key(Some(&node), &asked.alias), request);
    }
    work.request(node, key(None, ""), own);
}

/// Makes nodes of requests until nothing changes; answers whether there was room for all.
fn expand(shared: &Shared<'_>, work: &mut Work) -> bool {
    let mut expansions: BTreeMap<Coordinate, usize> = BTreeMap::new();
    let mut last_problems: BTreeMap<Coordinate, Vec<Problem>> = BTreeMap::new();
    while let Some(coordinate) = work.next() {
        if work.requests.len() > MAX_NODES {
            return false;
        }
        let times = expansions.entry(coordinate.clone()).or_default();
        *times += 1;
        let made = if *times > MAX_EXPANSIONS {
            // Where one of its attempts failed, that is the better explanation.
            Err(last_problems
                .get(&coordinate)
                .cloned()
                .unwrap_or_else(|| restless(work, &coordinate)))
        } else {
            node::make(shared, &coordinate, work)
        };
        match made {
            Ok((node, requests)) => {
                work.problems.remove(&coordinate);
                work.ask(&coordinate, requests);
                work.nodes.insert(coordinate, node);
            }
            Err(problems) => {
                last_problems.insert(coordinate.clone(), problems.clone());
                work.problems.insert(coordinate.clone(), problems);
                work.nodes.remove(&coordinate);
                work.ask(&coordinate, Vec::new());
            }
        }
    }
    true
}

fn restless(work: &Work, coordinate: &Coordinate) -> Vec<Problem> {
    let origin = work.requests.get(coordinate).and_then(origin_of);
    origin
        .map(|origin| {
            origin
                .problem(format!(
                    "the modules behind {coordinate} never come to rest: each round of their requests changes its params"
                ))
                .help("one of them has to ask for something that does not depend on what it asks for")
        })
        .into_iter()
        .collect()
}
