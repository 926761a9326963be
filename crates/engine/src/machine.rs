//! The state of a run, and the rules by which it changes.
//!
//! **Invariants.** [`RunState::decide`] and [`RunState::apply`] are pure: same state and input, same answer; no clock, no I/O.
//! A record that `decide` returns is always one that [`RunState::admits`]. Applying is total on those. All of the
//! state follows from the records, except one thing: which nodes are being prepared. Preparing reads only, so
//! that it is under way is not worth a row; after a restart it begins anew.
//!
//! **Fairness.** Nodes get a place in the order in which they became ready, across first tries and retries, skipping
//! those whose driver or runner is full: no retry starves a newcomer, and no full runner holds up another.

mod apply;
mod decide;
mod record;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use podium_model::kinds::DriverKind;
use serde_json::Value as Json;

pub use record::{Because, Effect, Fact, Finished, IllegalInput, IllegalRecord, Input, Record, RunOutcome};

use crate::executor::Progress;
use crate::work::{Layout, Limits, Operation, RunContext, Step, StepId, Work, WorkError, WorkNode};

/// Why a node waits for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AwaitCause {
    /// What would happen is not what was planned.
    Outside,
    /// Nobody can tell whether its step was done.
    Indeterminate,
}

/// Where a node stands.
#[derive(Clone, Debug, PartialEq)]
pub enum NodePhase {
    /// It waits for its needs, or for a place.
    Waiting,
    /// The executor is asked what is to be done.
    Preparing,
    /// A step is under way.
    Running {
        /// What is done.
        operation: Operation,
        /// What is to be done afterwards.
        then: Vec<Operation>,
        /// Names the call to the outside.
        token: String,
        /// When its time is up.
        deadline_ms: i64,
        /// Whether it was stopped because its time was up.
        overdue: bool,
    },
    /// It is tried again later.
    Backoff {
        /// What went wrong, or why it cannot be judged.
        reason: String,
        /// When.
        next_try_ms: i64,
    },
    /// It is to be tried again, and waits for a place.
    Due,
    /// It waits for a person.
    Awaiting {
        /// Why.
        cause: AwaitCause,
        /// What the person is to decide.
        reason: String,
    },
    /// It was done.
    Succeeded,
    /// It was as it should be.
    Unchanged,
    /// It could not be done.
    Failed {
        /// What went wrong.
        error: String,
    },
    /// It was not done.
    Skipped {
        /// Why.
        because: Because,
    },
}

impl NodePhase {
    /// Whether nothing more happens to the node in this run.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Unchanged | Self::Failed { .. } | Self::Skipped { .. }
        )
    }

    /// Whether those that need the node may begin.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Succeeded | Self::Unchanged)
    }

    fn holds_place(&self) -> bool {
        matches!(self, Self::Preparing | Self::Running { .. })
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Preparing => "being prepared",
            Self::Running { .. } => "running",
            Self::Backoff { .. } => "waiting for its next try",
            Self::Due => "due for its next try",
            Self::Awaiting { .. } => "waiting for a person",
            Self::Succeeded => "done",
            Self::Unchanged => "unchanged",
            Self::Failed { .. } => "failed",
            Self::Skipped { .. } => "skipped",
        }
    }
}

/// All that is known of a node in a run.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeState {
    /// Where it stands.
    pub phase: NodePhase,
    /// Since when it stands there; `None` until the run begins.
    pub since_ms: Option<i64>,
    /// Attempts begun.
    pub attempt: u32,
    /// When the first attempt began.
    pub started_ms: Option<i64>,
    /// What this run has done to it.
    pub done: Vec<Operation>,
    /// What the executor remembered of the last operation done.
    pub result: Option<Json>,
    /// The last thing that went wrong or is not known.
    pub trouble: Option<String>,
    /// Who approved what lies outside of the plan.
    pub outside_approved_by: Option<String>,
    /// Who agreed to try again after an outcome that nobody knows.
    pub retry_approved_by: Option<String>,
    /// Attempts at the current operation since it last had a fresh allowance.
    tries: u32,
    /// Times that it could not be judged, in a row.
    postponed: u32,
    /// Needs that are not done.
    unmet: usize,
}

