//! A model of the world outside: what exists in it, and who made it how often.

use std::collections::{BTreeMap, BTreeSet};

use podium_engine::{Operation, Step, StepId};
use podium_model::kinds::Recovery;
use podium_model::plan::Action;

/// Something that exists outside, or did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thing {
    /// How many there are by this name: more than one is a mistake that costs money.
    pub count: u32,
    /// What it is like.
    pub content: u64,
}

/// The world outside.
#[derive(Clone, Debug, Default)]
pub struct ModelCloud {
    /// What exists or existed, by name.
    pub things: BTreeMap<String, Thing>,
    /// Tokens of calls that were carried out.
    tokens: BTreeSet<String>,
    /// How often each step reached the cloud and had an effect.
    pub carried_out: BTreeMap<StepId, u32>,
    /// How often a step was begun that nobody may repeat silently.
    pub begun: BTreeMap<StepId, u32>,
    /// Calls that can still have an effect.
    under_way: BTreeMap<u64, StepId>,
    calls: u64,
    /// Steps whose result was kept by what ran them.
    pub results: BTreeSet<StepId>,
}

impl ModelCloud {
    /// How many there are by this name.
    pub fn count(&self, name: &str) -> u32 {
        self.things.get(name).map_or(0, |thing| thing.count)
    }

    /// A call sets out; it is known by its number.
    pub fn set_out(&mut self, step: &StepId) -> u64 {
        self.calls += 1;
        self.under_way.insert(self.calls, step.clone());
        self.calls
    }

    /// A call has its effect now, or never. False when that was decided before.
    pub fn settle(&mut self, call: u64) -> bool {
        self.under_way.remove(&call).is_some()
    }

    /// The calls of a step that can still have an effect.
    pub fn calls_of(&self, step: &StepId) -> Vec<u64> {
        self.under_way
            .iter()
            .filter(|(_, of)| *of == step)
            .map(|(call, _)| *call)
            .collect()
    }

    /// Whether a call of the step can still have an effect.
    pub fn is_under_way(&self, step: &StepId) -> bool {
        !self.calls_of(step).is_empty()
    }

    /// A call arrives and has its effect. The three kinds differ in what they do when it is repeated.
    pub fn carry_out(&mut self, step: &Step, content: u64) {
        *self.carried_out.entry(step.id.clone()).or_default() += 1;
        let remembered = !self.tokens.insert(step.token.clone());
        let thing = self.things.entry(step.node.name.clone()).or_default();
        match (step.operation(), step.node.recovery) {
            (_, Recovery::Token) if remembered => {}
            (Operation::Destroy, _) => thing.count = 0,
            (Operation::Apply, Recovery::Named) => *thing = Thing { count: 1, content },
            (Operation::Apply, Recovery::Token | Recovery::Indeterminate) => {
                if step.node.action == Action::Update {
                    thing.count = thing.count.max(1);
                } else {
                    thing.count += 1;
                }
                thing.content = content;
            }
        }
    }
}
