//! `plan`, `deploy`, `rollback` and `destroy`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use podium_apiserver::{Answer, StatusError, SubresourceCall};
use podium_model::api::{DeployRequest, DeployResponse, DestroyRequest, PlanResponse, RollbackRequest};
use podium_model::graph::Graph;
use podium_model::kinds::{
    Cause, ModuleRuleSpec, PLANS, PlanSpec, RELEASES, RESOURCE_TYPES, ReleaseSpec, ReleaseStatus,
    ResourceTypeSpec, SimpleStatus, WORKLOADS, WorkloadSpec,
};
use podium_model::plan::Plan;
use podium_planner::{Catalogue, CatalogueInput, RuleInput, TypeInput};
use podium_store::{Change, Precondition};

use super::{body, json};
use crate::catalogue::module_version;
use crate::environment::{EnvironmentState, read_blob};
use crate::error::ControlError;
use crate::executor::release_name;
use crate::objects::{create, get, list, namespaced};
use crate::planning::Desired;
use crate::releasing::{Order, Wanted};
use crate::service::ControlPlane;

impl ControlPlane {
    pub(super) async fn verb_plan(&self, call: &SubresourceCall<'_>) -> Result<Answer, ControlError> {
        let request: DeployRequest = body(call)?;
        let state = EnvironmentState::load(&self.store, call.name).await?;
        let check = request.check;
        if check {
            refuse_pinned(&state)?;
        }
        let order = self
            .order(&state, &Wanted::Deploy(request), &call.principal.name)
            .await?;
        let planned = self.planned(&state, &order).await?;
        if check && !planned.refusals.is_empty() {
            return Err(ControlError::Documents(planned.refusals));
        }
        json(&PlanResponse { plan: planned.plan })
    }

    /// Answers as if the change were made, and makes nothing.
    async fn only_planned(
        &self,
        call: &SubresourceCall<'_>,
        wanted: &Wanted,
    ) -> Result<Answer, ControlError> {
        let state = EnvironmentState::load(&self.store, call.name).await?;
        let order = self.order(&state, wanted, &call.principal.name).await?;
        let plan = self.plan(&state, &order).await?;
        json(&DeployResponse {
            namespace: call.name.to_owned(),
            release: state.object.status.release,
            unchanged: plan.is_empty() && order.pinned == state.object.status.pinned,
            run: String::new(),
            plan,
        })
    }

    /// Makes a change.
    async fn made(&self, call: &SubresourceCall<'_>, wanted: &Wanted) -> Result<Answer, ControlError> {
        let (answer, _) = self.release(call.name, wanted, &call.principal.name).await?;
        json(&answer)
    }

    pub(super) async fn verb_deploy(&self, call: &SubresourceCall<'_>) -> Result<Answer, ControlError> {
        let request: DeployRequest = body(call)?;
        refuse_pinned(&EnvironmentState::load(&self.store, call.name).await?)?;
        self.made(call, &Wanted::Deploy(request)).await
    }

    /// The desired state with the request's documents merged in.
    pub(crate) fn deploy_order(
        &self,
        state: &EnvironmentState,
        request: &DeployRequest,
    ) -> Result<Order, ControlError> {
        refuse_deleting(state)?;
        let mut order = Order {
            message: request.message.clone(),
            consent: request.consent.clone(),
            ..Order::default()
        };
        let named: BTreeSet<&str> = request
            .workloads
            .iter()
            .map(|workload| workload.name.as_str())
            .collect();
        if named.len() != request.workloads.len() {
            return Err(StatusError::bad_request("two documents have the same workload name").into());
        }
        let mut workloads: BTreeMap<String, WorkloadSpec> = state
            .workloads
            .iter()
            .map(|(name, workload)| (name.clone(), workload.spec.clone()))
            .collect();
        if request.prune {
            for (name, workload) in &state.workloads {
                if !named.contains(name.as_str()) {
                    workloads.remove(name);
                    order.preconditions.push(workload.unchanged());
                    order.changes.push(Change::Delete(workload.key.clone()));
                }
            }
        }
        for workload in &request.workloads {
            workloads.insert(workload.name.clone(), workload.spec.clone());
            match state.workloads.get(&workload.name) {
                Some(before) if before.spec == workload.spec => {}
                Some(before) => {
                    let mut changed = before.clone();
                    changed.spec = workload.spec.clone();
                    order.preconditions.push(changed.unchanged());
                    order.changes.push(changed.put()?);
                }
                None => {
                    let key = namespaced(WORKLOADS, state.object.name(), &workload.name);
                    let status = SimpleStatus::default();
                    let now = self.clock.now();
                    order.preconditions.push(Precondition::Absent(key.clone()));
                    order.changes.push(create(
                        &key,
                        "Workload",
                        &self.uid(),
                        now,
                        &workload.spec,
                        &status,
                    )?);
                }
            }
        }
        order.desired = Desired { workloads };
        Ok(order)
    }

    pub(super) async fn verb_rollback(&self, call: &SubresourceCall<'_>) -> Result<Answer, ControlError> {
        let request: RollbackRequest = body(call)?;
        if request.plan_only {
            return self.only_planned(call, &Wanted::Rollback(request)).await;
        }
        self.made(call, &Wanted::Rollback(request)).await
    }

