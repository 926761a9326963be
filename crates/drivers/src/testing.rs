//! A runner that answers what a test needs, and operations to begin with.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use podium_model::coordinate::Coordinate;
use podium_model::graph::ModuleReference;
use podium_model::kinds::{DriverKind, ModuleContent};
use podium_model::secret::Revealed;
use podium_runners::{RunnerError, StepOutcome, StepSpec, WorkloadSpec, WorkloadStatus};
use serde_json::json;

use crate::interface::{Operation, ResourceIdentity, ScriptValues};
use crate::runner::Runner;

/// A module's content with nothing in it.
pub(crate) fn content(driver: DriverKind) -> ModuleContent {
    serde_json::from_value(json!({"type": "thing", "driver": driver})).unwrap()
}

/// An operation of a module with nothing in it.
pub(crate) fn operation(driver: DriverKind) -> Operation {
    Operation {
        step: "run-1.db-1.apply.1".into(),
        resource: ResourceIdentity {
            coordinate: Coordinate::new("thing", "default", "db"),
            uid: "uid-1".into(),
            name: "db-1".into(),
            namespace: "shop-dev".into(),
            project: "shop".into(),
            environment: "dev".into(),
            environment_type: "development".into(),
        },
        owner: "team-data".into(),
        module: ModuleReference {
            module: "thing-maker".into(),
            version: 3,
        },
        content: Arc::new(content(driver)),
        bundle: None,
        inputs: Revealed::new(json!({}), Vec::new()),
        script: ScriptValues::default(),
        previous: None,
        state: None,
        ports: BTreeMap::new(),
        sensitive_outputs: false,
        deadline_ms: 0,
    }
}

/// Remembers what it was asked, and answers what it was told to.
#[derive(Default)]
pub(crate) struct FakeRunner {
    volumes: Mutex<BTreeSet<String>>,
    /// Outcomes of the steps that were begun, by id.
    pub(crate) steps: Mutex<BTreeMap<String, StepOutcome>>,
    /// What the next step that is begun comes to.
    pub(crate) next: Mutex<Option<StepOutcome>>,
    /// The steps that were begun, in order.
    pub(crate) begun: Mutex<Vec<StepSpec>>,
    /// The workloads that were started, in order.
    pub(crate) started: Mutex<Vec<WorkloadSpec>>,
    /// What is told of a workload, one after the other.
    pub(crate) statuses: Mutex<Vec<WorkloadStatus>>,
    /// What the next step that is begun or awaited fails with.
    pub(crate) error: Mutex<Option<RunnerError>>,
    /// Lines of the workload's log.
    pub(crate) log: Mutex<Vec<String>>,
}

impl FakeRunner {
    pub(crate) fn volumes(&self) -> Vec<String> {
        self.volumes.lock().unwrap().iter().cloned().collect()
    }
}

#[async_trait]
impl Runner for FakeRunner {
    fn step_root(&self, step: &str) -> PathBuf {
        PathBuf::from("/roots").join(step)
    }

    async fn run_step(&self, spec: StepSpec) -> Result<StepOutcome, RunnerError> {
        if let Some(error) = self.error.lock().unwrap().take() {
            return Err(error);
        }
        let id = spec.id.clone();
        if let Some(outcome) = self.steps.lock().unwrap().get(&id) {
            return Ok(outcome.clone());
        }
        self.begun.lock().unwrap().push(spec);
        let outcome = self.next.lock().unwrap().take().unwrap();
        self.steps.lock().unwrap().insert(id, outcome.clone());
        Ok(outcome)
    }

    async fn await_step(&self, step: &str) -> Result<Option<StepOutcome>, RunnerError> {
        if let Some(error) = self.error.lock().unwrap().take() {
            return Err(error);
        }
        Ok(self.steps.lock().unwrap().get(step).cloned())
    }

    async fn stop_step(&self, _step: &str) -> Result<(), RunnerError> {
        Ok(())
    }

    async fn forget_step(&self, step: &str) -> Result<(), RunnerError> {
        self.steps.lock().unwrap().remove(step);
        Ok(())
    }

    async fn ensure_volume(&self, namespace: &str, name: &str) -> Result<PathBuf, RunnerError> {
        self.volumes.lock().unwrap().insert(format!("{namespace}/{name}"));
        Ok(PathBuf::from("/volumes").join(namespace).join(name))
    }

    async fn remove_volume(&self, namespace: &str, name: &str) -> Result<(), RunnerError> {
        self.volumes
            .lock()
            .unwrap()
            .remove(&format!("{namespace}/{name}"));
        Ok(())
    }

    fn workload_root(&self, uid: &str) -> PathBuf {
        PathBuf::from("/roots").join(uid)
    }

    async fn run_workload(&self, spec: WorkloadSpec) -> Result<(), RunnerError> {
        self.started.lock().unwrap().push(spec);
        Ok(())
    }

    async fn next_workload_status(
        &self,
        _uid: &str,
        seen: Option<&WorkloadStatus>,
    ) -> Result<Option<WorkloadStatus>, RunnerError> {
        loop {
            let next = {
                let mut statuses = self.statuses.lock().unwrap();
                if statuses.is_empty() {
                    None
                } else {
                    Some(statuses.remove(0))
                }
            };
            match next {
                None => return std::future::pending().await,
                Some(status) if Some(&status) == seen => {}
                Some(status) => return Ok(Some(status)),
            }
        }
    }

    async fn workload_log(&self, _uid: &str, lines: usize) -> Result<Vec<String>, RunnerError> {
        let log = self.log.lock().unwrap();
        Ok(log[log.len().saturating_sub(lines)..].to_vec())
    }

    async fn remove_workload(&self, _uid: &str) -> Result<(), RunnerError> {
        self.started.lock().unwrap().clear();
        Ok(())
    }

    fn command_path(&self, with_podium: bool) -> Result<String, RunnerError> {
        Ok(if with_podium {
            "/podium:/usr/bin:/bin"
        } else {
            "/usr/bin:/bin"
        }
        .to_owned())
    }
}
