//! Evaluation: values in, values out; see the crate's doc for what happens to secrets and to what is not known.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use kube_cel::KubeCelExt;
use kube_cel::cel::common::ast::IdedExpr;
use kube_cel::cel::objects::{Key, Map as CelMap};
use kube_cel::cel::{Context, ExecutionError, Value as CelValue};
use podium_model::value::{Deferred, Reference, Value};
use serde_json::Number;

use crate::compile::{KEYS_IN_ORDER, Path, Step, Tree, compile, with_stack};
use crate::scope::{LookupError, Scope, descend};

/// Longest list that `all`, `exists`, `map`, `filter` and the like run over.
pub const MAX_LIST: usize = 1000;

/// An expression has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// A path has no value.
    #[error("`{path}`: {reason}")]
    Lookup {
        /// The path, as the expression writes it.
        path: String,
        /// What there is instead.
        reason: String,
        /// Whether the path may be used, and only has no value.
        missing: bool,
    },
    /// A secret is used for more than being passed on.
    #[error("`{path}` is a secret: it can be passed on or joined to a text with +, nothing else")]
    Secret {
        /// The path, as the expression writes it.
        path: String,
    },
    /// An index, a condition or a key must be known before anything is made.
    #[error("`{path}` is known only after its resource was made, and cannot be used as {role}")]
    Unknown {
        /// The path, as the expression writes it.
        path: String,
        /// What it is used as.
        role: &'static str,
    },
    /// A list is too long.
    #[error("a list has {0} items, more than the {MAX_LIST} that an expression may run over")]
    TooLong(usize),
    /// The computation failed.
    #[error("{0}")]
    Failed(String),
}

/// Outcome of one evaluation before the whole expression is known to be deferred.
enum Evaluated {
    Value(Value),
    /// Something that must be known is not.
    Waits,
}

/// Evaluates a compiled expression; `text` is what it was compiled from.
pub(crate) fn evaluate(text: &str, tree: &Tree, scope: &dyn Scope) -> Result<Value, EvaluationError> {
    match eval(tree, scope)? {
        Evaluated::Value(value) => Ok(value),
        Evaluated::Waits => {
            let mut bindings = BTreeMap::new();
            let mut failure = None;
            tree.each_path(&mut |path| {
                if failure.is_some() {
                    return;
                }
                match resolve_keys(path, scope) {
                    Ok(Some(keys)) => match scope.lookup(&path.root, &keys) {
                        Ok(value) => {
                            bindings.insert(canonical(&path.root, &keys), value);
                        }
                        Err(LookupError::Missing(_)) => {}
                        Err(LookupError::Refused(reason)) => {
                            failure = Some(EvaluationError::Lookup {
                                path: canonical(&path.root, &keys),
                                reason,
                                missing: false,
                            });
                        }
                    },
                    Ok(None) => {
                        failure = Some(EvaluationError::Unknown {
                            path: path.root.clone(),
                            role: "an index",
                        });
                    }
                    Err(error) => failure = Some(error),
                }
            });
            match failure {
                Some(error) => Err(error),
                None => Ok(Value::Deferred(Box::new(Deferred {
                    expression: text.to_owned(),
                    bindings,
                }))),
            }
        }
    }
}

