//! What is at work while requests are followed: who asks for what, and how it is taken back.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use podium_document::{Path, PathSegment, Problem};
use podium_model::coordinate::Coordinate;
use podium_model::graph::Node;
use podium_model::value::Value;

/// A place in a workload's document.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) workload: String,
    pub(super) path: Path,
}

/// Where a request comes from, for messages: a place in a document, and how many modules are between it and the request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Origin {
    pub(super) depth: usize,
    /// Whether a module asks; the place is then that of the request which the module serves.
    pub(super) by_module: bool,
    pub(super) place: Arc<Place>,
}

impl Origin {
    pub(super) fn document(depth: usize, workload: &str, path: Path) -> Self {
        let place = Place {
            workload: workload.to_owned(),
            path,
        };
        Self {
            depth,
            by_module: false,
            place: Arc::new(place),
        }
    }

    /// The origin of what a module asks for in order to serve this.
    pub(super) fn below(&self) -> Self {
        Self {
            depth: self.depth + 1,
            by_module: true,
            place: Arc::clone(&self.place),
        }
    }

    /// A problem at the request.
    pub(super) fn problem(&self, message: String) -> Problem {
        self.at(self.place.path.clone(), message)
    }

    /// A problem at a part of the request, when the document itself asks; a module's request has no place in it.
    pub(super) fn problem_within<S: Into<PathSegment>>(
        &self,
        parts: impl IntoIterator<Item = S>,
        message: String,
    ) -> Problem {
        let mut path = self.place.path.clone();
        if !self.by_module {
            path.0.extend(parts.into_iter().map(Into::into));
        }
        self.at(path, message)
    }

    fn at(&self, path: Path, message: String) -> Problem {
        Problem::error(path, message).in_document(self.place.workload.clone())
    }
}

/// The place of a node in [`Work`]; the same documents give the same places.
pub(crate) type Slot = usize;

/// Who asks: a document for its workload, or a node under an alias. Sorted, so that the result has one order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RequesterKey {
    pub(super) node: Option<Slot>,
    /// A workload's module may use the aliases that its document uses.
    pub(super) by_module: bool,
    pub(super) alias: String,
}

#[derive(Debug)]
pub(super) struct Request {
    pub(super) params: Value,
    pub(super) origin: Origin,
    pub(super) order: Order,
}

/// Which of requester and node waits for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    RequesterWaits,
    NodeWaits,
    None,
}

pub(super) type Requests = BTreeMap<RequesterKey, Request>;

/// What is known of one node.
#[derive(Default)]
pub(crate) struct State {
    /// Who asks for it; nobody when it is gone.
    pub(super) requests: Requests,
    /// What its module has asked for, to take it back.
    asked: BTreeSet<(Slot, String)>,
    /// The node, unless it failed.
    pub(crate) node: Option<Node>,
    pub(super) problems: Vec<Problem>,
    /// How often it was expanded.
    pub(super) expansions: usize,
    /// What was wrong when it failed the last time.
    pub(super) last_problems: Vec<Problem>,
}

/// Requests and the nodes made of them so far. Nodes are told apart by their slots: comparing and copying names is most of
/// the work otherwise.
#[derive(Default)]
pub(crate) struct Work {
    slots: HashMap<Coordinate, Slot>,
    names: Vec<Coordinate>,
    states: Vec<State>,
    /// How many nodes are asked for.
    count: usize,
    queue: BTreeSet<(usize, Slot)>,
    /// Whether anything was taken back since the last look for what nobody asks for.
    taken_back: bool,
}

impl Work {
    pub(super) fn slot(&mut self, name: &Coordinate) -> Slot {
        if let Some(slot) = self.slots.get(name) {
            return *slot;
        }
        let slot = self.states.len();
        self.slots.insert(name.clone(), slot);
        self.names.push(name.clone());
        self.states.push(State::default());
        slot
    }

    /// The slot of a node that somebody asks for.
    pub(crate) fn find(&self, name: &Coordinate) -> Option<Slot> {
        let slot = self.slots.get(name).copied()?;
        (!self.states[slot].requests.is_empty()).then_some(slot)
    }

    pub(crate) fn name(&self, slot: Slot) -> &Coordinate {
        &self.names[slot]
    }

    pub(crate) fn state(&self, slot: Slot) -> &State {
        &self.states[slot]
    }

    pub(super) fn state_mut(&mut self, slot: Slot) -> &mut State {
        &mut self.states[slot]
    }

    pub(super) fn into_states(self) -> (Vec<Coordinate>, Vec<State>) {
        (self.names, self.states)
    }

    /// How many slots there are, also of nodes that are gone.
    pub(super) fn slots(&self) -> usize {
        self.states.len()
    }

