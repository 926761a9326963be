//! Runs: one at a time in an environment, each driven by the engine to its end, also after a restart.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use podium_engine::{Control, ControlRequest, Limits, RunContext, RunState, Runtime, Work};
use podium_model::kinds::{
    DriverKind, RUNNERS, RUNS, RunPhase, RunSpec, RunStatus, RunnerSpec, RunnerStatus,
};
use podium_store::WatchRequest;
use tokio::sync::{mpsc, oneshot, watch};

use crate::environment::{RunObject, read_blob};
use crate::error::ControlError;
use crate::objects::{list, resource};
use crate::service::ControlPlane;

/// Most steps of a run at work at a time.
const MOST_STEPS: usize = 32;
/// Most scripts of a run at work at a time.
const MOST_SCRIPTS: usize = 8;

/// A run at work.
pub(crate) struct ActiveRun {
    pub(crate) name: String,
    control: mpsc::Sender<ControlRequest>,
    pub(crate) snapshots: watch::Receiver<Option<Arc<RunState>>>,
}

/// The runs at work, by namespace.
#[derive(Default)]
pub(crate) struct ActiveRuns(Mutex<HashMap<String, Arc<ActiveRun>>>);

impl ActiveRuns {
    pub(crate) fn get(&self, namespace: &str) -> Option<Arc<ActiveRun>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(namespace)
            .cloned()
    }

    /// Takes the environment for a run, unless another one is at work there.
    fn claim(&self, namespace: &str, run: Arc<ActiveRun>) -> bool {
        let mut active = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if active.contains_key(namespace) {
            return false;
        }
        active.insert(namespace.to_owned(), run);
        true
    }

    fn free(&self, namespace: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(namespace);
    }
}

impl ActiveRun {
    /// Tells the run what a person wants; answers once that is journaled.
    pub(crate) async fn tell(&self, control: Control) -> Result<(), String> {
        let (answer, told) = oneshot::channel();
        let request = ControlRequest {
            control,
            answer: Some(answer),
        };
        if self.control.send(request).await.is_err() {
            return Err("the run has just ended".to_owned());
        }
        match told.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(illegal)) => Err(illegal.to_string()),
            Err(_) => Err("the run has just ended".to_owned()),
        }
    }
}

/// The context of a run.
pub(crate) fn run_context(run: &RunObject) -> RunContext {
    RunContext {
        uid: run.uid.clone(),
        name: run.name().to_owned(),
        namespace: run.key.namespace.to_string(),
        author: run.spec.author.clone(),
        release: run.spec.release,
    }
}

impl ControlPlane {
    /// Begins what is queued and goes on with what was under way, for as long as the server runs.
    pub(crate) async fn follow_runs(self: Arc<Self>) {
        if let Err(error) = self.remove_old_steps().await {
            tracing::error!(%error, "what is left of former steps cannot be removed");
        }
        loop {
            let Ok(after) = self.store.revision().await else {
                return;
            };
            match list::<RunSpec, RunStatus>(&*self.store, RUNS, None).await {
                Ok(runs) => {
                    let mut namespaces: Vec<String> = runs
                        .iter()
                        .filter(|run| !run.status.phase.is_final())
                        .map(|run| run.key.namespace.to_string())
                        .collect();
                    namespaces.sort();
                    namespaces.dedup();
                    for namespace in namespaces {
                        self.start_next(&namespace).await;
                    }
                }
                Err(error) => tracing::error!(%error, "runs cannot be listed"),
            }
            let request = WatchRequest {
                resource: Some(resource(RUNS)),
                namespace: None,
                after,
            };
            let Ok(mut events) = self.store.watch(request).await else {
                return;
            };
            while let Some(Ok((_, events))) = events.next().await {
                let mut namespaces: Vec<String> = events
                    .iter()
                    .map(|event| event.object.key.namespace.to_string())
                    .collect();
                namespaces.dedup();
                for namespace in namespaces {
                    self.start_next(&namespace).await;
                }
            }
        }
    }

