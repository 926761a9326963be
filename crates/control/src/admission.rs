//! Admission: what a kind demands beyond its schema, and what comes with a write in the same transaction.

use std::sync::Arc;

use async_trait::async_trait;
use podium_apiserver::{Admission, AdmissionRequest, Admitted, Cause, Operation, StatusError};
use podium_document::{Path, PathSegment, Problem};
use podium_model::condition::ConditionStatus;
use podium_model::graph::ModuleReference;
use podium_model::kinds::{
    ENVIRONMENT_TYPES, ENVIRONMENTS, EnvironmentSpec, EnvironmentStatus, EnvironmentTypeSpec, MODULE_RULES,
    MODULE_VERSIONS, MODULES, ModuleContent, ModuleRuleSpec, ModuleSpec, ModuleStatus, ModuleVersionSpec,
    PROJECTS, ProjectSpec, RESOURCE_TYPES, RESOURCES, RUNNERS, ResourceSpec, ResourceStatus,
    ResourceTypeSpec, SimpleStatus, WORKLOADS, WorkloadSpec,
};
use podium_model::value::Value;
use podium_planner::{CompiledModule, ModuleVersionInput};
use podium_schema::Schema;
use podium_store::{BlobDigest, BlobError, Precondition, get_upload};
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use crate::documents;
use crate::environment::EnvironmentObject;
use crate::error::{ControlError, documents_refused};
use crate::objects::{Object, cluster, create, get, list, set_ready};
use crate::reconcile::{ENVIRONMENT_FINALIZER, PROJECT_FINALIZER};
use crate::service::ControlPlane;

/// Judges and completes writes of Podium's kinds.
pub struct KindAdmission(pub Arc<ControlPlane>);

#[async_trait]
impl Admission for KindAdmission {
    async fn admit(&self, request: AdmissionRequest<'_>) -> Result<Admitted, StatusError> {
        let plane = &self.0;
        let judged = match (request.kind.plural, request.operation) {
            (PROJECTS, Operation::Create) => Ok(finalized(&request, PROJECT_FINALIZER)),
            (ENVIRONMENTS, Operation::Create | Operation::Update) => plane.admit_environment(&request).await,
            (RESOURCE_TYPES, Operation::Create | Operation::Update) => plane.admit_type(&request).await,
            (MODULES, Operation::Create | Operation::Update) => plane.admit_module(&request).await,
            (MODULE_RULES, Operation::Create | Operation::Update) => plane.admit_rule(&request).await,
            (WORKLOADS, Operation::Create | Operation::Update) => plane.admit_workload(&request).await,
            (RESOURCE_TYPES | MODULES | RUNNERS | ENVIRONMENT_TYPES, Operation::Delete) => {
                plane.refuse_in_use(&request).await
            }
            _ => Ok(Admitted::default()),
        };
        judged.map_err(StatusError::from)
    }
}

/// The spec of the object as it will be.
fn spec<T: DeserializeOwned>(request: &AdmissionRequest<'_>) -> Result<T, ControlError> {
    let value = request.new.as_ref().map_or(Json::Null, |new| new["spec"].clone());
    serde_json::from_value(value).map_err(|error| invalid(request, "spec", &error.to_string()))
}

fn invalid(request: &AdmissionRequest<'_>, field: &str, message: &str) -> ControlError {
    let cause = Cause {
        reason: "FieldValueInvalid".to_owned(),
        message: format!("Invalid value: {message}"),
        field: field.to_owned(),
    };
    StatusError::invalid(request.kind.group, request.kind.kind, request.name, vec![cause]).into()
}

fn refused(request: &AdmissionRequest<'_>, problems: Vec<Problem>) -> ControlError {
    let name = request.name;
    ControlError::Refused(documents_refused(
        &problems
            .into_iter()
            .map(|problem| problem.in_document(name))
            .collect::<Vec<_>>(),
    ))
}

