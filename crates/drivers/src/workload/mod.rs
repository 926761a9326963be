//! The driver `workload`: what a developer runs, as processes on the runner.
//!
//! **Inputs**, as a Score document has them after its placeholders were filled in: `metadata` (`name`, `annotations`),
//! `containers`, `service`, and `ports`, a map of port name to allotted port. What is not known to Score is ignored.
//!
//! **What a container finds.** Its working folder is the workload's root, which all containers of the workload share;
//! files and volumes lie beneath it, whatever their path begins with. Variables beside its own, which come last and
//! replace any of them:
//! - `PODIUM_ROOT` and `HOME`: the root; `TMPDIR`: a folder in it; `PATH`: the system's folders, with `podium` on it for
//!   containers whose command is `podium`;
//! - for each service port `PORT_NAME` (in upper case, other characters as `_`), and `PORT` for the first of them in
//!   the order of their names, since a Score document's maps have no other order; `HOST`: `127.0.0.1`, the address to
//!   listen on. A container that must listen on the ports that were allotted is told by these alone: the numbers in
//!   the document are those of a container network, which processes do not have. An HTTP probe that names such a
//!   number is sent to the allotted port.
//!
//! **How `before` is read**: as score-compose does. `containers.init.before.main.ready: complete` makes `main` wait for
//! `init`.
//!
//! **What it refuses**, all of it at once: a container without `command` (its image cannot be run), a volume that is
//! not of the same environment, a part of a volume (`path`: on processes nothing keeps a link in the volume from
//! leading out of it), probes by HTTPS, two containers that write different files to one place. What it cannot do but
//! goes on without, [`warnings`] tells.
//!
//! Raw outputs: `name`, `host`, `ports` (by name) and `urls` (one for each TCP port).

mod advice;
mod document;
mod progress;
mod specification;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use podium_model::kinds::{DriverKind, ModuleContent, Recovery};
use podium_model::plan::Fidelity;
use podium_model::secret::Revealed;
use podium_runners::{RunnerError, WorkloadStatus};
use serde_json::{Map, Value as Json, json};

use crate::failure::{TAIL_LINES, hopeless, of_runner, of_step, one_line, tail};
use crate::interface::{Driver, Observation, Operation, Outcome};
use crate::preview::fidelity;
use crate::runner::Runner;
use crate::stops::{Listening, Stops};
pub use advice::{refusals, warnings};
use progress::{Progress, progress};
pub use specification::DigestKey;

/// The address at which workloads answer.
pub const HOST: &str = "127.0.0.1";
/// The annotation of a workload that says how many seconds it may take to become ready.
pub const PROGRESS_DEADLINE: &str = "podium.dev/progress-deadline-seconds";
/// How long it may take when nothing is said.
const DEFAULT_DEADLINE: Duration = Duration::from_mins(5);
/// The step that failures of making it run name.
const START: &str = "start";

/// The driver.
pub struct WorkloadDriver {
    runner: Arc<dyn Runner>,
    key: DigestKey,
    stops: Stops,
}

/// How waiting ended.
enum Waited {
    Ready,
    /// It will not become ready.
    Hopeless {
        part: String,
        why: String,
    },
    /// The deadline passed; what was last seen.
    TooLate(Option<WorkloadStatus>),
    Stopped,
    Failed(RunnerError),
}

impl WorkloadDriver {
    /// A driver whose workloads run on this runner.
    pub fn new(runner: Arc<dyn Runner>, key: DigestKey) -> Self {
        Self {
            runner,
            key,
            stops: Stops::default(),
        }
    }

    /// Waits until the workload runs as specified and is ready.
    async fn wait(
        &self,
        operation: &Operation,
        digest: &str,
        deadline: Duration,
        stop: &Listening<'_>,
    ) -> Waited {
        let seen = Mutex::new(None);
        let uid = &operation.resource.uid;
        let ready = async {
            loop {
                let before = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let status = match self.runner.next_workload_status(uid, before.as_ref()).await {
                    Ok(Some(status)) => status,
                    Ok(None) => {
                        return Waited::Hopeless {
                            part: START.to_owned(),
                            why: "its supervisor has ended".to_owned(),
                        };
                    }
                    Err(error) => return Waited::Failed(error),
                };
                let now = progress(&status, digest);
                *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
                match now {
                    Progress::Ready => return Waited::Ready,
                    Progress::Hopeless { part, why } => return Waited::Hopeless { part, why },
                    Progress::Underway => {}
                }
            }
        };
        tokio::select! {
            waited = ready => waited,
            () = stop.told() => Waited::Stopped,
            () = tokio::time::sleep(deadline) => {
                Waited::TooLate(seen.lock().unwrap_or_else(PoisonError::into_inner).take())
            }
        }
    }

