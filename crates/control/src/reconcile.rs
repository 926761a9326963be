//! Follows what is written one object at a time: documents, environments, projects.
//!
//! What arrives while a release is computed goes into the next. A document that does not resolve is shown, its last
//! resolved content stays, and the other workloads go on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use podium_document::Problem;
use podium_model::condition::ConditionStatus;
use podium_model::coordinate::Coordinate;
use podium_model::kinds::{
    Cause, ENVIRONMENT_TYPES, ENVIRONMENTS, EnvironmentSpec, EnvironmentStatus, PLANS, PROJECTS, ProjectSpec,
    RELEASES, RESOURCES, RUNS, ReleaseSpec, ReleaseStatus, SimpleStatus, WORKLOADS, WorkloadSpec,
};
use podium_store::{Change, Event, Precondition, Transaction, WatchRequest};

use crate::environment::{EnvironmentObject, EnvironmentState, WorkloadObject};
use crate::error::ControlError;
use crate::executor::release_name;
use crate::objects::{cluster, get, list, list_raw, namespaced, set_ready};
use crate::planning::Desired;
use crate::releasing::{Order, Wanted};
use crate::service::ControlPlane;

/// Finalizer of environments: their planned removal.
pub const ENVIRONMENT_FINALIZER: &str = "podium.dev/environment";
/// Finalizer of projects: the removal of their environments.
pub const PROJECT_FINALIZER: &str = "podium.dev/project";
/// Who writes what the server itself decides.
pub(crate) const SERVER: &str = "system:podium";
/// Seconds until a removal that failed is tried again.
const RETRY_REMOVAL_SECONDS: u64 = 30;

/// Namespaces with documents that do not resolve: they are tried again when the catalogue changes.
#[derive(Default)]
pub(crate) struct Unresolved(Mutex<BTreeSet<String>>);

impl Unresolved {
    fn set(&self, namespace: &str, unresolved: bool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if unresolved {
            all.insert(namespace.to_owned());
        } else {
            all.remove(namespace);
        }
    }

    fn all(&self) -> BTreeSet<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What is to be looked at.
#[derive(Default)]
struct Due {
    environments: BTreeSet<String>,
    projects: BTreeSet<String>,
    every_environment: bool,
}

impl Due {
    fn note(&mut self, event: &Event) {
        let key = &event.object.key;
        match &*key.resource.resource {
            WORKLOADS
                if (event
                    .previous
                    .as_ref()
                    .is_none_or(|before| before["spec"] != event.object.value["spec"])
                    || event.kind == podium_store::EventKind::Deleted) =>
            {
                self.environments.insert(key.namespace.to_string());
            }
            RESOURCES => {
                self.environments.insert(key.namespace.to_string());
            }
            ENVIRONMENTS => {
                if event.kind == podium_store::EventKind::Deleted {
                    if let Some(project) = event.object.value["spec"]["project"].as_str() {
                        self.projects.insert(project.to_owned());
                    }
                } else if event.previous.as_ref().is_none_or(|before| {
                    before["spec"] != event.object.value["spec"]
                        || before["metadata"]["deletionTimestamp"]
                            != event.object.value["metadata"]["deletionTimestamp"]
                        || before["status"]["pinned"] != event.object.value["status"]["pinned"]
                }) {
                    self.environments.insert(key.name.to_string());
                }
            }
            ENVIRONMENT_TYPES => self.every_environment = true,
            PROJECTS => {
                self.projects.insert(key.name.to_string());
            }
            _ => {}
        }
    }
}

/// Whether a workload shows this reason for not being ready.
pub(crate) fn shows(workload: &WorkloadObject, reason: &str) -> bool {
    workload
        .status
        .conditions
        .iter()
        .any(|condition| condition.condition_type == "Ready" && condition.reason == reason)
}

impl ControlPlane {
    /// Follows documents for as long as the server runs.
    pub(crate) async fn follow_documents(self: Arc<Self>) {
        let mut catalogue = self.catalogue.changes();
        loop {
            let Ok(after) = self.store.revision().await else {
                return;
            };
            self.reconcile_due(Due {
                every_environment: true,
                ..Due::default()
            })
            .await;
            let request = WatchRequest {
                resource: None,
                namespace: None,
                after,
            };
            let Ok(mut events) = self.store.watch(request).await else {
                return;
            };
            loop {
                let mut due = Due::default();
                tokio::select! {
                    batch = events.next() => match batch {
                        Some(Ok((_, events))) => events.iter().for_each(|event| due.note(event)),
                        // Too far behind: begin anew.
                        Some(Err(_)) => break,
                        None => return,
                    },
                    changed = catalogue.changed() => {
                        if changed.is_err() {
                            return;
                        }
                        due.environments = self.unresolved.all();
                    }
                }
                self.reconcile_due(due).await;
            }
        }
    }

