//! Identity outputs: known before anything is made, so that two workloads may name each other.
//!
//! An identity output may use params, context, allotted ports and other identity outputs. It is looked up when it is
//! needed, and a chain that comes back to itself is an error that shows the chain. A failure is kept once, for the node
//! whose output it is: those that name the output have done nothing wrong.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use podium_expressions::{EvaluationError, LookupError, descend, substitute_in_place};
use podium_model::coordinate::Coordinate;
use podium_model::graph::Node;
use podium_model::value::{Reference, Source, Value};

use crate::catalogue::Catalogue;
use crate::request::Live;
use crate::resolve::{Slot, Work};

/// Longest chain of identity outputs of which each names the next; each takes some stack.
const MAX_CHAIN: usize = 100;

/// Why an output has no value.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// An output that it names is not there, and what is there instead.
    Missing(Reference, String),
    /// Anything else.
    Text(String),
}

/// What was found amiss while a value was filled.
#[derive(Default)]
pub(crate) struct Collector {
    misses: RefCell<Vec<(Reference, String)>>,
    /// Whether it names an output that failed, or a node that is not there.
    tainted: Cell<bool>,
}

impl Collector {
    pub(crate) fn into_misses(self) -> Vec<(Reference, String)> {
        self.misses.into_inner()
    }
}

type Key<'a> = (Slot, &'a str);

/// Finds identity outputs, each once.
pub(crate) struct Identities<'a> {
    work: &'a Work,
    catalogue: &'a Catalogue,
    live: &'a Live,
    /// `None` for those that failed.
    known: RefCell<HashMap<Key<'a>, Option<Value>>>,
    chain: RefCell<Vec<Key<'a>>>,
    failures: RefCell<Vec<(Slot, Failure)>>,
}

impl<'a> Identities<'a> {
    pub(crate) fn new(work: &'a Work, catalogue: &'a Catalogue, live: &'a Live) -> Self {
        Self {
            work,
            catalogue,
            live,
            known: RefCell::default(),
            chain: RefCell::default(),
            failures: RefCell::default(),
        }
    }

    /// What failed, with the node whose output it is.
    pub(crate) fn into_failures(self) -> Vec<(Slot, Failure)> {
        self.failures.into_inner()
    }

    /// Whether a reference names an identity output, by its type's schema.
    pub(crate) fn is_identity(&self, reference: &Reference) -> bool {
        reference.source == Source::Declared
            && !reference.path.is_empty()
            && self
                .catalogue
                .resource_type(&reference.node.resource_type)
                .and_then(|entry| entry.outputs.as_ref())
                .is_some_and(|schema| schema.is_identity(&reference.path))
    }

    /// Whether an output of a node is an identity output, by its type's schema.
    pub(crate) fn marks(&self, node: &Node, name: &str) -> bool {
        self.catalogue
            .resource_type(&node.coordinate.resource_type)
            .and_then(|entry| entry.outputs.as_ref())
            .is_some_and(|schema| schema.is_identity(&[name]))
    }

    /// Whether a value names what is found here.
    pub(crate) fn concern(&self, value: &Value) -> bool {
        let mut concerned = false;
        value.each_reference(&mut |reference| {
            concerned = concerned
                || match reference.source {
                    Source::Declared => self.is_identity(reference),
                    Source::Allotted => self.live.ports.contains_key(&reference.node),
                    Source::Tool => false,
                };
        });
        concerned
    }

    /// Puts all identity outputs and allotted ports in their places; others stay references.
    ///
    /// # Errors
    /// When an expression that waited for them fails.
    pub(crate) fn fill(&self, value: &mut Value, collector: &Collector) -> Result<(), EvaluationError> {
        if self.concern(value) {
            substitute_in_place(value, &|reference| Ok(self.output(reference, collector)))
        } else {
            Ok(())
        }
    }