/// What something waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// What for, for people.
    pub reason: String,
    /// Since when.
    pub since_ms: Option<i64>,
    /// When it is tried next, if by itself.
    pub next_try_ms: Option<i64>,
}

/// The state of a run: what its journal says.
#[derive(Clone, Debug, PartialEq)]
pub struct RunState {
    run: Arc<RunContext>,
    layout: Arc<Layout>,
    limits: Arc<Limits>,
    nodes: Vec<NodeState>,
    begun_ms: Option<i64>,
    cancelled_by: Option<String>,
    finished: Option<Finished>,
    /// Nodes that are not final.
    open: usize,
    /// Nodes that want a place, in the order in which they came.
    queue: BTreeSet<(u64, usize)>,
    /// Number of the next one to come.
    arrivals: u64,
    places: Places,
}

/// Places in use.
#[derive(Clone, Debug, Default, PartialEq)]
struct Places {
    total: usize,
    drivers: BTreeMap<DriverKind, usize>,
    runners: BTreeMap<String, usize>,
}

impl RunState {
    /// The state before anything happened.
    pub fn new(run: RunContext, work: Work, limits: Limits) -> Result<Self, WorkError> {
        let layout = Layout::new(work)?;
        let nodes: Vec<_> = layout
            .needs
            .iter()
            .map(|needs| NodeState {
                phase: NodePhase::Waiting,
                since_ms: None,
                attempt: 0,
                started_ms: None,
                done: Vec::new(),
                result: None,
                trouble: None,
                outside_approved_by: None,
                retry_approved_by: None,
                tries: 0,
                postponed: 0,
                unmet: needs.len(),
            })
            .collect();
        let open = nodes.len();
        Ok(Self {
            run: Arc::new(run),
            layout: Arc::new(layout),
            limits: Arc::new(limits),
            nodes,
            begun_ms: None,
            cancelled_by: None,
            finished: None,
            open,
            queue: BTreeSet::new(),
            arrivals: 0,
            places: Places::default(),
        })
    }

