//! What a run is to do: its immutable input, and the names of its steps.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use podium_model::coordinate::Coordinate;
use podium_model::kinds::{DriverKind, Recovery, Retry};
use podium_model::plan::Action;
use serde::{Deserialize, Serialize};

/// Which run this is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunContext {
    /// The uid of its Run object: names its journal and its lease.
    pub uid: String,
    /// The name of its Run object.
    pub name: String,
    /// The namespace of its environment.
    pub namespace: String,
    /// Who asked for it; the principal of all it writes.
    pub author: String,
    /// The release that it carries out.
    pub release: u64,
}

/// All that a run is to do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Work {
    /// The nodes, in the order in which people should see them.
    pub nodes: Vec<WorkNode>,
}

/// One node of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkNode {
    /// Which resource.
    pub coordinate: Coordinate,
    /// Name of its object; names the node in the journal. Unique in a run.
    pub name: String,
    /// What is to happen to it.
    pub action: Action,
    /// Whether an input was not known when it was planned.
    pub pending: bool,
    /// Which code carries it out.
    pub driver: DriverKind,
    /// Where its work executes.
    pub runner: String,
    /// Driver, module and version, for people.
    pub module: String,
    /// Whom to ask about the module.
    pub owner: String,
    /// Nodes of this run that must be done first. For deletes they are those that used this one.
    pub needs: BTreeSet<Coordinate>,
    /// Retries of a failed step.
    pub retry: Retry,
    /// Seconds that one step may take.
    pub timeout_seconds: u32,
    /// How its driver finds out what a step did.
    pub recovery: Recovery,
}

/// How many nodes of a run are at work at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Limits {
    /// Of one driver; no limit when it is not named.
    pub per_driver: BTreeMap<DriverKind, usize>,
    /// On one runner; no limit when it is not named.
    pub per_runner: BTreeMap<String, usize>,
    /// Altogether.
    pub total: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            per_driver: BTreeMap::new(),
            per_runner: BTreeMap::new(),
            total: 16,
        }
    }
}

/// What a step does to its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Operation {
    /// Makes or changes it.
    Apply,
    /// Removes it.
    Destroy,
}

impl Operation {
    /// The operations that carry out an action, in order.
    pub fn of(action: Action) -> &'static [Self] {
        match action {
            Action::Create | Action::Update | Action::Adopt => &[Self::Apply],
            Action::Replace => &[Self::Destroy, Self::Apply],
            Action::Delete => &[Self::Destroy],
            Action::Unchanged => &[],
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Apply => "apply",
            Self::Destroy => "destroy",
        })
    }
}

/// The name of one attempt at one operation of one node: the same after every restart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepId {
    /// The run's uid.
    pub run: String,
    /// The node's name.
    pub node: String,
    /// What is done.
    pub operation: Operation,
    /// Number of the attempt at this node, counted from 1.
    pub attempt: u32,
}

impl fmt::Display for StepId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}/{}/{}/{}",
            self.run, self.node, self.operation, self.attempt
        )
    }
}

/// One step, as the executor gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Its name.
    pub id: StepId,
    /// Its run.
    pub run: Arc<RunContext>,
    /// Its node.
    pub node: Arc<WorkNode>,
    /// What names the call to the outside, so that a repeated one is recognised: `RUN/NODE/OPERATION`. It does not hold the
    /// attempt: an attempt that failed may have been carried out, and the next one must find what it left.
    pub token: String,
    /// When its time is up.
    pub deadline_ms: i64,
}

impl Step {
    /// What is done.
    pub fn operation(&self) -> Operation {
        self.id.operation
    }
}

/// Work that cannot be carried out, whoever tries.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkError {
    /// Two nodes have one name or one coordinate.
    #[error("the run names {0} twice")]
    Twice(String),
    /// A node needs one that the run does not have.
    #[error("{node} needs {needed}, which is no node of this run")]
    UnknownNeed {
        /// Which node.
        node: String,
        /// What it needs.
        needed: Coordinate,
    },
    /// Nodes need each other.
    #[error("nodes of the run need each other in a circle: {}", nodes.join(", "))]
    Circle {
        /// The nodes that can never begin.
        nodes: Vec<String>,
    },
}

/// Work with its edges resolved to places.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Layout {
    pub(crate) nodes: Vec<Arc<WorkNode>>,
    pub(crate) by_name: BTreeMap<String, usize>,
    pub(crate) needs: Vec<Vec<usize>>,
    pub(crate) dependants: Vec<Vec<usize>>,
    /// A topological order: what is needed comes first, and otherwise the order of the work.
    pub(crate) order: Vec<usize>,
}

impl Layout {
    pub(crate) fn new(work: Work) -> Result<Self, WorkError> {
        let nodes: Vec<_> = work.nodes.into_iter().map(Arc::new).collect();
        let mut by_name = BTreeMap::new();
        let mut by_coordinate = BTreeMap::new();
        for (place, node) in nodes.iter().enumerate() {
            if by_name.insert(node.name.clone(), place).is_some() {
                return Err(WorkError::Twice(node.name.clone()));
            }
            if by_coordinate.insert(node.coordinate.clone(), place).is_some() {
                return Err(WorkError::Twice(node.coordinate.to_string()));
            }
        }
        let mut needs = vec![Vec::new(); nodes.len()];
        let mut dependants = vec![Vec::new(); nodes.len()];
        for (place, node) in nodes.iter().enumerate() {
            for needed in &node.needs {
                let Some(&first) = by_coordinate.get(needed) else {
                    return Err(WorkError::UnknownNeed {
                        node: node.name.clone(),
                        needed: needed.clone(),
                    });
                };
                needs[place].push(first);
                dependants[first].push(place);
            }
        }
        let mut unmet: Vec<usize> = needs.iter().map(Vec::len).collect();
        let mut ready: BTreeSet<usize> = (0..nodes.len()).filter(|&place| unmet[place] == 0).collect();
        let mut order = Vec::with_capacity(nodes.len());
        while let Some(place) = ready.pop_first() {
            order.push(place);
            for &dependant in &dependants[place] {
                unmet[dependant] -= 1;
                if unmet[dependant] == 0 {
                    ready.insert(dependant);
                }
            }
        }
        if order.len() < nodes.len() {
            let stuck = (0..nodes.len()).filter(|&place| unmet[place] > 0);
            return Err(WorkError::Circle {
                nodes: stuck.map(|place| nodes[place].name.clone()).collect(),
            });
        }
        Ok(Self {
            nodes,
            by_name,
            needs,
            dependants,
            order,
        })
    }

    /// All that need `place`, directly or not, in topological order.
    pub(crate) fn downstream(&self, place: usize) -> Vec<usize> {
        let mut reached = BTreeSet::new();
        let mut open = vec![place];
        while let Some(next) = open.pop() {
            for &dependant in &self.dependants[next] {
                if reached.insert(dependant) {
                    open.push(dependant);
                }
            }
        }
        self.order
            .iter()
            .copied()
            .filter(|place| reached.contains(place))
            .collect()
    }
}