    async fn reconcile_due(self: &Arc<Self>, mut due: Due) {
        if due.every_environment {
            match list_raw(&*self.store, ENVIRONMENTS, None).await {
                Ok(all) => due
                    .environments
                    .extend(all.into_iter().map(|object| object.key.name.to_string())),
                Err(error) => tracing::error!(%error, "environments cannot be listed"),
            }
            match list_raw(&*self.store, PROJECTS, None).await {
                Ok(all) => due
                    .projects
                    .extend(all.into_iter().map(|object| object.key.name.to_string())),
                Err(error) => tracing::error!(%error, "projects cannot be listed"),
            }
        }
        for namespace in due.environments {
            if let Err(error) = self.reconcile(&namespace).await
                // Gone meanwhile, or changed by somebody else, whose change is looked at next.
                && !error.is_conflict()
                && !matches!(&error, ControlError::Refused(status) if status.code == 404)
            {
                tracing::error!(namespace, %error, "an environment cannot be brought up to date");
            }
        }
        for project in due.projects {
            if let Err(error) = self.reconcile_project(&project).await {
                tracing::error!(project, %error, "a project cannot be brought up to date");
            }
        }
    }

    /// Brings an environment up to date with its documents.
    pub(crate) async fn reconcile(self: &Arc<Self>, namespace: &str) -> Result<(), ControlError> {
        let state = EnvironmentState::load(&self.store, namespace).await?;
        if state.object.deleting {
            return self.remove_environment(&state).await;
        }
        let desired = Desired {
            workloads: state
                .workloads
                .iter()
                .map(|(name, found)| (name.clone(), found.spec.clone()))
                .collect(),
        };
        let digest = desired.digest(&state);
        // What is shown as unresolved is looked at again also after a restart, which forgets what was remembered.
        let tries_again = self.unresolved.all().contains(namespace)
            || state
                .workloads
                .values()
                .any(|workload| shows(workload, "Unresolved"));
        if let Some(number) = state.object.status.pinned {
            let message = format!("a rollback pinned the environment to release {number}");
            if digest != state.object.status.desired {
                self.show_workloads(&state, "Pinned", |_| Some(message.clone()))
                    .await?;
            }
            return Ok(());
        }
        // An environment that never had a document needs no release.
        let untouched = state.object.status.release == 0 && desired.workloads.is_empty();
        if untouched {
            return self.show_untouched(&state).await;
        }
        if digest == state.object.status.desired && !tries_again {
            return self.mirror_workloads(&state).await;
        }
        let author = state
            .workloads
            .values()
            .max_by_key(|workload| workload.revision)
            .filter(|workload| workload.revision > state.object.revision)
            .map_or_else(
                || state.object.principal.to_string(),
                |workload| workload.principal.to_string(),
            );
        let outcome = self.release(namespace, &Wanted::Written, &author).await;
        let problems = match &outcome {
            Ok((_, problems)) | Err(ControlError::Documents(problems)) => problems.as_slice(),
            Err(_) => &[],
        };
        self.unresolved.set(namespace, !problems.is_empty());
        let unresolved = by_document(problems);
        if !unresolved.is_empty() {
            self.show_workloads(&state, "Unresolved", |name| unresolved.get(name).cloned())
                .await?;
        }
        match &outcome {
            Ok(_) | Err(ControlError::Documents(_)) => {
                // A document that was unresolved may be what is running already: then no resource will tell. Those that
                // are unresolved keep that reason, whatever runs of them, and hide nothing of the others.
                let mut state = EnvironmentState::load(&self.store, namespace).await?;
                state.workloads.retain(|name, _| !unresolved.contains_key(name));
                self.mirror_workloads(&state).await
            }
            Err(_) => outcome.map(|_| ()),
        }
    }

