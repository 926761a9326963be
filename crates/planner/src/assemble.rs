//! Assemble: the graph against what is live, to a plan.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use podium_expressions::{EvaluationError, descend};
use podium_model::coordinate::Coordinate;
use podium_model::graph::{Graph, ModuleReference, Node};
use podium_model::kinds::{DriverKind, Mode};
use podium_model::plan::{Action, Fidelity, Gate, Plan, PlannedChange};
use podium_model::value::Value;

use crate::context::EnvironmentContext;
use crate::difference::difference;
use crate::outputs::{predicted, put_outputs, waits_for};

/// What is live of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveResource {
    /// Type, class and id.
    pub coordinate: Coordinate,
    /// The module version that it was last applied by; that which was chosen for it when it was never applied.
    pub module: ModuleReference,
    /// The driver of that version.
    pub driver: DriverKind,
    /// [`applied_digest`] of what was last applied, begun or done.
    pub digest: String,
    /// Whether that apply came to its end.
    pub complete: bool,
    /// Whether any apply ever came to its end.
    pub made: bool,
    /// Its outputs.
    pub outputs: Value,
    /// Nodes that it needed.
    pub needs: Vec<Coordinate>,
    /// Whether it refuses replace and delete.
    pub protect: bool,
}

/// One node of a draft.
#[derive(Clone, Debug, PartialEq)]
pub struct DraftNode {
    /// Type, class and id.
    pub coordinate: Coordinate,
    /// What happens to it.
    pub action: Action,
    /// How sure that is.
    pub fidelity: Fidelity,
    /// Its inputs as far as they are known; nothing for deletes.
    pub inputs: Value,
    /// The module that carries it out.
    pub module: ModuleReference,
    /// Its driver.
    pub driver: DriverKind,
    /// The module that it was made by, when that differs.
    pub previous: Option<(ModuleReference, DriverKind)>,
    /// Nodes of this draft that must be done first.
    pub needs: BTreeSet<Coordinate>,
    /// The rule that chose the module.
    pub rule: String,
    /// What to know about it.
    pub notes: Vec<String>,
    /// Whether it refuses replace and delete.
    pub protect: bool,
}

/// A plan without its details: which nodes change, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    /// The nodes that change, in the order in which they can be carried out.
    pub nodes: Vec<DraftNode>,
    /// The nodes that do not.
    pub unchanged: Vec<DraftNode>,
}

/// When a plan may go on by itself.
#[derive(Clone, Debug, Default)]
pub struct GateOptions {
    /// Whether the environment is in review.
    pub mode: Mode,
    /// Whether a replace or delete goes on: its author agreed, or objects were written one by one.
    pub destructive_allowed: bool,
}

/// Digest of a module version, known inputs, and the mapping of the outputs as [`crate::evaluate_outputs`] gives it: when it
/// equals what was applied, nothing has to be done. The mapping counts, since it may take from other nodes what the
/// inputs do not.
pub fn applied_digest(module: &ModuleReference, inputs: &Value, outputs: &Value) -> String {
    Value::List(vec![
        Value::String(module.module.clone()),
        Value::Number(module.version.into()),
        inputs.clone(),
        outputs.clone(),
    ])
    .digest()
}

