//! The engine's hands: evaluates a node's inputs when they are known, calls its driver, and writes what came of it into
//! the objects, in the transaction of the journal's record.

pub(crate) mod changes;
pub(crate) mod operation;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use podium_drivers::{Drivers, Outcome};
use podium_engine::{
    ChangesError, Executor, ObjectChanges, Operation, Prepared, Progress, Record, RunContext, RunState, Step,
    StepOutcome, WorkNode,
};
use podium_model::coordinate::Coordinate;
use podium_model::graph::{Graph, Node};
use podium_model::kinds::{Mode, RELEASES, RESOURCES, ReleaseSpec, ReleaseStatus};
use podium_model::plan::Action;
use podium_model::value::Value;
use podium_planner::{EnvironmentContext, applied_digest, difference, evaluate_inputs, evaluate_outputs};
use podium_store::SharedStore;

use crate::catalogue::CatalogueCache;
use crate::environment::{self, ResourceObject, read_blob, write_blob};
use crate::error::ControlError;
use crate::objects::{get, namespaced};
use crate::secrets;

/// Name of the object of a release.
pub(crate) fn release_name(number: u64) -> String {
    format!("release-{number}")
}

/// What all steps of a run have in common.
pub(crate) struct RunData {
    pub(crate) graph: Graph,
    pub(crate) context: EnvironmentContext,
    pub(crate) mode: Mode,
}

/// What a failed step left: digests of blobs, empty for nothing.
#[derive(Clone, Default)]
pub(crate) struct LeftBehind {
    /// The driver's own state.
    driver_state: String,
    /// The last lines that it printed.
    log: String,
}

/// Carries out steps by the drivers.
pub(crate) struct DriverExecutor {
    pub(crate) store: SharedStore,
    pub(crate) drivers: Drivers,
    pub(crate) catalogue: Arc<CatalogueCache>,
    runs: Mutex<HashMap<String, Arc<RunData>>>,
    /// What failed steps left, by node, until the failure is journaled.
    left_behind: Mutex<HashMap<String, LeftBehind>>,
}

impl DriverExecutor {
    pub(crate) fn new(store: SharedStore, drivers: Drivers, catalogue: Arc<CatalogueCache>) -> Self {
        Self {
            store,
            drivers,
            catalogue,
            runs: Mutex::default(),
            left_behind: Mutex::default(),
        }
    }

