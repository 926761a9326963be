//! From what happened to the records that say so.

use super::record::{Because, Fact, IllegalInput, Input, Record, RunOutcome};
use super::{NodePhase, RunState, for_people};
use crate::executor::{Prepared, StepOutcome};
use crate::work::{Operation, StepId};

/// Longest wait between two tries.
const LONGEST_BACKOFF_SECONDS: u64 = 300;

/// First wait of a node that could not be judged.
const FIRST_POSTPONEMENT_SECONDS: u32 = 1;

impl RunState {
    /// Judges what happened. The records become true when they are committed; none, when it changes nothing, as
    /// with a timer or an answer that came late.
    pub fn decide(&self, input: &Input, now_ms: i64) -> Result<Vec<Record>, IllegalInput> {
        let facts = self.facts(input, now_ms)?;
        let mut records: Vec<_> = facts
            .into_iter()
            .map(|fact| Record { at_ms: now_ms, fact })
            .collect();
        // Each fact ends one node at most, so there is no need to look further while more are open.
        if !records.is_empty() && self.open <= records.len() {
            let mut after = self.clone();
            for record in &records {
                after.apply(record);
            }
            if after.open == 0 && after.finished.is_none() {
                records.push(Record {
                    at_ms: now_ms,
                    fact: after.ending(),
                });
            }
        }
        Ok(records)
    }

    fn facts(&self, input: &Input, now_ms: i64) -> Result<Vec<Fact>, IllegalInput> {
        if self.finished.is_some() {
            return Err(IllegalInput::Over);
        }
        if self.begun_ms.is_some() == matches!(input, Input::Begin) {
            let begun = self.begun_ms.is_some();
            return Err(if begun {
                IllegalInput::BegunAlready
            } else {
                IllegalInput::NotBegun
            });
        }
        match input {
            Input::Begin => Ok(vec![Fact::RunBegan {
                nodes: self.nodes.len(),
            }]),
            Input::TakeUp { by } => Ok(vec![Fact::TakenUp { by: by.clone() }]),
            Input::Prepared { node, prepared } => self.prepared(node, prepared, now_ms),
            Input::StepEnded { step, outcome } => self.step_ended(step, outcome, now_ms),
            Input::TimerFired { node } => self.timer_fired(node, now_ms),
            Input::Approved { node, by } => {
                if self.cancelled_by.is_some() {
                    return Err(IllegalInput::Cancelling);
                }
                let places = self.waiting_for_person(node.as_deref(), "an approval")?;
                Ok(places.into_iter().map(|place| self.approved(place, by)).collect())
            }
            Input::Rejected { node, by } => {
                let places = self.waiting_for_person(node.as_deref(), "a rejection")?;
                let mut facts = Vec::new();
                for place in places {
                    let node = self.layout.nodes[place].name.clone();
                    if facts.iter().any(|fact: &Fact| fact.node() == Some(&*node)) {
                        continue;
                    }
                    facts.push(Fact::NodeRejected { node, by: by.clone() });
                    self.skip_downstream(place, &mut facts);
                }
                Ok(facts)
            }
            Input::CancelRequested { by } => Ok(self.cancel(by)),
        }
    }

    fn prepared(&self, name: &str, prepared: &Prepared, now_ms: i64) -> Result<Vec<Fact>, IllegalInput> {
        let place = self.known(name)?;
        let state = &self.nodes[place];
        let node = name.to_owned();
        if state.phase.is_final() {
            return Ok(Vec::new());
        }
        if !matches!(state.phase, NodePhase::Preparing) {
            return Err(self.wrong_phase(place, "an answer about what is to be done", "being prepared"));
        }
        match prepared {
            Prepared::Proceed { operations } => {
                let left: Vec<_> = operations
                    .iter()
                    .copied()
                    .filter(|operation| !state.done.contains(operation))
                    .collect();
                let action = self.layout.nodes[place].action;
                let beyond = left
                    .iter()
                    .find(|operation| !Operation::of(action).contains(operation));
                if let Some(beyond) = beyond
                    && state.outside_approved_by.is_none()
                {
                    let reason = format!("it would be {}, but the plan says {action}", past(*beyond));
                    return Ok(vec![Fact::NodeAwaiting { node, reason }]);
                }
                Ok(match left.split_first() {
                    None => vec![Fact::NodeUnchanged { node }],
                    Some((first, then)) => vec![self.intend(place, *first, then, state.attempt + 1, now_ms)],
                })
            }
            Prepared::Unchanged => Ok(vec![Fact::NodeUnchanged { node }]),
            Prepared::Outside { reason } => Ok(vec![Fact::NodeAwaiting {
                node,
                reason: reason.clone(),
            }]),
            Prepared::Later { reason } => {
                let next_try_ms =
                    now_ms.saturating_add(backoff_ms(FIRST_POSTPONEMENT_SECONDS, state.postponed));
                Ok(vec![Fact::NodePostponed {
                    node,
                    reason: reason.clone(),
                    next_try_ms,
                }])
            }
            Prepared::Refused { message } => {
                let mut facts = vec![Fact::NodeRefused {
                    node,
                    error: message.clone(),
                }];
                self.skip_downstream(place, &mut facts);
                Ok(facts)
            }
        }
    }

