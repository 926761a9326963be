//! The control socket: lines of JSON, versioned, answered only to the same user and root.
//!
//! `status` answers once; `subscribe` answers at once and at every change, so nobody polls; `logs` sends the last
//! lines and those to come; `stop` and `restart` are acknowledged when they are taken up, and their effect is seen
//! by who subscribes. An operation that this version does not know is answered with an error, not with silence.

use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use serde_json::value::RawValue;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{broadcast, mpsc, watch};

use super::output::Output;
use crate::wire::{Answer, PROTOCOL, Request};

/// The longest request.
const REQUEST_LIMIT: u64 = 64 << 10;
/// The most lines of the past that are sent.
const MOST_LINES: usize = 100_000;

/// What the shim is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Stop,
    Restart,
}

/// Binds the socket. Its path may be longer than a socket's address can be, so it is named by the folder's number.
pub(super) fn listen(folder: &Path) -> io::Result<UnixListener> {
    let path = folder.join("control");
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let opened = nix::fcntl::open(
        folder,
        OFlag::O_DIRECTORY | OFlag::O_PATH | OFlag::O_CLOEXEC,
        Mode::empty(),
    )?;
    UnixListener::bind(format!("/proc/self/fd/{}/control", opened.as_raw_fd()))
}

pub(super) async fn serve(
    listener: UnixListener,
    status: watch::Receiver<String>,
    commands: mpsc::Sender<Command>,
    output: Arc<Output>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let own = nix::unistd::geteuid().as_raw();
        if !stream
            .peer_cred()
            .is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
        {
            continue;
        }
        let (status, commands, output) = (status.clone(), commands.clone(), Arc::clone(&output));
        tokio::spawn(async move {
            // An error here is the caller's hanging up.
            let _ = answer(stream, status, commands, output).await;
        });
    }
}

async fn answer(
    stream: UnixStream,
    mut status: watch::Receiver<String>,
    commands: mpsc::Sender<Command>,
    output: Arc<Output>,
) -> io::Result<()> {
    let (from, mut to) = stream.into_split();
    let mut from = BufReader::new(from);
    loop {
        let mut line = String::new();
        if (&mut from).take(REQUEST_LIMIT).read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let request: Request = match serde_json::from_str(&line) {
            Ok(request) => request,
            Err(error) => {
                return send(&mut to, &failure(format!("the request cannot be read: {error}"))).await;
            }
        };
        match request.op.as_str() {
            "status" => {
                let now = status.borrow_and_update().clone();
                send(&mut to, &state(now)).await?;
            }
            "subscribe" => loop {
                let now = status.borrow_and_update().clone();
                send(&mut to, &state(now)).await?;
                tokio::select! {
                    changed = status.changed() => if changed.is_err() { return Ok(()) },
                    () = hung_up(&mut from) => return Ok(()),
                }
            },
            "logs" => return follow(&mut from, &mut to, &output, request.tail).await,
            "stop" | "restart" => {
                let command = if request.op == "stop" {
                    Command::Stop
                } else {
                    Command::Restart
                };
                let taken = commands.send(command).await.is_ok();
                let reply = if taken {
                    Answer {
                        v: PROTOCOL,
                        ok: true,
                        ..Answer::default()
                    }
                } else {
                    failure("the work is over".to_owned())
                };
                send(&mut to, &reply).await?;
            }
            other => {
                let reply = failure(format!(
                    "this supervisor (protocol {PROTOCOL}) does not know `{other}`"
                ));
                send(&mut to, &reply).await?;
            }
        }
    }
}

async fn follow(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    output: &Output,
    lines: Option<usize>,
) -> io::Result<()> {
    let (past, mut to_come) = output.follow(lines.unwrap_or(0).min(MOST_LINES))?;
    for line in past {
        send(to, &shown(line)).await?;
    }
    loop {
        tokio::select! {
            line = to_come.recv() => match line {
                Ok(line) => send(to, &shown(line)).await?,
                Err(broadcast::error::RecvError::Lagged(count)) => {
                    send(to, &shown(format!("… {count} lines came too fast to follow; the log has them\n"))).await?;
                }
                Err(broadcast::error::RecvError::Closed) => return Ok(()),
            },
            () = hung_up(from) => return Ok(()),
        }
    }
}

/// Returns when the caller closed its side; what it says meanwhile is not heard.
async fn hung_up(from: &mut (impl AsyncReadExt + Unpin)) {
    let mut byte = [0_u8; 256];
    while from.read(&mut byte).await.is_ok_and(|count| count > 0) {}
}

fn failure(error: String) -> Answer {
    Answer {
        v: PROTOCOL,
        error: Some(error),
        ..Answer::default()
    }
}

fn shown(line: String) -> Answer {
    Answer {
        v: PROTOCOL,
        line: Some(line),
        ..Answer::default()
    }
}

fn state(status: String) -> Answer {
    Answer {
        v: PROTOCOL,
        status: RawValue::from_string(status).ok(),
        ..Answer::default()
    }
}

async fn send(to: &mut (impl AsyncWriteExt + Unpin), answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    to.write_all(&line).await
}
