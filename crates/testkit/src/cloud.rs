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
    /// Steps that can still have an effect, and how many calls of each there are.
    under_way: BTreeMap<StepId, u32>,
    /// Steps whose result was kept by what ran them.
    pub results: BTreeSet<StepId>,
}

impl ModelCloud {
    /// How many there are by this name.
    pub fn count(&self, name: &str) -> u32 {
        self.things.get(name).map_or(0, |thing| thing.count)
    }

    /// A call sets out.
    pub fn set_out(&mut self, step: &StepId) {
        *self.under_way.entry(step.clone()).or_default() += 1;
    }

    /// A call can have no more effect.
    pub fn come_back(&mut self, step: &StepId) {
        if let Some(calls) = self.under_way.get_mut(step) {
            *calls -= 1;
            if *calls == 0 {
                self.under_way.remove(step);
            }
        }
    }

    /// Whether a call of the step can still have an effect.
    pub fn is_under_way(&self, step: &StepId) -> bool {
        self.under_way.contains_key(step)
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
