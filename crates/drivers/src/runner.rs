//! What drivers ask of a runner: the one seam to the outside.
//!
//! It is a trait of this crate and not the runner's own type so that drivers can be tested against a runner that
//! answers what a test needs, and so that another kind of runner fits in without touching a driver.

use std::path::PathBuf;

use async_trait::async_trait;
use futures::StreamExt;
use podium_runners::{
    ProcessRunner, RunnerError, StepOutcome, StepSpec, WorkloadPresence, WorkloadSpec, WorkloadStatus,
};

/// Executes steps and workloads, and keeps volumes. What a name stands for outlives the server.
#[async_trait]
pub trait Runner: Send + Sync + 'static {
    /// The root that the step of this id has, or will have.
    fn step_root(&self, step: &str) -> PathBuf;

    /// Runs a step to its end. A step of the same id that runs or has ended is attached to, and not begun again.
    async fn run_step(&self, spec: StepSpec) -> Result<StepOutcome, RunnerError>;

    /// Waits for the end of a step that was begun. `None` is the proof that nothing of it ever ran.
    async fn await_step(&self, step: &str) -> Result<Option<StepOutcome>, RunnerError>;

    /// Tells a step to end. Does nothing when it does not run.
    async fn stop_step(&self, step: &str) -> Result<(), RunnerError>;

    /// Removes what is kept of a step that has ended. Does nothing when there is nothing.
    async fn forget_step(&self, step: &str) -> Result<(), RunnerError>;

    /// The folder of a volume, made when it is not there.
    async fn ensure_volume(&self, namespace: &str, name: &str) -> Result<PathBuf, RunnerError>;

    /// Removes a volume with its content. Does nothing when it is gone.
    async fn remove_volume(&self, namespace: &str, name: &str) -> Result<(), RunnerError>;

    /// The root that the workload of this uid has, or will have.
    fn workload_root(&self, uid: &str) -> PathBuf;

    /// Makes the workload run as specified: one that runs with the same digest is left alone, one that runs with
    /// another is stopped first.
    async fn run_workload(&self, spec: WorkloadSpec) -> Result<(), RunnerError>;

    /// The workload's status once it differs from `seen`; at once when nothing was seen yet. `None` when it does not
    /// run.
    async fn next_workload_status(
        &self,
        uid: &str,
        seen: Option<&WorkloadStatus>,
    ) -> Result<Option<WorkloadStatus>, RunnerError>;

    /// The last lines of the workload's log, masked.
    async fn workload_log(&self, uid: &str, lines: usize) -> Result<Vec<String>, RunnerError>;

    /// Stops the workload and removes its root and logs. Does nothing when it is gone.
    async fn remove_workload(&self, uid: &str) -> Result<(), RunnerError>;

    /// The `PATH` to give to processes; `podium` is found on it only when asked for.
    fn command_path(&self, with_podium: bool) -> Result<String, RunnerError>;
}

#[async_trait]
impl Runner for ProcessRunner {
    fn step_root(&self, step: &str) -> PathBuf {
        Self::step_root(self, step)
    }

    async fn run_step(&self, spec: StepSpec) -> Result<StepOutcome, RunnerError> {
        self.start_step(&spec).await?.wait().await
    }

    async fn await_step(&self, step: &str) -> Result<Option<StepOutcome>, RunnerError> {
        match self.attach_step(step).await? {
            Some(handle) => handle.wait().await.map(Some),
            None => Ok(None),
        }
    }

    async fn stop_step(&self, step: &str) -> Result<(), RunnerError> {
        match self.attach_step(step).await? {
            Some(handle) => handle.stop().await,
            None => Ok(()),
        }
    }

    async fn forget_step(&self, step: &str) -> Result<(), RunnerError> {
        Self::forget_step(self, step).await
    }

    async fn ensure_volume(&self, namespace: &str, name: &str) -> Result<PathBuf, RunnerError> {
        Self::ensure_volume(self, namespace, name)
    }

    async fn remove_volume(&self, namespace: &str, name: &str) -> Result<(), RunnerError> {
        Self::remove_volume(self, namespace, name)
    }

    fn workload_root(&self, uid: &str) -> PathBuf {
        Self::workload_root(self, uid)
    }

    async fn run_workload(&self, spec: WorkloadSpec) -> Result<(), RunnerError> {
        match self.start_workload(&spec).await? {
            WorkloadPresence::Started | WorkloadPresence::Kept => Ok(()),
            WorkloadPresence::Differs => self.replace_workload(&spec).await,
        }
    }

    async fn next_workload_status(
        &self,
        uid: &str,
        seen: Option<&WorkloadStatus>,
    ) -> Result<Option<WorkloadStatus>, RunnerError> {
        let mut changes = self.subscribe_workload(uid).await?;
        while let Some(status) = changes.next().await {
            if Some(&status) != seen {
                return Ok(Some(status));
            }
        }
        Ok(None)
    }

    async fn workload_log(&self, uid: &str, lines: usize) -> Result<Vec<String>, RunnerError> {
        let mut stream = self.workload_logs(uid, lines, false).await?;
        let mut found = Vec::new();
        while let Some(line) = stream.next().await {
            found.push(String::from_utf8_lossy(&line).into_owned());
        }
        Ok(found)
    }

    async fn remove_workload(&self, uid: &str) -> Result<(), RunnerError> {
        self.forget_workload(uid).await
    }

    fn command_path(&self, with_podium: bool) -> Result<String, RunnerError> {
        let path = Self::command_path(self);
        if with_podium {
            let folder = self.podium_folder()?;
            return Ok(format!("{}:{path}", folder.display()));
        }
        Ok(path)
    }
}
