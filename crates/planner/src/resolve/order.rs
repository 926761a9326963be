//! The order of nodes by their requests, and the cycle that forbids one.

use podium_document::Problem;

use super::work::{Order, Slot, Work, origin_of};

/// The nodes that each node waits for, by slot.
pub(super) type Needs = Vec<Vec<Slot>>;

/// Orders the nodes by their requests.
pub(super) fn order(work: &Work, nodes: &[Slot]) -> Needs {
    let mut needs: Needs = vec![Vec::new(); work.slots()];
    for &target in nodes {
        for (key, request) in &work.state(target).requests {
            let Some(requester) = key.node else { continue };
            let (first, then) = match request.order {
                Order::RequesterWaits => (target, requester),
                Order::NodeWaits => (requester, target),
                Order::None => continue,
            };
            if work.state(first).node.is_some() && work.state(then).node.is_some() {
                needs[then].push(first);
            }
        }
    }
    needs
}

/// Shows one cycle of ordering references, if there is any. No slot may be named twice in the needs of another.
pub(super) fn find_cycle(work: &Work, nodes: &[Slot], needs: &Needs) -> Option<Problem> {
    let mut waiting: Vec<usize> = needs.iter().map(Vec::len).collect();
    let mut dependants: Needs = vec![Vec::new(); needs.len()];
    for &node in nodes {
        for &need in &needs[node] {
            dependants[need].push(node);
        }
    }
    let mut ready: Vec<Slot> = nodes.iter().copied().filter(|node| waiting[*node] == 0).collect();
    while let Some(node) = ready.pop() {
        for &dependant in &dependants[node] {
            waiting[dependant] -= 1;
            if waiting[dependant] == 0 {
                ready.push(dependant);
            }
        }
    }
    // Every node left waits for another one left; following them must come back to one already seen.
    let start = nodes.iter().copied().find(|node| waiting[*node] > 0)?;
    let mut chain: Vec<Slot> = vec![start];
    let from = loop {
        let left = needs[*chain.last()?]
            .iter()
            .copied()
            .filter(|need| waiting[*need] > 0);
        let next = left.min_by_key(|need| work.name(*need))?;
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
        .min_by_key(|(_, node)| work.name(**node))
        .map_or(0, |(index, _)| index);
    cycle.rotate_left(first);
    let names: Vec<String> = cycle
        .iter()
        .chain(cycle.first())
        .map(|node| work.name(*node))
        .map(|node| format!("{} ({})", node.id, node.type_and_class()))
        .collect();
    // A request says more than the document as a whole.
    let origins = cycle
        .iter()
        .filter_map(|node| origin_of(&work.state(*node).requests));
    let origin = origins.min_by_key(|origin| (origin.place.path.0.is_empty(), *origin))?;
    Some(
        origin
            .problem(format!("these need each other: {}", names.join(" → ")))
            .help("break the cycle: one of them has to do without an output of the other"),
    )
}
