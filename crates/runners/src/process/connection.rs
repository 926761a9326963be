//! The server's end of a shim's control socket.

use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use crate::error::RunnerError;
use crate::frame::LINE_LIMIT;
use crate::wire::{Answer, PROTOCOL, Request};

/// A connection to one shim.
pub(super) struct Connection {
    id: String,
    from: BufReader<OwnedReadHalf>,
    /// Kept open: the shim ends a subscription when it is closed.
    to: OwnedWriteHalf,
}

impl Connection {
    /// Nothing when no shim listens.
    pub(super) async fn open(folder: &Path, id: &str) -> Option<Self> {
        let opened = nix::fcntl::open(
            folder,
            OFlag::O_DIRECTORY | OFlag::O_PATH | OFlag::O_CLOEXEC,
            Mode::empty(),
        )
        .ok()?;
        // The folder's path may be longer than a socket's address can be.
        let stream = UnixStream::connect(format!("/proc/self/fd/{}/control", opened.as_raw_fd()))
            .await
            .ok()?;
        let (from, to) = stream.into_split();
        Some(Self {
            id: id.to_owned(),
            from: BufReader::new(from),
            to,
        })
    }

    pub(super) async fn ask(&mut self, op: &str, tail: Option<usize>) -> io::Result<()> {
        let mut line = serde_json::to_vec(&Request {
            v: PROTOCOL,
            op: op.to_owned(),
            tail,
        })?;
        line.push(b'\n');
        self.to.write_all(&line).await
    }

    /// The next answer; nothing when the shim is gone.
    pub(super) async fn next(&mut self) -> Result<Option<Answer>, RunnerError> {
        let mut line = String::new();
        let limit = LINE_LIMIT as u64;
        match (&mut self.from).take(limit).read_line(&mut line).await {
            // Closed, or reset because the shim was killed.
            Ok(0) | Err(_) => Ok(None),
            Ok(_) if !line.ends_with('\n') && line.len() as u64 >= limit => {
                Err(self.wrong("a line without end"))
            }
            Ok(_) => match serde_json::from_str::<Answer>(&line) {
                Ok(Answer {
                    error: Some(error), ..
                }) => Err(self.wrong(&error)),
                Ok(answer) => Ok(Some(answer)),
                // It was cut off in the middle of a line.
                Err(_) if !line.ends_with('\n') => Ok(None),
                Err(error) => Err(self.wrong(&error.to_string())),
            },
        }
    }

    /// The next state; nothing when the shim is gone.
    pub(super) async fn next_status<T: serde::de::DeserializeOwned>(
        &mut self,
    ) -> Result<Option<T>, RunnerError> {
        while let Some(answer) = self.next().await? {
            let Some(status) = answer.status else { continue };
            if status.get() == "null" {
                continue;
            }
            return serde_json::from_str(status.get())
                .map(Some)
                .map_err(|error| self.wrong(&error.to_string()));
        }
        Ok(None)
    }

    fn wrong(&self, what: &str) -> RunnerError {
        RunnerError::Protocol {
            id: self.id.clone(),
            what: what.to_owned(),
        }
    }
}

/// Asks for one thing and waits until it is taken up. `false` when no shim listens.
pub(super) async fn order(folder: &Path, id: &str, op: &str) -> Result<bool, RunnerError> {
    let Some(mut connection) = Connection::open(folder, id).await else {
        return Ok(false);
    };
    if connection.ask(op, None).await.is_err() {
        return Ok(false);
    }
    Ok(connection.next().await?.is_some())
}