/// Adds a finalizer to a new object.
fn finalized(request: &AdmissionRequest<'_>, finalizer: &str) -> Admitted {
    let mut object = request.new.clone().unwrap_or_default();
    let finalizers = object["metadata"]["finalizers"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    if !finalizers.iter().any(|found| found == finalizer) {
        let mut finalizers = finalizers;
        finalizers.push(json!(finalizer));
        object["metadata"]["finalizers"] = Json::Array(finalizers);
    }
    Admitted {
        object: Some(object),
        ..Admitted::default()
    }
}

impl ControlPlane {
    async fn admit_environment(&self, request: &AdmissionRequest<'_>) -> Result<Admitted, ControlError> {
        let wanted: EnvironmentSpec = spec(request)?;
        if let Some(old) = request.old {
            for field in ["project", "name"] {
                if old["spec"][field]
                    != request
                        .new
                        .as_ref()
                        .map_or(Json::Null, |new| new["spec"][field].clone())
                {
                    return Err(invalid(request, &format!("spec.{field}"), "cannot be changed"));
                }
            }
            return Ok(Admitted::default());
        }
        if request.name.len() > 63 {
            return Err(invalid(
                request,
                "metadata.name",
                "must be at most 63 characters: it is a namespace too",
            ));
        }
        let mut admitted = finalized(request, ENVIRONMENT_FINALIZER);
        let key = cluster(PROJECTS, &wanted.project);
        let project = get::<ProjectSpec, SimpleStatus>(&*self.store, &key).await?;
        match project {
            None => {
                let message = format!(
                    "there is no project `{0}`; make it first: podium create project {0}",
                    wanted.project
                );
                return Err(invalid(request, "spec.project", &message));
            }
            Some(project) if project.deleting => {
                return Err(invalid(request, "spec.project", "the project is being deleted"));
            }
            Some(_) => admitted.preconditions.push(Precondition::Exists(key)),
        }
        let key = cluster(ENVIRONMENT_TYPES, &wanted.environment_type);
        if get::<EnvironmentTypeSpec, SimpleStatus>(&*self.store, &key)
            .await?
            .is_none()
        {
            let message = format!("there is no environment type `{}`", wanted.environment_type);
            return Err(invalid(request, "spec.type", &message));
        }
        admitted.preconditions.push(Precondition::Exists(key));
        let others: Vec<EnvironmentObject> =
            list::<EnvironmentSpec, EnvironmentStatus>(&*self.store, ENVIRONMENTS, None).await?;
        if let Some(other) = others.iter().find(|other| {
            other.name() != request.name
                && other.spec.project == wanted.project
                && other.spec.name == wanted.name
        }) {
            let message = format!(
                "the project {} has an environment `{}` already: {}",
                wanted.project,
                wanted.name,
                other.name()
            );
            return Err(invalid(request, "spec.name", &message));
        }
        Ok(admitted)
    }

    async fn admit_type(&self, request: &AdmissionRequest<'_>) -> Result<Admitted, ControlError> {
        let wanted: ResourceTypeSpec = spec(request)?;
        let mut problems = Vec::new();
        for (part, json) in [("params", &wanted.params), ("outputs", &wanted.outputs)] {
            if let Some(Err(errors)) = json.as_ref().map(Schema::parse) {
                for error in errors {
                    let path = Path(vec!["spec".into(), part.into()]);
                    problems.push(Problem::error(path, error.to_string()));
                }
            }
        }
        if !problems.is_empty() {
            return Err(refused(request, problems));
        }
        let others = list::<ResourceTypeSpec, SimpleStatus>(&*self.store, RESOURCE_TYPES, None).await?;
        if let Some(other) = others
            .iter()
            .find(|other| other.name() != request.name && other.spec.resource_type == wanted.resource_type)
        {
            let message = format!(
                "`{}` is described by {} already",
                wanted.resource_type,
                other.name()
            );
            return Err(invalid(request, "spec.type", &message));
        }
        Ok(Admitted::default())
    }

    /// Each change of a module's content makes the next version, in the same transaction.
    async fn admit_module(&self, request: &AdmissionRequest<'_>) -> Result<Admitted, ControlError> {
        let wanted: ModuleSpec = spec(request)?;
        let mut admitted = Admitted::default();
        let status: ModuleStatus = match request.old.map(|old| &old["status"]) {
            None | Some(Json::Null) => ModuleStatus::default(),
            Some(status) => serde_json::from_value(status.clone()).unwrap_or_default(),
        };
        let digest = content_digest(&wanted.content)?;
        let mut latest = status.latest_version;
        let newest = if latest == 0 {
            None
        } else {
            let reference = ModuleReference {
                module: request.name.to_owned(),
                version: latest,
            };
            let key = cluster(MODULE_VERSIONS, &reference.object_name());
            get::<ModuleVersionSpec, SimpleStatus>(&*self.store, &key).await?
        };
        let is_new = newest.is_none_or(|newest| newest.spec.digest != digest);
        if is_new {
            latest += 1;
        }
        let reference = ModuleReference {
            module: request.name.to_owned(),
            version: latest,
        };
        self.check_module(request, &wanted, &reference, &mut admitted)
            .await?;
        let version = wanted.use_version.unwrap_or(latest);
        if version > latest {
            let message = format!("there is no version {version}; the newest is {latest}");
            return Err(invalid(request, "spec.useVersion", &message));
        }
        let now = self.clock.now();
        if is_new {
            let key = cluster(MODULE_VERSIONS, &reference.object_name());
            let content = ModuleVersionSpec {
                module: request.name.to_owned(),
                version: latest,
                owner: wanted.owner.clone(),
                digest,
                content: wanted.content.clone(),
            };
            // A module that was deleted and comes back goes on counting after its former versions.
            admitted.preconditions.push(Precondition::Absent(key.clone()));
            let change = create(
                &key,
                "ModuleVersion",
                &self.uid(),
                now,
                &content,
                &SimpleStatus::default(),
            )?;
            admitted.changes.push(change);
        }
        let mut object = request.new.clone().unwrap_or_default();
        let generation = object["metadata"]["generation"].as_i64().unwrap_or(1);
        let mut new = ModuleStatus {
            observed_generation: generation,
            latest_version: latest,
            version,
            ..status
        };
        set_ready(
            &mut new.conditions,
            ConditionStatus::True,
            "Published",
            "",
            generation,
            now,
        );
        object["status"] =
            serde_json::to_value(new).map_err(|error| ControlError::Damaged(error.to_string()))?;
        admitted.object = Some(object);
        Ok(admitted)
    }

    async fn check_module(
        &self,
        request: &AdmissionRequest<'_>,
        wanted: &ModuleSpec,
        reference: &ModuleReference,
        admitted: &mut Admitted,
    ) -> Result<(), ControlError> {
        let mut problems = Vec::new();
        let at = |parts: &[&str]| Path(parts.iter().map(|part| PathSegment::from(*part)).collect());
        if let Some(source) = &wanted.content.source {
            match BlobDigest::parse(&source.bundle) {
                Ok(digest) => {
                    if let Some(mistake) = self.bundle_mistake(&digest, &source.path).await? {
                        problems.push(Problem::error(at(&["spec", "source"]), mistake));
                    }
                    admitted.blobs.push(digest);
                }
                Err(text) => problems.push(
                    Problem::error(
                        at(&["spec", "source", "bundle"]),
                        format!("`{text}` is no digest of an upload"),
                    )
                    .help("apply the module with podium apply: it uploads the folder"),
                ),
            }
        }
        problems.extend(driver_settings(&wanted.content));
        let version = ModuleVersionInput {
            reference: reference.clone(),
            owner: wanted.owner.clone(),
            content: Arc::new(wanted.content.clone()),
        };
        match CompiledModule::compile(version) {
            Err(found) => problems.extend(found),
            Ok(module) => {
                let catalogue = self.catalogue.current().await?;
                problems.extend(catalogue.check_module(&module));
            }
        }
        if problems.iter().any(Problem::is_error) {
            return Err(refused(request, problems));
        }
        admitted
            .warnings
            .extend(problems.into_iter().map(|problem| problem.message));
        Ok(())
    }

    /// What is wrong with a module's source: it is taken apart once, so that a bundle that no step could use is
    /// refused when the module is applied.
    async fn bundle_mistake(
        &self,
        digest: &BlobDigest,
        folder: &str,
    ) -> Result<Option<String>, ControlError> {
        let bundle = match get_upload(&*self.store, digest).await {
            Ok(bundle) => bundle,
            Err(BlobError::Missing(_)) => {
                return Ok(Some(format!(
                    "there is no upload {digest}; podium apply uploads the folder"
                )));
            }
            Err(error) => return Err(error.into()),
        };
        let folder = folder.to_owned();
        let check = move || podium_drivers::check_bundle(&bundle, &folder).err();
        tokio::task::spawn_blocking(check)
            .await
            .map_err(|error| ControlError::Damaged(error.to_string()))
    }

    async fn admit_rule(&self, request: &AdmissionRequest<'_>) -> Result<Admitted, ControlError> {
        let wanted: ModuleRuleSpec = spec(request)?;
        if wanted.environment.is_some() && wanted.project.is_none() {
            return Err(invalid(
                request,
                "spec.environment",
                "needs `project`: an environment is named within one",
            ));
        }
        let key = cluster(MODULES, &wanted.module);
        let Some(module) = get::<ModuleSpec, ModuleStatus>(&*self.store, &key).await? else {
            let message = format!("there is no module `{}`", wanted.module);
            return Err(invalid(request, "spec.module", &message));
        };
        for other in list::<ModuleRuleSpec, SimpleStatus>(&*self.store, MODULE_RULES, None).await? {
            if other.name() == request.name || !same_selectors(&other.spec, &wanted) {
                continue;
            }
            let key = cluster(MODULES, &other.spec.module);
            let Some(served) = get::<ModuleSpec, ModuleStatus>(&*self.store, &key).await? else {
                continue;
            };
            if served.spec.content.resource_type == module.spec.content.resource_type {
                let message = format!(
                    "the rule `{}` has the same selectors for the type {}: which of the two should choose?",
                    other.name(),
                    module.spec.content.resource_type
                );
                return Err(invalid(request, "spec", &message));
            }
        }
        Ok(Admitted {
            preconditions: vec![Precondition::Exists(key)],
            ..Admitted::default()
        })
    }

    /// A document that cannot be read at all is refused; one that does not resolve is taken, and shown so.
    async fn admit_workload(&self, request: &AdmissionRequest<'_>) -> Result<Admitted, ControlError> {
        let wanted: WorkloadSpec = spec(request)?;
        let mut admitted = Admitted::default();
        for file in wanted.files.values() {
            match BlobDigest::parse(&file.digest) {
                Ok(digest) => admitted.blobs.push(digest),
                Err(text) => return Err(invalid(request, "spec.files", &format!("`{text}` is no digest"))),
            }
        }
        match documents::requests(&self.store, request.name, &wanted).await? {
            Ok(_) => Ok(admitted),
            Err(problems) => Err(ControlError::Documents(problems)),
        }
    }

    /// What live objects name cannot be deleted.
    async fn refuse_in_use(&self, request: &AdmissionRequest<'_>) -> Result<Admitted, ControlError> {
        let in_use = |what: &str, by: &str| -> ControlError {
            let message = format!("{what} is in use by {by}");
            StatusError::forbidden_object(request.kind.group, request.kind.plural, request.name, &message)
                .into()
        };
        match request.kind.plural {
            ENVIRONMENT_TYPES => {
                let environments =
                    list::<EnvironmentSpec, EnvironmentStatus>(&*self.store, ENVIRONMENTS, None).await?;
                if let Some(by) = environments
                    .iter()
                    .find(|environment| environment.spec.environment_type == request.name)
                {
                    return Err(in_use(
                        "the environment type",
                        &format!("the environment {}", by.name()),
                    ));
                }
            }
            MODULES => {
                let rules = list::<ModuleRuleSpec, SimpleStatus>(&*self.store, MODULE_RULES, None).await?;
                if let Some(by) = rules.iter().find(|rule| rule.spec.module == request.name) {
                    return Err(in_use("the module", &format!("the rule {}", by.name())));
                }
                if let Some(by) = self
                    .live_resource_where(|spec| spec.module == request.name)
                    .await?
                {
                    return Err(in_use("the module", &by));
                }
            }
            RESOURCE_TYPES => {
                let named = request
                    .old
                    .and_then(|old| old["spec"]["type"].as_str())
                    .unwrap_or_default();
                if let Some(by) = self
                    .live_resource_where(|spec| spec.resource_type == named)
                    .await?
                {
                    return Err(in_use("the resource type", &by));
                }
                let modules = list::<ModuleSpec, ModuleStatus>(&*self.store, MODULES, None).await?;
                if let Some(by) = modules
                    .iter()
                    .find(|module| module.spec.content.resource_type == named)
                {
                    return Err(in_use("the resource type", &format!("the module {}", by.name())));
                }
            }
            RUNNERS => {
                let modules = list::<ModuleSpec, ModuleStatus>(&*self.store, MODULES, None).await?;
                if let Some(by) = modules
                    .iter()
                    .find(|module| module.spec.content.runner == request.name)
                {
                    return Err(in_use("the runner", &format!("the module {}", by.name())));
                }
            }
            _ => {}
        }
        Ok(Admitted::default())
    }

    async fn live_resource_where(
        &self,
        is_it: impl Fn(&ResourceSpec) -> bool,
    ) -> Result<Option<String>, ControlError> {
        let all: Vec<Object<ResourceSpec, ResourceStatus>> = list(&*self.store, RESOURCES, None).await?;
        Ok(all
            .into_iter()
            .find(|resource| is_it(&resource.spec))
            .map(|resource| format!("the resource {} in {}", resource.spec.id, resource.key.namespace)))
    }
}

fn same_selectors(left: &ModuleRuleSpec, right: &ModuleRuleSpec) -> bool {
    let class = |rule: &ModuleRuleSpec| rule.class.clone().unwrap_or_else(|| "default".to_owned());
    class(left) == class(right)
        && left.resource_id == right.resource_id
        && left.environment == right.environment
        && left.project == right.project
        && left.environment_type == right.environment_type
}

fn content_digest(content: &ModuleContent) -> Result<String, ControlError> {
    let json = serde_json::to_value(content).map_err(|error| ControlError::Damaged(error.to_string()))?;
    Ok(Value::from_json(&json).digest())
}

/// Settings that belong to the driver, and only to it.
fn driver_settings(content: &ModuleContent) -> Vec<Problem> {
    use podium_model::kinds::DriverKind;
    let at = |parts: &[&str]| Path(parts.iter().map(|part| PathSegment::from(*part)).collect());
    let mut problems = Vec::new();
    match (&content.script, content.driver) {
        (None, DriverKind::Script) => problems.push(Problem::error(
            at(&["spec", "script"]),
            "the driver `script` needs `script` with the steps of `apply`",
        )),
        (Some(_), driver) if driver != DriverKind::Script => problems.push(
            Problem::error(
                at(&["spec", "script"]),
                format!(
                    "`script` belongs to the driver `script`, this module's driver is `{}`",
                    driver.as_str()
                ),
            )
            .on_key(),
        ),
        (Some(script), _) => {
            if script.apply.is_empty() {
                problems.push(Problem::error(
                    at(&["spec", "script", "apply"]),
                    "needs at least one step",
                ));
            }
            for (part, steps) in [
                ("apply", &script.apply),
                ("destroy", &script.destroy),
                ("observe", &script.observe),
            ] {
                for (index, step) in steps.iter().enumerate() {
                    if step.run.is_some() != step.command.is_empty() {
                        let mut path = at(&["spec", "script", part]);
                        path.0.push(PathSegment::from(index));
                        problems.push(Problem::error(
                            path,
                            format!("the step `{}` needs either `run` or `command`", step.name),
                        ));
                    }
                }
            }
        }
        (None, _) => {}
    }
    problems
}
