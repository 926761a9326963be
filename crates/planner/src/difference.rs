//! What differs between two values, field by field, as people are shown it.

use podium_model::plan::FieldChange;
use podium_model::value::Value;
use serde_json::Value as Json;

/// The fields that differ, sorted by path. Secrets and unknown parts appear as marks; two different secrets differ.
pub fn difference(before: &Value, after: &Value) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    compare(Some(before), Some(after), &mut String::new(), &mut changes);
    changes
}

/// Every leaf with its path.
pub fn flatten(value: &Value) -> Vec<(String, Json)> {
    flatten_with(value, &Value::to_display)
}

/// The leaves of a value with their paths, each as `show` gives it.
pub fn flatten_with(value: &Value, show: &dyn Fn(&Value) -> Json) -> Vec<(String, Json)> {
    let mut leaves = Vec::new();
    walk(value, &mut String::new(), &mut |path, value| {
        leaves.push((path.to_owned(), show(value)));
    });
    leaves
}

fn walk(value: &Value, path: &mut String, visit: &mut dyn FnMut(&str, &Value)) {
    match value {
        Value::Map(map) if !map.is_empty() => {
            for (key, value) in map {
                within(path, key, |path| walk(value, path, visit));
            }
        }
        Value::List(items) if !items.is_empty() => {
            for (index, value) in items.iter().enumerate() {
                within(path, &index.to_string(), |path| walk(value, path, visit));
            }
        }
        value => visit(path, value),
    }
}

/// Goes one step down and comes back.
fn within(path: &mut String, key: &str, work: impl FnOnce(&mut String)) {
    let length = path.len();
    let plain = !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-/".contains(&byte));
    if plain {
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(key);
    } else {
        path.push('[');
        path.push_str(&Json::String(key.to_owned()).to_string());
        path.push(']');
    }
    work(path);
    path.truncate(length);
}

fn compare(before: Option<&Value>, after: Option<&Value>, path: &mut String, changes: &mut Vec<FieldChange>) {
    match (before, after) {
        (Some(before), Some(after)) if before == after => {}
        (Some(Value::Map(before)), Some(Value::Map(after))) => {
            let keys: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            for key in keys {
                within(path, key, |path| {
                    compare(before.get(key), after.get(key), path, changes);
                });
            }
        }
        (Some(Value::List(before)), Some(Value::List(after))) => {
            for index in 0..before.len().max(after.len()) {
                within(path, &index.to_string(), |path| {
                    compare(before.get(index), after.get(index), path, changes);
                });
            }
        }
        (None, Some(Value::Map(map))) if !map.is_empty() => {
            for (key, value) in map {
                within(path, key, |path| compare(None, Some(value), path, changes));
            }
        }
        (Some(Value::Map(map)), None) if !map.is_empty() => {
            for (key, value) in map {
                within(path, key, |path| compare(Some(value), None, path, changes));
            }
        }
        (before, after) => changes.push(FieldChange {
            path: path.clone(),
            before: before.map(Value::to_display),
            after: after.map(Value::to_display),
            forces_replacement: false,
        }),
    }
}
