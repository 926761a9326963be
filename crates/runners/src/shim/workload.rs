//! A workload: its containers started in order, probed, restarted, and ended together.
//!
//! One loop owns all state and takes events one at a time; a keeper task per process and a task per probe only
//! send events. An event carries the number of the run it is about, so that what comes late is not taken for the
//! next run's.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::AbortHandle;

use super::Shared;
use super::control::Command;
use super::keeper::{Event, Keeper, ProbeKind, What, probe_again_and_again};
use crate::specification::{BeforeCondition, RestartPolicy};
use crate::status::{ContainerState, ContainerStatus, Exit, WorkloadStatus};
use crate::wire::{Part, Work};

/// One container with all that the loop knows of it.
struct Slot {
    part: Part,
    status: ContainerStatus,
    /// Counts its processes, so that late events are known.
    run: u64,
    /// The pause before the next start.
    pause: Duration,
    /// Tells the keeper to end the process.
    end: Arc<Notify>,
    tasks: Vec<AbortHandle>,
    failures: u32,
    was_live: bool,
    /// The process is ended so that it starts again: at once, or as a failure.
    again: Option<Again>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    AtOnce,
    AsFailure,
}

struct Workload {
    shared: Arc<Shared>,
    digest: String,
    slots: Vec<Slot>,
    events: mpsc::Sender<Event>,
    stopping: bool,
    first: Duration,
    most: Duration,
    reset_ms: i64,
}

pub(super) async fn run(
    shared: Arc<Shared>,
    mut commands: mpsc::Receiver<Command>,
    status: &watch::Sender<String>,
) -> io::Result<()> {
    let Work::Workload(spec) = &shared.start.work else {
        return Err(io::Error::other("the settings are not those of a workload"));
    };
    let (sender, mut events) = mpsc::channel(64);
    let now = shared.clock.now_ms();
    let first = Duration::from_millis(spec.backoff_first_ms.max(1));
    let mut workload = Workload {
        digest: spec.digest.clone(),
        slots: spec
            .containers
            .iter()
            .map(|part| Slot::new(part.clone(), now, first))
            .collect(),
        events: sender,
        stopping: false,
        first,
        most: Duration::from_millis(spec.backoff_most_ms).max(first),
        reset_ms: i64::try_from(spec.backoff_reset_ms).unwrap_or(i64::MAX),
        shared: Arc::clone(&shared),
    };
    workload.start_what_can();
    workload.publish(status);
    let mut ends = super::family::ends()?;
    while !workload.is_over() {
        tokio::select! {
            Some(event) = events.recv() => workload.take(event),
            Some(command) = commands.recv() => workload.obey(command),
            _ = ends.recv() => {
                // Orphans that ended by themselves; what somebody awaits is left to them.
                shared.family.reap_orphans();
                continue;
            }
        }
        workload.start_what_can();
        workload.publish(status);
    }
    shared.family.end_all().await;
    Ok(())
}

impl Slot {
    fn new(part: Part, now: i64, pause: Duration) -> Self {
        let status = ContainerStatus {
            name: part.command.name.clone(),
            state: ContainerState::Waiting,
            reason: None,
            pid: None,
            restarts: 0,
            since_ms: now,
            last_exit: None,
            next_start_ms: None,
            ready: false,
            probe_failure: None,
            next_probe_ms: None,
        };
        Self {
            part,
            status,
            run: 0,
            pause,
            end: Arc::new(Notify::new()),
            tasks: Vec::new(),
            failures: 0,
            was_live: false,
            again: None,
        }
    }

    fn enter(&mut self, state: ContainerState, now: i64, reason: Option<String>) {
        self.status.state = state;
        self.status.since_ms = now;
        self.status.reason = reason;
    }

    /// Whether it has a process or is about to.
    fn is_active(&self) -> bool {
        matches!(
            self.status.state,
            ContainerState::Starting | ContainerState::Running | ContainerState::Stopping
        )
    }

    fn has_reached(&self, condition: BeforeCondition) -> bool {
        let completed = self.status.state == ContainerState::Completed;
        match condition {
            // A container that ran once was started, whatever became of it.
            BeforeCondition::Started => completed || self.status.state == ContainerState::Running,
            BeforeCondition::Healthy => completed || self.status.ready,
            BeforeCondition::Complete => completed,
        }
    }
}

impl Workload {
    fn now(&self) -> i64 {
        self.shared.clock.now_ms()
    }

    fn is_over(&self) -> bool {
        self.stopping && !self.slots.iter().any(Slot::is_active)
    }

