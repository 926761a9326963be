//! The patch that makes a live object what a document wants: the three-way merge of `kubectl apply`.
//!
//! What was applied last is kept in kubectl's own annotation, so `podium apply` and `kubectl apply` of the same
//! document go on from each other. Fields that others set stay; fields that the document once set and no longer has
//! are deleted; lists are replaced as a whole. Rejected: replacing the spec, which would take away what controllers
//! and other people have set.

use serde_json::{Map, Value as Json, json};

/// Annotation with the document that was applied last.
pub(crate) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The document with itself as annotation, as it is created.
pub(crate) fn annotated(wanted: &Json) -> Json {
    let mut object = wanted.clone();
    let text = wanted.to_string();
    if let Some(metadata) = object.get_mut("metadata").and_then(Json::as_object_mut) {
        let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.insert(LAST_APPLIED.to_owned(), Json::String(text));
        }
    }
    object
}

/// The merge patch from what is live to what is wanted; `None` when nothing has to change. It names the revision it
/// was made for, so that a change in between is a conflict and not lost.
pub(crate) fn patch(live: &Json, wanted: &Json) -> Option<Json> {
    let annotation = live
        .pointer("/metadata/annotations")
        .and_then(|annotations| annotations.get(LAST_APPLIED));
    let last: Option<Json> = annotation
        .and_then(Json::as_str)
        .and_then(|text| serde_json::from_str(text).ok());
    let mut patch = changes(live, wanted);
    if let Some(last) = &last {
        deletions(last, wanted, live, &mut patch);
    }
    if patch.is_empty() && last.as_ref() == Some(wanted) {
        return None;
    }
    let mut patch = Json::Object(patch);
    let metadata = json!({"metadata": {
        "annotations": {LAST_APPLIED: wanted.to_string()},
        "resourceVersion": live.pointer("/metadata/resourceVersion").cloned().unwrap_or(Json::Null),
    }});
    merge(&mut patch, metadata);
    Some(patch)
}

/// What of `wanted` is not so in `live`.
fn changes(live: &Json, wanted: &Json) -> Map<String, Json> {
    let mut patch = Map::new();
    let (Some(live), Some(wanted)) = (live.as_object(), wanted.as_object()) else {
        return patch;
    };
    for (key, value) in wanted {
        match live.get(key) {
            Some(current) if current == value => {}
            Some(current @ Json::Object(_)) if value.is_object() => {
                let inner = changes(current, value);
                if !inner.is_empty() {
                    patch.insert(key.clone(), Json::Object(inner));
                }
            }
            None if value.is_null() => {}
            _ => {
                patch.insert(key.clone(), value.clone());
            }
        }
    }
    patch
}

/// Deletes what the document had, no longer has, and is still there.
fn deletions(last: &Json, wanted: &Json, live: &Json, patch: &mut Map<String, Json>) {
    let (Some(last), Some(wanted), Some(live)) = (last.as_object(), wanted.as_object(), live.as_object())
    else {
        return;
    };
    for (key, value) in last {
        let Some(current) = live.get(key) else { continue };
        match wanted.get(key) {
            None => {
                patch.insert(key.clone(), Json::Null);
            }
            Some(now) if value.is_object() && now.is_object() && current.is_object() => {
                let mut inner = match patch.remove(key) {
                    Some(Json::Object(inner)) => inner,
                    _ => Map::new(),
                };
                deletions(value, now, current, &mut inner);
                if !inner.is_empty() {
                    patch.insert(key.clone(), Json::Object(inner));
                }
            }
            Some(_) => {}
        }
    }
}

fn merge(into: &mut Json, from: Json) {
    match (into, from) {
        (Json::Object(into), Json::Object(from)) => {
            for (key, value) in from {
                match into.get_mut(&key) {
                    Some(current) => merge(current, value),
                    None => {
                        into.insert(key, value);
                    }
                }
            }
        }
        (into, from) => *into = from,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::{LAST_APPLIED, annotated, patch};

    fn live(applied: &Json, revision: &str, change: impl FnOnce(&mut Json)) -> Json {
        let mut object = annotated(applied);
        object["metadata"]["resourceVersion"] = json!(revision);
        object["status"] = json!({"release": 3});
        change(&mut object);
        object
    }

    fn document(spec: &Json) -> Json {
        json!({"apiVersion": "podium.dev/v1alpha1", "kind": "Module", "metadata": {"name": "db"}, "spec": spec})
    }

    #[test]
    fn the_same_document_changes_nothing() {
        let wanted = document(&json!({"type": "postgres", "tools": ["psql"]}));
        let live = live(&wanted, "7", |live| live["spec"]["runner"] = json!("process"));
        assert_eq!(
            patch(&live, &wanted),
            None,
            "defaults of the server are no difference"
        );
    }

    #[test]
    fn what_the_document_dropped_goes_and_what_others_set_stays() {
        let before = document(
            &json!({"type": "postgres", "owner": "me", "retry": {"attempts": 3, "backoffSeconds": 1}}),
        );
        let wanted = document(&json!({"type": "postgres", "retry": {"attempts": 5}}));
        let live = live(&before, "7", |live| {
            live["spec"]["description"] = json!("set by another");
        });
        let patch = patch(&live, &wanted).unwrap();
        assert_eq!(
            patch["spec"],
            json!({"owner": null, "retry": {"attempts": 5, "backoffSeconds": null}})
        );
        assert_eq!(patch["metadata"]["resourceVersion"], json!("7"));
        assert_eq!(
            patch["metadata"]["annotations"][LAST_APPLIED],
            json!(wanted.to_string())
        );
    }

    #[test]
    fn an_object_that_was_never_applied_is_taken_over() {
        let wanted = document(&json!({"type": "postgres"}));
        let live = json!({"metadata": {"name": "db", "resourceVersion": "1"}, "spec": {"type": "postgres", "owner": "x"}});
        let patch = patch(&live, &wanted).unwrap();
        assert!(
            patch.get("spec").is_none(),
            "nothing of it differs, and `owner` was never the document's"
        );
        assert!(patch["metadata"]["annotations"][LAST_APPLIED].is_string());
    }
}
