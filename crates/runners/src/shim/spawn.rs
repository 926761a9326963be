//! Starting one confined process.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use super::Shared;
use crate::frame;
use crate::specification::{Grant, Volume};
use crate::wire;

/// How long the confining process may take until it has become the program.
const PATIENCE: Duration = Duration::from_secs(30);

/// A process that has become the program asked for.
pub(super) struct Started {
    pub(super) child: Child,
    /// The process and its group.
    pub(super) pid: i32,
}

/// Starts a process in a group of its own and returns once it has become the program.
pub(super) async fn start(
    shared: &Shared,
    command: &wire::Command,
    argv: &[String],
    volumes: &[Volume],
    loud: bool,
) -> Result<Started, String> {
    let mut cage = shared.start.cage.clone();
    cage.grants.extend(volumes.iter().map(|volume| Grant {
        path: volume.source.clone(),
        write: !volume.read_only,
    }));
    let settings = wire::Confine {
        cage,
        limits: command.limits.clone(),
        root: shared.start.root.clone(),
        folder: command.folder.clone(),
        argv: argv.to_vec(),
        env: command.env.clone(),
        parent: nix::unistd::getpid().as_raw(),
    };
    let settings = frame::encode(&settings).map_err(|error| error.to_string())?;
    let told = |error: std::io::Error| format!("a process cannot be started: {error}");
    let (ours, theirs) = StdUnixStream::pair().map_err(told)?;
    ours.set_nonblocking(true).map_err(told)?;
    let stream = |loud: bool| if loud { Stdio::piped() } else { Stdio::null() };
    // Itself, also when the file was replaced by a newer version.
    let mut process = Command::new("/proc/self/exe");
    process
        .arg("confine")
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(stream(loud))
        .stderr(stream(loud))
        .process_group(0);
    let mut child = process.spawn().map_err(told)?;
    // Closes this side's copy of the other end, so that its end is heard.
    drop(process);
    let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) else {
        return Err("a process ended before it was known".to_owned());
    };
    shared.family.add(pid);
    let mut channel = UnixStream::from_std(ours).map_err(told)?;
    let talk = async {
        // A confining process that died early is told by what it did or did not answer.
        let _ = channel.write_all(&settings).await;
        let mut answer = Vec::new();
        let _ = (&mut channel).take(64 << 10).read_to_end(&mut answer).await;
        answer
    };
    let reason = match tokio::time::timeout(PATIENCE, talk).await {
        Ok(answer) if answer.is_empty() => return Ok(Started { child, pid }),
        Ok(answer) => frame::read::<wire::Refusal>(answer.as_slice()).map_or_else(
            |error| format!("the confining process answered badly: {error}"),
            |refusal| refusal.reason,
        ),
        Err(_) => format!(
            "the confining process did not answer within {} s",
            PATIENCE.as_secs()
        ),
    };
    let _ = child.start_kill();
    let _ = child.wait().await;
    shared.family.remove(pid);
    Err(reason)
}

/// How a process ended.
pub(super) fn exit_of(status: &std::io::Result<std::process::ExitStatus>) -> crate::status::Exit {
    use std::os::unix::process::ExitStatusExt;
    match status {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => crate::status::Exit::Code(code),
            (None, Some(signal)) => crate::status::Exit::Signal(signal),
            (None, None) => crate::status::Exit::Code(-1),
        },
        Err(_) => crate::status::Exit::Code(-1),
    }
}
