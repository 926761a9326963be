//! Deliberate mistakes: each breaks one promise of the runtime, and the simulation must notice.

use futures::FutureExt;

use super::{Happening, Runtime, Worker};
use crate::executor::StepOutcome;
use crate::machine::{Effect, Record};
use crate::work::Step;

/// A mistake to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Steps are carried out before their intent is committed.
    EffectBeforeJournal,
    /// The lease is neither checked nor renewed, and another worker's rows are written past.
    NoFencing,
    /// Each attempt has a token of its own.
    RetryWithoutToken,
}

impl Runtime {
    /// The same runtime, making a mistake.
    #[must_use]
    pub fn with_mutation(mut self, mutation: Option<Mutation>) -> Self {
        self.mutation = mutation;
        self
    }
}

impl Worker<'_> {
    pub(super) fn unfenced(&self) -> bool {
        self.runtime.mutation == Some(Mutation::NoFencing)
    }

    pub(super) async fn effects_before_journal(&mut self, records: &[Record]) -> Vec<(Step, StepOutcome)> {
        let mut early = Vec::new();
        if self.runtime.mutation == Some(Mutation::EffectBeforeJournal) {
            let effects = self.state.clone().advance(records);
            for effect in effects {
                if let Effect::Execute(step) = effect {
                    let outcome = self.runtime.executor.execute(&step).await;
                    early.push((step, outcome));
                }
            }
        }
        early
    }

    pub(super) fn mutate(&mut self, effects: Vec<Effect>, early: Vec<(Step, StepOutcome)>) -> Vec<Effect> {
        let mut kept = Vec::with_capacity(effects.len());
        for effect in effects {
            match effect {
                Effect::Execute(step) if early.iter().any(|(done, _)| done.id == step.id) => {}
                Effect::Execute(mut step) if self.runtime.mutation == Some(Mutation::RetryWithoutToken) => {
                    step.token = step.id.to_string();
                    kept.push(Effect::Execute(step));
                }
                other => kept.push(other),
            }
        }
        for (step, outcome) in early {
            self.under_way
                .push(async move { Happening::Ended(step.id, outcome) }.boxed());
        }
        kept
    }
}
