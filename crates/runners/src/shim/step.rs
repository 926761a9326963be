//! A step: its commands one after another, then its sealed result, then nothing: its root is removed.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::control::Command;
use super::{Shared, folder, spawn};
use crate::beneath::Root;
use crate::log::Stream;
use crate::seal::SealKey;
use crate::status::{Exit, ResultContent, StepEnd, StepOutcome, StepProgress};
use crate::wire::{self, Work};

/// How long before its lease ends everything of a step is killed.
const LEASE_MARGIN: Duration = Duration::from_millis(500);
/// How long the last lines may take to arrive after every process is gone.
const DRAIN: Duration = Duration::from_secs(2);

/// When the step's processes are asked to end, and when they are killed.
#[derive(Clone, Copy)]
struct Deadline {
    ask: Instant,
    kill: Instant,
}

pub(super) async fn run(
    shared: Arc<Shared>,
    folder: &Path,
    mut commands: mpsc::Receiver<Command>,
    status: &watch::Sender<String>,
) -> io::Result<()> {
    let Work::Step(step) = &shared.start.work else {
        return Err(io::Error::other("the settings are not those of a step"));
    };
    let started_ms = shared.clock.now_ms();
    let end = carry_out(&shared, step, &mut commands, status, started_ms).await;
    shared.family.end_all().await;
    let (log, output_truncated) = shared.output.taken();
    let mut outcome = StepOutcome {
        end,
        started_ms,
        ended_ms: shared.clock.now_ms(),
        output_truncated,
        log,
        results: Vec::new(),
        state: None,
    };
    collect(&shared, step, &mut outcome);
    let plain = zeroize::Zeroizing::new(serde_json::to_vec(&outcome)?);
    let sealed = seal(&shared, &plain)?;
    folder::write_durably(folder, "result", &sealed)?;
    // Inputs and state lie there in clear. All that anybody needs of it is in the result.
    if let Err(error) = std::fs::remove_dir_all(&shared.start.root) {
        shared
            .output
            .say("shim", &format!("the step's root cannot be removed yet: {error}"));
    }
    tell(
        status,
        &StepProgress {
            done: true,
            since_ms: shared.clock.now_ms(),
            ..StepProgress::default()
        },
    );
    Ok(())
}

fn seal(shared: &Shared, plain: &[u8]) -> io::Result<Vec<u8>> {
    let key: [u8; 32] = shared
        .start
        .seal_key
        .as_slice()
        .try_into()
        .map_err(|_| io::Error::other("the sealing key has not 32 bytes"))?;
    SealKey::new(key)
        .seal(plain, &shared.start.id)
        .ok_or_else(|| io::Error::other("the result cannot be sealed"))
}

fn tell(status: &watch::Sender<String>, progress: &StepProgress) {
    if let Ok(text) = serde_json::to_string(progress) {
        status.send_replace(text);
    }
}

fn deadline(shared: &Shared, step: &wire::Step) -> Deadline {
    let now = Instant::now();
    let grace = Duration::from_millis(shared.start.grace_ms);
    let mut ask = now + Duration::from_millis(step.time_limit_ms);
    let mut kill = ask + grace;
    if let Some(lease) = step.lease_deadline_ms {
        let left = u64::try_from(lease.saturating_sub(shared.clock.now_ms())).unwrap_or(0);
        let last = now + Duration::from_millis(left).saturating_sub(LEASE_MARGIN);
        kill = kill.min(last);
        ask = ask.min(kill.checked_sub(grace).unwrap_or(now));
    }
    Deadline { ask, kill }
}

async fn carry_out(
    shared: &Arc<Shared>,
    step: &wire::Step,
    orders: &mut mpsc::Receiver<Command>,
    status: &watch::Sender<String>,
    started_ms: i64,
) -> StepEnd {
    let deadline = deadline(shared, step);
    let mut progress = StepProgress {
        since_ms: started_ms,
        ..StepProgress::default()
    };
    for (index, command) in step.commands.iter().enumerate() {
        progress = StepProgress {
            command: command.name.clone(),
            index,
            since_ms: shared.clock.now_ms(),
            done: false,
        };
        tell(status, &progress);
        if Instant::now() >= deadline.ask {
            return timed_out(step, command);
        }
        match run_command(shared, step, command, orders, deadline).await {
            StepEnd::Succeeded => {}
            other => return other,
        }
    }
    let _ = progress;
    StepEnd::Succeeded
}