    async fn fail(&self, operation: &Operation, part: &str, what: &str) -> Outcome {
        let uid = &operation.resource.uid;
        // The supervisor's own lines say why something did not start; the failure has that already.
        let log = self
            .runner
            .workload_log(uid, TAIL_LINES * 5)
            .await
            .unwrap_or_default();
        of_step(
            operation,
            part,
            what,
            tail(&log, &operation.secrets(), None),
            false,
            None,
        )
    }
}

fn outputs(name: &str, ports: &BTreeMap<String, document::Port>) -> Json {
    let numbers: Map<String, Json> = ports
        .iter()
        .map(|(name, port)| (name.clone(), json!(port.allotted)))
        .collect();
    let urls: Vec<String> = ports
        .values()
        .filter(|port| port.is_tcp)
        .map(|port| format!("http://{HOST}:{}", port.allotted))
        .collect();
    json!({"name": name, "host": HOST, "ports": numbers, "urls": urls})
}

#[async_trait]
impl Driver for WorkloadDriver {
    fn kind(&self) -> DriverKind {
        DriverKind::Workload
    }

    fn previews(&self) -> Fidelity {
        fidelity(self.kind())
    }

    fn recovery(&self, _content: &ModuleContent) -> Recovery {
        Recovery::Named
    }

    async fn apply(&self, operation: &Operation) -> Outcome {
        let stop = self.stops.listen(&operation.step);
        let document = match document::read(operation.inputs.expose(), &operation.ports) {
            Ok(document) => document,
            Err(problems) => return hopeless(operation, START, &problems.join("; ")),
        };
        let spec = match specification::build(operation, &document, &*self.runner, &self.key).await {
            Ok(spec) => spec,
            Err(what) => return hopeless(operation, START, &what),
        };
        let digest = spec.digest.clone();
        match self.runner.run_workload(spec).await {
            Ok(()) => {}
            Err(error @ (RunnerError::Invalid { .. } | RunnerError::ShimRefused { .. })) => {
                return hopeless(operation, START, &one_line(&error));
            }
            Err(error) => return of_runner(START, &error),
        }
        let deadline = document.progress_deadline.unwrap_or(DEFAULT_DEADLINE);
        match self.wait(operation, &digest, deadline, &stop).await {
            Waited::Ready => Outcome::Applied {
                outputs: Revealed::new(outputs(&document.name, &document.ports), Vec::new()),
                sensitive: Vec::new(),
                state: None,
                log_tail: String::new(),
            },
            Waited::Hopeless { part, why } => {
                self.fail(operation, &part, &format!("the workload did not start: {why}"))
                    .await
            }
            Waited::TooLate(seen) => {
                let (part, why) = progress::why_not_ready(seen.as_ref(), &document);
                let what = format!(
                    "the workload was not ready within its progress deadline of {} s: {why}; annotation \
                     {PROGRESS_DEADLINE} changes the deadline",
                    deadline.as_secs()
                );
                self.fail(operation, &part, &what).await
            }
            Waited::Stopped => {
                self.fail(
                    operation,
                    START,
                    "waiting for the workload was told to stop; it keeps running",
                )
                .await
            }
            Waited::Failed(error) => of_runner(START, &error),
        }
    }

    async fn destroy(&self, operation: &Operation) -> Outcome {
        match self.runner.remove_workload(&operation.resource.uid).await {
            Ok(()) => Outcome::Destroyed,
            Err(error) => of_runner("stop", &error),
        }
    }

    async fn observe(&self, operation: &Operation) -> Observation {
        match self
            .runner
            .next_workload_status(&operation.resource.uid, None)
            .await
        {
            Ok(Some(status)) if status.ready => Observation {
                healthy: Some(true),
                message: String::new(),
            },
            Ok(Some(status)) => {
                let message = match document::read(operation.inputs.expose(), &operation.ports) {
                    Ok(document) => progress::why_not_ready(Some(&status), &document).1,
                    Err(_) => "it is not ready".to_owned(),
                };
                Observation {
                    healthy: Some(false),
                    message,
                }
            }
            Ok(None) => Observation {
                healthy: Some(false),
                message: "it does not run".to_owned(),
            },
            Err(error) => Observation {
                healthy: None,
                message: one_line(&error),
            },
        }
    }

    async fn recover(&self, operation: &Operation, is_destroy: bool) -> Outcome {
        if is_destroy {
            self.destroy(operation).await
        } else {
            self.apply(operation).await
        }
    }

    async fn stop(&self, step: &str) {
        self.stops.tell(step);
    }

    async fn forget(&self, _step: &str) {}
}

#[cfg(test)]
mod tests;
