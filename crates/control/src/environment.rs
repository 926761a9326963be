//! An environment with what its releases are computed from.

use std::collections::{BTreeMap, BTreeSet};

use podium_model::coordinate::Coordinate;
use podium_model::graph::{Graph, ModuleReference};
use podium_model::kinds::{
    ENVIRONMENT_TYPES, ENVIRONMENTS, EnvironmentSpec, EnvironmentStatus, EnvironmentTypeSpec, Mode,
    RESOURCES, RUNS, ResourceSpec, ResourceStatus, RunSpec, RunStatus, SimpleStatus, WORKLOADS, WorkloadSpec,
};
use podium_model::kinds::{RELEASES, ReleaseSpec, ReleaseStatus};
use podium_model::value::Value;
use podium_planner::{EnvironmentContext, Live, LiveResource};
use podium_store::{BlobDigest, SharedStore};

use crate::error::ControlError;
use crate::executor::release_name;
use crate::objects::{Object, cluster, get, list, namespaced, resource};

pub(crate) type EnvironmentObject = Object<EnvironmentSpec, EnvironmentStatus>;
pub(crate) type ResourceObject = Object<ResourceSpec, ResourceStatus>;
pub(crate) type WorkloadObject = Object<WorkloadSpec, SimpleStatus>;
pub(crate) type RunObject = Object<RunSpec, RunStatus>;

/// An environment as it stands at one moment.
#[derive(Debug)]
pub(crate) struct EnvironmentState {
    pub(crate) object: EnvironmentObject,
    pub(crate) context: EnvironmentContext,
    pub(crate) mode: Mode,
    pub(crate) workloads: BTreeMap<String, WorkloadObject>,
    pub(crate) resources: BTreeMap<Coordinate, ResourceObject>,
    /// Runs that are not final, oldest first.
    pub(crate) open_runs: Vec<RunObject>,
}

/// The coordinate of a Resource object.
pub(crate) fn coordinate(resource: &ResourceObject) -> Coordinate {
    Coordinate::new(
        &resource.spec.resource_type,
        &resource.spec.class,
        &resource.spec.id,
    )
}

/// Reads an environment by the name of its object.
pub(crate) async fn find(store: &SharedStore, name: &str) -> Result<EnvironmentObject, ControlError> {
    if let Some(object) = get(&**store, &cluster(ENVIRONMENTS, name)).await? {
        Ok(object)
    } else {
        let plural = resource(ENVIRONMENTS);
        Err(podium_apiserver::StatusError::not_found(&plural.group, &plural.resource, name).into())
    }
}

/// What modules may know of an environment.
pub(crate) fn context(object: &EnvironmentObject) -> EnvironmentContext {
    EnvironmentContext {
        project: object.spec.project.clone(),
        environment: object.spec.name.clone(),
        environment_type: object.spec.environment_type.clone(),
        namespace: object.name().to_owned(),
        variables: object.spec.variables.clone(),
    }
}

impl EnvironmentState {
    /// Reads everything of one environment.
    pub(crate) async fn load(store: &SharedStore, name: &str) -> Result<Self, ControlError> {
        let object = find(store, name).await?;
        let mode = if let Some(mode) = object.spec.mode {
            mode
        } else {
            let key = cluster(ENVIRONMENT_TYPES, &object.spec.environment_type);
            let found = get::<EnvironmentTypeSpec, SimpleStatus>(&**store, &key).await?;
            found.map(|found| found.spec.default_mode).unwrap_or_default()
        };
        let workloads = list::<WorkloadSpec, SimpleStatus>(&**store, WORKLOADS, Some(name)).await?;
        let resources = list::<ResourceSpec, ResourceStatus>(&**store, RESOURCES, Some(name)).await?;
        let mut open_runs: Vec<RunObject> = list::<RunSpec, RunStatus>(&**store, RUNS, Some(name))
            .await?
            .into_iter()
            .filter(|run| !run.status.phase.is_final())
            .collect();
        open_runs.sort_by_key(|run| run.spec.release);
        Ok(Self {
            context: context(&object),
            mode,
            object,
            workloads: workloads
                .into_iter()
                .map(|workload| (workload.name().to_owned(), workload))
                .collect(),
            resources: resources
                .into_iter()
                .map(|resource| (coordinate(&resource), resource))
                .collect(),
            open_runs,
        })
    }

    /// What the resolver must know of what is live.
    pub(crate) fn live(&self) -> Live {
        let mut live = Live::default();
        for (coordinate, resource) in &self.resources {
            if !resource.spec.ports.is_empty() {
                live.ports.insert(coordinate.clone(), resource.spec.ports.clone());
            }
            for request in &resource.spec.requested_by {
                if !request.author.is_empty() {
                    let key = (coordinate.clone(), request.requester.clone());
                    live.authors
                        .insert(key, (request.release, request.author.clone()));
                }
            }
        }
        live
    }

