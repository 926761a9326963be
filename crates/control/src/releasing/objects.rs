//! The objects that a release touches beside its own: runs that give way, and resources.

use std::collections::BTreeMap;

use jiff::Timestamp;
use podium_model::condition::ConditionStatus;
use podium_model::coordinate::Coordinate;
use podium_model::graph::Node;
use podium_model::kinds::{
    Phase, RELEASES, RESOURCES, ReleaseSpec, ReleaseStatus, RequestedBy, ResourceSpec, ResourceStatus,
    RunPhase,
};
use podium_planner::DraftNode;
use podium_store::{Precondition, Transaction};

use super::Order;
use crate::environment::{EnvironmentState, ResourceObject};
use crate::error::ControlError;
use crate::executor::release_name;
use crate::objects::{create, get, namespaced, set_ready};
use crate::planning::Planned;
use crate::service::ControlPlane;

/// Whether a resource that is well shows a change that a person has yet to agree to, or has refused.
fn waited_for_person(resource: &ResourceObject) -> bool {
    resource.status.phase == Phase::Ready
        && resource.status.conditions.iter().any(|condition| {
            condition.condition_type == "Ready"
                && matches!(condition.reason.as_str(), "AwaitingApproval" | "Rejected")
        })
}

impl ControlPlane {
    /// Runs that have not begun give way to the new release.
    pub(super) async fn supersede(
        &self,
        state: &EnvironmentState,
        number: u64,
        author: &str,
        now: Timestamp,
        transaction: &mut Transaction,
    ) -> Result<(), ControlError> {
        for run in &state.open_runs {
            if run.status.started.is_some()
                || !matches!(run.status.phase, RunPhase::Queued | RunPhase::AwaitingApproval)
            {
                continue;
            }
            let message = format!("release {number} by {author} took its place before it began");
            let mut run = run.clone();
            run.status.phase = RunPhase::Superseded;
            run.status.finished = Some(now);
            run.status.failures = vec![message.clone()];
            let generation = run.generation;
            let conditions = &mut run.status.conditions;
            set_ready(
                conditions,
                ConditionStatus::False,
                "Superseded",
                &message,
                generation,
                now,
            );
            transaction.preconditions.push(run.unchanged());
            transaction.changes.push(run.put()?);
            let key = namespaced(RELEASES, state.object.name(), &release_name(run.spec.release));
            if let Some(mut release) = get::<ReleaseSpec, ReleaseStatus>(&*self.store, &key).await? {
                release.status.phase = RunPhase::Superseded;
                let generation = release.generation;
                let conditions = &mut release.status.conditions;
                set_ready(
                    conditions,
                    ConditionStatus::False,
                    "Superseded",
                    &message,
                    generation,
                    now,
                );
                transaction.preconditions.push(release.unchanged());
                transaction.changes.push(release.put()?);
            }
        }
        Ok(())
    }

    /// Resources come to be with the release that asks for them, and show from then on what they wait for.
    pub(super) fn write_resources(
        &self,
        state: &EnvironmentState,
        order: &Order,
        planned: &Planned,
        now: Timestamp,
        awaits: bool,
        transaction: &mut Transaction,
    ) -> Result<(), ControlError> {
        let changed: BTreeMap<&Coordinate, &DraftNode> = planned
            .draft
            .nodes
            .iter()
            .map(|node| (&node.coordinate, node))
            .collect();
        for (coordinate, node) in &planned.graph.nodes {
            let before = state.resources.get(coordinate);
            let requested_by = requested_by(
                node,
                before.map(|resource| &*resource.spec.requested_by),
                planned.plan.release,
                order,
            );
            let ports = planned
                .ports
                .get(coordinate)
                .cloned()
                .or_else(|| before.map(|resource| resource.spec.ports.clone()))
                .unwrap_or_default();
            match before {
                None => {
                    let key = namespaced(RESOURCES, state.object.name(), &coordinate.object_name());
                    let spec = ResourceSpec {
                        resource_type: coordinate.resource_type.clone(),
                        class: coordinate.class.clone(),
                        id: coordinate.id.clone(),
                        module: node.module.module.clone(),
                        module_version: node.module.version,
                        driver: Some(node.driver),
                        rule: node.rule.clone(),
                        requested_by,
                        ports,
                        protect: false,
                    };
                    let mut status = ResourceStatus::default();
                    let (reason, message) = if awaits {
                        ("AwaitingApproval", planned.plan.gate.needs.join("; "))
                    } else {
                        ("Waiting", "its run is about to begin".to_owned())
                    };
                    set_ready(
                        &mut status.conditions,
                        ConditionStatus::False,
                        reason,
                        &message,
                        1,
                        now,
                    );
                    transaction.preconditions.push(Precondition::Absent(key.clone()));
                    transaction
                        .changes
                        .push(create(&key, "Resource", &self.uid(), now, &spec, &status)?);
                }
                Some(before) => {
                    let mut resource = before.clone();
                    resource.spec.requested_by = requested_by;
                    resource.spec.ports = ports;
                    if awaits && changed.contains_key(coordinate) {
                        let generation = resource.generation;
                        let message = planned.plan.gate.needs.join("; ");
                        let conditions = &mut resource.status.conditions;
                        set_ready(
                            conditions,
                            ConditionStatus::False,
                            "AwaitingApproval",
                            &message,
                            generation,
                            now,
                        );
                    } else if !changed.contains_key(coordinate) && waited_for_person(before) {
                        // What was to be done is no longer wanted: it is as it should be.
                        let generation = resource.generation;
                        let conditions = &mut resource.status.conditions;
                        set_ready(conditions, ConditionStatus::True, "Ready", "", generation, now);
                    }
                    if resource.spec != before.spec || resource.status != before.status {
                        transaction.preconditions.push(resource.unchanged());
                        transaction.changes.push(resource.put()?);
                    }
                }
            }
        }
        for (coordinate, before) in &state.resources {
            if planned.graph.nodes.contains_key(coordinate) {
                continue;
            }
            let mut resource = before.clone();
            resource.spec.requested_by.clear();
            let generation = resource.generation;
            let (reason, message) = if awaits {
                (
                    "AwaitingApproval",
                    "nobody asks for it any more; its removal waits for a person".to_owned(),
                )
            } else {
                resource.status.phase = Phase::Deleting;
                ("Deleting", "nobody asks for it any more".to_owned())
            };
            set_ready(
                &mut resource.status.conditions,
                ConditionStatus::False,
                reason,
                &message,
                generation,
                now,
            );
            transaction.preconditions.push(resource.unchanged());
            transaction.changes.push(resource.put()?);
        }
        Ok(())
    }
}

/// Who asks for a node: an entry keeps its release and author while what it asks for stays the same.
fn requested_by(
    node: &Node,
    before: Option<&[RequestedBy]>,
    release: u64,
    order: &Order,
) -> Vec<RequestedBy> {
    node.requested_by
        .iter()
        .filter_map(|requester| {
            let by = requester.node.as_ref()?.to_string();
            let params = Some(requester.params.to_display())
                .filter(|params| params.as_object().is_none_or(|map| !map.is_empty()));
            let former = before
                .into_iter()
                .flatten()
                .find(|former| former.requester == by && former.alias == requester.alias);
            Some(match former {
                Some(former) if former.params == params => former.clone(),
                _ => RequestedBy {
                    requester: by,
                    alias: requester.alias.clone(),
                    release,
                    author: order.author.clone(),
                    params,
                },
            })
        })
        .collect::<Vec<_>>()
}
