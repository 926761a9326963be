//! `metadata`: its schema, what clients may set of it, and small helpers to read it.

use jiff::Timestamp;
use podium_schema::ViolationKind;
use serde_json::{Map, Value, json};

use crate::names;
use crate::status::{Cause, cause_forbidden, cause_invalid};

/// Most bytes of all annotations of an object together.
const MAX_ANNOTATIONS: usize = 256 * 1024;

/// The structural schema of `metadata`.
pub(crate) fn schema() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    json!({
        "type": "object",
        "properties": {
            "name": text("Name, unique among the objects of this kind in the namespace. Cannot be changed."),
            "generateName": text("Prefix of a name that the server makes up, when no name is given."),
            "namespace": text("The namespace that the object lives in. Cannot be changed."),
            "uid": text("Tells this object apart from others that had its name before."),
            "resourceVersion": text("Changes with every write; given back on update, it refuses to overwrite others' changes."),
            "generation": {"type": "integer", "description": "Counts the changes of what is desired."},
            "creationTimestamp": {"type": "string", "nullable": true, "description": "When the object was created."},
            "deletionTimestamp": {"type": "string", "nullable": true, "description": "When deletion was asked for."},
            "deletionGracePeriodSeconds": {"type": "integer", "nullable": true, "description": "Always 0 here."},
            "labels": {"type": "object", "nullable": true, "additionalProperties": {"type": "string"},
                "description": "Words by which objects are selected."},
            "annotations": {"type": "object", "nullable": true, "additionalProperties": {"type": "string"},
                "description": "Notes that tools keep with the object."},
            "finalizers": {"type": "array", "nullable": true, "items": {"type": "string"}, "x-kubernetes-list-type": "set",
                "description": "Whose work must be done before the object goes."},
            "ownerReferences": {"type": "array", "nullable": true, "description": "What this object belongs to.",
                "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["uid"],
                "items": {"type": "object", "required": ["apiVersion", "kind", "name", "uid"], "properties": {
                    "apiVersion": {"type": "string"}, "kind": {"type": "string"}, "name": {"type": "string"},
                    "uid": {"type": "string"}, "controller": {"type": "boolean"}, "blockOwnerDeletion": {"type": "boolean"}}}},
            "managedFields": {"type": "array", "nullable": true, "description": "Who set which field.",
                "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
            "selfLink": {"type": "string", "description": "No longer used."},
        },
    })
}

/// A text field of `metadata`; empty when it is not there.
pub(crate) fn text<'v>(object: &'v Value, field: &str) -> &'v str {
    object
        .get("metadata")
        .and_then(|metadata| metadata.get(field))
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The finalizers.
pub(crate) fn finalizers(object: &Value) -> Vec<&str> {
    let list = object
        .get("metadata")
        .and_then(|metadata| metadata.get("finalizers"))
        .and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Whether deletion was asked for.
pub(crate) fn is_terminating(object: &Value) -> bool {
    !text(object, "deletionTimestamp").is_empty()
}

/// Changes `metadata`, which is made when it is not there.
pub(crate) fn edit(object: &mut Value, change: impl FnOnce(&mut Map<String, Value>)) {
    if !object.is_object() {
        *object = json!({});
    }
    let metadata = &mut object["metadata"];
    if !metadata.is_object() {
        *metadata = json!({});
    }
    if let Value::Object(fields) = metadata {
        change(fields);
    }
}

/// A time as Kubernetes writes it: whole seconds, UTC.
pub(crate) fn time(now: Timestamp) -> String {
    Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}

/// Drops from `metadata` what the server keeps itself, and what is empty.
pub(crate) fn clean(object: &mut Value) {
    edit(object, |metadata| {
        for field in ["managedFields", "selfLink", "resourceVersion"] {
            metadata.shift_remove(field);
        }
        metadata.retain(|_, value| match value {
            Value::Null => false,
            Value::Array(items) => !items.is_empty(),
            Value::Object(fields) => !fields.is_empty(),
            Value::String(text) => !text.is_empty(),
            Value::Bool(_) | Value::Number(_) => true,
        });
    });
}

/// Puts `apiVersion`, `kind` and `metadata` first, as people expect to read them.
pub(crate) fn in_order(object: Value) -> Value {
    let Value::Object(mut fields) = object else {
        return object;
    };
    let mut ordered = Map::with_capacity(fields.len());
    for name in ["apiVersion", "kind", "metadata"] {
        if let Some(value) = fields.shift_remove(name) {
            ordered.insert(name.to_owned(), value);
        }
    }
    ordered.extend(fields);
    Value::Object(ordered)
}

/// What is wrong with names, labels, annotations and finalizers. The schema has checked their types.
pub(crate) fn check(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let name = text(object, "name");
    if name.is_empty() {
        causes.push(Cause {
            reason: ViolationKind::Required.reason().to_owned(),
            message: "Required value: name or generateName is required".to_owned(),
            field: "metadata.name".to_owned(),
        });
    } else if let Some(why) = names::wrong_name(name) {
        causes.push(cause_invalid("metadata.name", &json!(name).to_string(), &why));
    }
    let map = |field: &str| {
        object
            .get("metadata")
            .and_then(|m| m.get(field))
            .and_then(Value::as_object)
    };
    for (key, value) in map("labels").into_iter().flatten() {
        if !names::is_qualified_name(key) {
            causes.push(cause_invalid(
                "metadata.labels",
                &json!(key).to_string(),
                QUALIFIED,
            ));
        }
        if !value.as_str().is_some_and(names::is_label_value) {
            causes.push(cause_invalid("metadata.labels", &value.to_string(), LABEL_VALUE));
        }
    }
    let mut total = 0;
    for (key, value) in map("annotations").into_iter().flatten() {
        total += key.len() + value.as_str().map_or(0, str::len);
        if !names::is_qualified_name(&key.to_ascii_lowercase()) {
            causes.push(cause_invalid(
                "metadata.annotations",
                &json!(key).to_string(),
                QUALIFIED,
            ));
        }
    }
    if total > MAX_ANNOTATIONS {
        causes.push(Cause {
            reason: ViolationKind::TooLong.reason().to_owned(),
            message: format!("Too long: may not be more than {MAX_ANNOTATIONS} bytes"),
            field: "metadata.annotations".to_owned(),
        });
    }
    for finalizer in finalizers(object) {
        if !names::is_qualified_name(finalizer) {
            causes.push(cause_invalid(
                "metadata.finalizers",
                &json!(finalizer).to_string(),
                QUALIFIED,
            ));
        }
    }
    causes
}

const QUALIFIED: &str = "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and \
                         end with an alphanumeric character, with an optional DNS subdomain prefix and '/'";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or \
                           '.', and must start and end with an alphanumeric character";

/// Finalizers that were added although the object is being deleted.
pub(crate) fn check_finalizers(old: &Value, new: &Value) -> Vec<Cause> {
    if !is_terminating(old) {
        return Vec::new();
    }
    let before = finalizers(old);
    let added: Vec<String> = finalizers(new)
        .into_iter()
        .filter(|name| !before.contains(name))
        .map(|name| json!(name).to_string())
        .collect();
    if added.is_empty() {
        return Vec::new();
    }
    let why = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
        added.join(", ")
    );
    vec![cause_forbidden("metadata.finalizers", &why)]
}
