//! Values against schemas: defaults and checks that leave alone what is not known.

use std::collections::BTreeMap;

use podium_model::value::Value;
use podium_schema::{Node as SchemaNode, Schema, Segment, ViolationKind};
use serde_json::Value as Json;

/// Fills in what the schema has a default for.
pub(crate) fn apply_defaults(value: &mut Value, schema: &SchemaNode) {
    match value {
        Value::Map(map) => {
            for (name, property) in schema.properties() {
                match map.get_mut(name) {
                    Some(value) => apply_defaults(value, property),
                    None => {
                        if let Some(default) = property.default_value() {
                            let mut value = Value::from_json(default);
                            apply_defaults(&mut value, property);
                            map.insert(name.to_owned(), value);
                        }
                    }
                }
            }
            if let Some(values) = schema.map_values() {
                for (name, value) in map.iter_mut() {
                    if schema.field(name).is_none() {
                        apply_defaults(value, values);
                    }
                }
            }
        }
        Value::List(items) => {
            if let Some(schema) = schema.items() {
                for item in items {
                    apply_defaults(item, schema);
                }
            }
        }
        _ => {}
    }
}

/// What is wrong with a value, and where.
#[derive(Debug)]
pub(crate) struct Mistake {
    pub(crate) path: Vec<Segment>,
    pub(crate) message: String,
    pub(crate) suggestion: Option<String>,
    pub(crate) on_key: bool,
}

/// Checks a value against a schema. Parts that are secret or not known yet are taken to be right.
pub(crate) fn check(value: &Value, schema: &Schema) -> Vec<Mistake> {
    let mut unknown = BTreeMap::new();
    let json = probe(value, &mut Vec::new(), &mut unknown);
    let mut mistakes: Vec<Mistake> = schema
        .validate(&json)
        .into_iter()
        .filter(|violation| match unknown.get(&violation.path) {
            // A text with unknown parts is a text for certain, of whatever content.
            Some(Symbol::Text) => violation.kind == ViolationKind::Type,
            Some(Symbol::Anything) => false,
            None => true,
        })
        .map(|violation| Mistake {
            message: if violation.path.is_empty() {
                violation.cause()
            } else {
                violation.to_string()
            },
            path: violation.path,
            suggestion: None,
            on_key: false,
        })
        .collect();
    for field in schema.unknown_fields(&json) {
        mistakes.push(Mistake {
            message: match field.path.last() {
                Some(Segment::Field(name)) => format!("there is no param `{name}`"),
                _ => "there is no such param".to_owned(),
            },
            path: field.path,
            suggestion: field.suggestion,
            on_key: true,
        });
    }
    mistakes
}

/// What is wrong with outputs that a module answered, if anything; secrets are taken to be right.
pub fn check_outputs(outputs: &Value, schema: &Schema) -> Option<String> {
    check(outputs, schema).into_iter().find(|mistake| !mistake.on_key).map(|mistake| mistake.message)
}

enum Symbol {
    Text,
    Anything,
}

/// JSON with an empty text where a part is not known, and the paths of those parts.
fn probe(value: &Value, path: &mut Vec<Segment>, unknown: &mut BTreeMap<Vec<Segment>, Symbol>) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(flag) => Json::Bool(*flag),
        Value::Number(number) => Json::Number(number.clone()),
        Value::String(text) => Json::String(text.clone()),
        Value::Sensitive(_) | Value::Concat(_) => {
            unknown.insert(path.clone(), Symbol::Text);
            Json::String(String::new())
        }
        Value::Reference(_) | Value::Deferred(_) => {
            unknown.insert(path.clone(), Symbol::Anything);
            Json::String(String::new())
        }
        Value::List(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| {
                path.push(Segment::Index(index));
                let json = probe(item, path, unknown);
                path.pop();
                json
            })
            .collect(),
        Value::Map(map) => Json::Object(
            map.iter()
                .map(|(key, value)| {
                    path.push(Segment::Field(key.clone()));
                    let json = probe(value, path, unknown);
                    path.pop();
                    (key.clone(), json)
                })
                .collect(),
        ),
    }
}

/// Joins the params of two requesters: what only one names is taken from it; what both name must be equal.
pub(crate) fn join(left: &Value, right: &Value, path: &mut Vec<String>) -> Result<Value, Vec<String>> {
    match (left, right) {
        (Value::Map(left), Value::Map(right)) => {
            let mut joined = left.clone();
            for (key, value) in right {
                let value = match left.get(key) {
                    None => value.clone(),
                    Some(other) => {
                        path.push(key.clone());
                        let value = join(other, value, path)?;
                        path.pop();
                        value
                    }
                };
                joined.insert(key.clone(), value);
            }
            Ok(Value::Map(joined))
        }
        (left, right) if left == right => Ok(left.clone()),
        _ => Err(path.clone()),
    }
}