fn eval(tree: &Tree, scope: &dyn Scope) -> Result<Evaluated, EvaluationError> {
    Ok(Evaluated::Value(match tree {
        Tree::Literal(value) => value.clone(),
        Tree::Path(path) => match resolve_keys(path, scope)? {
            Some(keys) => look_up(path, &keys, scope)?,
            None => return Ok(Evaluated::Waits),
        },
        Tree::Has(path) => match resolve_keys(path, scope)? {
            None => return Ok(Evaluated::Waits),
            Some(keys) => match look_up(path, &keys, scope) {
                Ok(Value::Reference(_) | Value::Deferred(_)) => return Ok(Evaluated::Waits),
                Ok(value) => Value::Bool(value != Value::Null),
                Err(EvaluationError::Lookup { missing: true, .. }) => Value::Bool(false),
                Err(error) => return Err(error),
            },
        },
        Tree::List(items) => {
            let mut values = Vec::with_capacity(items.len());
            for item in items {
                let Evaluated::Value(value) = eval(item, scope)? else {
                    return Ok(Evaluated::Waits);
                };
                values.push(value);
            }
            Value::List(values)
        }
        Tree::Map(entries) => {
            let mut values = BTreeMap::new();
            for (key, value) in entries {
                let (Evaluated::Value(key), Evaluated::Value(value)) =
                    (eval(key, scope)?, eval(value, scope)?)
                else {
                    return Ok(Evaluated::Waits);
                };
                match key {
                    Value::String(key) => values.insert(key, value),
                    Value::Number(key) => values.insert(key.to_string(), value),
                    Value::Reference(_) | Value::Deferred(_) | Value::Concat(_) => {
                        return Ok(Evaluated::Waits);
                    }
                    _ => return Err(EvaluationError::Failed("a key of a map must be a text".into())),
                };
            }
            Value::Map(values)
        }
        Tree::Conditional(condition, yes, no) => match eval(condition, scope)? {
            Evaluated::Value(Value::Bool(true)) => return eval(yes, scope),
            Evaluated::Value(Value::Bool(false)) => return eval(no, scope),
            Evaluated::Waits | Evaluated::Value(Value::Reference(_) | Value::Deferred(_)) => {
                return Ok(Evaluated::Waits);
            }
            Evaluated::Value(_) => {
                return Err(EvaluationError::Failed(
                    "the condition of `? :` must be true or false".into(),
                ));
            }
        },
        Tree::Add(left, right) => {
            let (Evaluated::Value(left), Evaluated::Value(right)) = (eval(left, scope)?, eval(right, scope)?)
            else {
                return Ok(Evaluated::Waits);
            };
            return add(left, right);
        }
        Tree::Computation {
            expression,
            paths,
            lists,
            heavy,
        } => {
            let mut roots: BTreeMap<String, Value> = BTreeMap::new();
            for path in paths {
                let Some(keys) = resolve_keys(path, scope)? else {
                    return Ok(Evaluated::Waits);
                };
                let value = match look_up(path, &keys, scope) {
                    Ok(value) => value,
                    // The computation may ask with has(); otherwise it fails by itself, and says so.
                    Err(EvaluationError::Lookup { missing: true, .. }) => continue,
                    Err(error) => return Err(error),
                };
                if value.has_sensitive() {
                    return Err(EvaluationError::Secret {
                        path: canonical(&path.root, &keys),
                    });
                }
                if !value.is_known() {
                    return Ok(Evaluated::Waits);
                }
                if *lists {
                    check_lists(&value)?;
                }
                place(
                    roots.entry(path.root.clone()).or_insert_with(Value::empty_map),
                    &keys,
                    value,
                );
            }
            with_stack(*heavy, || compute(expression, &roots)).map_err(EvaluationError::Failed)??
        }
    }))
}

fn add(left: Value, right: Value) -> Result<Evaluated, EvaluationError> {
    fn is_text(value: &Value) -> bool {
        matches!(value, Value::String(_) | Value::Sensitive(_) | Value::Concat(_))
    }
    Ok(match (left, right) {
        (left, right) if is_text(&left) && is_text(&right) => {
            Evaluated::Value(Value::concat(vec![left, right]))
        }
        // A text beside something unknown can only be a text: CEL adds nothing else to one.
        (left, right)
            if (is_text(&left) && matches!(right, Value::Reference(_)))
                || (is_text(&right) && matches!(left, Value::Reference(_))) =>
        {
            Evaluated::Value(Value::concat(vec![left, right]))
        }
        (Value::Reference(_) | Value::Deferred(_), _) | (_, Value::Reference(_) | Value::Deferred(_)) => {
            Evaluated::Waits
        }
        (Value::Number(left), Value::Number(right)) => {
            let sum = match (left.as_i64(), right.as_i64()) {
                (Some(left), Some(right)) => left.checked_add(right).map(Number::from),
                _ => left
                    .as_f64()
                    .zip(right.as_f64())
                    .and_then(|(left, right)| Number::from_f64(left + right)),
            };
            Evaluated::Value(Value::Number(
                sum.ok_or_else(|| EvaluationError::Failed("the sum is too large".into()))?,
            ))
        }
        (Value::List(mut left), Value::List(right)) => {
            left.extend(right);
            Evaluated::Value(Value::List(left))
        }
        (left, right) => {
            return Err(EvaluationError::Failed(format!(
                "{} and {} cannot be added",
                kind(&left),
                kind(&right)
            )));
        }
    })
}

thread_local! {
    /// All functions that expressions may call. Registering them costs more than most expressions do, so it is done
    /// once; the context cannot be shared between threads.
    static FUNCTIONS: Context<'static> = {
        let mut context = Context::default().with_all();
        context.add_function(KEYS_IN_ORDER, keys_in_order);
        context
    };
}

/// Lets the CEL crate compute.
fn compute(expression: &IdedExpr, roots: &BTreeMap<String, Value>) -> Result<Value, EvaluationError> {
    let result = FUNCTIONS.with(|functions| {
        let mut context = functions.new_inner_scope();
        for (name, value) in roots {
            context.add_variable_from_value(name.as_str(), to_cel(value));
        }
        context.resolve(expression)
    });
    from_cel(&result.map_err(|error| EvaluationError::Failed(shorten(&error.to_string())))?)
}

