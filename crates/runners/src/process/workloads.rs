//! Workloads: started, kept, replaced, watched, stopped.

use std::path::PathBuf;

use futures::Stream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::connection::{Connection, order};
use super::layout::{Kind, is_held};
use super::{Launch, ProcessRunner, leftovers, wire_files};
use crate::error::RunnerError;
use crate::specification::WorkloadSpec;
use crate::status::{WorkloadPresence, WorkloadStatus};
use crate::{validate, wire};

impl ProcessRunner {
    fn workload_folder(&self, uid: &str) -> PathBuf {
        self.inner.layout.folder(Kind::Workload, uid)
    }

    /// Starts a workload unless its shim lives. One that runs with another digest is left as it is.
    pub async fn start_workload(&self, spec: &WorkloadSpec) -> Result<WorkloadPresence, RunnerError> {
        validate::workload(spec)?;
        let _turn = self.turn(Kind::Workload, &spec.uid).await;
        self.begin_workload(spec).await
    }

    /// Stops what runs for this uid, whatever it is, and starts this.
    pub async fn replace_workload(&self, spec: &WorkloadSpec) -> Result<(), RunnerError> {
        validate::workload(spec)?;
        let _turn = self.turn(Kind::Workload, &spec.uid).await;
        self.end_workload(&spec.uid).await?;
        match self.begin_workload(spec).await? {
            WorkloadPresence::Started => Ok(()),
            WorkloadPresence::Kept | WorkloadPresence::Differs => {
                Err(RunnerError::Held { id: spec.uid.clone() })
            }
        }
    }

    async fn begin_workload(&self, spec: &WorkloadSpec) -> Result<WorkloadPresence, RunnerError> {
        let folder = self.workload_folder(&spec.uid);
        if is_held(&folder)? {
            if Connection::open(&folder, &spec.uid).await.is_some() {
                return self.compare(spec);
            }
            // A shim that was killed, or that is just ending; what it left is ended before a new one begins.
            leftovers::gone(&folder).await?;
        }
        let cage = self.cage(&spec.grants, spec.may_run_podium)?;
        let work = wire::Work::Workload(wire::Workload::from_spec(spec));
        let mut start = self.start_message(Kind::Workload, &spec.uid, cage, work);
        start.folders.clone_from(&spec.folders);
        start.files = wire_files(spec.containers.iter().flat_map(|container| &container.files));
        start.masked = spec.masked.iter().cloned().map(wire::Clear).collect();
        start.grace_ms = wire::millis(spec.grace);
        start.log_size = spec.log_size;
        start.log_files = spec.log_files;
        match self.launch(Kind::Workload, &start).await? {
            Launch::Started => Ok(WorkloadPresence::Started),
            Launch::Held => self.compare(spec),
        }
    }

    fn compare(&self, spec: &WorkloadSpec) -> Result<WorkloadPresence, RunnerError> {
        let digest = self.workload_digest(&spec.uid)?;
        Ok(if digest.as_deref() == Some(&spec.digest) {
            WorkloadPresence::Kept
        } else {
            WorkloadPresence::Differs
        })
    }

    /// The digest that a workload was last started with.
    pub fn workload_digest(&self, uid: &str) -> Result<Option<String>, RunnerError> {
        validate::id("workload", uid)?;
        Ok(leftovers::read_boot(&self.workload_folder(uid)).and_then(|boot| boot.digest))
    }

    /// How a workload is; nothing when no shim runs it.
    pub async fn workload_status(&self, uid: &str) -> Result<Option<WorkloadStatus>, RunnerError> {
        validate::id("workload", uid)?;
        let Some(mut connection) = Connection::open(&self.workload_folder(uid), uid).await else {
            return Ok(None);
        };
        if connection.ask("status", None).await.is_err() {
            return Ok(None);
        }
        connection.next_status().await
    }

    /// How a workload is, and each change from then on. Ends when no shim runs it any more.
    pub async fn subscribe_workload(
        &self,
        uid: &str,
    ) -> Result<impl Stream<Item = WorkloadStatus> + Send + Unpin + 'static, RunnerError> {
        validate::id("workload", uid)?;
        let (sender, receiver) = mpsc::channel(16);
        if let Some(mut connection) = Connection::open(&self.workload_folder(uid), uid).await
            && connection.ask("subscribe", None).await.is_ok()
        {
            tokio::spawn(async move {
                loop {
                    tokio::select! {
                        status = connection.next_status() => {
                            let Ok(Some(status)) = status else { return };
                            if sender.send(status).await.is_err() {
                                return;
                            }
                        }
                        // Nobody listens any more.
                        () = sender.closed() => return,
                    }
                }
            });
        }
        Ok(ReceiverStream::new(receiver))
    }

    /// Restarts the containers of a workload at once. Their order does not matter any more.
    pub async fn restart_workload(&self, uid: &str) -> Result<(), RunnerError> {
        validate::id("workload", uid)?;
        if order(&self.workload_folder(uid), uid, "restart").await? {
            return Ok(());
        }
        Err(RunnerError::Unknown {
            kind: Kind::Workload.word(),
            id: uid.to_owned(),
        })
    }

    /// Stops a workload and returns when nothing of it runs. Its logs stay.
    pub async fn stop_workload(&self, uid: &str) -> Result<(), RunnerError> {
        validate::id("workload", uid)?;
        let _turn = self.turn(Kind::Workload, uid).await;
        self.end_workload(uid).await
    }

    async fn end_workload(&self, uid: &str) -> Result<(), RunnerError> {
        let folder = self.workload_folder(uid);
        order(&folder, uid, "stop").await?;
        if let Some(mut connection) = Connection::open(&folder, uid).await
            && connection.ask("subscribe", None).await.is_ok()
        {
            while let Ok(Some(_)) = connection.next_status::<WorkloadStatus>().await {}
        }
        leftovers::gone(&folder).await
    }

    /// Stops a workload and removes its root and logs. An unknown one is removed already.
    pub async fn forget_workload(&self, uid: &str) -> Result<(), RunnerError> {
        validate::id("workload", uid)?;
        let _turn = self.turn(Kind::Workload, uid).await;
        self.end_workload(uid).await?;
        self.inner.layout.remove(Kind::Workload, uid)
    }
}
