//! One history, from its seed to its verdict.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::BoxFuture;
use podium_engine::{
    AwaitCause, Control, ControlRequest, Finished, Mutation, NodePhase, Operation, RunState, Runtime,
    RuntimeError,
};
use podium_model::kinds::Recovery;
use podium_model::plan::Action;
use podium_store::{Change, MemoryStore, Store, Transaction};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use tokio::sync::{mpsc, oneshot, watch};

use crate::driver::{SimulatedExecutor, object_key, phase_word, run_key};
use crate::scenario::Scenario;
use crate::store::FaultyStore;
use crate::time::{SimulatedTimers, Sleep};
use crate::world::{Faults, LifeId, LifeState, Violation, World};

/// Simulated time after which a run that has not ended never will.
const PATIENCE_MILLISECONDS: i64 = 12 * 3600 * 1000;

/// Where workers die.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CrashMode {
    /// Anywhere, by chance.
    Random,
    /// At these points, counted from the beginning of the history.
    At {
        /// Their numbers.
        points: Vec<u32>,
        /// Whether a call that is cut off arrives all the same.
        carried_out: bool,
    },
}

/// How a history goes.
#[derive(Clone, Debug)]
pub struct Options {
    /// What it is about; random when unset.
    pub scenario: Option<Scenario>,
    /// Where workers die.
    pub crashes: CrashMode,
    /// Whether drivers, store and people have bad days, and workers are held still.
    pub troubles: bool,
    /// The mistake that the runtime makes.
    pub mutation: Option<Mutation>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            scenario: None,
            crashes: CrashMode::Random,
            troubles: true,
            mutation: None,
        }
    }
}

/// What came of a history.
#[derive(Clone, Debug)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// What was wrong; nothing, if all is well.
    pub violations: Vec<Violation>,
    /// What happened, line by line.
    pub history: Vec<String>,
    /// How the run ended.
    pub finished: Option<Finished>,
    /// Nodes of the run.
    pub nodes: usize,
    /// Workers that died.
    pub crashes: u32,
    /// Points at which a worker could have died.
    pub points: u32,
    /// How often the lease went to another.
    pub leases: u64,
    /// How often a node waited for a person.
    pub waits: u32,
    /// Steps intended.
    pub steps: usize,
}

/// Histories.
#[derive(Clone, Copy, Debug)]
pub struct Simulation;

/// The workers at present, and how to reach them.
#[derive(Default)]
struct Stage {
    controls: Mutex<BTreeMap<LifeId, mpsc::Sender<ControlRequest>>>,
}

