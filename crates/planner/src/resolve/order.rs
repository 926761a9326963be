//! The order of nodes by their requests, and the cycle that forbids one.

use std::collections::BTreeMap;

use podium_document::Problem;
use podium_model::coordinate::Coordinate;
use podium_model::graph::Graph;

use super::work::{Order, Requests, origin_of};

/// Orders the nodes by their requests.
pub(super) fn order(requests: &BTreeMap<Coordinate, Requests>, graph: &mut Graph) {
    for (target, requests) in requests {
        for (key, request) in requests {
            let Some(requester) = &key.node else { continue };
            let (first, then) = match request.order {
                Order::RequesterWaits => (target, requester),
                Order::NodeWaits => (requester, target),
                Order::None => continue,
            };
            if graph.nodes.contains_key(first)
                && let Some(node) = graph.nodes.get_mut(then)
            {
                node.needs.insert(first.clone());
            }
        }
    }
}

/// Shows one cycle of ordering references, if there is any.
pub(super) fn find_cycle(graph: &Graph, requests: &BTreeMap<Coordinate, Requests>) -> Option<Problem> {
    let mut waiting: BTreeMap<&Coordinate, usize> = graph
        .nodes
        .values()
        .map(|node| (&node.coordinate, node.needs.len()))
        .collect();
    let mut dependants: BTreeMap<&Coordinate, Vec<&Coordinate>> = BTreeMap::new();
    for node in graph.nodes.values() {
        for need in &node.needs {
            dependants.entry(need).or_default().push(&node.coordinate);
        }
    }
    let mut ready: Vec<&Coordinate> = waiting
        .iter()
        .filter(|(_, count)| **count == 0)
        .map(|(node, _)| *node)
        .collect();
    while let Some(node) = ready.pop() {
        waiting.remove(node);
        for dependant in dependants.get(node).into_iter().flatten() {
            if let Some(count) = waiting.get_mut(dependant) {
                *count -= 1;
                if *count == 0 {
                    ready.push(dependant);
                }
            }
        }
    }
    // Every node left waits for another one left; following them must come back to one already seen.
    let (start, _) = waiting.first_key_value()?;
    let mut chain: Vec<&Coordinate> = vec![start];
    let from = loop {
        let last = graph.nodes.get(*chain.last()?)?;
        let next = last.needs.iter().find(|need| waiting.contains_key(need))?;
        if let Some(from) = chain.iter().position(|seen| *seen == next) {
            break from;
        }
        chain.push(next);
    };
    // It begins with its first node by name, whichever node led to it.
    let cycle = &mut chain[from..];
    let first = cycle
        .iter()
        .enumerate()
        .min_by_key(|(_, node)| **node)
        .map_or(0, |(index, _)| index);
    cycle.rotate_left(first);
    let names: Vec<String> = cycle
        .iter()
        .chain(cycle.first())
        .map(|node| format!("{} ({})", node.id, node.type_and_class()))
        .collect();
    // A request says more than the document as a whole.
    let origins = cycle
        .iter()
        .filter_map(|node| requests.get(*node).and_then(origin_of));
    let origin = origins.min_by_key(|origin| (origin.place.path.0.is_empty(), *origin))?;
    Some(
        origin
            .problem(format!("these need each other: {}", names.join(" → ")))
            .help("break the cycle: one of them has to do without an output of the other"),
    )
}