impl Draft {
    /// Compares a graph with what is live.
    ///
    /// # Errors
    /// When an expression over known outputs fails; with the node.
    #[expect(clippy::result_large_err, reason = "made once for a whole plan")]
    pub fn assemble(
        graph: &Graph,
        live: &BTreeMap<Coordinate, LiveResource>,
        context: &EnvironmentContext,
    ) -> Result<Self, (Coordinate, EvaluationError)> {
        let mut outputs: HashMap<&Coordinate, Cow<'_, Value>> = HashMap::with_capacity(graph.nodes.len());
        let mut changing: HashSet<&Coordinate> = HashSet::new();
        let mut draft = Self::default();
        for node in topological(graph) {
            let coordinate = &node.coordinate;
            let failed = |error| (coordinate.clone(), error);
            let known_now = |other: &Coordinate| outputs.get(other).map(|value| Cow::Borrowed(&**value));
            let inputs = put_outputs(&node.inputs, &known_now, &|_| Ok(None)).map_err(failed)?;
            let mapping = put_outputs(&node.outputs, &known_now, &|_| Ok(None)).map_err(failed)?;
            let known = inputs.is_known();
            let settled = known && waits_for(&mapping).is_empty();
            let before = live.get(coordinate).filter(|before| !before.digest.is_empty());
            let mut notes = Vec::new();
            let mut previous = None;
            let (action, fidelity) = match before {
                None => (Action::Create, None),
                Some(before) => {
                    if before.module != node.module {
                        previous = Some((before.module.clone(), before.driver));
                    }
                    let same = || before.digest == applied_digest(&node.module, &inputs, &mapping);
                    if settled && before.complete && same() {
                        (Action::Unchanged, None)
                    } else if !before.made {
                        notes.push("its creation did not come to an end".to_owned());
                        (Action::Create, None)
                    } else if before.module.module != node.module.module || before.driver != node.driver {
                        notes.push(format!("another module: {} takes over", node.module.module));
                        (Action::Replace, None)
                    } else {
                        if !before.complete {
                            notes.push("its last change did not come to an end".to_owned());
                        }
                        (Action::Update, None)
                    }
                }
            };
            // What its outputs take from others decides only whether something that is there stays as it is.
            let decides = if action == Action::Update { settled } else { known };
            let fidelity = fidelity.unwrap_or(if decides {
                fidelity_of(node.driver)
            } else {
                Fidelity::Pending
            });
            notes.extend(waits_for(&inputs));
            if known && action == Action::Update {
                notes.extend(waits_for(&mapping));
            }
            // What those that need it may count on.
            let now = match (action, before) {
                (Action::Unchanged, Some(before)) => Some(Cow::Borrowed(&before.outputs)),
                _ => predicted(node, &inputs, &known_now, context)
                    .map_err(failed)?
                    .map(Cow::Owned),
            };
            if let Some(now) = now {
                outputs.insert(coordinate, now);
            }
            let draft_node = DraftNode {
                coordinate: coordinate.clone(),
                action,
                fidelity,
                inputs,
                module: node.module.clone(),
                driver: node.driver,
                previous,
                // Needs outside the draft are met already.
                needs: node
                    .needs
                    .iter()
                    .filter(|need| changing.contains(need))
                    .cloned()
                    .collect(),
                rule: node.rule.clone(),
                notes,
                protect: live.get(coordinate).is_some_and(|before| before.protect),
            };
            if action == Action::Unchanged {
                draft.unchanged.push(draft_node);
            } else {
                changing.insert(coordinate);
                draft.nodes.push(draft_node);
            }
        }
        draft.add_deletes(graph, live, &changing);
        Ok(draft)
    }

