//! Drivers of each kind of recovery, with good days and bad ones.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use podium_engine::{
    ChangesError, Executor, Fact, NodePhase, ObjectChanges, Operation, Prepared, Progress, Record,
    RunContext, RunState, Step, StepOutcome, WorkNode,
};
use podium_model::kinds::Recovery;
use podium_model::plan::Action;
use podium_store::{Change, Key, Precondition, ResourceKey, Store, Transaction};
use serde_json::json;

use crate::store::FaultyStore;
use crate::world::{LifeId, World};

/// The executor of one life of a worker.
pub(crate) struct SimulatedExecutor {
    pub(crate) world: Arc<World>,
    pub(crate) life: LifeId,
    pub(crate) store: Arc<FaultyStore>,
}

/// How a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Day {
    Good,
    /// The cloud refuses.
    FailsBefore,
    /// It is done, and the answer is lost.
    FailsAfter,
    /// It never ends by itself, before or after its effect.
    HangsBefore,
    HangsAfter,
    /// Neither does it listen.
    Deaf,
}

/// A call on its way: when it is cut off, chance tells whether it arrives.
struct Call {
    world: Arc<World>,
    step: Step,
    number: u64,
}

impl Call {
    fn set_out(world: &Arc<World>, step: &Step) -> Self {
        let number = world.cloud().set_out(&step.id);
        Self {
            world: world.clone(),
            step: step.clone(),
            number,
        }
    }

    fn arrive(&self) {
        let arrives = self.world.cloud().settle(self.number);
        if arrives {
            self.world.carry_out(&self.step);
        }
    }

    fn fail(&self) {
        self.world.cloud().settle(self.number);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        cut_off(&self.world, &self.step, self.number);
    }
}

fn cut_off(world: &Arc<World>, step: &Step, call: u64) {
    let undecided = world.cloud().settle(call);
    if undecided && world.arrives_anyway() {
        world.carry_out(step);
    }
}

impl SimulatedExecutor {
    fn day(&self, step: &Step) -> Day {
        if self.world.scenario.plans[&step.node.name].doomed.is_some() {
            return Day::FailsBefore;
        }
        if self.world.is_quiet() {
            return Day::Good;
        }
        match self.world.between(0, 99) {
            0..12 => Day::FailsBefore,
            12..20 => Day::FailsAfter,
            20..23 => Day::HangsBefore,
            23..26 => Day::HangsAfter,
            26..28 => Day::Deaf,
            _ => Day::Good,
        }
    }

    /// Sleeps; true when the step was stopped meanwhile.
    async fn stopped_within(&self, step: &Step, milliseconds: i64) -> bool {
        let mut stop = self.world.stop_of(&step.id);
        let sleep = self.world.time.sleep(milliseconds);
        tokio::select! {
            biased;
            _ = stop.wait_for(|stopped| *stopped) => true,
            () = sleep => false,
        }
    }

    fn unclear(step: &Step, known: &str) -> StepOutcome {
        match step.node.recovery {
            Recovery::Named | Recovery::Token => StepOutcome::Failed {
                message: known.to_owned(),
                retriable: true,
            },
            Recovery::Indeterminate => StepOutcome::Indeterminate {
                known: known.to_owned(),
            },
        }
    }

    async fn call(&self, step: &Step) -> StepOutcome {
        let day = self.day(step);
        let call = Call::set_out(&self.world, step);
        self.world.point(self.life, "before a call").await;
        let slow = self.world.happens(0.1);
        let latency = self.world.between(1, if slow { 25_000 } else { 500 });
        if self.stopped_within(step, latency).await {
            drop(call);
            return Self::unclear(step, "stopped on its way");
        }
        match day {
            Day::FailsBefore => {
                call.fail();
                let retriable = self.world.scenario.plans[&step.node.name].doomed.unwrap_or(true);
                return StepOutcome::Failed {
                    message: "the cloud refused".to_owned(),
                    retriable,
                };
            }
            Day::HangsBefore => {
                call.fail();
                let mut stop = self.world.stop_of(&step.id);
                let _closed = stop.wait_for(|stopped| *stopped).await;
                return Self::unclear(step, "it hung and was stopped");
            }
            _ => call.arrive(),
        }
        self.world.point(self.life, "after a call").await;
        if self.world.happens(0.5) {
            self.world.cloud().results.insert(step.id.clone());
        }
        match day {
            Day::FailsAfter => return Self::unclear(step, "no answer came"),
            Day::HangsAfter => {
                let mut stop = self.world.stop_of(&step.id);
                let _closed = stop.wait_for(|stopped| *stopped).await;
                return Self::unclear(step, "it hung and was stopped");
            }
            Day::Deaf => std::future::pending::<()>().await,
            _ => {}
        }
        let latency = self.world.between(1, 500);
        self.world.time.sleep(latency).await;
        StepOutcome::Succeeded {
            result: json!({"name": step.node.name}),
        }
    }
}