    pub(crate) async fn rollback_order(
        &self,
        state: &EnvironmentState,
        request: &RollbackRequest,
    ) -> Result<Order, ControlError> {
        refuse_deleting(state)?;
        let number = match (request.release, request.lift) {
            (Some(number), false) => number,
            (None, true) => {
                if state.object.status.pinned.is_none() {
                    return Err(StatusError::new(409, "NotPinned", "the environment is not pinned").into());
                }
                let workloads = state
                    .workloads
                    .iter()
                    .map(|(name, found)| (name.clone(), found.spec.clone()));
                return Ok(Order {
                    message: request.message.clone(),
                    consent: request.consent.clone(),
                    desired: Desired {
                        workloads: workloads.collect(),
                    },
                    ..Order::default()
                });
            }
            _ => return Err(StatusError::bad_request("name a release, or lift the pin: one of both").into()),
        };
        let key = namespaced(RELEASES, state.object.name(), &release_name(number));
        let release = get::<ReleaseSpec, ReleaseStatus>(&*self.store, &key)
            .await?
            .ok_or_else(|| {
                let newest = state.object.status.release;
                StatusError::new(
                    404,
                    "NotFound",
                    format!("there is no release {number}; the newest is {newest}"),
                )
            })?;
        let documents = self.release_documents(&release.spec).await?;
        let graph: Graph = read_blob(&self.store, &release.spec.graph).await?;
        let workloads = state
            .workloads
            .iter()
            .map(|(name, found)| (name.clone(), found.spec.clone()));
        let written = Desired {
            workloads: workloads.collect(),
        };
        Ok(Order {
            cause: Cause::Rollback,
            message: request.message.clone(),
            rollback_to: Some(number),
            catalogue: Some(Arc::new(self.catalogue_of(&graph).await?)),
            consent: request.consent.clone(),
            pinned: Some(number),
            digest: Some(written.digest(state)),
            desired: Desired { workloads: documents },
            ..Order::default()
        })
    }

    /// The catalogue that chooses for each node what a former release chose.
    pub(crate) async fn catalogue_of(&self, graph: &Graph) -> Result<Catalogue, ControlError> {
        let mut input = CatalogueInput::default();
        for entry in list::<ResourceTypeSpec, SimpleStatus>(&*self.store, RESOURCE_TYPES, None).await? {
            input.types.push(TypeInput {
                resource_type: entry.spec.resource_type,
                owner: entry.spec.owner,
                params: entry.spec.params,
                outputs: entry.spec.outputs,
            });
        }
        let mut seen = BTreeSet::new();
        for node in graph.nodes.values() {
            if seen.insert(node.module.clone()) {
                let version = module_version(&self.store, &node.module).await?.ok_or_else(|| {
                    ControlError::Damaged(format!(
                        "the module version {} is gone",
                        node.module.object_name()
                    ))
                })?;
                input.modules.push(version);
            }
            input.rules.push(RuleInput {
                name: node.rule.clone(),
                spec: ModuleRuleSpec {
                    module: node.module.module.clone(),
                    class: Some(node.coordinate.class.clone()),
                    resource_id: Some(node.coordinate.id.clone()),
                    ..ModuleRuleSpec::default()
                },
            });
        }
        let (catalogue, problems) = Catalogue::build(input);
        if problems.is_empty() {
            Ok(catalogue)
        } else {
            Err(ControlError::Documents(problems))
        }
    }

    pub(super) async fn verb_destroy(&self, call: &SubresourceCall<'_>) -> Result<Answer, ControlError> {
        let request: DestroyRequest = body(call)?;
        if request.plan_only {
            return self.only_planned(call, &Wanted::Destroy(request)).await;
        }
        self.made(call, &Wanted::Destroy(request)).await
    }

    pub(super) async fn verb_plan_content(&self, call: &SubresourceCall<'_>) -> Result<Answer, ControlError> {
        let key = namespaced(PLANS, call.namespace, call.name);
        let plan = get::<PlanSpec, SimpleStatus>(&*self.store, &key)
            .await?
            .ok_or_else(|| StatusError::not_found("podium.dev", PLANS, call.name))?;
        let plan: Plan = read_blob(&self.store, &plan.spec.content).await?;
        json(&PlanResponse { plan })
    }
}

/// Every document goes, and with them everything.
pub(crate) fn destroy_order(
    state: &EnvironmentState,
    request: &DestroyRequest,
) -> Result<Order, ControlError> {
    refuse_deleting(state)?;
    let mut order = Order {
        cause: Cause::Destroy,
        message: request.message.clone(),
        consent: request.consent.clone(),
        ..Order::default()
    };
    for workload in state.workloads.values() {
        order.preconditions.push(workload.unchanged());
        order.changes.push(Change::Delete(workload.key.clone()));
    }
    Ok(order)
}

/// An environment that goes takes no more documents.
fn refuse_deleting(state: &EnvironmentState) -> Result<(), ControlError> {
    if state.object.deleting {
        let message = format!("the environment {} is being deleted", state.object.name());
        return Err(StatusError::new(409, "Deleting", message).into());
    }
    Ok(())
}

/// A pinned environment takes no documents until the pin is lifted.
fn refuse_pinned(state: &EnvironmentState) -> Result<(), ControlError> {
    if let Some(number) = state.object.status.pinned {
        let message = format!(
            "a rollback pinned the environment to release {number}; lift the pin first: podium rollback --lift -p {} -e {}",
            state.context.project, state.context.environment
        );
        return Err(StatusError::new(409, "Pinned", message).into());
    }
    Ok(())
}
