//! Whether a workload has become what it should be, and if not, why. Pure.

use podium_runners::{ContainerState, ContainerStatus, WorkloadStatus};

use super::document::Document;
use crate::workload::START;

/// Where a workload is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It runs as specified and is ready.
    Ready,
    /// It may still become ready.
    Underway,
    /// It will not.
    Hopeless {
        /// The container that stands in the way.
        part: String,
        /// Why.
        why: String,
    },
}

/// Judges a status of the workload with this digest.
pub(super) fn progress(status: &WorkloadStatus, digest: &str) -> Progress {
    if status.digest != digest || status.stopping {
        // What ran before is about to be gone.
        return Progress::Underway;
    }
    if status.ready {
        return Progress::Ready;
    }
    match status
        .containers
        .iter()
        .find(|container| container.state == ContainerState::Failed)
    {
        Some(failed) => Progress::Hopeless {
            part: failed.name.clone(),
            why: describe(failed, ""),
        },
        None => Progress::Underway,
    }
}

/// The container that keeps the workload from being ready, and why.
pub(super) fn why_not_ready(status: Option<&WorkloadStatus>, document: &Document) -> (String, String) {
    let Some(status) = status else {
        return (START.to_owned(), "its supervisor did not answer".to_owned());
    };
    let unready =
        |container: &&ContainerStatus| !container.ready && container.state != ContainerState::Completed;
    // Those that only wait for another one are not the cause.
    let culprit = status
        .containers
        .iter()
        .filter(unready)
        .find(|container| container.state != ContainerState::Waiting)
        .or_else(|| status.containers.iter().find(unready));
    match culprit {
        Some(container) => {
            let probe = document
                .containers
                .get(&container.name)
                .and_then(|known| known.readiness.as_ref())
                .map_or_else(String::new, |probe| format!(" ({})", probe.words));
            (container.name.clone(), describe(container, &probe))
        }
        None => (START.to_owned(), "it was being replaced".to_owned()),
    }
}

fn describe(container: &ContainerStatus, probe: &str) -> String {
    let name = &container.name;
    let exit = container
        .last_exit
        .map_or_else(String::new, |exit| format!("ended with {exit}"));
    let reason = container.reason.clone().unwrap_or_default();
    match container.state {
        ContainerState::Waiting => {
            format!("container {name} waits: {}", or(&reason, "for another container"))
        }
        ContainerState::Starting => format!("container {name} is being started"),
        ContainerState::Running => match &container.probe_failure {
            Some(failure) => format!(
                "the readiness probe{probe} of container {name} failed last with: {failure}{}",
                if exit.is_empty() {
                    String::new()
                } else {
                    format!("; before that the container {exit}")
                }
            ),
            None => format!("the readiness probe{probe} of container {name} has not succeeded yet"),
        },
        ContainerState::Backoff => format!(
            "container {name} {}, {} restarts so far",
            or(&exit, &or(&reason, "could not be started")),
            container.restarts
        ),
        ContainerState::Failed => {
            format!(
                "container {name} {} and is not started again",
                or(&exit, &or(&reason, "failed"))
            )
        }
        ContainerState::Completed | ContainerState::Stopping | ContainerState::Unknown => {
            format!(
                "container {name} is not ready{}",
                if reason.is_empty() {
                    reason
                } else {
                    format!(": {reason}")
                }
            )
        }
    }
}

fn or(text: &str, otherwise: &str) -> String {
    if text.is_empty() {
        otherwise.to_owned()
    } else {
        text.to_owned()
    }
}
