//! A run as people and clients see it.

use jiff::Timestamp;
use podium_model::api::StepView;
use podium_model::kinds::RunPhase;

use crate::machine::{Because, NodePhase, NodeState, RunOutcome, RunState, for_people};

/// Where the run stands.
pub fn phase(state: &RunState) -> RunPhase {
    match state.finished().map(|finished| finished.outcome) {
        Some(RunOutcome::Succeeded) => RunPhase::Succeeded,
        Some(RunOutcome::Failed) => RunPhase::Failed,
        Some(RunOutcome::Cancelled) => RunPhase::Cancelled,
        None if state.begun_ms().is_none() => RunPhase::Queued,
        None => {
            let (mut at_work, mut awaiting) = (false, false);
            for (_, node) in state.nodes() {
                match node.phase {
                    NodePhase::Awaiting { .. } => awaiting = true,
                    NodePhase::Preparing
                    | NodePhase::Running { .. }
                    | NodePhase::Due
                    | NodePhase::Backoff { .. } => {
                        at_work = true;
                    }
                    _ => {}
                }
            }
            if awaiting && !at_work {
                RunPhase::AwaitingApproval
            } else {
                RunPhase::Running
            }
        }
    }
}

/// The steps of a run, one for each node, in an order in which they can begin.
pub fn views(state: &RunState) -> Vec<StepView> {
    let view = |(node, progress): (&std::sync::Arc<crate::WorkNode>, &NodeState)| StepView {
        resource: node.coordinate.clone(),
        name: node.name.clone(),
        module: node.module.clone(),
        action: node.action,
        state: word(&progress.phase).to_owned(),
        attempt: progress.attempt,
        message: message(state, &node.name, progress),
        started: progress.started_ms.and_then(time),
        finished: progress
            .since_ms
            .filter(|_| progress.phase.is_final())
            .and_then(time),
        next_try: match progress.phase {
            NodePhase::Backoff { next_try_ms, .. } => time(next_try_ms),
            _ => None,
        },
    };
    state.nodes().map(view).collect()
}

fn word(phase: &NodePhase) -> &'static str {
    match phase {
        NodePhase::Waiting | NodePhase::Due => "waiting",
        NodePhase::Preparing | NodePhase::Running { .. } => "running",
        NodePhase::Backoff { .. } => "backoff",
        NodePhase::Awaiting { .. } => "awaitingApproval",
        NodePhase::Succeeded => "succeeded",
        NodePhase::Unchanged => "unchanged",
        NodePhase::Failed { .. } => "failed",
        NodePhase::Skipped { .. } => "skipped",
    }
}

fn message(state: &RunState, name: &str, node: &NodeState) -> String {
    if let Some(wait) = state.wait(name) {
        return wait.reason;
    }
    match &node.phase {
        NodePhase::Preparing => "evaluates its inputs".to_owned(),
        NodePhase::Running { overdue: true, .. } => "its time is up; it is being stopped".to_owned(),
        NodePhase::Running { .. } if state.cancelled_by().is_some() => "is being stopped".to_owned(),
        NodePhase::Running { operation, .. } => operation.to_string(),
        NodePhase::Failed { error } => error.clone(),
        NodePhase::Skipped { because } => match because {
            Because::Needs { node: needed } => {
                let needed = state
                    .node(needed)
                    .map_or_else(|| needed.clone(), |(needed, _)| for_people(needed));
                format!("needs {needed}, which was not done")
            }
            Because::Rejected { by } => format!("rejected by {by}"),
            Because::Cancelled { by } => match &node.trouble {
                Some(trouble) if node.attempt > 0 => format!("cancelled by {by}; {trouble}"),
                _ => format!("cancelled by {by}"),
            },
        },
        _ => String::new(),
    }
}

fn time(milliseconds: i64) -> Option<Timestamp> {
    Timestamp::from_millisecond(milliseconds).ok()
}