    /// Starts every container that waits for nothing any more.
    fn start_what_can(&mut self) {
        if self.stopping {
            return;
        }
        for index in 0..self.slots.len() {
            let Some(slot) = self.slots.get(index) else {
                continue;
            };
            if slot.status.state != ContainerState::Waiting {
                continue;
            }
            let missing = slot.part.after.iter().find(|(name, condition)| {
                !self
                    .slots
                    .iter()
                    .any(|other| other.status.name == **name && other.has_reached(**condition))
            });
            let reason = missing.map(|(name, condition)| {
                let word = match condition {
                    BeforeCondition::Started => "start",
                    BeforeCondition::Healthy => "become healthy",
                    BeforeCondition::Complete => "complete",
                };
                format!("waits for container {name} to {word}")
            });
            match reason {
                Some(reason) => {
                    if let Some(slot) = self.slots.get_mut(index) {
                        slot.status.reason = Some(reason);
                    }
                }
                None => self.start(index),
            }
        }
    }

    fn start(&mut self, index: usize) {
        let now = self.now();
        let (shared, events) = (Arc::clone(&self.shared), self.events.clone());
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        slot.run += 1;
        slot.end = Arc::new(Notify::new());
        slot.failures = 0;
        slot.was_live = false;
        slot.again = None;
        slot.status.next_start_ms = None;
        slot.enter(ContainerState::Starting, now, None);
        let keeper = Keeper {
            shared,
            events,
            index,
            run: slot.run,
            part: slot.part.clone(),
            end: Arc::clone(&slot.end),
        };
        tokio::spawn(keeper.keep());
    }

    fn take(&mut self, event: Event) {
        let now = self.now();
        let stopping = self.stopping;
        let Some(slot) = self.slots.get_mut(event.index) else {
            return;
        };
        if slot.run != event.run {
            return;
        }
        match event.what {
            What::Started(pid) => {
                slot.status.pid = Some(pid);
                if slot.status.state != ContainerState::Starting {
                    // It was told to stop meanwhile; the keeper knows.
                    return;
                }
                slot.enter(ContainerState::Running, now, None);
                slot.status.ready = slot.part.readiness.is_none();
                for (kind, probe) in [
                    (ProbeKind::Liveness, &slot.part.liveness),
                    (ProbeKind::Readiness, &slot.part.readiness),
                ] {
                    if let Some(probe) = probe {
                        let task = tokio::spawn(probe_again_and_again(
                            Arc::clone(&self.shared),
                            self.events.clone(),
                            (event.index, event.run),
                            slot.part.clone(),
                            kind,
                            probe.clone(),
                        ));
                        slot.tasks.push(task.abort_handle());
                    }
                }
            }
            What::NotStarted(reason) => {
                let reason = self.shared.output.masked(&reason);
                self.shared.output.say(&slot.status.name, &reason);
                self.ended(event.index, None, Some(reason));
            }
            What::Exited(exit) => {
                if !stopping {
                    self.shared
                        .output
                        .say(&slot.status.name, &format!("it ended with {exit}"));
                }
                self.ended(event.index, Some(exit), None);
            }
            What::Probed {
                kind,
                failure,
                next_ms,
            } => self.probed(event.index, kind, failure, next_ms),
            What::Due => {
                if slot.status.state == ContainerState::Backoff && !stopping {
                    slot.status.restarts = slot.status.restarts.saturating_add(1);
                    self.start(event.index);
                }
            }
        }
    }

