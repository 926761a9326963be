//! From a committed record to the next state and its effects.

use super::record::{Because, Effect, Fact, Finished, IllegalRecord, Record};
use super::{AwaitCause, NodePhase, RunState};

impl RunState {
    /// Applies committed records, gives free places to waiting nodes, and returns what is to be performed now.
    pub fn advance(&mut self, committed: &[Record]) -> Vec<Effect> {
        let mut effects: Vec<_> = committed.iter().flat_map(|record| self.apply(record)).collect();
        effects.extend(self.schedule());
        effects
    }

    /// Applies one record that [`RunState::admits`]. Another one changes nothing that it does not name.
    pub fn apply(&mut self, record: &Record) -> Vec<Effect> {
        let at_ms = record.at_ms;
        match &record.fact {
            Fact::RunBegan { .. } => {
                self.begun_ms = Some(at_ms);
                for place in 0..self.nodes.len() {
                    self.nodes[place].since_ms = Some(at_ms);
                    if self.nodes[place].unmet == 0 {
                        self.enqueue(place);
                    }
                }
                Vec::new()
            }
            Fact::TakenUp { .. } => self.resume(at_ms),
            Fact::CancelRequested { by } => {
                self.cancelled_by = Some(by.clone());
                self.queue.clear();
                (0..self.nodes.len())
                    .filter_map(|place| self.step_at(place))
                    .map(Effect::StopStep)
                    .collect()
            }
            Fact::RunFinished { outcome, failures } => {
                self.finished = Some(Finished {
                    outcome: *outcome,
                    failures: failures.clone(),
                    at_ms,
                });
                vec![Effect::Finish]
            }
            fact => {
                let Some(place) = fact.node().and_then(|name| self.place(name)) else {
                    return Vec::new();
                };
                self.apply_to_node(place, fact, at_ms)
            }
        }
    }

