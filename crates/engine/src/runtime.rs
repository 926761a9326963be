//! Feeds the machine, commits what it decides and performs what follows.
//!
//! One task for a run: it waits for the next thing that happens, lets the machine judge it, commits the records, and
//! performs the effects of what was committed. Steps run beside each other inside that task; their work is elsewhere, in
//! processes and clusters, so one thread is enough. While a commit is tried again because the store does not answer,
//! nothing new begins: without the store there is no intent.

mod error;
mod journal;
#[cfg(feature = "mutations")]
mod mutation;
mod timers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures::future::{AbortHandle, Abortable, BoxFuture};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use podium_model::clock::SharedClock;
use podium_model::kinds::Recovery;
use podium_store::{Lease, SharedStore};
use tokio::sync::{mpsc, oneshot, watch};

use crate::executor::{Executor, Prepared, StepOutcome};
use crate::machine::{Effect, Finished, IllegalInput, Input, RunState};
use crate::work::{Limits, RunContext, Step, StepId, Work};

pub use error::RuntimeError;
pub use journal::{JournaledRecord, read};
#[cfg(feature = "mutations")]
pub use mutation::Mutation;
pub use timers::{Timers, TokioTimers};

/// How long the lease of a run lasts; it is renewed when a third of that has passed.
pub const LEASE_MILLISECONDS: i64 = 15_000;

/// How long a step may take to end after it was stopped, before the worker turns away from it.
const STOP_GRACE_MILLISECONDS: i64 = 10_000;

/// The lease that decides who may journal a run.
pub fn lease_name(run_uid: &str) -> String {
    format!("run/{run_uid}")
}

/// What a person wants of a run at work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// What waits goes on.
    Approve {
        /// The node's name; all that wait, when unset.
        node: Option<String>,
        /// Who.
        by: String,
    },
    /// What waits does not go on.
    Reject {
        /// The node's name; all that wait, when unset.
        node: Option<String>,
        /// Who.
        by: String,
    },
    /// The run ends.
    Cancel {
        /// Who.
        by: String,
    },
}

/// A [`Control`], and where to answer.
#[derive(Debug)]
pub struct ControlRequest {
    /// What is wanted.
    pub control: Control,
    /// Told once it is committed, or why it is not possible.
    pub answer: Option<oneshot::Sender<Result<(), IllegalInput>>>,
}

impl From<Control> for ControlRequest {
    fn from(control: Control) -> Self {
        Self {
            control,
            answer: None,
        }
    }
}

/// Where the state of a run is shown after each commit; `None` before the journal was read.
pub type Snapshots = watch::Sender<Option<Arc<RunState>>>;

/// Drives runs. Cheap to clone.
#[derive(Clone)]
pub struct Runtime {
    store: SharedStore,
    clock: SharedClock,
    timers: Arc<dyn Timers>,
    executor: Arc<dyn Executor>,
    limits: Limits,
    holder: String,
    #[cfg(feature = "mutations")]
    mutation: Option<Mutation>,
}

impl Runtime {
    /// A runtime that holds leases as `holder`. That name must belong to this process alone: where the data folder's lock
    /// already proves that (SQLite), keep it across restarts, and a restarted server goes on at once; elsewhere make a
    /// new one at each start, and the lease of the dead one runs out first.
    pub fn new(
        store: SharedStore,
        clock: SharedClock,
        timers: Arc<dyn Timers>,
        executor: Arc<dyn Executor>,
        limits: Limits,
        holder: impl Into<String>,
    ) -> Self {
        Self {
            store,
            clock,
            timers,
            executor,
            limits,
            holder: holder.into(),
            #[cfg(feature = "mutations")]
            mutation: None,
        }
    }

    /// Carries a run out to its end: begins it, or goes on where its journal stops. Waits while another worker has
    /// the run's lease. Dropping the future is a crash, and safe; call again to go on.
    ///
    /// At most one call for a run may be under way in a process.
    pub async fn drive(
        &self,
        run: RunContext,
        work: Work,
        control: mpsc::Receiver<ControlRequest>,
        snapshots: &Snapshots,
    ) -> Result<Finished, RuntimeError> {
        let state = RunState::new(run, work, self.limits.clone())?;
        let lease = self.acquire(&state).await?;
        let mut worker = Worker {
            runtime: self,
            renew_at_ms: lease.expires_ms - LEASE_MILLISECONDS * 2 / 3,
            lease_expires_ms: Arc::new(AtomicI64::new(lease.expires_ms)),
            lease,
            state,
            sequence: 0,
            under_way: FuturesUnordered::new(),
            steps: BTreeMap::new(),
            timers: BTreeMap::new(),
            snapshots,
        };
        let end = worker.work(control).await;
        if let Err(error) = self
            .store
            .release_lease(&worker.lease.name, worker.lease.token)
            .await
        {
            tracing::warn!(lease = %worker.lease.name, %error, "the lease was not given up and will run out");
        }
        end
    }
}