impl Stage {
    fn controls(&self) -> std::sync::MutexGuard<'_, BTreeMap<LifeId, mpsc::Sender<ControlRequest>>> {
        self.controls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Simulation {
    /// Plays one history.
    pub fn run(seed: u64, options: &Options) -> Report {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let scenario = options
            .scenario
            .clone()
            .unwrap_or_else(|| Scenario::random(&mut random));
        let faults = Faults {
            mode: options.crashes.clone(),
            crashes_left: if options.troubles {
                random.random_range(1..=8)
            } else {
                0
            },
            crash_probability: [0.01, 0.03, 0.1][random.random_range(0..3)],
            error_probability: [0.0, 0.02, 0.1][random.random_range(0..3)],
            quiet_from_ms: if options.troubles {
                1_000_000 + random.random_range(60_000..=600_000)
            } else {
                0
            },
            points: 0,
            crashes: 0,
        };
        let lanes = if options.troubles {
            random.random_range(1..=2)
        } else {
            1
        };
        let keeps_name = lanes == 1 && random.random_bool(0.5);
        let cancels = options.troubles && random.random_bool(0.08);

        let nodes = scenario.work.nodes.len();
        let mut report = Report {
            seed,
            violations: Vec::new(),
            history: Vec::new(),
            finished: None,
            nodes,
            crashes: 0,
            points: 0,
            leases: 0,
            waits: 0,
            steps: 0,
        };
        let state = RunState::new(
            scenario.run.clone(),
            scenario.work.clone(),
            scenario.limits.clone(),
        );
        let (memory, state) = match (MemoryStore::new(), state) {
            (Ok(memory), Ok(state)) => (Arc::new(memory), state),
            (_, Err(error)) => {
                report.violations.push(Violation::Stopped(error.to_string()));
                return report;
            }
            (Err(error), _) => {
                report.violations.push(Violation::Stopped(error.to_string()));
                return report;
            }
        };
        let world = World::new(seed, scenario, faults, memory, state);
        let stage = Arc::new(Stage::default());
        let history = async {
            lay_out(&world).await;
            let mut workers: Vec<_> = (0..lanes)
                .map(|lane| {
                    let holder = if keeps_name {
                        Some("server".to_owned())
                    } else {
                        None
                    };
                    Some(lane_of_lives(world.clone(), stage.clone(), lane, holder, options.mutation).boxed())
                })
                .collect();
            let mut others: Vec<BoxFuture<'_, ()>> = vec![person(&world, &stage).boxed()];
            if options.troubles {
                others.push(troubles(&world).boxed());
            }
            if cancels {
                others.push(cancel(&world, &stage).boxed());
            }
            let mut end = None;
            poll_fn(move |context| poll_all(context, &mut workers, &mut others, &mut end)).await
        };
        let until_ms = world.time.now() + PATIENCE_MILLISECONDS;
        match world.time.run(history, until_ms) {
            Ok(finished) => {
                report.finished = finished;
                judge(&world);
            }
            Err(reason) => world.violate(Violation::NeverEnds(reason)),
        }
        report.violations = world.violations();
        report.history = world.history();
        report.crashes = world.faults().crashes;
        report.points = world.faults().points;
        report.leases = world.observed().newest_token;
        report.waits = world.observed().waited;
        report.steps = world.observed().intents.len();
        report
    }
}

/// Polls everything in a fixed order, until all workers have ended.
fn poll_all(
    context: &mut Context<'_>,
    workers: &mut [Option<BoxFuture<'_, Option<Finished>>>],
    others: &mut Vec<BoxFuture<'_, ()>>,
    end: &mut Option<Finished>,
) -> Poll<Option<Finished>> {
    for worker in workers.iter_mut() {
        if let Some(future) = worker
            && let Poll::Ready(finished) = future.as_mut().poll(context)
        {
            *end = finished.or(end.take());
            *worker = None;
        }
    }
    others.retain_mut(|other| other.as_mut().poll(context).is_pending());
    if workers.iter().all(Option::is_none) {
        Poll::Ready(end.take())
    } else {
        Poll::Pending
    }
}

/// What exists has an object.
async fn lay_out(world: &Arc<World>) {
    let existing = world
        .scenario
        .work
        .nodes
        .iter()
        .filter(|node| Scenario::existed(node.action));
    let object = json!({"phase": "ready", "attempt": 0});
    let changes =
        existing.map(|node| Change::Put(object_key(&world.scenario.run, &node.name), object.clone().into()));
    let transaction = Transaction {
        principal: "ada".into(),
        changes: changes.collect(),
        ..Transaction::default()
    };
    if let Err(error) = world.memory.commit(transaction).await {
        world.violate(Violation::Stopped(error.to_string()));
    }
}

enum End {
    Ended(Result<Finished, RuntimeError>),
    Crashed,
}

/// One life: it can be held still, and it can die; then all it had under way is dropped.
struct Life {
    world: Arc<World>,
    id: LifeId,
    drive: Option<BoxFuture<'static, Result<Finished, RuntimeError>>>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Life {
    fn died(&mut self) -> bool {
        let crashed = self.world.lives().get(&self.id).is_some_and(|life| life.crashed);
        if crashed {
            self.drive = None;
        }
        crashed
    }
}

impl Future for Life {
    type Output = End;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<End> {
        let this = &mut *self;
        if this.died() {
            return Poll::Ready(End::Crashed);
        }
        let left = this
            .world
            .lives()
            .get(&this.id)
            .map_or(0, |life| life.paused_until_ms)
            - this.world.time.now();
        if left > 0 {
            let pause = this.pause.insert(Box::pin(this.world.time.sleep(left)));
            let _waking = pause.as_mut().poll(context);
            return Poll::Pending;
        }
        this.pause = None;
        let Some(drive) = &mut this.drive else {
            return Poll::Ready(End::Crashed);
        };
        let polled = drive.as_mut().poll(context);
        if this.died() {
            return Poll::Ready(End::Crashed);
        }
        polled.map(End::Ended)
    }
}

/// One worker after another, until one of them saw the end of the run.
async fn lane_of_lives(
    world: Arc<World>,
    stage: Arc<Stage>,
    lane: u64,
    holder: Option<String>,
    mutation: Option<Mutation>,
) -> Option<Finished> {
    world.time.sleep(i64::try_from(lane).unwrap_or(0)).await;
    for number in 0.. {
        let id = lane * 1000 + number;
        world.lives().insert(id, LifeState::default());
        let (sender, control) = mpsc::channel(16);
        stage.controls().insert(id, sender);
        let store = Arc::new(FaultyStore {
            world: world.clone(),
            life: id,
        });
        let executor = SimulatedExecutor {
            world: world.clone(),
            life: id,
            store: store.clone(),
        };
        let runtime = Runtime::new(
            store,
            world.time.clone(),
            Arc::new(SimulatedTimers(world.time.clone())),
            Arc::new(executor),
            world.scenario.limits.clone(),
            holder.clone().unwrap_or_else(|| format!("life {id}")),
        )
        .with_mutation(mutation);
        let (run, work) = (world.scenario.run.clone(), world.scenario.work.clone());
        let drive = async move {
            let snapshots = watch::Sender::new(None);
            runtime.drive(run, work, control, &snapshots).await
        };
        let life = Life {
            world: world.clone(),
            id,
            drive: Some(drive.boxed()),
            pause: None,
        };
        let end = life.await;
        stage.controls().remove(&id);
        world.lives().remove(&id);
        match end {
            End::Ended(Ok(finished)) => return Some(finished),
            End::Ended(Err(RuntimeError::LeaseLost { .. })) => {
                world.tell(format!("life {id} lost its lease"));
            }
            End::Ended(Err(error)) => {
                world.violate(Violation::Stopped(format!("life {id}: {error:?}")));
                return None;
            }
            End::Crashed => {}
        }
        let down = world.between(100, 5_000);
        world.time.sleep(down).await;
    }
    None
}

/// Holds workers still now and then, and kills them at any time, until all is quiet.
async fn troubles(world: &Arc<World>) {
    while !world.is_quiet() {
        let wait = world.between(500, 30_000);
        world.time.sleep(wait).await;
        let alive: Vec<LifeId> = world.lives().keys().copied().collect();
        if alive.is_empty() || world.is_quiet() {
            continue;
        }
        let last = i64::try_from(alive.len() - 1).unwrap_or(0);
        let life = alive[usize::try_from(world.between(0, last)).unwrap_or(0)];
        if world.faults().crashes_left > 0 && world.happens(0.3) {
            world.crash(life, "at any time");
        } else if world.happens(0.5) {
            let pause = world.between(1_000, 60_000);
            world.tell(format!("life {life} is held still for {pause}"));
            let until = world.time.now() + pause;
            if let Some(state) = world.lives().get_mut(&life) {
                state.paused_until_ms = until;
            }
        }
    }
}

/// Asks the worker that has the lease; false when it died before it answered.
async fn ask(world: &World, stage: &Stage, control: Control) -> bool {
    let newest = world.observed().newest_token;
    let leader = world
        .lives()
        .iter()
        .find(|(_, life)| life.token == Some(newest))
        .map(|(id, _)| *id);
    let sender = leader.and_then(|leader| stage.controls().get(&leader).cloned());
    let Some(sender) = sender else { return false };
    let (answer, answered) = oneshot::channel();
    let request = ControlRequest {
        control,
        answer: Some(answer),
    };
    sender.send(request).await.is_ok() && answered.await.is_ok()
}

/// Looks after what waits for a person. Before somebody agrees to try again, what may have been half made is removed.
async fn person(world: &Arc<World>, stage: &Arc<Stage>) {
    loop {
        let wait = world.between(500, 20_000);
        world.time.sleep(wait).await;
        let waiting = {
            let observed = world.observed();
            let first = observed.state.as_ref().and_then(|state| state.awaiting().next());
            first.map(|(node, cause, _)| (node.clone(), cause))
        };
        let Some((node, cause)) = waiting else { continue };
        let name = Some(node.name.clone());
        let by = "eve".to_owned();
        if world.happens(0.2) {
            ask(world, stage, Control::Reject { node: name, by }).await;
            continue;
        }
        if cause == AwaitCause::Indeterminate && matches!(node.action, Action::Create | Action::Replace) {
            world.tell(format!("eve removes what there is of {}", node.name));
            if let Some(thing) = world.cloud().things.get_mut(&node.name) {
                thing.count = 0;
            }
        }
        ask(world, stage, Control::Approve { node: name, by }).await;
    }
}

/// Cancels the run at some time.
async fn cancel(world: &Arc<World>, stage: &Arc<Stage>) {
    let wait = world.between(100, 60_000);
    world.time.sleep(wait).await;
    while !ask(world, stage, Control::Cancel { by: "eve".to_owned() }).await {
        world.time.sleep(1_000).await;
    }
}

/// Compares the world with what the journal says, once all is over.
fn judge(world: &Arc<World>) {
    let observed = world.observed();
    let Some(state) = &observed.state else { return };
    if state.finished().is_none() {
        world.violate(Violation::NeverEnds(
            "the workers ended before the run".to_owned(),
        ));
    }
    for step in &observed.intents {
        if observed.outcomes.get(step) != Some(&1) {
            world.violate(Violation::Journal(format!("{step} has no outcome")));
        }
    }
    let cloud = world.cloud();
    let run = &world.scenario.run;
    let object = |key| {
        world
            .memory
            .get(&key)
            .now_or_never()
            .and_then(Result::ok)
            .flatten()
    };
    if object(run_key(run)).is_none() {
        world.violate(Violation::Diverged(
            "the run's object does not tell of its end".to_owned(),
        ));
    }
    for (node, progress) in state.nodes() {
        let name = &node.name;
        let count = cloud.count(name);
        let content = cloud.things.get(name).map(|thing| thing.content);
        let found = object(object_key(run, name));
        if count > 0 && found.is_none() {
            world.violate(Violation::Orphaned(name.clone()));
        }
        let existed = u32::from(Scenario::existed(node.action));
        let right = match &progress.phase {
            NodePhase::Succeeded if node.action == Action::Delete => count == 0 && found.is_none(),
            NodePhase::Succeeded => count == 1 && content == Some(world.scenario.plans[name].content),
            NodePhase::Unchanged => count == existed,
            phase => phase.is_final() && (progress.attempt > 0 || count == existed),
        };
        if !right {
            world.violate(Violation::Diverged(format!(
                "{name} is {:?}; there are {count}",
                progress.phase
            )));
        }
        if let Some(found) = found
            && progress.attempt > 0
            && found.value["phase"] != phase_word(&progress.phase)
        {
            world.violate(Violation::Diverged(format!(
                "the object of {name} says {}",
                found.value
            )));
        }
        if node.recovery == Recovery::Indeterminate {
            let agreed = observed.agreed.get(name).copied().unwrap_or(0);
            for operation in [Operation::Apply, Operation::Destroy] {
                let steps = cloud.carried_out.iter();
                let steps = steps.filter(|(step, _)| step.node == *name && step.operation == operation);
                let times: u32 = steps.map(|(_, times)| times).sum();
                if times > 1 + agreed {
                    world.violate(Violation::RepeatedSilently(format!(
                        "{operation} of {name}, {times} times"
                    )));
                }
            }
            let begun = cloud
                .begun
                .iter()
                .find(|(step, times)| step.node == *name && **times > 1);
            if let Some((step, times)) = begun {
                world.violate(Violation::RepeatedSilently(format!("{step}, {times} times")));
            }
        }
    }
}