#[async_trait]
impl Executor for SimulatedExecutor {
    async fn prepare(&self, _run: &RunContext, node: &WorkNode, progress: &Progress) -> Prepared {
        self.world.point(self.life, "while preparing").await;
        let latency = self.world.between(0, 50);
        self.world.time.sleep(latency).await;
        let plan = &self.world.scenario.plans[&node.name];
        if self.world.postpones(&node.name) {
            return Prepared::Later {
                reason: "what it reads is not there yet".to_owned(),
            };
        }
        if node.action == Action::Unchanged {
            return Prepared::Unchanged;
        }
        if plan.refused {
            return Prepared::Refused {
                message: "there is no such size".to_owned(),
            };
        }
        if plan.outside && progress.outside_approved_by.is_none() {
            return Prepared::Outside {
                reason: "it would be replaced".to_owned(),
            };
        }
        Prepared::Proceed {
            operations: Operation::of(node.action).to_vec(),
        }
    }

    async fn execute(&self, step: &Step) -> StepOutcome {
        self.world.begins(self.life, step, false);
        *self.world.cloud().begun.entry(step.id.clone()).or_default() += 1;
        self.call(step).await
    }

    async fn recover(&self, step: &Step) -> StepOutcome {
        // The step's own lease: nothing that another worker began may still act.
        while self.world.cloud().is_under_way(&step.id) {
            if self.stopped_within(step, 100).await && !self.world.cloud().is_under_way(&step.id) {
                break;
            }
            self.world.time.sleep(100).await;
        }
        self.world.begins(self.life, step, true);
        self.world.point(self.life, "while recovering").await;
        match step.node.recovery {
            Recovery::Named | Recovery::Token => self.call(step).await,
            Recovery::Indeterminate => {
                let cloud = self.world.cloud();
                let there = cloud.count(&step.node.name);
                if cloud.results.contains(&step.id) {
                    return StepOutcome::Succeeded {
                        result: json!({"name": step.node.name}),
                    };
                }
                StepOutcome::Indeterminate {
                    known: format!("the worker died; there are {there} of it"),
                }
            }
        }
    }

    async fn stop(&self, step: &Step) {
        let latency = self.world.between(0, 50);
        self.world.time.sleep(latency).await;
        // What runs the step is not the worker, and ends it even where a worker is held still.
        let calls = self.world.cloud().calls_of(&step.id);
        for call in calls {
            cut_off(&self.world, step, call);
        }
        self.world.stop(&step.id);
    }

    async fn changes(
        &self,
        run: &RunContext,
        records: &[Record],
        state: &RunState,
    ) -> Result<ObjectChanges, ChangesError> {
        let mut objects = ObjectChanges::default();
        let names: BTreeSet<_> = records.iter().filter_map(|record| record.fact.node()).collect();
        for name in names {
            let Some((node, progress)) = state.node(name) else {
                continue;
            };
            if progress.attempt == 0 {
                continue;
            }
            let key = object_key(run, name);
            let found = self.store.get(&key).await?;
            let gone = node.action == Action::Delete && progress.phase == NodePhase::Succeeded;
            let exists = found.is_some();
            objects.preconditions.push(match found {
                Some(found) => Precondition::At(key.clone(), found.revision),
                None => Precondition::Absent(key.clone()),
            });
            if gone && exists {
                objects.changes.push(Change::Delete(key.clone()));
            } else if !gone {
                let object = json!({"phase": phase_word(&progress.phase), "attempt": progress.attempt});
                objects.changes.push(Change::Put(key.clone(), object.into()));
            }
            // Somebody else writes the same object now and then, between our reading and our commit.
            if exists && !self.world.is_quiet() && self.world.happens(0.02) {
                let touched = json!({"phase": "touched", "attempt": progress.attempt});
                let changes = vec![Change::Put(key, touched.into())];
                let touch = Transaction {
                    changes,
                    principal: "eve".into(),
                    ..Transaction::default()
                };
                if self.world.memory.commit(touch).await.is_ok() {
                    self.world.tell(format!("eve touches {name}"));
                }
            }
        }
        for record in records {
            if let Fact::RunFinished { outcome, .. } = &record.fact {
                let object = json!({"outcome": format!("{outcome:?}")});
                objects.changes.push(Change::Put(run_key(run), object.into()));
            }
        }
        Ok(objects)
    }
}

/// The object of a node.
pub(crate) fn object_key(run: &RunContext, name: &str) -> Key {
    Key::namespaced(ResourceKey::new("podium.dev", "resources"), &run.namespace, name)
}

/// The object of the run.
pub(crate) fn run_key(run: &RunContext) -> Key {
    Key::namespaced(ResourceKey::new("podium.dev", "runs"), &run.namespace, &run.name)
}

/// How an object tells where its node stands.
pub(crate) fn phase_word(phase: &NodePhase) -> &'static str {
    match phase {
        NodePhase::Succeeded | NodePhase::Unchanged => "ready",
        NodePhase::Failed { .. } => "failed",
        NodePhase::Skipped { .. } => "skipped",
        NodePhase::Awaiting { .. } => "awaiting",
        _ => "working",
    }
}