    fn output(&self, reference: &Reference, collector: &Collector) -> Option<Value> {
        match reference.source {
            Source::Tool => None,
            Source::Allotted => match reference.path.as_slice() {
                [name] => {
                    let port = self.live.ports.get(&reference.node)?.get(name)?;
                    Some(Value::Number((*port).into()))
                }
                _ => None,
            },
            Source::Declared => {
                if !self.is_identity(reference) {
                    return None;
                }
                let miss = |reason: String| {
                    collector.misses.borrow_mut().push((reference.clone(), reason));
                    None
                };
                let (first, rest) = reference.path.split_first()?;
                let found = self.work.find(&reference.node);
                let found = found.and_then(|slot| Some((slot, self.work.state(slot).node.as_ref()?)));
                let Some((slot, node)) = found else {
                    collector.tainted.set(true);
                    return None;
                };
                if let Value::Map(map) = &node.outputs
                    && !map.contains_key(first)
                {
                    let known: Vec<&str> = map.keys().map(String::as_str).take(20).collect();
                    return miss(if known.is_empty() {
                        format!("{} has no outputs", node.coordinate.id)
                    } else {
                        format!("there is no `{first}`, only {}", known.join(", "))
                    });
                }
                let Some(value) = self.identity(slot, first) else {
                    collector.tainted.set(true);
                    return None;
                };
                match descend(&value, rest) {
                    Ok(value) => Some(value),
                    Err(LookupError::Missing(reason) | LookupError::Refused(reason)) => miss(reason),
                }
            }
        }
    }

    /// One identity output of a node; `None` when it has none or it failed.
    pub(crate) fn identity(&self, slot: Slot, name: &str) -> Option<Value> {
        let node = self.work.state(slot).node.as_ref()?;
        let (name, value) = node.outputs.as_map()?.get_key_value(name)?;
        let key: Key<'a> = (slot, name);
        if let Some(known) = self.known.borrow().get(&key) {
            return known.clone();
        }
        let looped = self.chain.borrow().iter().position(|step| *step == key);
        let outcome = if let Some(from) = looped {
            let chain = self.chain.borrow();
            let names: Vec<String> = chain[from..]
                .iter()
                .chain([&key])
                .map(|(slot, name)| format!("{}.{name}", self.work.name(*slot).id))
                .collect();
            Err(text(format!(
                "these outputs name each other: {}",
                names.join(" → ")
            )))
        } else if self.chain.borrow().len() >= MAX_CHAIN {
            Err(text(format!(
                "`{name}` is the last of more than {MAX_CHAIN} outputs of which each names the next"
            )))
        } else {
            self.chain.borrow_mut().push(key);
            let outcome = self.find(&node.coordinate, name, value);
            self.chain.borrow_mut().pop();
            outcome
        };
        let found = match outcome {
            Ok(value) => Some(value),
            Err(failure) => {
                let failure = failure.map(|failure| (slot, *failure));
                self.failures.borrow_mut().extend(failure);
                None
            }
        };
        self.known.borrow_mut().insert(key, found.clone());
        found
    }

    /// The value of an identity output; the failure is `None` when it lies with an output that this one names.
    fn find(&self, node: &Coordinate, name: &str, value: &Value) -> Result<Value, Option<Box<Failure>>> {
        let collector = Collector::default();
        let mut filled = value.clone();
        self.fill(&mut filled, &collector)
            .map_err(|error| text(format!("outputs.{name}: {error}")))?;
        if collector.tainted.get() {
            return Err(None);
        }
        if let Some((reference, reason)) = collector.into_misses().into_iter().next() {
            return Err(Some(Box::new(Failure::Missing(reference, reason))));
        }
        let mut made = false;
        filled.each_reference(&mut |reference| made |= reference.source != Source::Allotted);
        if made {
            return Err(text(format!(
                "the type {} promises `{name}` before the resource is made (x-podium-identity), but the module takes it \
                 from what is known only afterwards",
                node.resource_type
            )));
        }
        if filled.has_sensitive() {
            return Err(text(format!(
                "`{name}` is an identity output (x-podium-identity) and cannot hold a secret"
            )));
        }
        Ok(filled)
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "no text means that another output failed"
)]
fn text(text: String) -> Option<Box<Failure>> {
    Some(Box::new(Failure::Text(text)))
}