    /// How many nodes are asked for.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The slots of all nodes that are asked for, by name.
    pub(super) fn by_name(&self) -> Vec<Slot> {
        let mut slots: Vec<Slot> = (0..self.states.len())
            .filter(|slot| !self.states[*slot].requests.is_empty())
            .collect();
        slots.sort_unstable_by(|left, right| self.names[*left].cmp(&self.names[*right]));
        slots
    }

    /// A document's request.
    pub(super) fn request(&mut self, target: Slot, requester: Option<Slot>, alias: &str, request: Request) {
        let key = RequesterKey {
            node: requester,
            by_module: false,
            alias: alias.to_owned(),
        };
        self.queue.insert((request.origin.depth, target));
        self.add(target, key, request);
    }

    fn add(&mut self, target: Slot, key: RequesterKey, request: Request) {
        let requests = &mut self.states[target].requests;
        self.count += usize::from(requests.is_empty());
        requests.insert(key, request);
    }

    /// The next node to expand: those nearest to the documents first, so that most requests for a node are known when it
    /// is expanded for the first time.
    pub(super) fn next(&mut self) -> Option<Slot> {
        loop {
            if let Some((_, slot)) = self.queue.pop_first() {
                if !self.states[slot].requests.is_empty() {
                    return Some(slot);
                }
            } else if std::mem::take(&mut self.taken_back) {
                self.drop_unreachable();
            } else {
                return None;
            }
        }
    }

    /// Puts a node's new requests in the place of those that it made before.
    pub(super) fn ask(&mut self, requester: Slot, requests: Vec<(Coordinate, String, Request)>) {
        let former = std::mem::take(&mut self.states[requester].asked);
        let mut asked = BTreeSet::new();
        for (target, alias, request) in requests {
            let target = self.slot(&target);
            let key = requester_key(requester, &alias);
            let before = self.states[target].requests.get(&key);
            if before.is_none_or(|before| before.params != request.params || before.origin != request.origin)
            {
                self.queue.insert((request.origin.depth, target));
            }
            self.add(target, key, request);
            asked.insert((target, alias));
        }
        for (target, alias) in former.difference(&asked) {
            self.taken_back = true;
            self.take_back(requester, *target, alias);
        }
        self.states[requester].asked = asked;
    }

    /// Takes one request back; a node that nobody asks for any more goes, with all that only it asked for.
    fn take_back(&mut self, requester: Slot, target: Slot, alias: &str) {
        let mut back = vec![(requester, target, alias.to_owned())];
        while let Some((requester, target, alias)) = back.pop() {
            let requests = &mut self.states[target].requests;
            if requests.remove(&requester_key(requester, &alias)).is_none() {
                continue;
            }
            if requests.is_empty() {
                back.extend(self.drop_node(target));
            } else {
                self.queue.insert((0, target));
            }
        }
    }

    /// Forgets a node; answers the requests that are to be taken back for it.
    fn drop_node(&mut self, slot: Slot) -> Vec<(Slot, Slot, String)> {
        self.count -= 1;
        let state = &mut self.states[slot];
        state.requests.clear();
        state.node = None;
        state.problems.clear();
        std::mem::take(&mut state.asked)
            .into_iter()
            .map(|(target, alias)| (slot, target, alias))
            .collect()
    }

    /// Removes nodes that keep each other alive, but that no document leads to.
    fn drop_unreachable(&mut self) {
        let mut reached = vec![false; self.states.len()];
        let asked_for = |state: &State| state.requests.values().any(|request| !request.origin.by_module);
        let mut next: Vec<Slot> = (0..self.states.len())
            .filter(|slot| asked_for(&self.states[*slot]))
            .collect();
        while let Some(slot) = next.pop() {
            if !std::mem::replace(&mut reached[slot], true) {
                next.extend(self.states[slot].asked.iter().map(|(target, _)| *target));
            }
        }
        for (slot, reached) in reached.into_iter().enumerate() {
            if !reached && !self.states[slot].requests.is_empty() {
                for (requester, target, alias) in self.drop_node(slot) {
                    self.take_back(requester, target, &alias);
                }
            }
        }
    }

    /// The node whose module makes the request that a node's origin stands for.
    pub(super) fn asker(&self, requests: &Requests, origin: &Origin) -> Option<&Node> {
        if !origin.by_module {
            return None;
        }
        requests
            .iter()
            .find(|(_, request)| request.origin == *origin)
            .and_then(|(key, _)| self.states[key.node?].node.as_ref())
    }
}

fn requester_key(requester: Slot, alias: &str) -> RequesterKey {
    RequesterKey {
        node: Some(requester),
        by_module: true,
        alias: alias.to_owned(),
    }
}

/// The request that messages name: the one nearest to a document.
pub(super) fn origin_of(requests: &Requests) -> Option<&Origin> {
    requests.values().map(|request| &request.origin).min()
}