/// What a worker waits for.
enum Happening {
    Prepared(String, Prepared),
    Ended(StepId, StepOutcome),
    /// The step was turned away from.
    Aborted,
    /// The step was stopped, and had time to end.
    Stopped(Step),
    /// The lease ran out before the effect began.
    Late(Effect),
}

enum Event {
    Time,
    Control(Option<ControlRequest>),
    Happened(Happening),
}

/// One worker at one run, under one lease.
struct Worker<'a> {
    runtime: &'a Runtime,
    state: RunState,
    lease: Lease,
    renew_at_ms: i64,
    /// The end of `lease`, for the steps that are about to begin.
    lease_expires_ms: Arc<AtomicI64>,
    /// Place of the next journal row.
    sequence: u64,
    under_way: FuturesUnordered<BoxFuture<'static, Happening>>,
    /// The steps in `under_way`.
    steps: BTreeMap<StepId, AbortHandle>,
    /// The times set for nodes.
    timers: BTreeMap<String, i64>,
    snapshots: &'a Snapshots,
}

impl Worker<'_> {
    async fn work(&mut self, mut control: mpsc::Receiver<ControlRequest>) -> Result<Finished, RuntimeError> {
        self.load().await?;
        if self.state.finished().is_none() {
            let first = if self.state.begun_ms().is_none() {
                Input::Begin
            } else {
                Input::TakeUp {
                    by: self.runtime.holder.clone(),
                }
            };
            self.feed_own(first).await?;
        }
        let mut controlled = true;
        loop {
            if let Some(finished) = self.state.finished() {
                return Ok(finished.clone());
            }
            let next_timer = self.timers.values().min().copied().unwrap_or(i64::MAX);
            let wake_ms = next_timer.min(self.renew_at_ms);
            // In this order: the lease first, and a flood of results does not keep a person from cancelling.
            let event = tokio::select! {
                biased;
                () = self.runtime.timers.sleep_until(wake_ms) => Event::Time,
                request = control.recv(), if controlled => Event::Control(request),
                Some(happening) = self.under_way.next() => Event::Happened(happening),
            };
            match event {
                Event::Time => self.time_has_come().await?,
                Event::Control(None) => controlled = false,
                Event::Control(Some(request)) => self.controlled(request).await?,
                Event::Happened(happening) => self.happened(happening).await?,
            }
        }
    }

    async fn time_has_come(&mut self) -> Result<(), RuntimeError> {
        let now_ms = self.runtime.clock.now_ms();
        if now_ms >= self.renew_at_ms {
            self.renew().await?;
            // Once it has run out nothing goes on, not even what is under way, until it is known to be held still.
            self.prove_lease().await?;
        }
        let due: Vec<_> = self
            .timers
            .iter()
            .filter(|(_, at_ms)| **at_ms <= now_ms)
            .map(|(node, _)| node.clone())
            .collect();
        for node in due {
            self.timers.remove(&node);
            self.feed_own(Input::TimerFired { node }).await?;
        }
        Ok(())
    }

    async fn controlled(&mut self, request: ControlRequest) -> Result<(), RuntimeError> {
        let input = match request.control {
            Control::Approve { node, by } => Input::Approved { node, by },
            Control::Reject { node, by } => Input::Rejected { node, by },
            Control::Cancel { by } => Input::CancelRequested { by },
        };
        let verdict = self.feed(input).await?;
        if let Some(answer) = request.answer {
            // Whoever asked may have gone; the answer is in the journal.
            let _gone = answer.send(verdict);
        }
        Ok(())
    }

    async fn happened(&mut self, happening: Happening) -> Result<(), RuntimeError> {
        match happening {
            Happening::Prepared(node, prepared) => self.feed_own(Input::Prepared { node, prepared }).await,
            Happening::Ended(step, outcome) => {
                self.steps.remove(&step);
                self.feed_own(Input::StepEnded { step, outcome }).await
            }
            Happening::Aborted => Ok(()),
            Happening::Late(effect) => {
                self.prove_lease().await?;
                self.perform(effect);
                Ok(())
            }
            Happening::Stopped(step) => {
                let Some(abort) = self.steps.remove(&step.id) else {
                    return Ok(());
                };
                abort.abort();
                let told = "it was stopped, and did not say what it had done";
                let outcome = match step.node.recovery {
                    Recovery::Named | Recovery::Token => StepOutcome::Failed {
                        message: told.to_owned(),
                        retriable: true,
                    },
                    Recovery::Indeterminate => StepOutcome::Indeterminate {
                        known: told.to_owned(),
                    },
                };
                self.feed_own(Input::StepEnded {
                    step: step.id,
                    outcome,
                })
                .await
            }
        }
    }

    /// Feeds what this worker itself observed; that the machine refuses it is a mistake of Podium's.
    async fn feed_own(&mut self, input: Input) -> Result<(), RuntimeError> {
        if let Err(illegal) = self.feed(input).await? {
            tracing::error!(run = %self.state.run().uid, error = %illegal, "an observation does not fit the run");
        }
        Ok(())
    }

    async fn feed(&mut self, input: Input) -> Result<Result<(), IllegalInput>, RuntimeError> {
        let records = match self.state.decide(&input, self.runtime.clock.now_ms()) {
            Ok(records) if records.is_empty() => return Ok(Ok(())),
            Ok(records) => records,
            Err(illegal) => return Ok(Err(illegal)),
        };
        #[cfg(feature = "mutations")]
        let early = self.effects_before_journal(&records).await;
        self.commit(&records).await?;
        let effects = self.state.advance(&records);
        self.snapshots.send_replace(Some(Arc::new(self.state.clone())));
        #[cfg(feature = "mutations")]
        let effects = self.mutate(effects, early);
        self.prove_lease().await?;
        for effect in effects {
            self.perform(effect);
        }
        Ok(Ok(()))
    }

    fn perform(&mut self, effect: Effect) {
        let executor = self.runtime.executor.clone();
        match effect {
            Effect::Prepare(name) => {
                let Some((node, _)) = self.state.node(&name) else {
                    return;
                };
                let (run, node, progress) =
                    (self.state.run().clone(), node.clone(), self.state.progress(&name));
                let prepare = async move {
                    let prepared = executor.prepare(&run, &node, &progress).await;
                    Happening::Prepared(name, prepared)
                };
                self.under_way.push(prepare.boxed());
            }
            Effect::Execute(step) => {
                let late = Effect::Execute(step.clone());
                let id = step.id.clone();
                self.watch_step(id, late, async move { executor.execute(&step).await }.boxed());
            }
            Effect::Recover(step) => {
                let late = Effect::Recover(step.clone());
                let id = step.id.clone();
                self.watch_step(id, late, async move { executor.recover(&step).await }.boxed());
            }
            Effect::StopStep(step) => {
                let (timers, clock) = (self.runtime.timers.clone(), self.runtime.clock.clone());
                let stop = async move {
                    executor.stop(&step).await;
                    timers
                        .sleep_until(clock.now_ms().saturating_add(STOP_GRACE_MILLISECONDS))
                        .await;
                    Happening::Stopped(step)
                };
                self.under_way.push(stop.boxed());
            }
            Effect::SetTimer { node, at_ms } => {
                self.timers.insert(node, at_ms);
            }
            Effect::Finish => {}
        }
    }

    /// Begins a step and waits for its end. Between commit and beginning the worker may have slept, so the lease is
    /// looked at once more at the very moment.
    fn watch_step(&mut self, id: StepId, late: Effect, end: BoxFuture<'static, StepOutcome>) {
        let (abort, registration) = AbortHandle::new_pair();
        self.steps.insert(id.clone(), abort);
        let (clock, expires_ms) = (self.runtime.clock.clone(), self.lease_expires_ms.clone());
        let step = async move {
            if clock.now_ms() >= expires_ms.load(Ordering::Relaxed) {
                return Happening::Late(late);
            }
            Happening::Ended(id, end.await)
        };
        let step = Abortable::new(step, registration);
        self.under_way
            .push(async move { step.await.unwrap_or(Happening::Aborted) }.boxed());
    }
}