    fn apply_to_node(&mut self, place: usize, fact: &Fact, at_ms: i64) -> Vec<Effect> {
        let name = self.layout.nodes[place].name.clone();
        let state = &mut self.nodes[place];
        match fact {
            Fact::StepIntended {
                operation,
                then,
                attempt,
                token,
                deadline_ms,
                ..
            } => {
                state.attempt = *attempt;
                state.tries += 1;
                state.postponed = 0;
                state.started_ms.get_or_insert(at_ms);
                let phase = NodePhase::Running {
                    operation: *operation,
                    then: then.clone(),
                    token: token.clone(),
                    deadline_ms: *deadline_ms,
                    overdue: false,
                };
                self.enter(place, phase, at_ms);
                let execute = self.step_at(place).map(Effect::Execute);
                let timer = Effect::SetTimer {
                    node: name,
                    at_ms: *deadline_ms,
                };
                execute.into_iter().chain([timer]).collect()
            }
            Fact::StepOverdue { .. } => {
                if let NodePhase::Running { overdue, .. } = &mut state.phase {
                    *overdue = true;
                }
                self.step_at(place).map(Effect::StopStep).into_iter().collect()
            }
            Fact::StepSucceeded {
                operation, result, ..
            } => {
                let more = matches!(&state.phase, NodePhase::Running { then, .. } if !then.is_empty());
                state.done.push(*operation);
                state.result = Some(result.clone());
                state.trouble = None;
                state.tries = 0;
                // Between two operations the node keeps its place; the next intent is in the same transaction.
                self.enter(
                    place,
                    if more {
                        NodePhase::Preparing
                    } else {
                        NodePhase::Succeeded
                    },
                    at_ms,
                );
                Vec::new()
            }
            Fact::StepFailed {
                error, next_try_ms, ..
            } => {
                state.trouble = Some(error.clone());
                let Some(next_try_ms) = *next_try_ms else {
                    self.enter(place, NodePhase::Failed { error: error.clone() }, at_ms);
                    return Vec::new();
                };
                self.enter(
                    place,
                    NodePhase::Backoff {
                        reason: error.clone(),
                        next_try_ms,
                    },
                    at_ms,
                );
                vec![Effect::SetTimer {
                    node: name,
                    at_ms: next_try_ms,
                }]
            }
            Fact::StepIndeterminate { known, .. } => {
                state.trouble = Some(known.clone());
                let phase = NodePhase::Awaiting {
                    cause: AwaitCause::Indeterminate,
                    reason: known.clone(),
                };
                self.enter(place, phase, at_ms);
                Vec::new()
            }
            Fact::NodeUnchanged { .. } => {
                let untouched = state.done.is_empty() && state.attempt == 0;
                state.trouble = None;
                self.enter(
                    place,
                    if untouched {
                        NodePhase::Unchanged
                    } else {
                        NodePhase::Succeeded
                    },
                    at_ms,
                );
                Vec::new()
            }
            Fact::NodePostponed {
                reason, next_try_ms, ..
            } => {
                state.postponed += 1;
                let next_try_ms = *next_try_ms;
                self.enter(
                    place,
                    NodePhase::Backoff {
                        reason: reason.clone(),
                        next_try_ms,
                    },
                    at_ms,
                );
                vec![Effect::SetTimer {
                    node: name,
                    at_ms: next_try_ms,
                }]
            }
            Fact::NodeRefused { error, .. } => {
                state.trouble = Some(error.clone());
                self.enter(place, NodePhase::Failed { error: error.clone() }, at_ms);
                Vec::new()
            }
            Fact::NodeAwaiting { reason, .. } => {
                let phase = NodePhase::Awaiting {
                    cause: AwaitCause::Outside,
                    reason: reason.clone(),
                };
                self.enter(place, phase, at_ms);
                Vec::new()
            }
            Fact::NodeApproved { by, .. } => {
                let indeterminate = matches!(
                    state.phase,
                    NodePhase::Awaiting {
                        cause: AwaitCause::Indeterminate,
                        ..
                    }
                );
                let approved_by = if indeterminate {
                    &mut state.retry_approved_by
                } else {
                    &mut state.outside_approved_by
                };
                *approved_by = Some(by.clone());
                state.tries = 0;
                self.enter(place, NodePhase::Due, at_ms);
                self.enqueue(place);
                Vec::new()
            }
            Fact::NodeDue { .. } => {
                self.enter(place, NodePhase::Due, at_ms);
                self.enqueue(place);
                Vec::new()
            }
            Fact::NodeRejected { by, .. } => {
                self.enter(
                    place,
                    NodePhase::Skipped {
                        because: Because::Rejected { by: by.clone() },
                    },
                    at_ms,
                );
                Vec::new()
            }
            Fact::NodeSkipped { because, .. } => {
                self.enter(
                    place,
                    NodePhase::Skipped {
                        because: because.clone(),
                    },
                    at_ms,
                );
                Vec::new()
            }
            Fact::RunBegan { .. }
            | Fact::TakenUp { .. }
            | Fact::CancelRequested { .. }
            | Fact::RunFinished { .. } => Vec::new(),
        }
    }

    /// Gives free places to the nodes that want one, in the order in which they came.
    pub fn schedule(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.cancelled_by.is_some() || self.finished.is_some() {
            return effects;
        }
        for arrival in self.queue.clone() {
            if self.places.total >= self.limits.total.max(1) {
                break;
            }
            let place = arrival.1;
            let node = self.layout.nodes[place].clone();
            let has_place = |limit: Option<&usize>, used: Option<&usize>| {
                limit.is_none_or(|&limit| used.copied().unwrap_or(0) < limit.max(1))
            };
            if has_place(
                self.limits.per_driver.get(&node.driver),
                self.places.drivers.get(&node.driver),
            ) && has_place(
                self.limits.per_runner.get(&node.runner),
                self.places.runners.get(&node.runner),
            ) {
                let since_ms = self.nodes[place].since_ms.unwrap_or_default();
                self.enter(place, NodePhase::Preparing, since_ms);
                effects.push(Effect::Prepare(node.name.clone()));
            }
        }
        effects
    }