    /// An environment that nothing was deployed to is ready: nothing more will happen by itself.
    async fn show_untouched(&self, state: &EnvironmentState) -> Result<(), ControlError> {
        let mut changed = state.object.clone();
        let generation = changed.generation;
        changed.status.observed_generation = generation;
        let conditions = &mut changed.status.conditions;
        set_ready(
            conditions,
            ConditionStatus::True,
            "Empty",
            "",
            generation,
            self.clock.now(),
        );
        if changed.status == state.object.status {
            return Ok(());
        }
        let transaction = Transaction {
            principal: SERVER.into(),
            preconditions: vec![changed.unchanged()],
            changes: vec![changed.put()?],
            ..Transaction::default()
        };
        match self.store.commit(transaction).await.map_err(ControlError::from) {
            // Somebody wrote it meanwhile; that write is looked at next.
            Err(error) if error.is_conflict() => Ok(()),
            outcome => outcome.map(|_| ()),
        }
    }

    /// The order for documents written one by one: those that do not resolve keep their last resolved content.
    pub(crate) async fn written_order(&self, state: &EnvironmentState) -> Result<Order, ControlError> {
        let mut workloads: BTreeMap<String, WorkloadSpec> = state
            .workloads
            .iter()
            .map(|(name, found)| (name.clone(), found.spec.clone()))
            .collect();
        let digest = Desired {
            workloads: workloads.clone(),
        }
        .digest(state);
        let key = namespaced(
            RELEASES,
            state.object.name(),
            &release_name(state.object.status.release),
        );
        let former = match get::<ReleaseSpec, ReleaseStatus>(&*self.store, &key).await? {
            Some(release) => self.release_documents(&release.spec).await?,
            None => BTreeMap::new(),
        };
        let mut problems: Vec<Problem> = Vec::new();
        loop {
            let mut order = Order {
                cause: Cause::Change,
                desired: Desired {
                    workloads: workloads.clone(),
                },
                one_by_one: true,
                digest: Some(digest.clone()),
                ..Order::default()
            };
            match self.check(state, &order).await {
                Err(ControlError::Documents(found)) => {
                    let bad: BTreeSet<String> = found
                        .iter()
                        .filter_map(|problem| problem.document.clone())
                        .collect();
                    let mut changed = false;
                    for name in bad {
                        let keeps = former
                            .get(&name)
                            .filter(|spec| workloads.get(&name) != Some(*spec))
                            .cloned();
                        changed |= match keeps {
                            Some(spec) => workloads.insert(name, spec).is_some(),
                            None => workloads.remove(&name).is_some(),
                        };
                    }
                    problems.extend(found);
                    if !changed {
                        return Err(ControlError::Documents(problems));
                    }
                }
                Err(error) => return Err(error),
                Ok(()) => {
                    order.problems = problems;
                    return Ok(order);
                }
            }
        }
    }

    /// Shows the same reason on the workloads for which `message` has one.
    async fn show_workloads(
        &self,
        state: &EnvironmentState,
        reason: &str,
        message: impl Fn(&str) -> Option<String>,
    ) -> Result<(), ControlError> {
        for (name, workload) in &state.workloads {
            if let Some(message) = message(name) {
                self.set_workload(workload, ConditionStatus::False, reason, &message)
                    .await?;
            }
        }
        Ok(())
    }

    /// Workloads show how their resources are.
    async fn mirror_workloads(&self, state: &EnvironmentState) -> Result<(), ControlError> {
        for (name, workload) in &state.workloads {
            let Some(resource) = state.resources.get(&Coordinate::workload(name)) else {
                continue;
            };
            let Some(ready) = resource
                .status
                .conditions
                .iter()
                .find(|condition| condition.condition_type == "Ready")
            else {
                continue;
            };
            self.set_workload(workload, ready.status, &ready.reason, &ready.message)
                .await?;
        }
        Ok(())
    }

