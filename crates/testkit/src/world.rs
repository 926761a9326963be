//! What all parts of a history share: time, chance, the cloud, the faults, and the eye on the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use podium_engine::{AwaitCause, Fact, JournaledRecord, NodePhase, Operation, RunState, Step, StepId};
use podium_model::plan::Action;
use podium_store::{MemoryStore, Transaction};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::sync::watch;

use crate::cloud::{ModelCloud, Thing};
use crate::scenario::Scenario;
use crate::simulation::CrashMode;
use crate::time::SimulatedTime;

/// Why a history is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A step was begun whose intent is not committed.
    EffectBeforeIntent(String),
    /// A step was begun again although its outcome is committed.
    DoneAgain(String),
    /// Something exists twice.
    MadeTwice(String),
    /// A step whose tool cannot tell was repeated and nobody had agreed.
    RepeatedSilently(String),
    /// Something exists, and no object tells of it.
    Orphaned(String),
    /// Something began before what it needs was done, or went before what uses it.
    OutOfOrder(String),
    /// A worker acted or wrote after another had taken its lease.
    Unfenced(String),
    /// The journal does not follow from itself.
    Journal(String),
    /// More was at work than the limits allow.
    OverLimit(String),
    /// At the end the world is not what the journal says.
    Diverged(String),
    /// The run did not end.
    NeverEnds(String),
    /// A worker stopped for a reason that no fault explains.
    Stopped(String),
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}

/// One life of a worker, from its start to its end or crash.
pub(crate) type LifeId = u64;

#[derive(Debug, Default)]
pub(crate) struct LifeState {
    pub(crate) crashed: bool,
    pub(crate) paused_until_ms: i64,
    pub(crate) token: Option<u64>,
}

#[derive(Debug)]
pub(crate) struct Faults {
    pub(crate) mode: CrashMode,
    pub(crate) crashes_left: u32,
    pub(crate) crash_probability: f64,
    pub(crate) error_probability: f64,
    /// From here on everything works.
    pub(crate) quiet_from_ms: i64,
    pub(crate) points: u32,
    pub(crate) crashes: u32,
}

