//! What the records of a run mean for its objects.

use std::collections::BTreeMap;

use jiff::Timestamp;
use podium_engine::{Fact, ObjectChanges, Operation, Record, RunContext, RunOutcome, RunState};
use podium_model::condition::ConditionStatus;
use podium_model::kinds::{
    Applied, ENVIRONMENTS, EnvironmentSpec, EnvironmentStatus, Phase, RELEASES, RESOURCES, RUNS, ReleaseSpec,
    ReleaseStatus, ResourceSpec, ResourceStatus, RunPhase, RunSpec, RunStatus,
};
use podium_model::plan::Action;
use podium_store::Change;

use super::{DriverExecutor, PoisonError, release_name};
use crate::environment::{ResourceObject, blob, write_blob};
use crate::error::ControlError;
use crate::objects::{Object, cluster, get, namespaced, set_ready};

/// The objects that a batch of records changes, each read once.
struct Batch<'a> {
    executor: &'a DriverExecutor,
    run: &'a RunContext,
    state: &'a RunState,
    resources: BTreeMap<String, Option<ResourceObject>>,
    deleted: Vec<String>,
    changes: ObjectChanges,
}

pub(super) async fn changes(
    executor: &DriverExecutor,
    run: &RunContext,
    records: &[Record],
    state: &RunState,
) -> Result<ObjectChanges, ControlError> {
    let mut batch = Batch {
        executor,
        run,
        state,
        resources: BTreeMap::new(),
        deleted: Vec::new(),
        changes: ObjectChanges::default(),
    };
    for record in records {
        batch.record(record).await?;
    }
    batch.run_objects(records).await?;
    batch.finish()
}