    async fn set_workload(
        &self,
        workload: &WorkloadObject,
        status: ConditionStatus,
        reason: &str,
        message: &str,
    ) -> Result<(), ControlError> {
        let mut changed = workload.clone();
        changed.status.observed_generation = changed.generation;
        let generation = changed.generation;
        set_ready(
            &mut changed.status.conditions,
            status,
            reason,
            message,
            generation,
            self.clock.now(),
        );
        if changed.status == workload.status {
            return Ok(());
        }
        let transaction = Transaction {
            principal: SERVER.into(),
            preconditions: vec![changed.unchanged()],
            changes: vec![changed.put()?],
            ..Transaction::default()
        };
        match self.store.commit(transaction).await.map_err(ControlError::from) {
            // Somebody wrote it meanwhile; that write is looked at next.
            Err(error) if error.is_conflict() => Ok(()),
            outcome => outcome.map(|_| ()),
        }
    }

    /// The planned removal of an environment; when nothing is left, its objects go.
    async fn remove_environment(self: &Arc<Self>, state: &EnvironmentState) -> Result<(), ControlError> {
        if !state.resources.is_empty() {
            let at_work = state
                .open_runs
                .iter()
                .any(|run| run.spec.release == state.object.status.release);
            let newest = get::<ReleaseSpec, ReleaseStatus>(
                &*self.store,
                &namespaced(
                    RELEASES,
                    state.object.name(),
                    &release_name(state.object.status.release),
                ),
            )
            .await?;
            let removal_begun = newest
                .as_ref()
                .is_some_and(|release| release.spec.cause == Cause::Destroy);
            if at_work && removal_begun {
                return Ok(());
            }
            self.release(state.object.name(), &Wanted::Removal, &state.object.principal)
                .await?;
            return Ok(());
        }
        if !state.open_runs.is_empty() {
            return Ok(());
        }
        let namespace = state.object.name();
        let mut transaction = Transaction {
            principal: SERVER.into(),
            ..Transaction::default()
        };
        for plural in [WORKLOADS, RUNS, PLANS, RELEASES] {
            for object in list_raw(&*self.store, plural, Some(namespace)).await? {
                transaction.changes.push(Change::Delete(object.key));
            }
        }
        transaction.preconditions.push(state.object.unchanged());
        transaction
            .changes
            .push(without_finalizer(&state.object, ENVIRONMENT_FINALIZER));
        self.store.commit(transaction).await?;
        tracing::info!(namespace, "an environment was removed");
        Ok(())
    }

    /// After a run: an environment that is being deleted goes on with its removal.
    pub(crate) async fn after_run(self: &Arc<Self>, namespace: &str) {
        let Ok(state) = EnvironmentState::load(&self.store, namespace).await else {
            return;
        };
        if !state.object.deleting {
            return;
        }
        if state.resources.is_empty() {
            if let Err(error) = self.remove_environment(&state).await {
                tracing::error!(namespace, %error, "an environment cannot be removed");
            }
            return;
        }
        let plane = Arc::clone(self);
        let namespace = namespace.to_owned();
        tokio::spawn(async move {
            tokio::time::sleep(std::time::Duration::from_secs(RETRY_REMOVAL_SECONDS)).await;
            if let Err(error) = plane.reconcile(&namespace).await {
                tracing::error!(namespace, %error, "an environment cannot be removed");
            }
        });
    }

    /// A project that is deleted takes its environments with it, and goes when they are gone.
    async fn reconcile_project(&self, name: &str) -> Result<(), ControlError> {
        let Some(project) = get::<ProjectSpec, SimpleStatus>(&*self.store, &cluster(PROJECTS, name)).await?
        else {
            return Ok(());
        };
        if !project.deleting {
            return Ok(());
        }
        let environments: Vec<EnvironmentObject> =
            list::<EnvironmentSpec, EnvironmentStatus>(&*self.store, ENVIRONMENTS, None)
                .await?
                .into_iter()
                .filter(|environment| environment.spec.project == name)
                .collect();
        if environments.is_empty() {
            let transaction = Transaction {
                principal: SERVER.into(),
                preconditions: vec![project.unchanged()],
                changes: vec![without_finalizer(&project, PROJECT_FINALIZER)],
                ..Transaction::default()
            };
            self.store.commit(transaction).await?;
            return Ok(());
        }
        for environment in environments
            .into_iter()
            .filter(|environment| !environment.deleting)
        {
            let mut value = environment.json().clone();
            value["metadata"]["deletionTimestamp"] =
                serde_json::Value::String(crate::objects::seconds(self.clock.now()));
            value["metadata"]["deletionGracePeriodSeconds"] = serde_json::json!(0);
            let transaction = Transaction {
                principal: Arc::clone(&project.principal),
                preconditions: vec![environment.unchanged()],
                changes: vec![Change::Put(environment.key.clone(), Arc::new(value))],
                ..Transaction::default()
            };
            self.store.commit(transaction).await?;
        }
        Ok(())
    }

