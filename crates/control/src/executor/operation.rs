//! What a driver is given: the module's version, and inputs with their secrets in plaintext.

use std::collections::BTreeMap;

use podium_drivers::{KeptState, Operation as DriverOperation, Previous, ResourceIdentity, ScriptValues};
use podium_engine::{Operation, Step};
use podium_model::coordinate::Coordinate;
use podium_model::graph::ModuleReference;
use podium_model::secret::Revealed;
use podium_model::value::Value;

use super::DriverExecutor;
use crate::catalogue::module_version;
use crate::environment::{ResourceObject, blob, read_blob};
use crate::error::ControlError;
use crate::secrets::reveal;

/// The runner's name for a step: the same after every restart.
pub(super) fn step_name(run: &str, node: &str, operation: Operation, attempt: u32) -> String {
    format!("{run}.{node}.{operation}.{attempt}")
}

/// What an operation is made of, apart from its inputs.
pub(crate) struct Parts<'a> {
    pub(crate) step: String,
    pub(crate) coordinate: Coordinate,
    pub(crate) resource: &'a ResourceObject,
    pub(crate) namespace: &'a str,
    pub(crate) module: ModuleReference,
    pub(crate) deadline_ms: i64,
}

impl DriverExecutor {
    pub(super) async fn apply_operation(&self, step: &Step) -> Result<DriverOperation, ControlError> {
        let data = self.run_data(&step.run).await?;
        let node =
            data.graph.nodes.get(&step.node.coordinate).ok_or_else(|| {
                ControlError::Damaged("the release's graph does not have the node".to_owned())
            })?;
        let resource = self
            .resource(&step.run.namespace, &step.node.name)
            .await?
            .ok_or_else(|| ControlError::Damaged("the resource's object is gone".to_owned()))?;
        let inputs = self.inputs(&step.run.namespace, node).await?;
        let parts = Parts {
            step: step_name(&step.id.run, &step.id.node, step.id.operation, step.id.attempt),
            coordinate: step.node.coordinate.clone(),
            resource: &resource,
            namespace: &step.run.namespace,
            module: node.module.clone(),
            deadline_ms: step.deadline_ms,
        };
        let mut operation = self.operation(parts, &inputs, &data.context).await?;
        let applied = resource.status.applied.clone().unwrap_or_default();
        if !applied.previous_inputs.is_empty() {
            operation.previous = Some(self.previous(&resource, &applied.previous_inputs).await?);
        }
        Ok(operation)
    }

    /// Destroy uses the module version and the sealed inputs of the last begun apply. `None` when none ever began.
    pub(super) async fn destroy_operation(
        &self,
        step: &Step,
    ) -> Result<Option<DriverOperation>, ControlError> {
        let Some(resource) = self.resource(&step.run.namespace, &step.node.name).await? else {
            return Ok(None);
        };
        let Some(applied) = resource
            .status
            .applied
            .clone()
            .filter(|applied| !applied.inputs.is_empty())
        else {
            return Ok(None);
        };
        let data = self.run_data(&step.run).await?;
        let tagged: serde_json::Value = read_blob(&self.store, &applied.inputs).await?;
        let inputs = Value::from_tagged(&tagged).map_err(|error| ControlError::Damaged(error.to_string()))?;
        let parts = Parts {
            step: step_name(&step.id.run, &step.id.node, step.id.operation, step.id.attempt),
            coordinate: step.node.coordinate.clone(),
            resource: &resource,
            namespace: &step.run.namespace,
            module: ModuleReference {
                module: applied.module.clone(),
                version: applied.module_version,
            },
            deadline_ms: step.deadline_ms,
        };
        let mut operation = self.operation(parts, &inputs, &data.context).await?;
        operation.previous = Some(self.previous(&resource, &applied.inputs).await?);
        Ok(Some(operation))
    }