    /// The state that a journal tells: each row is checked to follow from those before it.
    pub fn replay<'a>(
        mut self,
        records: impl IntoIterator<Item = &'a Record>,
    ) -> Result<Self, IllegalRecord> {
        for record in records {
            self.admits(record)?;
            let _performed_before = self.apply(record);
        }
        Ok(self)
    }

    /// The run.
    pub fn run(&self) -> &Arc<RunContext> {
        &self.run
    }

    /// The nodes with where they stand, in an order in which they can begin.
    pub fn nodes(&self) -> impl Iterator<Item = (&Arc<WorkNode>, &NodeState)> {
        self.layout
            .order
            .iter()
            .map(|&place| (&self.layout.nodes[place], &self.nodes[place]))
    }

    /// One node, by its name.
    pub fn node(&self, name: &str) -> Option<(&Arc<WorkNode>, &NodeState)> {
        let place = self.place(name)?;
        Some((&self.layout.nodes[place], &self.nodes[place]))
    }

    /// When the run began.
    pub fn begun_ms(&self) -> Option<i64> {
        self.begun_ms
    }

    /// Who asked it to end early.
    pub fn cancelled_by(&self) -> Option<&str> {
        self.cancelled_by.as_deref()
    }

    /// How the run ended, once it has.
    pub fn finished(&self) -> Option<&Finished> {
        self.finished.as_ref()
    }

    /// The nodes that wait for a person.
    pub fn awaiting(&self) -> impl Iterator<Item = (&Arc<WorkNode>, AwaitCause, &str)> {
        self.nodes().filter_map(|(node, state)| match &state.phase {
            NodePhase::Awaiting { cause, reason } => Some((node, *cause, reason.as_str())),
            _ => None,
        })
    }

    /// What the executor is told when it prepares a node.
    pub fn progress(&self, name: &str) -> Progress {
        let Some((_, state)) = self.node(name) else {
            return Progress::default();
        };
        Progress {
            done: state.done.clone(),
            attempts: state.attempt,
            outside_approved_by: state.outside_approved_by.clone(),
            retry_approved_by: state.retry_approved_by.clone(),
        }
    }

    /// The step under way at a node.
    pub fn step(&self, name: &str) -> Option<Step> {
        self.step_at(self.place(name)?)
    }

    /// What a node waits for; `None` when it does not.
    pub fn wait(&self, name: &str) -> Option<Wait> {
        let place = self.place(name)?;
        let state = &self.nodes[place];
        let reason = match &state.phase {
            NodePhase::Waiting if state.unmet > 0 => {
                let unmet = self.layout.needs[place]
                    .iter()
                    .filter(|&&needed| !self.nodes[needed].phase.is_done());
                let each = unmet.map(|&needed| {
                    let name = for_people(&self.layout.nodes[needed]);
                    match self.nodes[needed].phase {
                        NodePhase::Awaiting { .. } => format!("{name}, which waits for a person"),
                        NodePhase::Backoff { .. } => format!("{name}, which is tried again later"),
                        _ => name,
                    }
                });
                format!("waits for {}", each.collect::<Vec<_>>().join("; "))
            }
            NodePhase::Waiting if self.begun_ms.is_none() => "waits for the run to begin".to_owned(),
            NodePhase::Waiting | NodePhase::Due => self.place_reason(place),
            NodePhase::Backoff { reason, .. } => reason.clone(),
            NodePhase::Awaiting {
                cause: AwaitCause::Outside,
                reason,
            } => {
                format!("waits for an approval: {reason}")
            }
            NodePhase::Awaiting {
                cause: AwaitCause::Indeterminate,
                reason,
            } => {
                format!("waits for a person, because nobody can tell whether its step was done: {reason}")
            }
            _ => return None,
        };
        let next_try_ms = match state.phase {
            NodePhase::Backoff { next_try_ms, .. } => Some(next_try_ms),
            _ => None,
        };
        Some(Wait {
            reason,
            since_ms: state.since_ms,
            next_try_ms,
        })
    }

    fn place_reason(&self, place: usize) -> String {
        let node = &self.layout.nodes[place];
        let full = |limit: Option<&usize>, used: Option<&usize>| {
            limit
                .filter(|&&limit| used.copied().unwrap_or(0) >= limit)
                .copied()
        };
        let driver = full(
            self.limits.per_driver.get(&node.driver),
            self.places.drivers.get(&node.driver),
        );
        let runner = full(
            self.limits.per_runner.get(&node.runner),
            self.places.runners.get(&node.runner),
        );
        match (driver, runner) {
            (Some(limit), _) => {
                format!(
                    "waits for a place: driver {} works on {limit} at a time",
                    node.driver.as_str()
                )
            }
            (_, Some(limit)) => {
                format!(
                    "waits for a place: runner {} works on {limit} at a time",
                    node.runner
                )
            }
            _ => format!(
                "waits for a place: a run works on {} nodes at a time",
                self.limits.total
            ),
        }
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.layout.by_name.get(name).copied()
    }

    fn step_at(&self, place: usize) -> Option<Step> {
        let state = &self.nodes[place];
        let NodePhase::Running {
            operation,
            token,
            deadline_ms,
            ..
        } = &state.phase
        else {
            return None;
        };
        let node = &self.layout.nodes[place];
        Some(Step {
            id: StepId {
                run: self.run.uid.clone(),
                node: node.name.clone(),
                operation: *operation,
                attempt: state.attempt,
            },
            run: self.run.clone(),
            node: node.clone(),
            token: token.clone(),
            deadline_ms: *deadline_ms,
        })
    }
}

/// How people name a node: `orders-db (postgres)`.
pub(crate) fn for_people(node: &WorkNode) -> String {
    format!("{} ({})", node.coordinate.id, node.coordinate.type_and_class())
}