    /// What the plan is compared with.
    pub(crate) async fn live_resources(
        &self,
        store: &SharedStore,
    ) -> Result<BTreeMap<Coordinate, LiveResource>, ControlError> {
        let mut live = BTreeMap::new();
        for (coordinate, resource) in &self.resources {
            live.insert(
                coordinate.clone(),
                live_resource(store, coordinate, resource).await?,
            );
        }
        Ok(live)
    }

    /// What runs that are not over will still do, oldest first.
    pub(crate) async fn open_work(&self, store: &SharedStore) -> Result<Vec<OpenWork>, ControlError> {
        let mut open = Vec::new();
        for run in &self.open_runs {
            let work: podium_engine::Work = read_blob(store, &run.spec.work).await?;
            let key = namespaced(RELEASES, self.object.name(), &release_name(run.spec.release));
            let Some(release) = get::<ReleaseSpec, ReleaseStatus>(&**store, &key).await? else {
                continue;
            };
            open.push(OpenWork {
                release: run.spec.release,
                has_begun: run.status.started.is_some(),
                nodes: work.nodes.into_iter().map(|node| node.coordinate).collect(),
                graph: read_blob(store, &release.spec.graph).await?,
            });
        }
        Ok(open)
    }
}

/// What a run that is not over will still do.
pub(crate) struct OpenWork {
    pub(crate) release: u64,
    pub(crate) has_begun: bool,
    /// The nodes that it changes.
    pub(crate) nodes: BTreeSet<Coordinate>,
    /// What it makes of them.
    pub(crate) graph: Graph,
}

/// One live resource, as the planner sees it.
pub(crate) async fn live_resource(
    store: &SharedStore,
    coordinate: &Coordinate,
    resource: &ResourceObject,
) -> Result<LiveResource, ControlError> {
    let applied = resource.status.applied.clone().unwrap_or_default();
    let never = applied.digest.is_empty();
    Ok(LiveResource {
        coordinate: coordinate.clone(),
        module: ModuleReference {
            module: if never {
                resource.spec.module.clone()
            } else {
                applied.module
            },
            version: if never {
                resource.spec.module_version
            } else {
                applied.module_version
            },
        },
        driver: applied
            .driver
            .or(resource.spec.driver)
            .unwrap_or(podium_model::kinds::DriverKind::Template),
        digest: applied.digest,
        complete: applied.complete,
        made: resource.status.outputs.is_some(),
        outputs: outputs(store, resource).await?,
        needs: applied
            .needs
            .iter()
            .filter_map(|need| parse_coordinate(need))
            .collect(),
        protect: resource.spec.protect,
    })
}

/// The outputs of a resource with the handles of their secrets.
pub(crate) async fn outputs(store: &SharedStore, resource: &ResourceObject) -> Result<Value, ControlError> {
    if resource.status.outputs_blob.is_empty() {
        return Ok(resource
            .status
            .outputs
            .as_ref()
            .map_or_else(Value::empty_map, Value::from_json));
    }
    let tagged: serde_json::Value = read_blob(store, &resource.status.outputs_blob).await?;
    Value::from_tagged(&tagged).map_err(|error| ControlError::Damaged(error.to_string()))
}

/// Reads `TYPE.CLASS#ID`.
pub(crate) fn parse_coordinate(text: &str) -> Option<Coordinate> {
    let (front, id) = text.split_once('#')?;
    let (resource_type, class) = front.split_once('.')?;
    Some(Coordinate::new(resource_type, class, id))
}

/// Reads a blob of Podium's own as JSON.
pub(crate) async fn read_blob<T: serde::de::DeserializeOwned>(
    store: &SharedStore,
    digest: &str,
) -> Result<T, ControlError> {
    let digest = blob(digest)?;
    let content = store.get_blob(&digest).await?;
    serde_json::from_slice(&content).map_err(|error| ControlError::Damaged(format!("blob {digest}: {error}")))
}

/// Writes a blob of Podium's own as JSON.
pub(crate) async fn write_blob<T: serde::Serialize>(
    store: &SharedStore,
    content: &T,
) -> Result<BlobDigest, ControlError> {
    let bytes = serde_json::to_vec(content).map_err(|error| ControlError::Damaged(error.to_string()))?;
    Ok(store.put_blob(bytes.into()).await?)
}

/// A digest from its text.
pub(crate) fn blob(digest: &str) -> Result<BlobDigest, ControlError> {
    BlobDigest::parse(digest).map_err(|text| ControlError::Damaged(format!("`{text}` is no digest")))
}