    /// The graph and environment of a run.
    pub(crate) async fn run_data(&self, run: &RunContext) -> Result<Arc<RunData>, ControlError> {
        if let Some(data) = self
            .runs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&run.uid)
        {
            return Ok(Arc::clone(data));
        }
        let key = namespaced(RELEASES, &run.namespace, &release_name(run.release));
        let release = get::<ReleaseSpec, ReleaseStatus>(&*self.store, &key)
            .await?
            .ok_or_else(|| ControlError::Damaged(format!("{key} is missing")))?;
        let graph = read_blob(&self.store, &release.spec.graph).await?;
        let state = environment::EnvironmentState::load(&self.store, &run.namespace).await?;
        let data = Arc::new(RunData {
            graph,
            context: state.context,
            mode: state.mode,
        });
        self.runs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(run.uid.clone(), Arc::clone(&data));
        Ok(data)
    }

    /// Forgets a run that is over.
    pub(crate) async fn forget_run(&self, state: &RunState) {
        self.runs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&state.run().uid);
        for (node, progress) in state.nodes() {
            let driver = self.drivers.get(node.driver);
            for attempt in 1..=progress.attempt {
                for operation in [Operation::Apply, Operation::Destroy] {
                    driver
                        .forget(&operation::step_name(
                            &state.run().uid,
                            &node.name,
                            operation,
                            attempt,
                        ))
                        .await;
                }
            }
        }
    }

    async fn resource(&self, namespace: &str, name: &str) -> Result<Option<ResourceObject>, ControlError> {
        get(&*self.store, &namespaced(RESOURCES, namespace, name)).await
    }

    /// The outputs, as they are now, of every node that a value names.
    async fn outputs_named_in(
        &self,
        namespace: &str,
        values: &[&Value],
    ) -> Result<BTreeMap<Coordinate, Value>, ControlError> {
        let mut nodes = std::collections::BTreeSet::new();
        for value in values {
            value.each_reference(&mut |reference| {
                nodes.insert(reference.node.clone());
            });
        }
        let mut outputs = BTreeMap::new();
        for node in nodes {
            if let Some(resource) = self.resource(namespace, &node.object_name()).await?
                && resource.status.outputs.is_some()
            {
                outputs.insert(node, environment::outputs(&self.store, &resource).await?);
            }
        }
        Ok(outputs)
    }

    /// What tells that a node was applied with these inputs, and what its outputs take from others, as all of it is now.
    pub(crate) async fn digest(
        &self,
        namespace: &str,
        node: &Node,
        inputs: &Value,
    ) -> Result<String, ControlError> {
        let outputs = self.outputs_named_in(namespace, &[&node.outputs]).await?;
        let mapping = evaluate_outputs(&node.outputs, &|other| outputs.get(other).cloned())
            .map_err(|error| ControlError::Expression(error.to_string()))?;
        Ok(applied_digest(&node.module, inputs, &mapping))
    }

    /// The inputs of a node with everything that is known now.
    pub(crate) async fn inputs(&self, namespace: &str, node: &Node) -> Result<Value, ControlError> {
        let outputs = self.outputs_named_in(namespace, &[&node.inputs]).await?;
        evaluate_inputs(&node.inputs, &|other| outputs.get(other).cloned())
            .map_err(|error| ControlError::Expression(error.to_string()))
    }

    async fn prepare_apply(
        &self,
        run: &RunContext,
        node: &WorkNode,
        progress: &Progress,
    ) -> Result<Prepared, ControlError> {
        let data = self.run_data(run).await?;
        let Some(wanted) = data.graph.nodes.get(&node.coordinate) else {
            return Ok(Prepared::Refused {
                message: "the release's graph does not have it".to_owned(),
            });
        };
        let inputs = match self.inputs(&run.namespace, wanted).await {
            Ok(inputs) => inputs,
            Err(ControlError::Expression(message)) => return Ok(Prepared::Refused { message }),
            Err(error) => return Err(error),
        };
        if !inputs.is_known() {
            let mut missing = Vec::new();
            inputs.each_reference(&mut |reference| missing.push(reference.to_string()));
            missing.dedup();
            return Ok(Prepared::Refused {
                message: format!("these outputs were not answered: {}", missing.join(", ")),
            });
        }
        let Some(resource) = self.resource(&run.namespace, &node.name).await? else {
            return Ok(Prepared::Refused {
                message: "its object is gone".to_owned(),
            });
        };
        let applied = resource.status.applied.clone().unwrap_or_default();
        let digest = match self.digest(&run.namespace, wanted, &inputs).await {
            Ok(digest) => digest,
            Err(ControlError::Expression(message)) => return Ok(Prepared::Refused { message }),
            Err(error) => return Err(error),
        };
        let same = applied.complete && applied.digest == digest;
        if same && node.action != Action::Replace {
            return Ok(Prepared::Unchanged);
        }
        let mut operations = Operation::of(node.action).to_vec();
        if node.action == Action::Replace && same && progress.done.is_empty() {
            return Ok(Prepared::Unchanged);
        }
        if node.pending && resource.status.outputs.is_some() && !applied.inputs.is_empty() {
            let tagged: serde_json::Value = read_blob(&self.store, &applied.inputs).await?;
            let before =
                Value::from_tagged(&tagged).map_err(|error| ControlError::Damaged(error.to_string()))?;
            let replaces = difference(&before, &inputs).into_iter().find(|field| {
                let path = field.path.strip_prefix("inputs.").unwrap_or(&field.path);
                wanted.replace_on.iter().any(|on| {
                    path == on
                        || path
                            .strip_prefix(on.as_str())
                            .is_some_and(|rest| rest.starts_with('.'))
                })
            });
            let outside = match replaces {
                Some(field) => {
                    operations = vec![Operation::Destroy, Operation::Apply];
                    Some(format!(
                        "now that its inputs are known, `{}` changes, which replaces it",
                        field.path.strip_prefix("inputs.").unwrap_or(&field.path)
                    ))
                }
                None if data.mode == Mode::Review => Some(
                    "now that its inputs are known, it would be updated; the environment is in review"
                        .to_owned(),
                ),
                None => None,
            };
            if let Some(reason) = outside
                && progress.outside_approved_by.is_none()
            {
                return Ok(Prepared::Outside { reason });
            }
        }
        if resource.spec.protect && operations.contains(&Operation::Destroy) {
            return Ok(Prepared::Refused {
                message: format!(
                    "it is protected, and this would replace it; to allow that: podium protect {} -n {} --lift",
                    node.coordinate.id, run.namespace
                ),
            });
        }
        Ok(Prepared::Proceed { operations })
    }

    async fn prepare_delete(&self, run: &RunContext, node: &WorkNode) -> Result<Prepared, ControlError> {
        let Some(resource) = self.resource(&run.namespace, &node.name).await? else {
            return Ok(Prepared::Unchanged);
        };
        if resource.spec.protect {
            return Ok(Prepared::Refused {
                message: format!(
                    "it is protected, and this would delete it; to allow that: podium protect {} -n {} --lift",
                    node.coordinate.id, run.namespace
                ),
            });
        }
        Ok(Prepared::Proceed {
            operations: vec![Operation::Destroy],
        })
    }

    async fn carry_out(&self, step: &Step, recover: bool) -> Result<StepOutcome, ControlError> {
        let is_destroy = step.operation() == Operation::Destroy;
        let operation = if is_destroy {
            match self.destroy_operation(step).await? {
                Some(operation) => operation,
                // Nothing was ever begun: there is nothing to remove.
                None => {
                    return Ok(StepOutcome::Succeeded {
                        result: serde_json::Value::Null,
                    });
                }
            }
        } else {
            self.apply_operation(step).await?
        };
        let driver = self.drivers.get(operation.content.driver);
        let outcome = match (recover, is_destroy) {
            (true, _) => driver.recover(&operation, is_destroy).await,
            (false, true) => driver.destroy(&operation).await,
            (false, false) => driver.apply(&operation).await,
        };
        match outcome {
            Outcome::Destroyed => Ok(StepOutcome::Succeeded {
                result: serde_json::Value::Null,
            }),
            Outcome::Applied {
                outputs,
                sensitive,
                state,
                log_tail,
            } => {
                let tool = secrets::take_outputs(&*self.store, &outputs, &sensitive).await?;
                self.applied(step, &tool, state, log_tail).await
            }
            Outcome::Failed {
                step: part,
                message,
                output_tail,
                retriable,
                state,
            } => {
                let driver_state = match state {
                    Some(state) => self.store.put_blob(state.expose().clone()).await?.to_string(),
                    None => String::new(),
                };
                let log = self.keep_log(output_tail.clone()).await?;
                self.left_behind
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(step.node.name.clone(), LeftBehind { driver_state, log });
                let mut text = if part.is_empty() || message.contains(&part) {
                    message
                } else {
                    format!("{part}: {message}")
                };
                if !output_tail.is_empty() {
                    text.push('\n');
                    text.push_str(output_tail.trim_end());
                }
                Ok(StepOutcome::Failed {
                    message: text,
                    retriable,
                })
            }
            Outcome::Indeterminate { known } => Ok(StepOutcome::Indeterminate { known }),
        }
    }

    /// Keeps what a step printed; answers with its digest.
    async fn keep_log(&self, mut log: String) -> Result<String, ControlError> {
        if log.is_empty() {
            return Ok(String::new());
        }
        if !log.ends_with('\n') {
            log.push('\n');
        }
        Ok(self.store.put_blob(log.into_bytes().into()).await?.to_string())
    }

    /// What is to be remembered of an apply: blobs with the outputs, and what people see of them.
    async fn applied(
        &self,
        step: &Step,
        tool: &Value,
        state: Option<podium_drivers::KeptState>,
        log: String,
    ) -> Result<StepOutcome, ControlError> {
        let data = self.run_data(&step.run).await?;
        let Some(node) = data.graph.nodes.get(&step.node.coordinate) else {
            return Err(ControlError::Damaged(
                "the release's graph does not have the node".to_owned(),
            ));
        };
        let others = self
            .outputs_named_in(&step.run.namespace, &[&node.outputs])
            .await?;
        let declared = podium_planner::declared_outputs(&node.coordinate, &node.outputs, tool, &|other| {
            others.get(other).cloned()
        });
        let mut declared = match declared {
            Ok(declared) => declared,
            Err(error) => {
                return Ok(StepOutcome::Failed {
                    message: format!(
                        "the module's outputs cannot be made of what its tool answered: {error}"
                    ),
                    retriable: false,
                });
            }
        };
        if let Value::Map(map) = &mut declared {
            map.extend(node.identity.clone());
        }
        let catalogue = self.catalogue.current().await?;
        let schema = catalogue
            .resource_type(&node.coordinate.resource_type)
            .and_then(|entry| entry.outputs.as_ref());
        secrets::seal_by_schema(&*self.store, &mut declared, schema).await?;
        if let Some(schema) = schema
            && let Some(mistake) = podium_planner::check_outputs(&declared, schema)
        {
            return Ok(StepOutcome::Failed {
                message: format!(
                    "{} answered outputs that the type {} does not allow: {mistake}",
                    step.node.module, node.coordinate.resource_type
                ),
                retriable: false,
            });
        }
        let outputs_blob = if declared.has_sensitive() {
            write_blob(&self.store, &declared.to_tagged()).await?.to_string()
        } else {
            String::new()
        };
        let tool_outputs = write_blob(&self.store, &tool.to_tagged()).await?.to_string();
        let driver_state = match state {
            Some(state) => self.store.put_blob(state.expose().clone()).await?.to_string(),
            None => String::new(),
        };
        let log = self.keep_log(log).await?;
        Ok(StepOutcome::Succeeded {
            result: serde_json::json!({
                "log": log,
                "outputs": declared.to_display(),
                "outputsBlob": outputs_blob,
                "toolOutputs": tool_outputs,
                "driverState": driver_state,
            }),
        })
    }
}