    /// What is to be done about all that the journal says is under way, when nobody is at it: the effects of
    /// [`Fact::TakenUp`].
    pub fn resume(&self, now_ms: i64) -> Vec<Effect> {
        let mut effects = Vec::new();
        for (place, node) in self.layout.nodes.iter().enumerate() {
            let node_name = || node.name.clone();
            match &self.nodes[place].phase {
                NodePhase::Preparing => effects.push(Effect::Prepare(node_name())),
                NodePhase::Running {
                    deadline_ms, overdue, ..
                } => {
                    let Some(step) = self.step_at(place) else { continue };
                    effects.push(Effect::Recover(step.clone()));
                    if *overdue || self.cancelled_by.is_some() {
                        effects.push(Effect::StopStep(step));
                    }
                    // Finding out may take as long as the step itself, and the time while nobody looked is not its
                    // fault.
                    let again_ms = now_ms.saturating_add(i64::from(node.timeout_seconds) * 1000);
                    effects.push(Effect::SetTimer {
                        node: node_name(),
                        at_ms: again_ms.max(*deadline_ms),
                    });
                }
                NodePhase::Backoff { next_try_ms, .. } => {
                    effects.push(Effect::SetTimer {
                        node: node_name(),
                        at_ms: *next_try_ms,
                    });
                }
                _ => {}
            }
        }
        effects
    }

    /// Whether a record follows from the state.
    pub fn admits(&self, record: &Record) -> Result<(), IllegalRecord> {
        let fact = &record.fact;
        let legal = match fact {
            Fact::RunBegan { nodes } => self.begun_ms.is_none() && *nodes == self.nodes.len(),
            _ if self.begun_ms.is_none() || self.finished.is_some() => false,
            Fact::TakenUp { .. } => true,
            Fact::CancelRequested { .. } => self.cancelled_by.is_none(),
            Fact::RunFinished { .. } => self.open == 0,
            _ => fact
                .node()
                .and_then(|name| self.place(name))
                .is_some_and(|place| self.allows(place, fact)),
        };
        if legal {
            Ok(())
        } else {
            Err(IllegalRecord {
                what: fact.to_string(),
            })
        }
    }

    fn allows(&self, place: usize, fact: &Fact) -> bool {
        let state = &self.nodes[place];
        let phase = &state.phase;
        // A record of preparing may be replayed on a node that only waits for it: see the module.
        let preparable = self.cancelled_by.is_none()
            && state.unmet == 0
            && matches!(phase, NodePhase::Preparing | NodePhase::Waiting | NodePhase::Due);
        match fact {
            Fact::StepIntended { attempt, .. } => preparable && *attempt == state.attempt + 1,
            Fact::NodeUnchanged { .. }
            | Fact::NodePostponed { .. }
            | Fact::NodeRefused { .. }
            | Fact::NodeAwaiting { .. } => preparable,
            Fact::StepOverdue { attempt, .. } => {
                *attempt == state.attempt && matches!(phase, NodePhase::Running { overdue: false, .. })
            }
            Fact::StepSucceeded {
                operation: of,
                attempt,
                ..
            }
            | Fact::StepFailed {
                operation: of,
                attempt,
                ..
            }
            | Fact::StepIndeterminate {
                operation: of,
                attempt,
                ..
            } => {
                *attempt == state.attempt
                    && matches!(phase, NodePhase::Running { operation, .. } if operation == of)
            }
            Fact::NodeDue { .. } => matches!(phase, NodePhase::Backoff { .. }),
            Fact::NodeApproved { .. } => {
                self.cancelled_by.is_none() && matches!(phase, NodePhase::Awaiting { .. })
            }
            Fact::NodeRejected { .. } => matches!(phase, NodePhase::Awaiting { .. }),
            Fact::NodeSkipped { .. } => !phase.is_final() && !matches!(phase, NodePhase::Running { .. }),
            Fact::RunBegan { .. }
            | Fact::TakenUp { .. }
            | Fact::CancelRequested { .. }
            | Fact::RunFinished { .. } => false,
        }
    }

