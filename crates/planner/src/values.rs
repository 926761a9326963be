//! Values against schemas: defaults and checks that leave alone what is not known.

use std::collections::BTreeMap;

use podium_model::value::Value;
use podium_schema::{Node as SchemaNode, Schema, Segment, Violation, ViolationKind};
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
            // A rule about the whole of something, such as `anyOf`, cannot be judged while parts of it are unknown.
            None => violation.kind != ViolationKind::Invalid || !holds_unknown(&unknown, &violation.path),
        })
        .map(|violation| Mistake {
            message: in_words(&violation),
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

/// What a violation says, for the author of a document; the schema's own words are those of kube-apiserver.
fn in_words(violation: &Violation) -> String {
    if violation.path.is_empty() {
        return violation.cause();
    }
    let field = violation.field();
    let rest = violation.message.strip_prefix(&format!("{field} in body "));
    match (violation.kind, rest) {
        (ViolationKind::Required, _) => format!("`{field}` is missing"),
        (ViolationKind::NotSupported, _) => {
            format!("`{field}` cannot be {}: {}", violation.bad, violation.message)
        }
        // The rest ends with the type that was found.
        (ViolationKind::Type, Some(rest)) => match rest.rsplit_once(": ") {
            Some((rest, found)) => format!("`{field}` {rest}, not {}", found.trim_matches('"')),
            None => format!("`{field}` {rest}"),
        },
        (_, Some(rest)) if !violation.bad.is_empty() => format!("`{field}` {rest}, and is {}", violation.bad),
        _ => format!("`{field}`: {}", violation.cause()),
    }
}

/// What is wrong with outputs that a module answered, if anything; secrets are taken to be right.
pub fn check_outputs(outputs: &Value, schema: &Schema) -> Option<String> {
    check(outputs, schema)
        .into_iter()
        .find(|mistake| !mistake.on_key)
        .map(|mistake| mistake.message)
}

fn holds_unknown(unknown: &BTreeMap<Vec<Segment>, Symbol>, path: &[Segment]) -> bool {
    unknown
        .range(path.to_vec()..)
        .next()
        .is_some_and(|(inner, _)| inner.starts_with(path))
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

/// Joins the params of another requester: what only one names is taken from it; what both name must be equal. Otherwise
/// it answers false, and `path` is where they differ.
pub(crate) fn join(joined: &mut Value, other: &Value, path: &mut Vec<String>) -> bool {
    match (joined, other) {
        (Value::Map(joined), Value::Map(other)) => {
            for (key, value) in other {
                match joined.get_mut(key) {
                    None => {
                        joined.insert(key.clone(), value.clone());
                    }
                    Some(own) => {
                        path.push(key.clone());
                        if !join(own, value, path) {
                            return false;
                        }
                        path.pop();
                    }
                }
            }
            true
        }
        (joined, other) => joined == other,
    }
}

/// Whether the outputs that a schema describes have this path.
pub(crate) fn declares<S: AsRef<str>>(schema: &Schema, path: &[S]) -> bool {
    let mut node = schema.root();
    for segment in path {
        let segment = segment.as_ref();
        node = match node.field(segment).or(node.map_values()).or(node.items()) {
            Some(next) => next,
            None => return node.preserves_unknown_fields(),
        };
    }
    true
}

/// About how many bytes a value holds.
pub(crate) fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => 8 + text.len(),
        Value::Concat(items) | Value::List(items) => 8 + items.iter().map(size).sum::<usize>(),
        Value::Map(map) => {
            8 + map
                .iter()
                .map(|(key, value)| 8 + key.len() + size(value))
                .sum::<usize>()
        }
        Value::Deferred(deferred) => {
            deferred.expression.len() + deferred.bindings.values().map(size).sum::<usize>()
        }
        _ => 8,
    }
}
