//! What is at work while requests are followed: who asks for what, and how it is taken back.

use std::collections::{BTreeMap, BTreeSet};
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

/// Who asks: a document for its workload, or a node under an alias. Sorted, so that the result has one order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RequesterKey {
    pub(super) node: Option<Coordinate>,
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

/// Requests and the nodes made of them so far.
#[derive(Default)]
pub(super) struct Work {
    pub(super) requests: BTreeMap<Coordinate, Requests>,
    /// What the module of each node has asked for, to take it back.
    asked: BTreeMap<Coordinate, BTreeSet<(Coordinate, String)>>,
    pub(super) nodes: BTreeMap<Coordinate, Node>,
    pub(super) problems: BTreeMap<Coordinate, Vec<Problem>>,
    queue: BTreeSet<(usize, Coordinate)>,
    /// Whether anything was taken back since the last look for what nobody asks for.
    taken_back: bool,
}

impl Work {
    pub(super) fn request(&mut self, target: Coordinate, key: RequesterKey, request: Request) {
        self.queue.insert((request.origin.depth, target.clone()));
        self.requests.entry(target).or_default().insert(key, request);
    }

    /// The next node to expand: those nearest to the documents first, so that most requests for a node are known when it
    /// is expanded for the first time.
    pub(super) fn next(&mut self) -> Option<Coordinate> {
        loop {
            if let Some((_, coordinate)) = self.queue.pop_first() {
                if self.requests.contains_key(&coordinate) {
                    return Some(coordinate);
                }
            } else if std::mem::take(&mut self.taken_back) {
                self.drop_unreachable();
            } else {
                return None;
            }
        }
    }

    /// Puts a node's new requests in the place of those that it made before.
    pub(super) fn ask(&mut self, requester: &Coordinate, requests: Vec<(Coordinate, String, Request)>) {
        let former = self.asked.remove(requester).unwrap_or_default();
        let mut asked = BTreeSet::new();
        for (target, alias, request) in requests {
            let depth = request.origin.depth;
            let key = requester_key(requester, &alias);
            let entry = self.requests.entry(target.clone()).or_default();
            let changed = entry
                .get(&key)
                .is_none_or(|before| before.params != request.params || before.origin != request.origin);
            entry.insert(key, request);
            if changed {
                self.queue.insert((depth, target.clone()));
            }
            asked.insert((target, alias));
        }
        for (target, alias) in former.difference(&asked) {
            self.take_back(requester, target, alias);
        }
        if !asked.is_empty() {
            self.asked.insert(requester.clone(), asked);
        }
    }

    fn take_back(&mut self, requester: &Coordinate, target: &Coordinate, alias: &str) {
        self.taken_back = true;
        let Some(requests) = self.requests.get_mut(target) else {
            return;
        };
        requests.remove(&requester_key(requester, alias));
        if requests.is_empty() {
            self.drop_node(target);
        } else {
            self.queue.insert((0, target.clone()));
        }
    }

    /// Removes a node that nobody asks for, with all that only it asked for.
    fn drop_node(&mut self, node: &Coordinate) {
        let mut gone = vec![node.clone()];
        while let Some(node) = gone.pop() {
            self.requests.remove(&node);
            self.nodes.remove(&node);
            self.problems.remove(&node);
            for (target, alias) in self.asked.remove(&node).unwrap_or_default() {
                let Some(requests) = self.requests.get_mut(&target) else {
                    continue;
                };
                requests.remove(&requester_key(&node, &alias));
                if requests.is_empty() {
                    gone.push(target);
                } else {
                    self.queue.insert((0, target));
                }
            }
        }
    }

    /// Removes nodes that keep each other alive, but that no document leads to.
    fn drop_unreachable(&mut self) {
        let mut reached: BTreeSet<&Coordinate> = BTreeSet::new();
        let mut next: Vec<&Coordinate> = self
            .requests
            .iter()
            .filter(|(_, requests)| requests.values().any(|request| !request.origin.by_module))
            .map(|(node, _)| node)
            .collect();
        while let Some(node) = next.pop() {
            if reached.insert(node) {
                next.extend(
                    self.asked
                        .get(node)
                        .into_iter()
                        .flatten()
                        .map(|(target, _)| target),
                );
            }
        }
        let unreachable: Vec<Coordinate> = self
            .requests
            .keys()
            .filter(|node| !reached.contains(node))
            .cloned()
            .collect();
        for node in unreachable {
            self.drop_node(&node);
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
            .and_then(|(key, _)| self.nodes.get(key.node.as_ref()?))
    }
}

fn requester_key(requester: &Coordinate, alias: &str) -> RequesterKey {
    RequesterKey {
        node: Some(requester.clone()),
        by_module: true,
        alias: alias.to_owned(),
    }
}

/// The request that messages name: the one nearest to a document.
pub(super) fn origin_of(requests: &Requests) -> Option<&Origin> {
    requests.values().map(|request| &request.origin).min()
}
