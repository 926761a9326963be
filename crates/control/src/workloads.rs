//! Workloads after their run: kept running across restarts of the server, and shown as they are.
//!
//! A workload's shim outlives the server and restarts what fails; nothing here is needed for that. What is done here:
//! after a start, a workload whose shim is gone (the machine was restarted, or `podium up` had stopped it) is started
//! again from its sealed inputs; and while the server runs, each change of a workload's health is written to its
//! Resource.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use podium_drivers::{Driver, Outcome};
use podium_model::kinds::{
    DriverKind, Phase, RESOURCES, RUNNERS, ResourceSpec, ResourceStatus, RunnerSpec, RunnerStatus,
};
use podium_model::value::Value;
use podium_runners::{ContainerState, WorkloadStatus};
use podium_store::{Transaction, WatchRequest};

use crate::environment::{ResourceObject, context, coordinate, find, read_blob};
use crate::error::ControlError;
use crate::executor::changes::show;
use crate::executor::operation::Parts;
use crate::objects::{cluster, get, list, namespaced, resource, set_ready};
use crate::ports::Ports;
use crate::reconcile::SERVER;
use crate::releasing::Wanted;
use crate::service::ControlPlane;

/// How long steps may go on when everything is told to end.
const STEP_PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

/// The workloads that are followed, by uid.
#[derive(Default)]
pub(crate) struct Followed(Mutex<HashSet<String>>);

