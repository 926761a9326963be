//! Steps: started, found again, awaited, forgotten.

use std::path::PathBuf;

use nix::fcntl::FlockArg;

use super::connection::{Connection, order};
use super::layout::{Kind, Tried, is_held, try_lock};
use super::{Launch, ProcessRunner, leftovers, wire_files};
use crate::error::RunnerError;
use crate::specification::StepSpec;
use crate::status::{StepOutcome, StepProgress};
use crate::{validate, wire};

/// A step that was begun.
#[derive(Clone)]
pub struct StepHandle {
    runner: ProcessRunner,
    id: String,
}

impl ProcessRunner {
    /// Starts a step, or finds the one with this id that was begun before, whatever its content.
    pub async fn start_step(&self, spec: &StepSpec) -> Result<StepHandle, RunnerError> {
        validate::step(spec)?;
        let _turn = self.turn(Kind::Step, &spec.id).await;
        if let Some(handle) = self.find_step(&spec.id)? {
            return Ok(handle);
        }
        let cage = self.cage(&spec.grants, spec.may_run_podium)?;
        let work = wire::Work::Step(wire::Step::from_spec(spec));
        let mut start = self.start_message(Kind::Step, &spec.id, cage, work);
        start.folders.clone_from(&spec.folders);
        start.files = wire_files(&spec.files);
        start.masked = spec.masked.iter().cloned().map(wire::Clear).collect();
        start.grace_ms = wire::millis(spec.grace);
        // A step's log is bounded by its output limit; it is rotated only far beyond.
        start.log_size = spec.output_limit.saturating_mul(4).saturating_add(1 << 20);
        match self.launch(Kind::Step, &start).await {
            Ok(Launch::Started | Launch::Held) => Ok(self.step_handle(&spec.id)),
            Err(error) => {
                // Nothing of it ran, so nothing of it stays.
                let _ = self.find_step(&spec.id);
                Err(error)
            }
        }
    }

    /// The step with this id, if it was begun. A folder of a step that never began is removed, and then none will.
    pub async fn attach_step(&self, id: &str) -> Result<Option<StepHandle>, RunnerError> {
        validate::id("step", id)?;
        let _turn = self.turn(Kind::Step, id).await;
        self.find_step(id)
    }

    fn step_handle(&self, id: &str) -> StepHandle {
        StepHandle {
            runner: self.clone(),
            id: id.to_owned(),
        }
    }

    fn find_step(&self, id: &str) -> Result<Option<StepHandle>, RunnerError> {
        let folder = self.inner.layout.folder(Kind::Step, id);
        if folder.join("boot").exists() {
            return Ok(Some(self.step_handle(id)));
        }
        match try_lock(&folder, FlockArg::LockExclusiveNonblock)? {
            // Its shim is about to write `boot`.
            Tried::Held => Ok(Some(self.step_handle(id))),
            // Removed while nobody else can begin: a shim that comes late finds no folder.
            Tried::Free(_) | Tried::Absent => {
                self.inner.layout.remove(Kind::Step, id)?;
                Ok(None)
            }
        }
    }

    /// Removes everything of a step that is over: root, log and result. An unknown one is removed already.
    pub async fn forget_step(&self, id: &str) -> Result<(), RunnerError> {
        validate::id("step", id)?;
        let _turn = self.turn(Kind::Step, id).await;
        let folder = self.inner.layout.folder(Kind::Step, id);
        if folder.join("result").exists() {
            // The shim is at its last instructions.
            leftovers::gone(&folder).await?;
        } else if is_held(&folder)? {
            return Err(RunnerError::Held { id: id.to_owned() });
        }
        self.inner.layout.remove(Kind::Step, id)
    }
}

impl StepHandle {
    /// The step's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    fn folder(&self) -> PathBuf {
        self.runner.inner.layout.folder(Kind::Step, &self.id)
    }

    /// Waits for the end. May be called any number of times, also by a later server.
    pub async fn wait(&self) -> Result<StepOutcome, RunnerError> {
        let folder = self.folder();
        if let Some(outcome) = self.result()? {
            return Ok(outcome);
        }
        if let Some(mut connection) = Connection::open(&folder, &self.id).await
            && connection.ask("subscribe", None).await.is_ok()
        {
            // The end of the connection is what counts, not what is said on it.
            while let Ok(Some(progress)) = connection.next_status::<StepProgress>().await {
                if progress.done {
                    break;
                }
            }
        }
        if let Some(outcome) = self.result()? {
            return Ok(outcome);
        }
        loop {
            leftovers::gone(&folder).await?;
            match try_lock(&folder, FlockArg::LockExclusiveNonblock)? {
                Tried::Held => {}
                Tried::Absent => return Ok(StepOutcome::lost()),
                Tried::Free(_lock) => {
                    if let Some(outcome) = self.result()? {
                        return Ok(outcome);
                    }
                    // From here on no shim begins it: what is judged lost stays lost.
                    let mark = folder.join("abandoned");
                    std::fs::write(&mark, b"").map_err(RunnerError::io("write", mark))?;
                    // Inputs and state lie there in clear, and nobody needs them any more.
                    self.runner.inner.layout.remove_root(Kind::Step, &self.id)?;
                    return Ok(StepOutcome::lost());
                }
            }
        }
    }

    /// Where the step is, while its shim can be asked.
    pub async fn progress(&self) -> Result<Option<StepProgress>, RunnerError> {
        let Some(mut connection) = Connection::open(&self.folder(), &self.id).await else {
            return Ok(None);
        };
        if connection.ask("status", None).await.is_err() {
            return Ok(None);
        }
        connection.next_status().await
    }

    /// Tells the step to end. Its end is seen by [`Self::wait`].
    pub async fn stop(&self) -> Result<(), RunnerError> {
        order(&self.folder(), &self.id, "stop").await.map(|_| ())
    }

    /// The result, once it is there.
    pub fn result(&self) -> Result<Option<StepOutcome>, RunnerError> {
        let path = self.folder().join("result");
        let sealed = match std::fs::read(&path) {
            Ok(sealed) => sealed,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(RunnerError::io("read", path)(error)),
        };
        let unsealed = || RunnerError::Unsealed { id: self.id.clone() };
        let key = self.runner.inner.settings.seal_key.derive(&self.id);
        let plain = key.open(&sealed, &self.id).ok_or_else(unsealed)?;
        serde_json::from_slice(&plain)
            .map(Some)
            .map_err(|error| RunnerError::Protocol {
                id: self.id.clone(),
                what: format!("a result that cannot be read: {error}"),
            })
    }
}
