//! What an expression may see.

use std::collections::BTreeMap;

use podium_model::value::{Deferred, Reference, Value};

/// A path has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookupError {
    /// There is nothing at this path; `has()` answers false. The text says what there is instead.
    Missing(String),
    /// The path cannot be used here at all.
    Refused(String),
}

/// Hands out values by path.
pub trait Scope {
    /// The value at `root` and `keys`, such as `params` and `["size"]`. It may be, or contain, references.
    ///
    /// # Errors
    /// [`LookupError`], with a text for the author of the expression.
    fn lookup(&self, root: &str, keys: &[String]) -> Result<Value, LookupError>;
}

/// Goes down from a value along keys. An output that is not known yet is followed by making its reference longer.
///
/// # Errors
/// [`LookupError::Missing`] when there is nothing; the text names the keys that exist.
pub fn descend(value: &Value, keys: &[String]) -> Result<Value, LookupError> {
    let mut value = value;
    for (position, key) in keys.iter().enumerate() {
        value = match value {
            Value::Map(map) => map.get(key).ok_or_else(|| missing(key, map.keys()))?,
            Value::List(items) => key
                .parse::<usize>()
                .ok()
                .and_then(|index| items.get(index))
                .ok_or_else(|| {
                    LookupError::Missing(format!("the list has {} items, no item {key}", items.len()))
                })?,
            Value::Reference(reference) => {
                let mut path = reference.path.clone();
                path.extend_from_slice(&keys[position..]);
                let reference = Reference {
                    node: reference.node.clone(),
                    source: reference.source,
                    path,
                };
                return Ok(Value::Reference(reference));
            }
            Value::Deferred(_) => {
                let mut expression = String::from("value");
                for key in &keys[position..] {
                    expression.push('[');
                    expression.push_str(&serde_json::Value::String(key.clone()).to_string());
                    expression.push(']');
                }
                let bindings = BTreeMap::from([("value".to_owned(), value.clone())]);
                return Ok(Value::Deferred(Box::new(Deferred { expression, bindings })));
            }
            Value::Null => return Err(LookupError::Missing(format!("nothing has no `{key}`"))),
            Value::Sensitive(_) | Value::Concat(_) | Value::String(_) => {
                return Err(LookupError::Missing(format!("a text has no `{key}`")));
            }
            Value::Bool(_) | Value::Number(_) => {
                return Err(LookupError::Missing(format!(
                    "a number or boolean has no `{key}`"
                )));
            }
        };
    }
    Ok(value.clone())
}

fn missing<'a>(key: &str, known: impl Iterator<Item = &'a String>) -> LookupError {
    let known: Vec<&str> = known.map(String::as_str).take(20).collect();
    LookupError::Missing(if known.is_empty() {
        format!("there is no `{key}`")
    } else {
        format!("there is no `{key}`, only {}", known.join(", "))
    })
}