/// A failure of Podium's own, as a step's outcome: it passes by itself, or a person must see it.
fn own_failure(error: &ControlError) -> StepOutcome {
    tracing::error!(%error, "a step could not be carried out");
    StepOutcome::Failed {
        message: format!("podium itself failed: {error}"),
        retriable: true,
    }
}

#[async_trait]
impl Executor for DriverExecutor {
    async fn prepare(&self, run: &RunContext, node: &WorkNode, progress: &Progress) -> Prepared {
        let prepared = if node.action == Action::Delete {
            self.prepare_delete(run, node).await
        } else {
            self.prepare_apply(run, node, progress).await
        };
        prepared.unwrap_or_else(|error| Prepared::Later {
            reason: error.to_string(),
        })
    }

    async fn execute(&self, step: &Step) -> StepOutcome {
        self.carry_out(step, false)
            .await
            .unwrap_or_else(|error| own_failure(&error))
    }

    async fn recover(&self, step: &Step) -> StepOutcome {
        self.carry_out(step, true)
            .await
            .unwrap_or_else(|error| own_failure(&error))
    }

    async fn stop(&self, step: &Step) {
        let name = operation::step_name(&step.id.run, &step.id.node, step.id.operation, step.id.attempt);
        self.drivers.get(step.node.driver).stop(&name).await;
    }

    async fn changes(
        &self,
        run: &RunContext,
        records: &[Record],
        state: &RunState,
    ) -> Result<ObjectChanges, ChangesError> {
        changes::changes(self, run, records, state)
            .await
            .map_err(|error| match error {
                ControlError::Store(error) => ChangesError::Store(error),
                error => ChangesError::Refused(error.to_string()),
            })
    }
}