    /// A process is gone, with all that it started.
    fn ended(&mut self, index: usize, exit: Option<Exit>, reason: Option<String>) {
        let now = self.now();
        let (stopping, first, most, reset_ms) = (self.stopping, self.first, self.most, self.reset_ms);
        let Some(name) = self.slots.get(index).map(|slot| slot.status.name.clone()) else {
            return;
        };
        let awaited = self
            .slots
            .iter()
            .any(|other| other.part.after.get(&name) == Some(&BeforeCondition::Complete));
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        for task in slot.tasks.drain(..) {
            task.abort();
        }
        let ran_ms = now.saturating_sub(slot.status.since_ms);
        let was_running = slot.status.state == ContainerState::Running;
        slot.status.pid = None;
        slot.status.ready = false;
        slot.status.next_probe_ms = None;
        if exit.is_some() {
            slot.status.last_exit = exit;
        }
        let success = exit.is_some_and(Exit::is_success) && slot.again != Some(Again::AsFailure);
        if stopping {
            let state = if success {
                ContainerState::Completed
            } else {
                ContainerState::Failed
            };
            slot.enter(state, now, Some("it was told to stop".to_owned()));
            return;
        }
        let reason = reason.or_else(|| exit.map(|exit| format!("it ended with {exit}")));
        if slot.again == Some(Again::AtOnce) {
            slot.pause = first;
            slot.status.restarts = slot.status.restarts.saturating_add(1);
            self.start(index);
            return;
        }
        let restart = match slot.part.restart {
            // Another container waits for this one to complete, so its success is its end.
            _ if success && awaited => false,
            RestartPolicy::Always => true,
            RestartPolicy::OnFailure => !success,
            RestartPolicy::Never => false,
        };
        if !restart {
            let state = if success {
                ContainerState::Completed
            } else {
                ContainerState::Failed
            };
            slot.enter(state, now, if success { None } else { reason });
            return;
        }
        if was_running && ran_ms >= reset_ms {
            slot.pause = first;
        }
        let pause = slot.pause;
        slot.pause = (pause * 2).min(most);
        slot.enter(ContainerState::Backoff, now, reason);
        slot.status.next_start_ms =
            Some(now.saturating_add(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX)));
        let (events, run) = (self.events.clone(), slot.run);
        let task = tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            let _ = events
                .send(Event {
                    index,
                    run,
                    what: What::Due,
                })
                .await;
        });
        slot.tasks.push(task.abort_handle());
    }

    fn probed(&mut self, index: usize, kind: ProbeKind, failure: Option<String>, next_ms: i64) {
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        if slot.status.state != ContainerState::Running {
            return;
        }
        slot.status.next_probe_ms = Some(next_ms);
        let word = match kind {
            ProbeKind::Liveness => "liveness",
            ProbeKind::Readiness => "readiness",
        };
        let failure = failure.map(|failure| self.shared.output.masked(&format!("{word} probe: {failure}")));
        match (kind, failure) {
            (ProbeKind::Readiness, None) => {
                if !slot.status.ready {
                    self.shared.output.say(&slot.status.name, "it is ready");
                }
                slot.status.ready = true;
                slot.clear_failure(word);
            }
            (ProbeKind::Readiness, Some(failure)) => {
                if slot.status.ready {
                    self.shared
                        .output
                        .say(&slot.status.name, &format!("it is no longer ready; {failure}"));
                }
                slot.status.ready = false;
                slot.status.probe_failure = Some(failure);
            }
            (ProbeKind::Liveness, None) => {
                slot.failures = 0;
                slot.was_live = true;
                slot.clear_failure(word);
            }
            (ProbeKind::Liveness, Some(failure)) => {
                slot.failures += 1;
                let most = slot
                    .part
                    .liveness
                    .as_ref()
                    .map_or(1, |probe| probe.failures.max(1));
                slot.status.probe_failure = Some(failure.clone());
                if slot.failures >= most {
                    self.shared.output.say(
                        &slot.status.name,
                        &format!(
                            "it is restarted, because it failed {} times in a row; {failure}",
                            slot.failures
                        ),
                    );
                    slot.again = Some(Again::AsFailure);
                    slot.failures = 0;
                    slot.end.notify_one();
                }
            }
        }
    }

    fn obey(&mut self, command: Command) {
        let now = self.now();
        match command {
            Command::Stop => {
                self.stopping = true;
                for slot in &mut self.slots {
                    for task in slot.tasks.drain(..) {
                        task.abort();
                    }
                    if slot.is_active() {
                        slot.enter(ContainerState::Stopping, now, None);
                        slot.status.ready = false;
                        slot.end.notify_one();
                    }
                }
            }
            Command::Restart if !self.stopping => {
                for index in 0..self.slots.len() {
                    let first = self.first;
                    let Some(slot) = self.slots.get_mut(index) else {
                        continue;
                    };
                    match slot.status.state {
                        ContainerState::Starting | ContainerState::Running => {
                            slot.again = Some(Again::AtOnce);
                            slot.end.notify_one();
                        }
                        ContainerState::Backoff | ContainerState::Failed => {
                            for task in slot.tasks.drain(..) {
                                task.abort();
                            }
                            slot.pause = first;
                            slot.status.restarts = slot.status.restarts.saturating_add(1);
                            self.start(index);
                        }
                        _ => {}
                    }
                }
            }
            Command::Restart => {}
        }
    }

    fn publish(&self, status: &watch::Sender<String>) {
        let containers: Vec<ContainerStatus> = self.slots.iter().map(|slot| slot.status.clone()).collect();
        let ready = !self.stopping
            && containers
                .iter()
                .all(|container| container.ready || container.state == ContainerState::Completed);
        let now = WorkloadStatus {
            digest: self.digest.clone(),
            ready,
            stopping: self.stopping,
            containers,
        };
        if let Ok(text) = serde_json::to_string(&now) {
            // Who subscribes is told of changes only.
            status.send_if_modified(|current| {
                let changed = *current != text;
                if changed {
                    *current = text;
                }
                changed
            });
        }
    }
}

impl Slot {
    /// Forgets the failure of this kind of probe; the other kind's stays.
    fn clear_failure(&mut self, word: &str) {
        if self
            .status
            .probe_failure
            .as_ref()
            .is_some_and(|failure| failure.starts_with(word))
        {
            self.status.probe_failure = None;
        }
    }
}