fn timed_out(step: &wire::Step, command: &wire::Command) -> StepEnd {
    StepEnd::TimedOut {
        command: command.name.clone(),
        seconds: step.time_limit_ms.div_ceil(1000),
    }
}

async fn run_command(
    shared: &Arc<Shared>,
    step: &wire::Step,
    command: &wire::Command,
    orders: &mut mpsc::Receiver<Command>,
    deadline: Deadline,
) -> StepEnd {
    let name = command.name.clone();
    let mut started = match spawn::start(shared, command, &command.argv, &[], true).await {
        Ok(started) => started,
        Err(reason) => {
            let reason = shared.output.masked(&reason);
            shared.output.say(&name, &reason);
            return StepEnd::NotStarted {
                command: name,
                reason,
            };
        }
    };
    let pumps = [
        shared
            .output
            .pump(started.child.stdout.take(), &name, Stream::Out),
        shared
            .output
            .pump(started.child.stderr.take(), &name, Stream::Err),
    ];
    let group = Pid::from_raw(started.pid);
    let cut = tokio::select! {
        exit = started.child.wait() => Ok(spawn::exit_of(&exit)),
        () = tokio::time::sleep_until(deadline.ask) => Err(timed_out(step, command)),
        () = told_to_stop(orders) => Err(StepEnd::Stopped { command: name.clone() }),
    };
    let end = match cut {
        Ok(Exit::Code(0)) => StepEnd::Succeeded,
        Ok(exit) => StepEnd::Failed {
            command: name.clone(),
            exit,
        },
        Err(end) => {
            let _ = killpg(group, Signal::SIGTERM);
            let grace = Instant::now() + Duration::from_millis(shared.start.grace_ms);
            let waited = tokio::time::timeout_at(grace.min(deadline.kill), started.child.wait()).await;
            if waited.is_err() {
                let _ = killpg(group, Signal::SIGKILL);
                let _ = started.child.wait().await;
            }
            end
        }
    };
    shared.family.remove(started.pid);
    // Nothing that a command started outlives it, so the next begins in peace and every line is in.
    shared.family.end_rest(started.pid).await;
    drain(pumps).await;
    match &end {
        StepEnd::TimedOut { seconds, .. } => {
            shared.output.say(
                &name,
                &format!("it was ended: the time limit of {seconds} s has passed"),
            );
        }
        StepEnd::Stopped { .. } => shared.output.say(&name, "it was told to stop"),
        StepEnd::Failed { exit, .. } => shared.output.say(&name, &format!("it ended with {exit}")),
        _ => {}
    }
    end
}

/// Waits for the order to stop. A step cannot be restarted; when nobody can give orders any more, it goes on.
async fn told_to_stop(orders: &mut mpsc::Receiver<Command>) {
    loop {
        match orders.recv().await {
            Some(Command::Stop) => return,
            Some(Command::Restart) => {}
            None => std::future::pending().await,
        }
    }
}

pub(super) async fn drain(pumps: [Option<JoinHandle<()>>; 2]) {
    for mut pump in pumps.into_iter().flatten() {
        if timeout(DRAIN, &mut pump).await.is_err() {
            pump.abort();
        }
    }
}

/// Reads what the step left, after every process of it is gone.
fn collect(shared: &Shared, step: &wire::Step, outcome: &mut StepOutcome) {
    let root = match Root::open(&shared.start.root, None) {
        Ok(root) => root,
        Err(error) => {
            let why = format!("the step's root cannot be read: {error}");
            outcome.results = step
                .results
                .iter()
                .map(|file| (file.path.clone(), ResultContent::Refused(why.clone())))
                .collect();
            outcome.state = step.state.as_ref().map(|_| Err(why.clone()));
            return;
        }
    };
    for file in &step.results {
        let content = match root.read(&file.path, file.limit) {
            Ok(Some((bytes, _))) => ResultContent::Bytes(bytes),
            Ok(None) => ResultContent::Absent,
            Err(error) => ResultContent::Refused(error.to_string()),
        };
        outcome.results.push((file.path.clone(), content));
    }
    outcome.state = step.state.as_ref().map(|state| {
        root.archive(&state.path, state.limit, state.files)
            .map_err(|error| error.to_string())
    });
}