    async fn previous(&self, resource: &ResourceObject, inputs: &str) -> Result<Previous, ControlError> {
        let tagged: serde_json::Value = read_blob(&self.store, inputs).await?;
        let before = Value::from_tagged(&tagged).map_err(|error| ControlError::Damaged(error.to_string()))?;
        let before = before
            .at(&["inputs".to_owned()])
            .cloned()
            .unwrap_or_else(Value::empty_map);
        let outputs = if resource.status.tool_outputs.is_empty() {
            Value::empty_map()
        } else {
            let tagged: serde_json::Value = read_blob(&self.store, &resource.status.tool_outputs).await?;
            Value::from_tagged(&tagged).map_err(|error| ControlError::Damaged(error.to_string()))?
        };
        Ok(Previous {
            inputs: reveal(&*self.store, &before).await?,
            outputs: reveal(&*self.store, &outputs).await?,
        })
    }

    pub(crate) async fn operation(
        &self,
        parts: Parts<'_>,
        inputs: &Value,
        context: &podium_planner::EnvironmentContext,
    ) -> Result<DriverOperation, ControlError> {
        let version = module_version(&self.store, &parts.module).await?.ok_or_else(|| {
            ControlError::Damaged(format!(
                "the module version {} is gone",
                parts.module.object_name()
            ))
        })?;
        let bundle = match &version.content.source {
            Some(source) => Some(podium_store::get_upload(&*self.store, &blob(&source.bundle)?).await?),
            None => None,
        };
        let own = inputs
            .at(&["inputs".to_owned()])
            .cloned()
            .unwrap_or_else(Value::empty_map);
        let state = if parts.resource.status.driver_state.is_empty() {
            None
        } else {
            Some(KeptState::new(
                self.store
                    .get_blob(&blob(&parts.resource.status.driver_state)?)
                    .await?,
            ))
        };
        let catalogue = self.catalogue.current().await?;
        let sensitive_outputs = catalogue
            .resource_type(&parts.coordinate.resource_type)
            .and_then(|entry| entry.outputs.as_ref())
            .is_some_and(|schema| schema.root().holds_secrets());
        Ok(DriverOperation {
            step: parts.step,
            resource: ResourceIdentity {
                coordinate: parts.coordinate,
                uid: parts.resource.uid.clone(),
                name: parts.resource.name().to_owned(),
                namespace: parts.namespace.to_owned(),
                project: context.project.clone(),
                environment: context.environment.clone(),
                environment_type: context.environment_type.clone(),
            },
            owner: version.owner.clone(),
            module: parts.module,
            content: version.content,
            bundle,
            inputs: reveal(&*self.store, &own).await?,
            script: self.script_values(inputs).await?,
            previous: None,
            state,
            ports: parts.resource.spec.ports.clone(),
            sensitive_outputs,
            deadline_ms: parts.deadline_ms,
        })
    }

    async fn script_values(&self, inputs: &Value) -> Result<ScriptValues, ControlError> {
        let mut values = ScriptValues::default();
        for (name, target) in [
            ("apply", &mut values.apply),
            ("destroy", &mut values.destroy),
            ("observe", &mut values.observe),
        ] {
            if let Some(Value::List(steps)) = inputs.at(&["env".to_owned(), name.to_owned()]) {
                for step in steps {
                    target.push(self.texts(step).await?);
                }
            }
        }
        if let Some(Value::Map(volumes)) = inputs.at(&["volumes".to_owned()]) {
            values.volumes = volumes
                .iter()
                .filter_map(|(name, source)| source.as_str().map(|source| (name.clone(), source.to_owned())))
                .collect::<BTreeMap<_, _>>();
        }
        Ok(values)
    }

    /// Environment variables are texts, whatever their expressions gave.
    async fn texts(&self, variables: &Value) -> Result<Revealed, ControlError> {
        let revealed = reveal(&*self.store, variables).await?;
        let mut json = revealed.expose().clone();
        if let serde_json::Value::Object(map) = &mut json {
            for value in map.values_mut() {
                if !value.is_string() {
                    *value = serde_json::Value::String(if value.is_null() {
                        String::new()
                    } else {
                        value.to_string()
                    });
                }
            }
        }
        Ok(Revealed::new(json, revealed.secrets().to_vec()))
    }
}