    fn enqueue(&mut self, place: usize) {
        if self.cancelled_by.is_none() {
            self.queue.insert((self.arrivals, place));
            self.arrivals += 1;
        }
    }

    /// Changes a node's phase and all that follows from it: the queue, the places, the needs of its dependants.
    fn enter(&mut self, place: usize, phase: NodePhase, at_ms: i64) {
        let queued = matches!(self.nodes[place].phase, NodePhase::Waiting | NodePhase::Due);
        if queued {
            self.queue.retain(|(_, queued)| *queued != place);
        }
        let before = self.nodes[place].phase.holds_place();
        let after = phase.holds_place();
        if before != after {
            let node = &self.layout.nodes[place];
            let driver = self.places.drivers.entry(node.driver).or_default();
            let runner = self.places.runners.entry(node.runner.clone()).or_default();
            for used in [&mut self.places.total, driver, runner] {
                *used = if after { *used + 1 } else { used.saturating_sub(1) };
            }
        }
        let (is_final, is_done) = (phase.is_final(), phase.is_done());
        let was_final = self.nodes[place].phase.is_final();
        self.nodes[place].phase = phase;
        self.nodes[place].since_ms = Some(at_ms);
        if is_final && !was_final {
            self.open = self.open.saturating_sub(1);
        }
        if is_done && !was_final {
            for dependant in self.layout.dependants[place].clone() {
                let state = &mut self.nodes[dependant];
                state.unmet = state.unmet.saturating_sub(1);
                if state.unmet == 0 && matches!(state.phase, NodePhase::Waiting) {
                    state.since_ms = Some(at_ms);
                    self.enqueue(dependant);
                }
            }
        }
    }
}

impl Fact {
    /// The name of the node that it is about; `None` when it is about the run.
    pub fn node(&self) -> Option<&str> {
        match self {
            Self::StepIntended { node, .. }
            | Self::StepOverdue { node, .. }
            | Self::StepSucceeded { node, .. }
            | Self::StepFailed { node, .. }
            | Self::StepIndeterminate { node, .. }
            | Self::NodeUnchanged { node }
            | Self::NodePostponed { node, .. }
            | Self::NodeRefused { node, .. }
            | Self::NodeAwaiting { node, .. }
            | Self::NodeDue { node }
            | Self::NodeApproved { node, .. }
            | Self::NodeRejected { node, .. }
            | Self::NodeSkipped { node, .. } => Some(node),
            Self::RunBegan { .. }
            | Self::TakenUp { .. }
            | Self::CancelRequested { .. }
            | Self::RunFinished { .. } => None,
        }
    }
}

impl std::fmt::Display for Fact {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words = match self {
            Self::RunBegan { nodes } => return write!(formatter, "the run of {nodes} nodes began"),
            Self::TakenUp { by } => return write!(formatter, "the run was taken up by {by}"),
            Self::CancelRequested { by } => return write!(formatter, "the run was cancelled by {by}"),
            Self::RunFinished { .. } => return formatter.write_str("the run finished"),
            Self::StepIntended { .. } => "a step is intended",
            Self::StepOverdue { .. } => "the step's time is up",
            Self::StepSucceeded { .. } => "the step was done",
            Self::StepFailed { .. } => "the step failed",
            Self::StepIndeterminate { .. } => "nobody knows whether the step was done",
            Self::NodeUnchanged { .. } => "nothing is to be done",
            Self::NodePostponed { .. } => "it is judged later",
            Self::NodeRefused { .. } => "it cannot be done",
            Self::NodeAwaiting { .. } => "it waits for a person",
            Self::NodeDue { .. } => "it is tried again",
            Self::NodeApproved { .. } => "it was approved",
            Self::NodeRejected { .. } => "it was rejected",
            Self::NodeSkipped { .. } => "it is not done",
        };
        write!(formatter, "{}: {words}", self.node().unwrap_or_default())
    }
}