    /// Removes what the runner still keeps of steps whose run is over: a server that is killed between a run's end and
    /// the removal of its steps leaves it to the next. To be called before a run begins.
    async fn remove_old_steps(&self) -> Result<(), ControlError> {
        let failed = |error: podium_runners::RunnerError| ControlError::Damaged(error.to_string());
        let steps = self.runner.list_steps().map_err(failed)?;
        if steps.is_empty() {
            return Ok(());
        }
        let runs = list::<RunSpec, RunStatus>(&*self.store, RUNS, None).await?;
        let open: HashSet<&str> = runs
            .iter()
            .filter(|run| !run.status.phase.is_final())
            .map(|run| run.uid.as_str())
            .collect();
        for step in steps {
            let run = step.id.split('.').next().unwrap_or_default();
            if open.contains(run) {
                continue;
            }
            let runner = Arc::clone(&self.runner);
            tokio::spawn(async move {
                let removed = async {
                    if step.alive
                        && let Some(handle) = runner.attach_step(&step.id).await?
                    {
                        handle.stop().await?;
                        handle.wait().await?;
                    }
                    runner.forget_step(&step.id).await
                };
                if let Err(error) = removed.await {
                    tracing::warn!(step = step.id, %error, "what is left of a former step cannot be removed");
                }
            });
        }
        Ok(())
    }

    /// Begins the oldest run that may begin, when none is at work.
    pub(crate) fn start_next<'a>(self: &'a Arc<Self>, namespace: &'a str) -> BoxFuture<'a, ()> {
        async move {
            if self.active.get(namespace).is_some() {
                return;
            }
            if let Err(error) = self.try_start_next(namespace).await {
                tracing::error!(namespace, %error, "the next run cannot be begun");
            }
        }
        .boxed()
    }

    async fn try_start_next(self: &Arc<Self>, namespace: &str) -> Result<(), ControlError> {
        let mut runs: Vec<RunObject> =
            list::<RunSpec, RunStatus>(&*self.store, RUNS, Some(namespace)).await?;
        runs.retain(|run| {
            // One that has begun goes on, whatever it waits for now; one that has not begun waits for its approval.
            run.status.phase == RunPhase::Queued
                || (run.status.started.is_some() && !run.status.phase.is_final())
        });
        runs.sort_by_key(|run| (run.status.started.is_none(), run.spec.release));
        let Some(run) = runs.into_iter().next() else {
            return Ok(());
        };
        let work: Work = read_blob(&self.store, &run.spec.work).await?;
        let (control, requests) = mpsc::channel(16);
        let (snapshots, shown) = watch::channel(None);
        let active = Arc::new(ActiveRun {
            name: run.name().to_owned(),
            control,
            snapshots: shown,
        });
        if !self.active.claim(namespace, active) {
            return Ok(());
        }
        let plane = Arc::clone(self);
        let namespace = namespace.to_owned();
        let runtime = Runtime::new(
            Arc::clone(&self.store),
            Arc::clone(&self.clock),
            Arc::clone(&self.timers),
            Arc::<crate::executor::DriverExecutor>::clone(&self.executor),
            self.limits().await?,
            self.holder.clone(),
        );
        tokio::spawn(async move {
            let context = run_context(&run);
            let ended = runtime.drive(context.clone(), work, requests, &snapshots).await;
            match ended {
                Ok(_) => {
                    let state = snapshots.borrow().clone();
                    if let Some(state) = state {
                        plane.executor.forget_run(&state).await;
                    }
                }
                Err(error) => tracing::error!(run = context.name, namespace, %error, "a run was given up"),
            }
            plane.active.free(&namespace);
            plane.after_run(&namespace).await;
            plane.start_next(&namespace).await;
        });
        Ok(())
    }

    /// How much of a run may be at work at a time: what each runner says.
    async fn limits(&self) -> Result<Limits, ControlError> {
        let mut limits = Limits {
            total: MOST_STEPS,
            ..Limits::default()
        };
        for runner in list::<RunnerSpec, RunnerStatus>(&*self.store, RUNNERS, None).await? {
            if let Some(most) = runner.spec.parallelism {
                let most = usize::try_from(most).unwrap_or(usize::MAX).max(1);
                limits.per_runner.insert(runner.name().to_owned(), most);
            }
        }
        // Scripts are programs that a person wrote for this machine; templates cost nothing.
        limits.per_driver.insert(DriverKind::Script, MOST_SCRIPTS);
        Ok(limits)
    }

    /// The state of a run, at work or over.
    pub(crate) async fn run_state(&self, run: &RunObject) -> Result<Arc<RunState>, ControlError> {
        if let Some(active) = self.active.get(&run.key.namespace)
            && active.name == run.name()
            && let Some(state) = active.snapshots.borrow().clone()
        {
            return Ok(state);
        }
        let work: Work = read_blob(&self.store, &run.spec.work).await?;
        let state = podium_engine::read(&*self.store, run_context(run), work)
            .await
            .map_err(|error| ControlError::Damaged(error.to_string()))?;
        Ok(Arc::new(state))
    }
}