    /// What is live and not wanted goes, those that needed it first.
    fn add_deletes(
        &mut self,
        graph: &Graph,
        live: &BTreeMap<Coordinate, LiveResource>,
        changing: &HashSet<&Coordinate>,
    ) {
        let gone: BTreeMap<&Coordinate, &LiveResource> = live
            .iter()
            .filter(|(coordinate, _)| !graph.nodes.contains_key(coordinate))
            .collect();
        if gone.is_empty() {
            return;
        }
        let mut users: BTreeMap<&Coordinate, BTreeSet<Coordinate>> = BTreeMap::new();
        for (coordinate, resource) in live {
            for need in &resource.needs {
                if gone.contains_key(need) {
                    users.entry(need).or_default().insert(coordinate.clone());
                }
            }
        }
        // How many that are gone as well must go before.
        let mut waiting: BTreeMap<&Coordinate, usize> = gone
            .keys()
            .map(|coordinate| {
                let before = users.get(*coordinate).into_iter().flatten();
                (*coordinate, before.filter(|user| gone.contains_key(user)).count())
            })
            .collect();
        let mut ready: BTreeSet<&Coordinate> = waiting
            .iter()
            .filter(|(_, count)| **count == 0)
            .map(|(coordinate, _)| *coordinate)
            .collect();
        loop {
            let Some(coordinate) = ready.pop_first() else {
                // Records of needs never form a cycle; if they did, the first by name would go nevertheless.
                match waiting.keys().next() {
                    Some(coordinate) => ready.insert(*coordinate),
                    None => break,
                };
                continue;
            };
            let Some(resource) = gone.get(coordinate) else {
                continue;
            };
            waiting.remove(coordinate);
            for need in &resource.needs {
                if let Some((need, count)) = waiting.get_key_value(need).map(|(need, count)| (*need, *count))
                {
                    waiting.insert(need, count.saturating_sub(1));
                    if count <= 1 {
                        ready.insert(need);
                    }
                }
            }
            let mut needs = users.remove(coordinate).unwrap_or_default();
            // Who uses it and stays as it is has let go of it already.
            needs.retain(|user| {
                !waiting.contains_key(user) && (gone.contains_key(user) || changing.contains(user))
            });
            self.nodes.push(DraftNode {
                coordinate: coordinate.clone(),
                action: Action::Delete,
                fidelity: Fidelity::Exact,
                inputs: Value::Null,
                module: resource.module.clone(),
                driver: resource.driver,
                previous: None,
                needs,
                rule: String::new(),
                notes: Vec::new(),
                protect: resource.protect,
            });
        }
    }

    /// The nodes of which the inputs that were last applied are wanted by [`Draft::finish`].
    pub fn wants_inputs(&self) -> impl Iterator<Item = &Coordinate> {
        self.nodes
            .iter()
            .filter(|node| matches!(node.action, Action::Update | Action::Replace))
            .map(|node| &node.coordinate)
    }

    /// Makes the plan: adds the fields that change (`applied` are the inputs that were last applied), turns an update
    /// that must replace into a replace, and judges whether it may go on by itself.
    pub fn finish(
        &mut self,
        context: &EnvironmentContext,
        release: u64,
        graph: &Graph,
        applied: &BTreeMap<Coordinate, Value>,
        options: &GateOptions,
    ) -> Plan {
        let mut changes = Vec::with_capacity(self.nodes.len() + self.unchanged.len());
        let mut identity = Vec::new();
        let mut gate = Gate::default();
        for node in &mut self.nodes {
            let mut fields = match applied.get(&node.coordinate) {
                Some(before) if matches!(node.action, Action::Update | Action::Replace) => {
                    changed(before, &node.inputs)
                }
                _ => Vec::new(),
            };
            let replace_on = graph
                .nodes
                .get(&node.coordinate)
                .map_or(&[][..], |node| node.replace_on.as_slice());
            if let Some(before) = applied.get(&node.coordinate) {
                let forcing: Vec<&String> = replace_on
                    .iter()
                    .filter(|path| forces_replacement(before, &node.inputs, path))
                    .collect();
                for field in &mut fields {
                    field.forces_replacement = forcing
                        .iter()
                        .any(|path| is_at(&field.path, path) || is_at(path, &field.path));
                }
            }
            if node.action == Action::Update && fields.iter().any(|field| field.forces_replacement) {
                node.action = Action::Replace;
            }
            identity.push(Value::List(vec![
                Value::String(node.coordinate.to_string()),
                Value::String(node.action.to_string()),
                Value::String(node.module.object_name()),
                // What is created is the author's own document; what exists must change as it was shown.
                if node.action == Action::Create {
                    Value::Null
                } else {
                    node.inputs.clone()
                },
            ]));
            let title = format!("{} ({})", node.coordinate.id, node.coordinate.type_and_class());
            if node.action.is_destructive() {
                if node.protect {
                    gate.needs.push(format!(
                        "{title} is protected: lift spec.protect before it can be {}d",
                        node.action
                    ));
                }
                gate.destructive.push(format!("{} {title}", node.action));
            }
            changes.push(planned(node, fields));
        }
        for node in &self.unchanged {
            changes.push(planned(node, Vec::new()));
        }
        if !self.nodes.is_empty() && options.mode == Mode::Review {
            gate.needs
                .push("the environment is in review: a person approves each release".to_owned());
        }
        if !gate.destructive.is_empty() && !options.destructive_allowed {
            gate.needs.push(format!(
                "what is replaced or deleted is lost: {}",
                gate.destructive.join(", ")
            ));
        }
        Plan {
            project: context.project.clone(),
            environment: context.environment.clone(),
            namespace: context.namespace.clone(),
            release,
            digest: Value::List(identity).digest(),
            changes,
            warnings: Vec::new(),
            gate,
        }
    }
}

