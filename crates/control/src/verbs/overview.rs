//! `overview`: what `podium status` shows.

use podium_apiserver::{Answer, SubresourceCall};
use podium_model::api::{Overview, ResourceView, RunView, WorkloadView};
use podium_model::condition::{Condition, ConditionStatus};
use podium_model::kinds::{Phase, RELEASES, ReleaseSpec, ReleaseStatus};
use serde_json::Value as Json;

use super::json;
use crate::environment::{EnvironmentState, ResourceObject};
use crate::error::ControlError;
use crate::executor::release_name;
use crate::objects::{get, namespaced};
use crate::reconcile::shows;
use crate::service::ControlPlane;

/// Driver, module and version of a resource.
pub(crate) fn module_title(resource: &ResourceObject) -> String {
    let driver = resource
        .spec
        .driver
        .map_or("", podium_model::kinds::DriverKind::as_str);
    format!(
        "{driver}/{} v{}",
        resource.spec.module, resource.spec.module_version
    )
}

fn ready(resource: &ResourceObject) -> Option<&Condition> {
    resource
        .status
        .conditions
        .iter()
        .find(|condition| condition.condition_type == "Ready")
}

/// Why a resource is not ready; empty when it is.
pub(crate) fn message(resource: &ResourceObject) -> String {
    ready(resource)
        .filter(|condition| condition.status != ConditionStatus::True)
        .map(|condition| condition.message.clone())
        .unwrap_or_default()
}

/// How bad a phase is.
fn severity(phase: Phase) -> u8 {
    match phase {
        Phase::Ready => 0,
        Phase::Waiting => 1,
        Phase::Applying => 2,
        Phase::Deleting => 3,
        Phase::Degraded => 4,
        Phase::Failed => 5,
    }
}

/// Where a workload answers: each of its ports, by name.
fn urls(outputs: Option<&Json>) -> Vec<String> {
    let Some(outputs) = outputs else { return Vec::new() };
    let host = outputs["host"].as_str().unwrap_or("127.0.0.1");
    let ports = outputs["ports"].as_object();
    ports
        .into_iter()
        .flat_map(|ports| ports.values())
        .filter_map(|port| port.as_u64().map(|port| format!("http://{host}:{port}")))
        .collect()
}

impl ControlPlane {
    pub(super) async fn verb_overview(&self, call: &SubresourceCall<'_>) -> Result<Answer, ControlError> {
        let state = EnvironmentState::load(&self.store, call.name).await?;
        let mut overview = Overview {
            project: state.context.project.clone(),
            environment: state.context.environment.clone(),
            namespace: state.context.namespace.clone(),
            release: state.object.status.release,
            author: String::new(),
            pinned: state.object.status.pinned,
            run: state.open_runs.last().map(|run| RunView {
                name: run.name().to_owned(),
                release: run.spec.release,
                phase: run.status.phase,
                needs: run.status.needs.clone(),
            }),
            phase: Phase::Ready,
            resources: Vec::new(),
            workloads: Vec::new(),
        };
        let key = namespaced(RELEASES, call.name, &release_name(overview.release));
        if let Some(release) = get::<ReleaseSpec, ReleaseStatus>(&*self.store, &key).await? {
            overview.author = release.spec.author;
        }
        for (coordinate, resource) in &state.resources {
            let phase = resource.status.phase;
            if severity(phase) > severity(overview.phase) {
                overview.phase = phase;
            }
            let since = ready(resource).map(|condition| condition.last_transition_time);
            if coordinate.is_workload() {
                overview.workloads.push(WorkloadView {
                    name: coordinate.id.clone(),
                    resource: resource.name().to_owned(),
                    module: module_title(resource),
                    phase,
                    message: message(resource),
                    since,
                    urls: urls(resource.status.outputs.as_ref()),
                });
            } else {
                overview.resources.push(ResourceView {
                    resource_type: coordinate.resource_type.clone(),
                    class: coordinate.class.clone(),
                    id: coordinate.id.clone(),
                    name: resource.name().to_owned(),
                    module: module_title(resource),
                    phase,
                    message: message(resource),
                    since,
                    outputs: resource
                        .status
                        .outputs
                        .clone()
                        .unwrap_or_else(|| Json::Object(serde_json::Map::new())),
                });
            }
        }
        for (name, workload) in &state.workloads {
            let condition = workload
                .status
                .conditions
                .iter()
                .find(|condition| condition.condition_type == "Ready");
            let since = condition.map(|condition| condition.last_transition_time);
            match overview.workloads.iter_mut().find(|view| view.name == *name) {
                // What was last resolved goes on, and is not what its author wrote.
                Some(view) if shows(workload, "Unresolved") => {
                    if severity(view.phase) < severity(Phase::Waiting) {
                        view.phase = Phase::Waiting;
                    }
                    let why = condition.map_or("", |condition| &condition.message);
                    view.message =
                        format!("its former document goes on, the new one does not resolve: {why}");
                    view.since = since;
                }
                Some(_) => {}
                None if state.object.deleting => overview.workloads.push(WorkloadView {
                    name: name.clone(),
                    resource: String::new(),
                    module: String::new(),
                    phase: Phase::Deleting,
                    message: "it was removed, since the environment is being deleted".to_owned(),
                    since,
                    urls: Vec::new(),
                }),
                // A workload that was never resolved has no resource; it is shown all the same.
                None => overview.workloads.push(WorkloadView {
                    name: name.clone(),
                    resource: String::new(),
                    module: String::new(),
                    phase: Phase::Waiting,
                    message: condition.map_or_else(
                        || "its release is being computed".to_owned(),
                        |found| found.message.clone(),
                    ),
                    since,
                    urls: Vec::new(),
                }),
            }
        }
        for view in &overview.workloads {
            if severity(view.phase) > severity(overview.phase) {
                overview.phase = view.phase;
            }
        }
        json(&overview)
    }
}
