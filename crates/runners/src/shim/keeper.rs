//! What runs beside the loop of a workload: one task that sees a process to its end, and one for each probe. They
//! decide nothing and only send events.

use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::sync::{Notify, mpsc};

use super::{Shared, probe, spawn, step};
use crate::log::Stream;
use crate::specification::Probe;
use crate::status::Exit;
use crate::wire::Part;

/// The first pause between attempts of a probe that has not succeeded yet.
const FIRST_PROBE: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProbeKind {
    Liveness,
    Readiness,
}

#[derive(Debug)]
pub(super) enum What {
    Started(i32),
    NotStarted(String),
    Exited(Exit),
    Probed {
        kind: ProbeKind,
        failure: Option<String>,
        next_ms: i64,
    },
    Due,
}

#[derive(Debug)]
pub(super) struct Event {
    pub(super) index: usize,
    pub(super) run: u64,
    pub(super) what: What,
}

/// Starts one process and sees it to its end.
pub(super) struct Keeper {
    pub(super) shared: Arc<Shared>,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) index: usize,
    pub(super) run: u64,
    pub(super) part: Part,
    pub(super) end: Arc<Notify>,
}

impl Keeper {
    async fn tell(&self, what: What) {
        let _ = self
            .events
            .send(Event {
                index: self.index,
                run: self.run,
                what,
            })
            .await;
    }

    pub(super) async fn keep(self) {
        let command = &self.part.command;
        let mut started =
            match spawn::start(&self.shared, command, &command.argv, &self.part.volumes, true).await {
                Ok(started) => started,
                Err(reason) => return self.tell(What::NotStarted(reason)).await,
            };
        let pumps = [
            self.shared
                .output
                .pump(started.child.stdout.take(), &command.name, Stream::Out),
            self.shared
                .output
                .pump(started.child.stderr.take(), &command.name, Stream::Err),
        ];
        self.tell(What::Started(started.pid)).await;
        let exit = tokio::select! {
            exit = started.child.wait() => exit,
            () = self.end.notified() => {
                let group = Pid::from_raw(started.pid);
                let _ = killpg(group, Signal::SIGTERM);
                let grace = Duration::from_millis(self.shared.start.grace_ms);
                if let Ok(exit) = tokio::time::timeout(grace, started.child.wait()).await { exit } else {
                    let _ = killpg(group, Signal::SIGKILL);
                    started.child.wait().await
                }
            }
        };
        let exit = spawn::exit_of(&exit);
        self.shared.family.remove(started.pid);
        self.shared.family.end_rest(started.pid).await;
        step::drain(pumps).await;
        self.tell(What::Exited(exit)).await;
    }
}

/// Tries a probe until nobody listens; the task is aborted when the process ends.
pub(super) async fn probe_again_and_again(
    shared: Arc<Shared>,
    events: mpsc::Sender<Event>,
    (index, run): (usize, u64),
    part: Part,
    kind: ProbeKind,
    probe: Probe,
) {
    let period = Duration::from_millis(probe.period_ms.max(1));
    let mut pause = FIRST_PROBE.min(period);
    // A process that has just begun cannot answer; its liveness is first asked after a period, as its failures
    // would count.
    tokio::time::sleep(if kind == ProbeKind::Liveness {
        period
    } else {
        Duration::ZERO
    })
    .await;
    loop {
        let failure = probe::attempt(&shared, &part, &probe).await.err();
        pause = match (kind, &failure) {
            (ProbeKind::Readiness, Some(_)) => (pause * 2).min(period),
            (ProbeKind::Readiness, None) | (ProbeKind::Liveness, _) => period,
        };
        let next_ms = shared
            .clock
            .now_ms()
            .saturating_add(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX));
        if events
            .send(Event {
                index,
                run,
                what: What::Probed {
                    kind,
                    failure,
                    next_ms,
                },
            })
            .await
            .is_err()
        {
            return;
        }
        tokio::time::sleep(pause).await;
    }
}
