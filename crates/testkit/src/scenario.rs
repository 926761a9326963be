//! What a history is about: a graph, what is to happen to it, and how its drivers will behave.

use std::collections::{BTreeMap, BTreeSet};

use podium_engine::{Limits, RunContext, Work, WorkNode};
use podium_model::coordinate::Coordinate;
use podium_model::kinds::{DriverKind, Recovery, Retry};
use podium_model::plan::Action;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// How one node will behave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What it depends on, whatever happens to it.
    pub uses: BTreeSet<String>,
    /// What it is to be like.
    pub content: u64,
    /// Whether it turns out to lie outside of what was planned.
    pub outside: bool,
    /// Whether it turns out to be impossible.
    pub refused: bool,
    /// How often it cannot be judged.
    pub later: u32,
    /// Whether each of its steps fails, and whether it says that trying again may help.
    pub doomed: Option<bool>,
}

/// Work, and how it will behave.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The run.
    pub run: RunContext,
    /// What it is to do.
    pub work: Work,
    /// How each node will behave.
    pub plans: BTreeMap<String, Plan>,
    /// How many nodes are at work at a time.
    pub limits: Limits,
}

fn coordinate(name: &str) -> Coordinate {
    Coordinate::new("thing", "default", name)
}

impl Scenario {
    /// Nodes with what happens to them, how they recover, and the places of those they use.
    pub fn of(nodes: &[(Action, Recovery, &[usize])]) -> Self {
        let mut scenario = Self {
            run: RunContext {
                uid: "run-uid".to_owned(),
                name: "run-1".to_owned(),
                namespace: "shop-dev".to_owned(),
                author: "ada".to_owned(),
                release: 1,
            },
            work: Work::default(),
            plans: BTreeMap::new(),
            limits: Limits::default(),
        };
        for (place, (action, recovery, uses)) in nodes.iter().enumerate() {
            let name = format!("n{place}");
            let uses: BTreeSet<_> = uses.iter().map(|used| format!("n{used}")).collect();
            scenario.work.nodes.push(WorkNode {
                coordinate: coordinate(&name),
                name: name.clone(),
                action: *action,
                pending: false,
                driver: DriverKind::Script,
                runner: "process".to_owned(),
                module: "script/thing v1".to_owned(),
                owner: "platform".to_owned(),
                needs: BTreeSet::new(),
                retry: Retry {
                    attempts: 3,
                    backoff_seconds: 1,
                },
                timeout_seconds: 60,
                recovery: *recovery,
            });
            scenario.plans.insert(
                name,
                Plan {
                    uses,
                    content: 1000 + place as u64,
                    ..Plan::default()
                },
            );
        }
        scenario.order();
        scenario
    }

    /// Needs follow from uses: what is used is there first, and goes last.
    fn order(&mut self) {
        let deleted: BTreeSet<_> = self
            .work
            .nodes
            .iter()
            .filter(|node| node.action == Action::Delete)
            .map(|node| node.name.clone())
            .collect();
        for node in &mut self.work.nodes {
            let uses = &self.plans[&node.name].uses;
            let needs: Vec<&String> = if deleted.contains(&node.name) {
                deleted
                    .iter()
                    .filter(|other| self.plans[*other].uses.contains(&node.name))
                    .collect()
            } else {
                uses.iter().filter(|used| !deleted.contains(*used)).collect()
            };
            node.needs = needs.into_iter().map(|name| coordinate(name)).collect();
        }
    }

    /// A random one: about 8 nodes, now and then up to 60.
    pub fn random(random: &mut ChaCha8Rng) -> Self {
        let size = if random.random_bool(0.8) {
            random.random_range(1..=12)
        } else {
            random.random_range(13..=60)
        };
        let mut shape: Vec<(Action, Recovery, Vec<usize>)> = Vec::new();
        for place in 0..size {
            let action = match random.random_range(0..100) {
                0..45 => Action::Create,
                45..65 => Action::Update,
                65..77 => Action::Replace,
                77..95 => Action::Delete,
                _ => Action::Unchanged,
            };
            let recovery = match random.random_range(0..3) {
                0 => Recovery::Named,
                1 => Recovery::Token,
                _ => Recovery::Indeterminate,
            };
            // What stays uses nothing that goes.
            let usable: Vec<usize> = (0..place)
                .filter(|&used| action == Action::Delete || shape[used].0 != Action::Delete)
                .collect();
            let mut uses = BTreeSet::new();
            if !usable.is_empty() {
                for _ in 0..random.random_range(0..=3) {
                    uses.insert(usable[random.random_range(0..usable.len())]);
                }
            }
            shape.push((action, recovery, uses.into_iter().collect()));
        }
        let borrowed: Vec<_> = shape
            .iter()
            .map(|(action, recovery, uses)| (*action, *recovery, &uses[..]))
            .collect();
        let mut scenario = Self::of(&borrowed);
        for node in &mut scenario.work.nodes {
            node.retry.attempts = random.random_range(1..=5);
            node.retry.backoff_seconds = random.random_range(0..=4);
            let runner = if random.random_bool(0.5) {
                "process"
            } else {
                "container"
            };
            node.runner = String::from(runner);
            let changes = node.action != Action::Unchanged;
            if let Some(plan) = scenario.plans.get_mut(&node.name) {
                plan.outside = changes && random.random_bool(0.08);
                plan.refused = changes && random.random_bool(0.02);
                plan.later = if random.random_bool(0.1) {
                    random.random_range(1..=3)
                } else {
                    0
                };
                plan.doomed = random.random_bool(0.03).then(|| random.random_bool(0.5));
                node.pending = plan.outside;
            }
        }
        scenario.limits.total = random.random_range(1..=8);
        if random.random_bool(0.5) {
            scenario.limits.per_runner = [("container".to_owned(), random.random_range(1..=3))].into();
        }
        scenario
    }

    /// Whether the node exists before the run.
    pub fn existed(action: Action) -> bool {
        !matches!(action, Action::Create | Action::Adopt)
    }
}