    fn intend(
        &self,
        place: usize,
        operation: Operation,
        then: &[Operation],
        attempt: u32,
        now_ms: i64,
    ) -> Fact {
        let node = &self.layout.nodes[place];
        Fact::StepIntended {
            node: node.name.clone(),
            operation,
            then: then.to_vec(),
            attempt,
            token: format!("{}/{}/{operation}", self.run.uid, node.name),
            deadline_ms: now_ms.saturating_add(i64::from(node.timeout_seconds) * 1000),
        }
    }

    fn step_ended(
        &self,
        step: &StepId,
        outcome: &StepOutcome,
        now_ms: i64,
    ) -> Result<Vec<Fact>, IllegalInput> {
        let place = self.known(&step.node)?;
        let state = &self.nodes[place];
        let under_way = self.step_at(place);
        if under_way.is_none_or(|under_way| under_way.id != *step) {
            return Err(IllegalInput::WrongStep { step: step.clone() });
        }
        let NodePhase::Running { operation, then, .. } = &state.phase else {
            return Err(IllegalInput::WrongStep { step: step.clone() });
        };
        let (node, operation, attempt) = (step.node.clone(), *operation, step.attempt);
        let cancelled = || self.cancelled_by.clone().map(|by| Because::Cancelled { by });
        match outcome {
            StepOutcome::Succeeded { result } => {
                let mut facts = vec![Fact::StepSucceeded {
                    node: node.clone(),
                    operation,
                    attempt,
                    result: result.clone(),
                }];
                if let Some((next, rest)) = then.split_first() {
                    facts.push(match cancelled() {
                        Some(because) => Fact::NodeSkipped { node, because },
                        None => self.intend(place, *next, rest, attempt + 1, now_ms),
                    });
                }
                Ok(facts)
            }
            StepOutcome::Failed { message, retriable } => {
                let retry = &self.layout.nodes[place].retry;
                let again = *retriable && self.cancelled_by.is_none() && state.tries < retry.attempts;
                let next_try_ms = again.then(|| {
                    now_ms.saturating_add(backoff_ms(retry.backoff_seconds, state.tries.saturating_sub(1)))
                });
                let (error, retriable) = (message.clone(), *retriable);
                let mut facts = vec![Fact::StepFailed {
                    node,
                    operation,
                    attempt,
                    error,
                    retriable,
                    next_try_ms,
                }];
                if !again {
                    self.skip_downstream(place, &mut facts);
                }
                Ok(facts)
            }
            StepOutcome::Indeterminate { known } => {
                let mut facts = vec![Fact::StepIndeterminate {
                    node: node.clone(),
                    operation,
                    attempt,
                    known: known.clone(),
                }];
                facts.extend(cancelled().map(|because| Fact::NodeSkipped { node, because }));
                Ok(facts)
            }
        }
    }

    fn timer_fired(&self, name: &str, now_ms: i64) -> Result<Vec<Fact>, IllegalInput> {
        let state = &self.nodes[self.known(name)?];
        let node = name.to_owned();
        Ok(match state.phase {
            NodePhase::Backoff { next_try_ms, .. } if next_try_ms <= now_ms => vec![Fact::NodeDue { node }],
            NodePhase::Running {
                deadline_ms,
                overdue: false,
                ..
            } if deadline_ms <= now_ms => {
                vec![Fact::StepOverdue {
                    node,
                    attempt: state.attempt,
                }]
            }
            _ => Vec::new(),
        })
    }