    /// The objects that every installation has: project, environment type and environment `default`, and the runner.
    pub(crate) async fn ensure_defaults(&self) -> Result<(), ControlError> {
        use podium_model::kinds::{DEFAULT_RUNNER, EnvironmentTypeSpec, RUNNERS, RunnerSpec, RunnerStatus};
        let now = self.clock.now();
        let status = SimpleStatus::default();
        let environment = EnvironmentSpec {
            project: "default".to_owned(),
            name: "default".to_owned(),
            environment_type: "development".to_owned(),
            ..EnvironmentSpec::default()
        };
        let create = crate::objects::create::<serde_json::Value, serde_json::Value>;
        let encode = |value: Result<serde_json::Value, serde_json::Error>| {
            value.map_err(|error| ControlError::Damaged(error.to_string()))
        };
        let wanted = [
            (
                PROJECTS,
                "Project",
                "default",
                encode(serde_json::to_value(ProjectSpec::default()))?,
                encode(serde_json::to_value(&status))?,
            ),
            (
                ENVIRONMENT_TYPES,
                "EnvironmentType",
                "development",
                encode(serde_json::to_value(EnvironmentTypeSpec::default()))?,
                encode(serde_json::to_value(&status))?,
            ),
            (
                ENVIRONMENTS,
                "Environment",
                "default",
                encode(serde_json::to_value(environment))?,
                encode(serde_json::to_value(EnvironmentStatus::default()))?,
            ),
            (
                RUNNERS,
                "Runner",
                DEFAULT_RUNNER,
                encode(serde_json::to_value(RunnerSpec::default()))?,
                encode(serde_json::to_value(RunnerStatus::default()))?,
            ),
        ];
        for (plural, kind, name, spec, status) in wanted {
            let key = cluster(plural, name);
            if self.store.get(&key).await?.is_some() {
                continue;
            }
            let transaction = Transaction {
                principal: SERVER.into(),
                preconditions: vec![Precondition::Absent(key.clone())],
                changes: vec![create(&key, kind, &self.uid(), now, &spec, &status)?],
                ..Transaction::default()
            };
            self.store.commit(transaction).await?;
        }
        Ok(())
    }
}

/// Everything goes, because the environment does.
pub(crate) fn removal_order(state: &EnvironmentState) -> Order {
    Order {
        cause: Cause::Destroy,
        message: "the environment is being deleted".to_owned(),
        one_by_one: true,
        // Never equal to a former one: a removal that failed is planned again.
        digest: Some(format!("removal after release {}", state.object.status.release)),
        ..Order::default()
    }
}

/// The change that takes a finalizer away; the object goes when it was the last.
fn without_finalizer<Spec, Status>(object: &crate::objects::Object<Spec, Status>, finalizer: &str) -> Change
where
    Spec: serde::de::DeserializeOwned + serde::Serialize,
    Status: serde::de::DeserializeOwned + serde::Serialize + Default,
{
    let left: Vec<String> = object
        .finalizers()
        .into_iter()
        .filter(|name| name != finalizer)
        .collect();
    if left.is_empty() {
        return Change::Delete(object.key.clone());
    }
    let mut value = object.json().clone();
    value["metadata"]["finalizers"] = serde_json::json!(left);
    Change::Put(object.key.clone(), Arc::new(value))
}

/// One message for each document.
fn by_document(problems: &[Problem]) -> BTreeMap<String, String> {
    let mut messages: BTreeMap<String, String> = BTreeMap::new();
    for problem in problems {
        let Some(document) = &problem.document else {
            continue;
        };
        let message = messages.entry(document.clone()).or_default();
        if !message.is_empty() {
            message.push_str("; ");
        }
        let path = problem.path.to_string();
        if !path.is_empty() {
            message.push_str(&path);
            message.push_str(": ");
        }
        message.push_str(&problem.message);
    }
    messages
}