/// The keys of a map, sorted as texts; anything else as it is.
#[expect(
    clippy::unnecessary_wraps,
    reason = "the CEL crate takes functions of this form"
)]
fn keys_in_order(value: CelValue) -> Result<CelValue, ExecutionError> {
    Ok(match value {
        CelValue::Map(map) => {
            let mut keys: Vec<&Key> = map.map.keys().collect();
            keys.sort_by_cached_key(ToString::to_string);
            CelValue::List(Arc::new(keys.into_iter().cloned().map(CelValue::from).collect()))
        }
        other => other,
    })
}

/// What a value is called in messages.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) | Value::Concat(_) => "a text",
        Value::Sensitive(_) => "a secret",
        Value::Reference(_) | Value::Deferred(_) => "a value known later",
        Value::List(_) => "a list",
        Value::Map(_) => "a map",
    }
}

fn check_lists(value: &Value) -> Result<(), EvaluationError> {
    let length = match value {
        Value::List(items) => {
            for item in items {
                check_lists(item)?;
            }
            items.len()
        }
        Value::Map(map) => {
            for item in map.values() {
                check_lists(item)?;
            }
            map.len()
        }
        _ => 0,
    };
    if length > MAX_LIST {
        Err(EvaluationError::TooLong(length))
    } else {
        Ok(())
    }
}

/// The keys of a path, its computed steps evaluated; `None` when one of them is not known.
fn resolve_keys<'a>(path: &'a Path, scope: &dyn Scope) -> Result<Option<Cow<'a, [String]>>, EvaluationError> {
    if let Some(fixed) = &path.fixed {
        return Ok(Some(Cow::Borrowed(fixed)));
    }
    let mut keys = Vec::with_capacity(path.steps.len());
    for step in &path.steps {
        match step {
            Step::Key(key) | Step::Item(key) => keys.push(key.clone()),
            Step::Computed(tree) => match eval(tree, scope)? {
                Evaluated::Value(Value::String(text)) => keys.push(text),
                Evaluated::Value(Value::Number(number)) => keys.push(number.to_string()),
                Evaluated::Value(Value::Sensitive(_)) => {
                    return Err(EvaluationError::Secret {
                        path: canonical(&path.root, &keys),
                    });
                }
                Evaluated::Value(Value::Reference(_) | Value::Deferred(_) | Value::Concat(_))
                | Evaluated::Waits => {
                    return Ok(None);
                }
                Evaluated::Value(other) => {
                    return Err(EvaluationError::Failed(format!(
                        "{} cannot be an index",
                        kind(&other)
                    )));
                }
            },
        }
    }
    Ok(Some(Cow::Owned(keys)))
}

fn look_up(path: &Path, keys: &[String], scope: &dyn Scope) -> Result<Value, EvaluationError> {
    scope.lookup(&path.root, keys).map_err(|error| {
        let (reason, missing) = match error {
            LookupError::Missing(reason) => (reason, true),
            LookupError::Refused(reason) => (reason, false),
        };
        EvaluationError::Lookup {
            path: canonical(&path.root, keys),
            reason,
            missing,
        }
    })
}

/// A path as text: `params.size`, `workloads["my-app"].ports.web`.
fn canonical(root: &str, keys: &[String]) -> String {
    let mut text = root.to_owned();
    for key in keys {
        let plain = key
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
            && key
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if plain {
            text.push('.');
            text.push_str(key);
        } else {
            text.push('[');
            text.push_str(&serde_json::Value::String(key.clone()).to_string());
            text.push(']');
        }
    }
    text
}

fn place(target: &mut Value, keys: &[String], value: Value) {
    let mut target = target;
    for key in keys {
        if !matches!(target, Value::Map(_)) {
            return;
        }
        let Value::Map(map) = target else { return };
        target = map.entry(key.clone()).or_insert_with(Value::empty_map);
    }
    // A shorter path already brought the whole of it.
    if matches!(target, Value::Map(map) if map.is_empty()) {
        *target = value;
    }
}

fn to_cel(value: &Value) -> CelValue {
    match value {
        Value::Bool(flag) => CelValue::Bool(*flag),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => CelValue::Int(integer),
            (None, Some(float)) => CelValue::Float(float),
            (None, None) => CelValue::Null,
        },
        Value::String(text) => CelValue::String(Arc::new(text.clone())),
        Value::List(items) => CelValue::List(Arc::new(items.iter().map(to_cel).collect())),
        Value::Map(map) => {
            let map: HashMap<Key, CelValue> = map
                .iter()
                .map(|(key, value)| (Key::String(Arc::new(key.clone())), to_cel(value)))
                .collect();
            CelValue::Map(CelMap { map: Arc::new(map) })
        }
        // Callers made sure that none of these is here.
        Value::Null | Value::Sensitive(_) | Value::Reference(_) | Value::Concat(_) | Value::Deferred(_) => {
            CelValue::Null
        }
    }
}

