//! Reading logs, with or without following them.

use std::path::PathBuf;

use bytes::Bytes;
use futures::Stream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::ProcessRunner;
use super::connection::Connection;
use super::layout::Kind;
use crate::error::RunnerError;
use crate::{log, validate};

impl ProcessRunner {
    /// The last lines of a step, and with `follow` those to come until it ends.
    pub async fn step_logs(
        &self,
        id: &str,
        tail: usize,
        follow: bool,
    ) -> Result<impl Stream<Item = Bytes> + Send + Unpin + 'static, RunnerError> {
        self.logs(Kind::Step, id, tail, follow).await
    }

    /// The last lines of a workload, and with `follow` those to come until it stops.
    pub async fn workload_logs(
        &self,
        uid: &str,
        tail: usize,
        follow: bool,
    ) -> Result<impl Stream<Item = Bytes> + Send + Unpin + 'static, RunnerError> {
        self.logs(Kind::Workload, uid, tail, follow).await
    }

    async fn logs(
        &self,
        kind: Kind,
        id: &str,
        tail: usize,
        follow: bool,
    ) -> Result<ReceiverStream<Bytes>, RunnerError> {
        validate::id(kind.word(), id)?;
        let folder = self.inner.layout.folder(kind, id);
        if !folder.exists() {
            return Err(RunnerError::Unknown {
                kind: kind.word(),
                id: id.to_owned(),
            });
        }
        let (sender, receiver) = mpsc::channel(64);
        if follow
            && let Some(mut connection) = Connection::open(&folder, id).await
            && connection.ask("logs", Some(tail)).await.is_ok()
        {
            tokio::spawn(async move {
                loop {
                    tokio::select! {
                        answer = connection.next() => {
                            let Ok(Some(answer)) = answer else { return };
                            let Some(line) = answer.line else { continue };
                            if sender.send(Bytes::from(line)).await.is_err() {
                                return;
                            }
                        }
                        () = sender.closed() => return,
                    }
                }
            });
            return Ok(ReceiverStream::new(receiver));
        }
        let lines = read(folder, tail).await?;
        tokio::spawn(async move {
            for line in lines {
                if sender.send(Bytes::from(line)).await.is_err() {
                    return;
                }
            }
        });
        Ok(ReceiverStream::new(receiver))
    }
}

async fn read(folder: PathBuf, tail: usize) -> Result<Vec<String>, RunnerError> {
    let read = tokio::task::spawn_blocking({
        let folder = folder.clone();
        move || log::tail(&folder, tail)
    });
    match read.await {
        Ok(lines) => lines.map_err(RunnerError::io("read the log in", folder)),
        Err(error) => Err(RunnerError::io("read the log in", folder)(std::io::Error::other(
            error,
        ))),
    }
}