impl Batch<'_> {
    async fn resource(&mut self, name: &str) -> Result<Option<&mut ResourceObject>, ControlError> {
        if !self.resources.contains_key(name) {
            let key = namespaced(RESOURCES, &self.run.namespace, name);
            let found = get::<ResourceSpec, ResourceStatus>(&*self.executor.store, &key).await?;
            self.resources.insert(name.to_owned(), found);
        }
        Ok(self.resources.get_mut(name).and_then(Option::as_mut))
    }

    async fn record(&mut self, record: &Record) -> Result<(), ControlError> {
        let now = time(record.at_ms);
        match &record.fact {
            Fact::StepIntended {
                node,
                operation: Operation::Apply,
                ..
            } => self.apply_begins(node, now).await?,
            Fact::StepIntended {
                node,
                operation: Operation::Destroy,
                ..
            } => {
                if let Some(resource) = self.resource(node).await? {
                    show(resource, Phase::Deleting, "Deleting", "is being removed", now);
                }
            }
            Fact::StepSucceeded {
                node,
                operation: Operation::Apply,
                result,
                ..
            } => {
                let text = |name: &str| result[name].as_str().unwrap_or_default().to_owned();
                let blobs: Vec<String> = ["outputsBlob", "toolOutputs", "driverState", "log"]
                    .iter()
                    .map(|name| text(name))
                    .collect();
                for digest in blobs.iter().filter(|digest| !digest.is_empty()) {
                    self.changes.blobs.push(blob(digest)?);
                }
                if let Some(resource) = self.resource(node).await? {
                    resource.status.outputs = Some(result["outputs"].clone());
                    resource.status.outputs_blob = text("outputsBlob");
                    resource.status.tool_outputs = text("toolOutputs");
                    resource.status.driver_state = text("driverState");
                    resource.status.log = text("log");
                    if let Some(applied) = &mut resource.status.applied {
                        applied.complete = true;
                    }
                    show(resource, Phase::Ready, "Ready", "", now);
                }
            }
            Fact::StepSucceeded {
                node,
                operation: Operation::Destroy,
                ..
            } => {
                let goes = self
                    .state
                    .node(node)
                    .is_some_and(|(work, _)| work.action == Action::Delete);
                if goes {
                    if self.resource(node).await?.is_some() {
                        self.deleted.push(node.clone());
                    }
                } else if let Some(resource) = self.resource(node).await? {
                    resource.status.applied = None;
                    resource.status.outputs = None;
                    resource.status.outputs_blob.clear();
                    resource.status.tool_outputs.clear();
                    resource.status.driver_state.clear();
                    show(
                        resource,
                        Phase::Waiting,
                        "Replacing",
                        "was removed to be made anew",
                        now,
                    );
                }
            }
            Fact::StepFailed {
                node,
                error,
                next_try_ms,
                operation,
                ..
            } => {
                let kept = self
                    .executor
                    .left_behind
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .get(node)
                    .cloned();
                let kept = kept.unwrap_or_default();
                for digest in [&kept.driver_state, &kept.log]
                    .into_iter()
                    .filter(|digest| !digest.is_empty())
                {
                    self.changes.blobs.push(blob(digest)?);
                }
                let destroying = *operation == Operation::Destroy;
                if let Some(resource) = self.resource(node).await? {
                    if !kept.driver_state.is_empty() {
                        resource.status.driver_state = kept.driver_state;
                    }
                    resource.status.log = kept.log;
                    match next_try_ms {
                        Some(next) => {
                            let message = format!("failed, is tried again at {}: {error}", time(*next));
                            let phase = if destroying {
                                Phase::Deleting
                            } else {
                                Phase::Applying
                            };
                            show(resource, phase, "Retrying", &message, now);
                        }
                        None => show(resource, Phase::Failed, "Failed", error, now),
                    }
                }
            }
            Fact::StepIndeterminate { node, known, .. } => {
                if let Some(resource) = self.resource(node).await? {
                    show(resource, Phase::Failed, "Indeterminate", known, now);
                }
            }
            Fact::NodeUnchanged { node } => {
                if let Some(resource) = self.resource(node).await?
                    && resource
                        .status
                        .applied
                        .as_ref()
                        .is_some_and(|applied| applied.complete)
                    && resource.status.phase != Phase::Degraded
                {
                    show(resource, Phase::Ready, "Ready", "", now);
                }
            }
            Fact::NodePostponed {
                node,
                reason,
                next_try_ms,
            } => {
                if let Some(resource) = self.resource(node).await? {
                    let message = format!("{reason}; is tried again at {}", time(*next_try_ms));
                    waits(resource, "Postponed", &message, now);
                }
            }
            Fact::NodeRefused { node, error } => {
                if let Some(resource) = self.resource(node).await? {
                    show(resource, Phase::Failed, "Refused", error, now);
                }
            }
            Fact::NodeAwaiting { node, reason } => {
                if let Some(resource) = self.resource(node).await? {
                    waits(resource, "AwaitingApproval", reason, now);
                }
            }
            Fact::NodeSkipped { node, .. } => {
                let reason = podium_engine::views(self.state)
                    .into_iter()
                    .find(|view| view.name == *node)
                    .map(|view| view.message)
                    .unwrap_or_default();
                if let Some(resource) = self.resource(node).await? {
                    waits(resource, "Skipped", &reason, now);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What is about to be applied is written down before it is: destroy needs it, however the apply ends.
    async fn apply_begins(&mut self, node: &str, now: Timestamp) -> Result<(), ControlError> {
        let Some((work, _)) = self.state.node(node) else {
            return Ok(());
        };
        let coordinate = work.coordinate.clone();
        let data = self.executor.run_data(self.run).await?;
        let Some(wanted) = data.graph.nodes.get(&coordinate) else {
            return Ok(());
        };
        let inputs = self.executor.inputs(&self.run.namespace, wanted).await?;
        let applied = self.executor.digest(&self.run.namespace, wanted, &inputs).await?;
        let digest = write_blob(&self.executor.store, &inputs.to_tagged()).await?;
        // Secrets that live only in sealed blobs must not be forgotten while an apply names them.
        let mut handles = Vec::new();
        inputs.each_handle(&mut |handle| handles.push(handle.clone()));
        for handle in handles {
            self.changes.blobs.push(crate::secrets::digest_of(&handle)?);
        }
        self.changes.blobs.push(digest.clone());
        let (release, run) = (self.run.release, self.run.name.clone());
        let needs = wanted.needs.iter().map(ToString::to_string).collect();
        if let Some(resource) = self.resource(node).await? {
            let before = resource.status.applied.take().unwrap_or_default();
            let previous_inputs = if before.complete {
                before.inputs
            } else {
                before.previous_inputs
            };
            resource.status.applied = Some(Applied {
                release,
                run,
                module: wanted.module.module.clone(),
                module_version: wanted.module.version,
                driver: Some(wanted.driver),
                digest: applied,
                inputs: digest.to_string(),
                previous_inputs,
                complete: false,
                needs,
            });
            resource.spec.module.clone_from(&wanted.module.module);
            resource.spec.module_version = wanted.module.version;
            resource.spec.driver = Some(wanted.driver);
            resource.spec.rule.clone_from(&wanted.rule);
            show(resource, Phase::Applying, "Applying", "is being made", now);
        }
        Ok(())
    }

    /// The Run, its Release, and at the end the Environment.
    async fn run_objects(&mut self, records: &[Record]) -> Result<(), ControlError> {
        let Some(last) = records.last() else { return Ok(()) };
        let now = time(last.at_ms);
        let store = &*self.executor.store;
        let phase = podium_engine::phase(self.state);
        let key = namespaced(RUNS, &self.run.namespace, &self.run.name);
        let Some(mut run) = get::<RunSpec, RunStatus>(store, &key).await? else {
            return Ok(());
        };
        let finished = self.state.finished().cloned();
        let needs: Vec<String> = self
            .state
            .awaiting()
            .map(|(node, _, reason)| format!("{}: {reason}", node.coordinate.id))
            .collect();
        let began = records
            .iter()
            .any(|record| matches!(record.fact, Fact::RunBegan { .. }));
        if run.status.phase == phase && run.status.needs == needs && !began && finished.is_none() {
            return Ok(());
        }
        run.status.phase = phase;
        run.status.needs = needs;
        if began {
            run.status.started = Some(now);
        }
        if let Some(finished) = &finished {
            run.status.finished = Some(now);
            run.status.failures.clone_from(&finished.failures);
        }
        let (status, reason, message) = words(phase, &run.status);
        set_ready(
            &mut run.status.conditions,
            status,
            reason,
            &message,
            run.generation,
            now,
        );
        run.status.observed_generation = run.generation;
        self.put(&run)?;
        let key = namespaced(RELEASES, &self.run.namespace, &release_name(self.run.release));
        if let Some(mut release) = get::<ReleaseSpec, ReleaseStatus>(store, &key).await? {
            release.status.phase = phase;
            release.status.observed_generation = release.generation;
            set_ready(
                &mut release.status.conditions,
                status,
                reason,
                &message,
                release.generation,
                now,
            );
            self.put(&release)?;
        }
        let key = cluster(ENVIRONMENTS, &self.run.namespace);
        if let Some(mut environment) = get::<EnvironmentSpec, EnvironmentStatus>(store, &key).await?
            && environment.status.release == self.run.release
        {
            environment.status.observed_generation = environment.generation;
            let generation = environment.generation;
            set_ready(
                &mut environment.status.conditions,
                status,
                reason,
                &message,
                generation,
                now,
            );
            self.put(&environment)?;
        }
        if let Some(finished) = finished
            && finished.outcome != RunOutcome::Succeeded
        {
            tracing::warn!(run = %self.run.name, namespace = %self.run.namespace, outcome = ?finished.outcome, "a run ended");
        }
        Ok(())
    }

    fn put<Spec, Status>(&mut self, object: &Object<Spec, Status>) -> Result<(), ControlError>
    where
        Spec: serde::de::DeserializeOwned + serde::Serialize,
        Status: serde::de::DeserializeOwned + serde::Serialize + Default,
    {
        self.changes.preconditions.push(object.unchanged());
        self.changes.changes.push(object.put()?);
        Ok(())
    }

    fn finish(mut self) -> Result<ObjectChanges, ControlError> {
        for (name, resource) in std::mem::take(&mut self.resources) {
            let Some(resource) = resource else { continue };
            if self.deleted.contains(&name) {
                self.changes.preconditions.push(resource.unchanged());
                self.changes.changes.push(Change::Delete(resource.key.clone()));
            } else {
                self.put(&resource)?;
            }
        }
        Ok(self.changes)
    }
}

fn time(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Shows where a resource stands.
pub(crate) fn show(resource: &mut ResourceObject, phase: Phase, reason: &str, message: &str, now: Timestamp) {
    let moves = resource.status.phase != phase;
    resource.status.phase = phase;
    let status = match phase {
        Phase::Ready => ConditionStatus::True,
        _ => ConditionStatus::False,
    };
    resource.status.observed_generation = resource.generation;
    let generation = resource.generation;
    let conditions = &mut resource.status.conditions;
    set_ready(conditions, status, reason, message, generation, now);
    if moves {
        // People ask since when it is as it is, not since when it is anything but ready. Attempts of one phase stay
        // one time.
        for condition in conditions
            .iter_mut()
            .filter(|condition| condition.condition_type == "Ready")
        {
            condition.last_transition_time = now;
        }
    }
}

/// Shows what a resource waits for, without saying that what is there is gone.
fn waits(resource: &mut ResourceObject, reason: &str, message: &str, now: Timestamp) {
    let phase = if resource.status.outputs.is_some() {
        resource.status.phase
    } else {
        Phase::Waiting
    };
    resource.status.phase = phase;
    resource.status.observed_generation = resource.generation;
    let generation = resource.generation;
    set_ready(
        &mut resource.status.conditions,
        ConditionStatus::False,
        reason,
        message,
        generation,
        now,
    );
}

/// The condition `Ready` of a run.
fn words(phase: RunPhase, status: &RunStatus) -> (ConditionStatus, &'static str, String) {
    match phase {
        RunPhase::Succeeded => (ConditionStatus::True, "Succeeded", String::new()),
        RunPhase::Failed => (ConditionStatus::False, "Failed", status.failures.join("; ")),
        RunPhase::Cancelled => (ConditionStatus::False, "Cancelled", String::new()),
        RunPhase::Superseded => (
            ConditionStatus::False,
            "Superseded",
            "a later release took its place".to_owned(),
        ),
        RunPhase::AwaitingApproval => (
            ConditionStatus::False,
            "AwaitingApproval",
            status.needs.join("; "),
        ),
        RunPhase::Queued => (
            ConditionStatus::False,
            "Queued",
            "another run is before it".to_owned(),
        ),
        RunPhase::Running => (ConditionStatus::False, "Running", "at work".to_owned()),
    }
}