fn from_cel(value: &CelValue) -> Result<Value, EvaluationError> {
    Ok(match value {
        CelValue::Null => Value::Null,
        CelValue::Bool(flag) => Value::Bool(*flag),
        CelValue::Int(number) => Value::Number((*number).into()),
        CelValue::UInt(number) => Value::Number((*number).into()),
        CelValue::Float(number) => Value::Number(
            Number::from_f64(*number)
                .ok_or_else(|| EvaluationError::Failed("the result is not a number".into()))?,
        ),
        CelValue::String(text) => Value::String(text.as_ref().clone()),
        CelValue::List(items) => Value::List(items.iter().map(from_cel).collect::<Result<_, _>>()?),
        CelValue::Map(map) => {
            let mut values = BTreeMap::new();
            for (key, value) in map.map.iter() {
                values.insert(key.to_string(), from_cel(value)?);
            }
            Value::Map(values)
        }
        _ => {
            return Err(EvaluationError::Failed(
                "the result is neither text, number, boolean, list nor map".into(),
            ));
        }
    })
}

/// Messages of the CEL crate show values in full; only the beginning helps.
fn shorten(message: &str) -> String {
    let mut text: String = message.chars().take(160).collect();
    if text.len() < message.len() {
        text.push('…');
    }
    text
}

struct Bindings<'a>(&'a BTreeMap<String, Value>);

impl Scope for Bindings<'_> {
    fn lookup(&self, root: &str, keys: &[String]) -> Result<Value, LookupError> {
        // The binding is the longest prefix that was kept when the expression was put off.
        for length in (0..=keys.len()).rev() {
            if let Some(value) = self.0.get(&canonical(root, &keys[..length])) {
                return descend(value, &keys[length..]);
            }
        }
        Err(LookupError::Missing(
            "it had no value when the graph was resolved".into(),
        ))
    }
}

/// Puts the outputs that are known by now in the place of references, and evaluates what waited for them. `outputs`
/// answers `None` for an output that is still unknown.
///
/// # Errors
/// When an expression that waited fails, or an output has no such path.
pub fn substitute(
    value: &Value,
    outputs: &dyn Fn(&Reference) -> Result<Option<Value>, EvaluationError>,
) -> Result<Value, EvaluationError> {
    let mut value = value.clone();
    substitute_in_place(&mut value, outputs)?;
    Ok(value)
}

/// As [`substitute`], without a copy. After an error the value is of no use.
///
/// # Errors
/// As [`substitute`].
pub fn substitute_in_place(
    value: &mut Value,
    outputs: &dyn Fn(&Reference) -> Result<Option<Value>, EvaluationError>,
) -> Result<(), EvaluationError> {
    match value {
        Value::Reference(reference) => {
            if let Some(known) = outputs(reference)? {
                *value = known;
            }
        }
        Value::Concat(parts) => {
            let mut substituted = std::mem::take(parts);
            for part in &mut substituted {
                substitute_in_place(part, outputs)?;
                let text = match &*part {
                    Value::String(_)
                    | Value::Sensitive(_)
                    | Value::Concat(_)
                    | Value::Reference(_)
                    | Value::Deferred(_) => continue,
                    Value::Null => String::new(),
                    // As Score has it: what is not a text is written as JSON.
                    other => match other.to_json() {
                        Some(json) => json.to_string(),
                        None if other.has_sensitive() => {
                            return Err(EvaluationError::Failed(
                                "a list or map with secrets cannot be put into a text".into(),
                            ));
                        }
                        None => continue,
                    },
                };
                *part = Value::String(text);
            }
            *value = Value::concat(substituted);
        }
        Value::List(items) => {
            for item in items {
                substitute_in_place(item, outputs)?;
            }
        }
        Value::Map(map) => {
            for item in map.values_mut() {
                substitute_in_place(item, outputs)?;
            }
        }
        Value::Deferred(deferred) => {
            for binding in deferred.bindings.values_mut() {
                substitute_in_place(binding, outputs)?;
            }
            let tree =
                compile(&deferred.expression).map_err(|error| EvaluationError::Failed(error.to_string()))?;
            *value = evaluate(&deferred.expression, &tree, &Bindings(&deferred.bindings))?;
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Sensitive(_) => {}
    }
    Ok(())
}
