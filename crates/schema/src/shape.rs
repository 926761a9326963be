//! What the shape of a schema does to a value: name unknown fields, drop them, fill in defaults.

use serde_json::{Map, Value};

use crate::node::{Node, Schema};
use crate::parse::limits;
use crate::path::{Segment, Walk, render_path};
use crate::suggest::nearest;

/// A field that the schema does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownField {
    /// Where it is.
    pub path: Vec<Segment>,
    /// The field that may have been meant.
    pub suggestion: Option<String>,
}

impl std::fmt::Display for UnknownField {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "unknown field \"{}\"", render_path(&self.path))?;
        match &self.suggestion {
            Some(meant) => write!(formatter, " (did you mean \"{meant}\"?)"),
            None => Ok(()),
        }
    }
}

impl Schema {
    /// The fields of `value` that the schema does not know, each with the known one that may have been meant.
    pub fn unknown_fields(&self, value: &Value) -> Vec<UnknownField> {
        let mut found = Vec::new();
        collect_unknown(&self.root, value, &mut Walk::default(), &mut found);
        found
    }

    /// Drops what the schema does not know.
    pub fn prune(&self, value: &mut Value) {
        prune(&self.root, value);
    }

    /// Fills in defaults where nothing is given, and where null is given that the schema does not take.
    pub fn apply_defaults(&self, value: &mut Value) {
        apply_defaults(&self.root, value);
    }
}

fn collect_unknown(node: &Node, value: &Value, walk: &mut Walk, found: &mut Vec<UnknownField>) {
    if found.len() >= limits::ERRORS {
        return;
    }
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if let Some(known) = node.properties.get(name).or(node.additional.as_deref()) {
                    walk.push_field(name);
                    collect_unknown(known, field, walk, found);
                    walk.pop();
                } else if !node.preserve_unknown && found.len() < limits::ERRORS && is_object(node) {
                    // A field that is there already was not meant.
                    let candidates = node
                        .properties
                        .keys()
                        .map(String::as_str)
                        .filter(|key| !fields.contains_key(*key));
                    found.push(UnknownField {
                        path: walk.child(name),
                        suggestion: nearest(name, candidates).map(str::to_owned),
                    });
                }
            }
        }
        Value::Array(items) => {
            if let Some(known) = &node.items {
                for (index, item) in items.iter().enumerate() {
                    walk.push_index(index);
                    collect_unknown(known, item, walk, found);
                    walk.pop();
                }
            }
        }
        _ => {}
    }
}

/// A value of another type is one violation; its fields are not also unknown ones.
fn is_object(node: &Node) -> bool {
    node.of_type == Some(crate::node::Type::Object)
}

fn prune(node: &Node, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if !node.preserve_unknown && node.additional.is_none() && is_object(node) {
                fields.retain(|name, _| node.properties.contains_key(name));
            }
            for (name, field) in fields.iter_mut() {
                if let Some(known) = node.properties.get(name).or(node.additional.as_deref()) {
                    prune(known, field);
                }
            }
        }
        Value::Array(items) => {
            if let Some(known) = &node.items {
                for item in items {
                    prune(known, item);
                }
            }
        }
        _ => {}
    }
}

fn apply_defaults(node: &Node, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fill(node, fields);
            for (name, field) in fields.iter_mut() {
                if let Some(known) = node.properties.get(name).or(node.additional.as_deref()) {
                    apply_defaults(known, field);
                }
            }
        }
        Value::Array(items) => {
            if let Some(known) = &node.items {
                for item in items {
                    apply_defaults(known, item);
                }
            }
        }
        _ => {}
    }
}

fn fill(node: &Node, fields: &mut Map<String, Value>) {
    for (name, known) in &node.properties {
        let Some(default) = &known.default else { continue };
        let missing = match fields.get(name) {
            None => true,
            Some(given) => given.is_null() && !known.nullable,
        };
        if missing {
            fields.insert(name.clone(), default.clone());
        }
    }
}