impl Followed {
    fn add(&self, uid: &str) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(uid.to_owned())
    }

    fn remove(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

/// Whether a resource is a workload that should run now.
fn should_run(resource: &ResourceObject) -> bool {
    resource
        .status
        .applied
        .as_ref()
        .is_some_and(|applied| applied.complete && applied.driver == Some(DriverKind::Workload))
        && matches!(resource.status.phase, Phase::Ready | Phase::Degraded)
}

impl ControlPlane {
    /// Follows all workloads for as long as the server runs.
    pub(crate) async fn follow_workloads(self: Arc<Self>) {
        loop {
            let Ok(after) = self.store.revision().await else {
                return;
            };
            match list::<ResourceSpec, ResourceStatus>(&*self.store, RESOURCES, None).await {
                Ok(all) => {
                    for found in all.iter().filter(|found| should_run(found)) {
                        self.follow(found);
                    }
                }
                Err(error) => tracing::error!(%error, "resources cannot be listed"),
            }
            let request = WatchRequest {
                resource: Some(resource(RESOURCES)),
                namespace: None,
                after,
            };
            let Ok(mut events) = self.store.watch(request).await else {
                return;
            };
            while let Some(Ok((_, events))) = events.next().await {
                for event in events {
                    if let Ok(found) = ResourceObject::read(&event.object) {
                        if event.kind == podium_store::EventKind::Deleted {
                            self.ports.free(found.spec.ports.values().copied());
                        } else if should_run(&found) {
                            self.follow(&found);
                        }
                    }
                }
            }
        }
    }

    fn follow(self: &Arc<Self>, found: &ResourceObject) {
        if !self.followed.add(&found.uid) {
            return;
        }
        let plane = Arc::clone(self);
        let (uid, namespace, name) = (
            found.uid.clone(),
            found.key.namespace.to_string(),
            found.name().to_owned(),
        );
        tokio::spawn(async move {
            if let Err(error) = plane.follow_one(&uid, &namespace, &name).await {
                tracing::error!(namespace, name, %error, "a workload cannot be followed");
            }
            plane.followed.remove(&uid);
        });
    }

    async fn current(&self, namespace: &str, name: &str) -> Result<Option<ResourceObject>, ControlError> {
        get::<ResourceSpec, ResourceStatus>(&*self.store, &namespaced(RESOURCES, namespace, name)).await
    }

    async fn follow_one(&self, uid: &str, namespace: &str, name: &str) -> Result<(), ControlError> {
        let failed = |error: podium_runners::RunnerError| ControlError::Damaged(error.to_string());
        let mut starts = 0_u32;
        loop {
            let Some(found) = self.current(namespace, name).await? else {
                return Ok(());
            };
            if found.uid != uid || !should_run(&found) {
                return Ok(());
            }
            if self.runner.workload_status(uid).await.map_err(failed)?.is_none() {
                if self.stopping.load(std::sync::atomic::Ordering::Relaxed) {
                    return Ok(());
                }
                // Not while the shim is there: then the workload itself listens.
                if found.spec.ports.values().any(|port| Ports::is_taken(*port)) {
                    let wanted = Wanted::Repair(coordinate(&found));
                    let (made, _) = self.release(namespace, &wanted, SERVER).await?;
                    tracing::warn!(
                        namespace,
                        name,
                        release = made.release,
                        "ports were taken; others are allotted"
                    );
                    return Ok(());
                }
                starts += 1;
                if let Err(message) = self.start_again(&found, starts).await {
                    self.show_health(namespace, name, uid, Some(&message)).await?;
                    let pause = std::time::Duration::from_secs(u64::from(2_u32.pow(starts.min(6))));
                    tokio::time::sleep(pause).await;
                    continue;
                }
            }
            let mut statuses = Box::pin(self.runner.subscribe_workload(uid).await.map_err(failed)?);
            while let Some(status) = statuses.next().await {
                if status.stopping {
                    continue;
                }
                starts = 0;
                self.show_health(namespace, name, uid, trouble(&status).as_deref())
                    .await?;
            }
            if self.stopping.load(std::sync::atomic::Ordering::Relaxed) {
                return Ok(());
            }
            // The shim is gone: because of a run, which the state above tells, or by itself.
            tokio::task::yield_now().await;
        }
    }

    /// Starts a workload from what was last applied.
    async fn start_again(&self, found: &ResourceObject, attempt: u32) -> Result<(), String> {
        let told = |error: ControlError| error.to_string();
        let Some(applied) = &found.status.applied else {
            return Ok(());
        };
        let tagged: serde_json::Value = read_blob(&self.store, &applied.inputs).await.map_err(told)?;
        let inputs = Value::from_tagged(&tagged).map_err(|error| error.to_string())?;
        let environment = find(&self.store, &found.key.namespace).await.map_err(told)?;
        let parts = Parts {
            step: format!("{}.start.{attempt}", found.uid),
            coordinate: coordinate(found),
            resource: found,
            namespace: &found.key.namespace,
            module: podium_model::graph::ModuleReference {
                module: applied.module.clone(),
                version: applied.module_version,
            },
            deadline_ms: 0,
        };
        let operation = self
            .executor
            .operation(parts, &inputs, &context(&environment))
            .await
            .map_err(told)?;
        let driver: Arc<dyn Driver> = self.executor.drivers.get(DriverKind::Workload);
        match driver.apply(&operation).await {
            Outcome::Failed { message, .. } => Err(message),
            _ => Ok(()),
        }
    }

    /// Writes a workload's health to its Resource, unless a run is changing it.
    async fn show_health(
        &self,
        namespace: &str,
        name: &str,
        uid: &str,
        trouble: Option<&str>,
    ) -> Result<(), ControlError> {
        loop {
            let Some(mut found) = self.current(namespace, name).await? else {
                return Ok(());
            };
            if found.uid != uid || !should_run(&found) {
                return Ok(());
            }
            let before = found.status.clone();
            match trouble {
                None => show(&mut found, Phase::Ready, "Ready", "", self.clock.now()),
                Some(message) => show(
                    &mut found,
                    Phase::Degraded,
                    "Unhealthy",
                    message,
                    self.clock.now(),
                ),
            }
            if found.status == before {
                return Ok(());
            }
            let transaction = Transaction {
                principal: SERVER.into(),
                preconditions: vec![found.unchanged()],
                changes: vec![found.put()?],
                ..Transaction::default()
            };
            match self.store.commit(transaction).await.map_err(ControlError::from) {
                Err(error) if error.is_conflict() => {}
                outcome => return outcome.map(|_| ()),
            }
        }
    }

    /// Says that the server ends: no workload is started again. To be called before the store is closed.
    pub fn stop(&self) {
        self.stopping.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    /// Ends all that runs, as `podium up` does when it ends; the next start begins workloads again. Steps are given a
    /// moment to end by themselves. To be called once the store is closed, so that nothing new begins.
    pub async fn stop_everything(&self) {
        // What was just being started is found by the second look.
        for _ in 0..2 {
            futures::join!(self.stop_workloads(), self.stop_steps());
        }
    }

    async fn stop_workloads(&self) {
        let alive = self.runner.list_workloads().unwrap_or_else(|error| {
            tracing::error!(%error, "workloads cannot be listed");
            Vec::new()
        });
        let stops = alive
            .into_iter()
            .filter(|found| found.alive)
            .map(|found| async move {
                if let Err(error) = self.runner.stop_workload(&found.id).await {
                    tracing::error!(uid = found.id, %error, "a workload cannot be stopped");
                }
            });
        futures::future::join_all(stops).await;
    }

    async fn stop_steps(&self) {
        let alive = self.runner.list_steps().unwrap_or_else(|error| {
            tracing::error!(%error, "steps cannot be listed");
            Vec::new()
        });
        let stops = alive
            .into_iter()
            .filter(|found| found.alive)
            .map(|found| async move {
                let stopped = async {
                    let Some(step) = self.runner.attach_step(&found.id).await? else {
                        return Ok(());
                    };
                    if tokio::time::timeout(STEP_PATIENCE, step.wait()).await.is_err() {
                        step.stop().await?;
                        step.wait().await?;
                    }
                    Ok::<_, podium_runners::RunnerError>(())
                };
                if let Err(error) = stopped.await {
                    tracing::error!(step = found.id, %error, "a step cannot be stopped");
                }
            });
        futures::future::join_all(stops).await;
    }

    /// Writes which of the commands that modules may name were found on this machine.
    pub(crate) async fn report_tools(&self) -> Result<(), ControlError> {
        let key = cluster(RUNNERS, podium_model::kinds::DEFAULT_RUNNER);
        let Some(mut runner) = get::<RunnerSpec, RunnerStatus>(&*self.store, &key).await? else {
            return Ok(());
        };
        let found: BTreeMap<String, String> = self
            .runner
            .tools()
            .into_iter()
            .map(|(name, path)| (name, path.display().to_string()))
            .collect();
        let before = runner.status.clone();
        runner.status.tools = found;
        runner.status.observed_generation = runner.generation;
        let generation = runner.generation;
        set_ready(
            &mut runner.status.conditions,
            podium_model::condition::ConditionStatus::True,
            "Ready",
            "",
            generation,
            self.clock.now(),
        );
        if runner.status == before {
            return Ok(());
        }
        let transaction = Transaction {
            principal: SERVER.into(),
            preconditions: vec![runner.unchanged()],
            changes: vec![runner.put()?],
            ..Transaction::default()
        };
        self.store.commit(transaction).await?;
        Ok(())
    }
}

/// What is wrong with a workload, for people; `None` when it is ready.
fn trouble(status: &WorkloadStatus) -> Option<String> {
    if status.ready {
        return None;
    }
    let mut parts = Vec::new();
    for container in &status.containers {
        let done = matches!(container.state, ContainerState::Completed);
        if container.ready || done {
            continue;
        }
        let mut text = container.name.clone();
        match container.state {
            ContainerState::Backoff => text.push_str(" is started again"),
            ContainerState::Failed => text.push_str(" failed"),
            ContainerState::Waiting => text.push_str(" waits"),
            ContainerState::Starting => text.push_str(" is starting"),
            _ => text.push_str(" is not ready"),
        }
        if let Some(exit) = container
            .last_exit
            .filter(|_| !matches!(container.state, ContainerState::Running))
        {
            let _infallible = write!(text, " after {exit}");
        }
        if let Some(reason) = container.probe_failure.as_ref().or(container.reason.as_ref()) {
            text.push_str(": ");
            text.push_str(reason);
        }
        if container.restarts > 0 {
            let _infallible = write!(text, ", {} restarts", container.restarts);
        }
        parts.push(text);
    }
    Some(if parts.is_empty() {
        "it is not ready".to_owned()
    } else {
        parts.join("; ")
    })
}