fn planned(node: &DraftNode, fields: Vec<podium_model::plan::FieldChange>) -> PlannedChange {
    let title = |module: &ModuleReference, driver: DriverKind| {
        format!("{}/{} v{}", driver.as_str(), module.module, module.version)
    };
    PlannedChange {
        resource: node.coordinate.clone(),
        name: node.coordinate.object_name(),
        action: node.action,
        fidelity: node.fidelity,
        module: title(&node.module, node.driver),
        previous_module: node
            .previous
            .as_ref()
            .map(|(module, driver)| title(module, *driver)),
        rule: node.rule.clone(),
        fields,
        notes: node.notes.clone(),
    }
}

/// Whether the input at a path of `replaceOn` changes. While it is not known, nobody can say so: the node is pending, and
/// judged again when it is.
fn forces_replacement(before: &Value, after: &Value, path: &str) -> bool {
    let keys: Vec<String> = std::iter::once("inputs")
        .chain(path.split('.'))
        .map(str::to_owned)
        .collect();
    let (before, after) = (descend(before, &keys).ok(), descend(after, &keys).ok());
    before != after && after.is_none_or(|after| after.is_known())
}

/// Whether a field is what a path names, or a part of it.
fn is_at(field: &str, path: &str) -> bool {
    field
        .strip_prefix(path)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// The changed fields; paths of the inputs proper are written without their wrapper.
fn changed(before: &Value, after: &Value) -> Vec<podium_model::plan::FieldChange> {
    let mut fields = difference(before, after);
    for field in &mut fields {
        if let Some(path) = field.path.strip_prefix("inputs")
            && path.starts_with(['.', '['])
        {
            field.path = path.trim_start_matches('.').to_owned();
        }
    }
    fields
}

fn fidelity_of(driver: DriverKind) -> Fidelity {
    match driver {
        DriverKind::Script => Fidelity::InputsOnly,
        DriverKind::Template | DriverKind::Workload | DriverKind::Volume => Fidelity::Exact,
    }
}

/// The nodes, each after those that it needs; ties in the order of coordinates.
fn topological(graph: &Graph) -> Vec<&Node> {
    let nodes: Vec<&Node> = graph.nodes.values().collect();
    let places: HashMap<&Coordinate, usize> = nodes
        .iter()
        .enumerate()
        .map(|(place, node)| (&node.coordinate, place))
        .collect();
    let mut waiting = vec![0usize; nodes.len()];
    let mut dependants: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    for (place, node) in nodes.iter().enumerate() {
        for need in node.needs.iter().filter_map(|need| places.get(need)) {
            dependants[*need].push(place);
            waiting[place] += 1;
        }
    }
    let mut ready: BTreeSet<usize> = (0..nodes.len()).filter(|place| waiting[*place] == 0).collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(place) = ready.pop_first() {
        order.push(nodes[place]);
        for &dependant in &dependants[place] {
            waiting[dependant] -= 1;
            if waiting[dependant] == 0 {
                ready.insert(dependant);
            }
        }
    }
    order
}