/// What the journal said so far, kept up as it grows.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) state: Option<RunState>,
    pub(crate) rows: u64,
    pub(crate) epoch: u64,
    pub(crate) newest_token: u64,
    pub(crate) intents: BTreeSet<StepId>,
    pub(crate) outcomes: BTreeMap<StepId, u32>,
    /// Nodes whose repetition a person agreed to, and how often.
    pub(crate) agreed: BTreeMap<String, u32>,
    pub(crate) waited: u32,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) scenario: Scenario,
    pub(crate) time: Arc<SimulatedTime>,
    pub(crate) memory: Arc<MemoryStore>,
    chance: Mutex<ChaCha8Rng>,
    cloud: Mutex<ModelCloud>,
    faults: Mutex<Faults>,
    lives: Mutex<BTreeMap<LifeId, LifeState>>,
    observed: Mutex<Observed>,
    violations: Mutex<Vec<Violation>>,
    history: Mutex<Vec<String>>,
    stops: Mutex<BTreeMap<StepId, watch::Sender<bool>>>,
    postponed: Mutex<BTreeMap<String, u32>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub(crate) fn new(
        seed: u64,
        scenario: Scenario,
        faults: Faults,
        memory: Arc<MemoryStore>,
        state: RunState,
    ) -> Arc<Self> {
        let mut cloud = ModelCloud::default();
        for node in &scenario.work.nodes {
            if Scenario::existed(node.action) {
                cloud
                    .things
                    .insert(node.name.clone(), Thing { count: 1, content: 1 });
            }
        }
        Arc::new(Self {
            scenario,
            time: SimulatedTime::new(1_000_000),
            memory,
            chance: Mutex::new(ChaCha8Rng::seed_from_u64(seed ^ 0x5eed)),
            cloud: Mutex::new(cloud),
            faults: Mutex::new(faults),
            lives: Mutex::new(BTreeMap::new()),
            observed: Mutex::new(Observed {
                state: Some(state),
                rows: 0,
                epoch: 0,
                newest_token: 0,
                intents: BTreeSet::new(),
                outcomes: BTreeMap::new(),
                agreed: BTreeMap::new(),
                waited: 0,
            }),
            violations: Mutex::new(Vec::new()),
            history: Mutex::new(Vec::new()),
            stops: Mutex::new(BTreeMap::new()),
            postponed: Mutex::new(BTreeMap::new()),
        })
    }

    pub(crate) fn cloud(&self) -> MutexGuard<'_, ModelCloud> {
        lock(&self.cloud)
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }

    pub(crate) fn observed(&self) -> MutexGuard<'_, Observed> {
        lock(&self.observed)
    }

    pub(crate) fn lives(&self) -> MutexGuard<'_, BTreeMap<LifeId, LifeState>> {
        lock(&self.lives)
    }

    pub(crate) fn violations(&self) -> Vec<Violation> {
        lock(&self.violations).clone()
    }

    pub(crate) fn history(&self) -> Vec<String> {
        lock(&self.history).clone()
    }

    pub(crate) fn violate(&self, violation: Violation) {
        self.tell(format!("VIOLATION {violation}"));
        lock(&self.violations).push(violation);
    }

    pub(crate) fn tell(&self, what: impl fmt::Display) {
        let line = format!("{:>9} {what}", self.time.now() - 1_000_000);
        lock(&self.history).push(line);
    }

    pub(crate) fn happens(&self, probability: f64) -> bool {
        probability > 0.0 && lock(&self.chance).random_bool(probability)
    }

    pub(crate) fn between(&self, least: i64, most: i64) -> i64 {
        lock(&self.chance).random_range(least..=most)
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.time.now() >= self.faults().quiet_from_ms
    }

    /// Whether the store fails this time.
    pub(crate) fn store_fails(&self) -> bool {
        let probability = self.faults().error_probability;
        !self.is_quiet() && self.happens(probability)
    }

    /// A place where a worker may die. It does not return when it does.
    pub(crate) async fn point(&self, life: LifeId, label: &str) {
        if self.dies_here(life, label) {
            std::future::pending::<()>().await;
        }
    }

    fn dies_here(&self, life: LifeId, label: &str) -> bool {
        let quiet = self.is_quiet();
        let (dies, probability) = {
            let mut faults = self.faults();
            let index = faults.points;
            faults.points += 1;
            match &faults.mode {
                CrashMode::At { points, .. } => (points.contains(&index), 0.0),
                CrashMode::Random if quiet || faults.crashes_left == 0 => (false, 0.0),
                CrashMode::Random => (false, faults.crash_probability),
            }
        };
        let dies = dies || self.happens(probability);
        if dies {
            self.crash(life, label);
        }
        dies
    }

    pub(crate) fn crash(&self, life: LifeId, label: &str) {
        self.tell(format!("life {life} crashes {label}"));
        {
            let mut faults = self.faults();
            faults.crashes += 1;
            faults.crashes_left = faults.crashes_left.saturating_sub(1);
        }
        self.lives().entry(life).or_default().crashed = true;
    }

    /// Whether a call that was cut off arrives all the same.
    pub(crate) fn arrives_anyway(&self) -> bool {
        let fixed = match &self.faults().mode {
            CrashMode::At { carried_out, .. } => Some(*carried_out),
            CrashMode::Random => None,
        };
        fixed.unwrap_or_else(|| self.happens(0.5))
    }

    pub(crate) fn stop_of(&self, step: &StepId) -> watch::Receiver<bool> {
        lock(&self.stops)
            .entry(step.clone())
            .or_insert_with(|| watch::Sender::new(false))
            .subscribe()
    }

    pub(crate) fn stop(&self, step: &StepId) {
        lock(&self.stops)
            .entry(step.clone())
            .or_insert_with(|| watch::Sender::new(false))
            .send_replace(true);
    }

    /// Whether the node cannot be judged yet.
    pub(crate) fn postpones(&self, node: &str) -> bool {
        let limit = self.scenario.plans[node].later;
        let mut postponed = lock(&self.postponed);
        let so_far = postponed.entry(node.to_owned()).or_default();
        *so_far += 1;
        *so_far <= limit
    }

    /// Looks at a commit that went through.
    pub(crate) fn committed(&self, life: LifeId, transaction: &Transaction) {
        let mut observed = self.observed();
        for entry in &transaction.journal {
            let row: JournaledRecord = match serde_json::from_value((*entry.record).clone()) {
                Ok(row) => row,
                Err(error) => {
                    self.violate(Violation::Journal(format!("row {}: {error}", entry.sequence)));
                    continue;
                }
            };
            self.tell(format!(
                "life {life} epoch {} row {} {}",
                row.epoch, entry.sequence, row.record.fact
            ));
            if row.epoch < observed.newest_token {
                self.violate(Violation::Unfenced(format!(
                    "row {} by {} under {}",
                    entry.sequence, row.epoch, observed.newest_token
                )));
            }
            if row.epoch < observed.epoch || entry.sequence != observed.rows {
                self.violate(Violation::Journal(format!(
                    "row {} of epoch {}",
                    entry.sequence, row.epoch
                )));
            }
            observed.epoch = row.epoch;
            observed.rows += 1;
            self.record(&mut observed, &row);
        }
    }

    fn record(&self, observed: &mut Observed, row: &JournaledRecord) {
        let fact = &row.record.fact;
        let Some(mut state) = observed.state.take() else {
            return;
        };
        if let Err(error) = state.admits(&row.record) {
            self.violate(Violation::Journal(error.to_string()));
        }
        let run = &self.scenario.run.uid;
        let id = |node: &String, operation: &Operation, attempt: &u32| StepId {
            run: run.clone(),
            node: node.clone(),
            operation: *operation,
            attempt: *attempt,
        };
        match fact {
            Fact::StepIntended {
                node,
                operation,
                attempt,
                ..
            } => {
                let first = observed.intents.insert(id(node, operation, attempt));
                if !first {
                    self.violate(Violation::Journal(format!("{node} is intended twice")));
                }
            }
            Fact::StepSucceeded {
                node,
                operation,
                attempt,
                ..
            }
            | Fact::StepFailed {
                node,
                operation,
                attempt,
                ..
            }
            | Fact::StepIndeterminate {
                node,
                operation,
                attempt,
                ..
            } => {
                let outcomes = observed.outcomes.entry(id(node, operation, attempt)).or_default();
                *outcomes += 1;
                if *outcomes > 1 {
                    self.violate(Violation::Journal(format!(
                        "{node} has two outcomes of one attempt"
                    )));
                }
            }
            Fact::NodeApproved { node, .. } => {
                let waits = state.awaiting().find(|(waiting, _, _)| waiting.name == *node);
                if waits.is_some_and(|(_, cause, _)| cause == AwaitCause::Indeterminate) {
                    *observed.agreed.entry(node.clone()).or_default() += 1;
                }
            }
            _ => {}
        }
        state.apply(&row.record);
        let at_work = state
            .nodes()
            .filter(|(_, node)| matches!(node.phase, NodePhase::Running { .. }));
        let at_work: Vec<_> = at_work.map(|(node, _)| node.runner.as_str()).collect();
        let limits = &self.scenario.limits;
        let on = |runner: &str| at_work.iter().filter(|other| **other == runner).count();
        if at_work.len() > limits.total
            || limits
                .per_runner
                .iter()
                .any(|(runner, limit)| on(runner) > *limit)
        {
            self.violate(Violation::OverLimit(format!("{} at work: {fact}", at_work.len())));
        }
        if matches!(fact, Fact::StepIndeterminate { .. } | Fact::NodeAwaiting { .. }) {
            observed.waited += 1;
        }
        observed.state = Some(state);
    }

    /// Looks at a step that is about to reach the cloud.
    pub(crate) fn begins(&self, life: LifeId, step: &Step, again: bool) {
        let observed = self.observed();
        let id = &step.id;
        self.tell(format!(
            "life {life} {} {id}",
            if again { "recovers" } else { "executes" }
        ));
        if !observed.intents.contains(id) {
            self.violate(Violation::EffectBeforeIntent(id.to_string()));
        }
        if observed.outcomes.contains_key(id) {
            self.violate(Violation::DoneAgain(id.to_string()));
        }
        if self
            .lives()
            .get(&life)
            .is_some_and(|life| life.token != Some(observed.newest_token))
        {
            self.violate(Violation::Unfenced(format!("{id} was begun by life {life}")));
        }
        let Some(state) = &observed.state else { return };
        for (needed, progress) in state.nodes() {
            if step.node.needs.contains(&needed.coordinate) && !progress.phase.is_done() {
                self.violate(Violation::OutOfOrder(format!(
                    "{id} began before {}",
                    needed.name
                )));
            }
        }
    }

    /// A call has its effect.
    pub(crate) fn carry_out(&self, step: &Step) {
        let content = self.scenario.plans[&step.node.name].content;
        self.tell(format!("cloud carries out {}", step.id));
        let mut cloud = self.cloud();
        cloud.carry_out(step, content);
        let name = &step.node.name;
        if cloud.count(name) > 1 {
            self.violate(Violation::MadeTwice(format!("{name} by {}", step.id)));
        }
        if step.node.action == Action::Delete {
            for user in &self.scenario.work.nodes {
                let uses = self.scenario.plans[&user.name].uses.contains(name);
                if user.action == Action::Delete && uses && cloud.count(&user.name) > 0 {
                    self.violate(Violation::OutOfOrder(format!("{name} went before {}", user.name)));
                }
            }
        }
    }
}