    fn approved(&self, place: usize, by: &str) -> Fact {
        Fact::NodeApproved {
            node: self.layout.nodes[place].name.clone(),
            by: by.to_owned(),
        }
    }

    fn cancel(&self, by: &str) -> Vec<Fact> {
        if self.cancelled_by.is_some() {
            return Vec::new();
        }
        let mut facts = vec![Fact::CancelRequested { by: by.to_owned() }];
        for &place in &self.layout.order {
            let phase = &self.nodes[place].phase;
            if !phase.is_final() && !matches!(phase, NodePhase::Running { .. }) {
                let node = self.layout.nodes[place].name.clone();
                facts.push(Fact::NodeSkipped {
                    node,
                    because: Because::Cancelled { by: by.to_owned() },
                });
            }
        }
        facts
    }

    /// Those that need a node that will not be done are not done either.
    fn skip_downstream(&self, place: usize, facts: &mut Vec<Fact>) {
        let cause = &self.layout.nodes[place].name;
        for dependant in self.layout.downstream(place) {
            let node = &self.layout.nodes[dependant].name;
            let told = facts.iter().any(|fact| fact.node() == Some(node.as_str()));
            if !told && !self.nodes[dependant].phase.is_final() {
                facts.push(Fact::NodeSkipped {
                    node: node.clone(),
                    because: Because::Needs { node: cause.clone() },
                });
            }
        }
    }

    fn waiting_for_person(
        &self,
        name: Option<&str>,
        input: &'static str,
    ) -> Result<Vec<usize>, IllegalInput> {
        let waits = |place: &usize| matches!(self.nodes[*place].phase, NodePhase::Awaiting { .. });
        if let Some(name) = name {
            let place = self.known(name)?;
            if !waits(&place) {
                return Err(self.wrong_phase(place, input, "waiting for a person"));
            }
            return Ok(vec![place]);
        }
        let places: Vec<_> = self.layout.order.iter().copied().filter(waits).collect();
        if places.is_empty() {
            Err(IllegalInput::NothingWaits)
        } else {
            Ok(places)
        }
    }

    /// How the run ended, all nodes being final.
    fn ending(&self) -> Fact {
        let mut failures = Vec::new();
        for (node, state) in self.nodes() {
            let name = for_people(node);
            match &state.phase {
                NodePhase::Failed { error } => failures.push(format!("{name}: {error}")),
                NodePhase::Skipped {
                    because: Because::Rejected { by },
                } => {
                    let trouble = state.trouble.as_ref().map(|trouble| format!(" after {trouble}"));
                    failures.push(format!("{name}: rejected by {by}{}", trouble.unwrap_or_default()));
                }
                NodePhase::Skipped {
                    because: Because::Cancelled { .. },
                } if state.attempt > 0 => {
                    let trouble = state
                        .trouble
                        .as_deref()
                        .unwrap_or("its last operation was not begun");
                    failures.push(format!("{name}: cancelled half way: {trouble}"));
                }
                _ => {}
            }
        }
        let outcome = if self.cancelled_by.is_some() {
            RunOutcome::Cancelled
        } else if failures.is_empty() {
            RunOutcome::Succeeded
        } else {
            RunOutcome::Failed
        };
        Fact::RunFinished { outcome, failures }
    }

    fn known(&self, name: &str) -> Result<usize, IllegalInput> {
        self.place(name)
            .ok_or_else(|| IllegalInput::UnknownNode(name.to_owned()))
    }

    fn wrong_phase(&self, place: usize, input: &'static str, must: &'static str) -> IllegalInput {
        IllegalInput::WrongPhase {
            node: self.layout.nodes[place].name.clone(),
            input,
            is: self.nodes[place].phase.word(),
            must,
        }
    }
}

/// Doubled each time, up to five minutes.
fn backoff_ms(first_seconds: u32, times_before: u32) -> i64 {
    let factor = 1_u64 << times_before.min(16);
    let seconds = u64::from(first_seconds)
        .saturating_mul(factor)
        .min(LONGEST_BACKOFF_SECONDS);
    i64::try_from(seconds * 1000).unwrap_or(i64::MAX)
}

fn past(operation: Operation) -> &'static str {
    match operation {
        Operation::Apply => "applied",
        Operation::Destroy => "destroyed",
    }
}
