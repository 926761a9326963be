//! Namespaces: a view of Environments. Whoever reads one reads the other, so they can never disagree; the environment
//! whose object is named N owns the namespace N.

use podium_model::kinds::{Column, KindDefinition, Writes};
use podium_store::{Key, Precondition, Store};
use serde_json::{Value, json};

use crate::metadata;
use crate::registry::{Registry, ServedKind};
use crate::status::{Cause, StatusError};

/// What `namespaces` looks like in discovery and OpenAPI.
pub(crate) fn definition() -> KindDefinition {
    KindDefinition {
        group: "",
        version: "v1",
        kind: "Namespace",
        plural: "namespaces",
        singular: "namespace",
        short_names: &["ns"],
        namespaced: false,
        writes: Writes::Clients,
        schema: json!({
            "type": "object",
            "description": "Namespace is a view of the Environment of the same name: create and change that.",
            "properties": {
                "spec": {"type": "object", "properties": {
                    "finalizers": {"type": "array", "items": {"type": "string"},
                        "description": "Always `kubernetes`; the Environment's own finalizers decide."}}},
                "status": {"type": "object", "properties": {
                    "phase": {"type": "string", "enum": ["Active", "Terminating"],
                        "description": "`Terminating` while the Environment is being emptied."}}},
            },
        }),
        columns: const {
            &[Column {
                name: "Status",
                kind: "string",
                path: ".status.phase",
                wide: false,
            }]
        },
        status: false,
        subresources: Vec::new(),
    }
}

/// How to make a namespace, for those who try to create one.
pub(crate) const CREATE_REMEDY: &str = "namespaces are a view of environments: create the environment instead, for example \
     with `podium create environment PROJECT ENVIRONMENT` or by applying an Environment of podium.dev/v1alpha1";

/// The Namespace that an Environment owns.
pub(crate) fn view(environment: &Value) -> Value {
    let phase = if metadata::is_terminating(environment) {
        "Terminating"
    } else {
        "Active"
    };
    let mut shown = serde_json::Map::new();
    for field in ["name", "uid", "creationTimestamp", "deletionTimestamp"] {
        if let Some(value) = environment["metadata"].get(field) {
            shown.insert(field.to_owned(), value.clone());
        }
    }
    let mut labels = environment["metadata"]
        .get("labels")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    labels.insert(
        "kubernetes.io/metadata.name".to_owned(),
        json!(metadata::text(environment, "name")),
    );
    shown.insert("labels".to_owned(), Value::Object(labels));
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": shown,
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": phase},
    })
}

/// What must hold for a namespace to take a new object.
///
/// # Errors
/// 404 when there is no such namespace, 403 when it is going away.
pub(crate) async fn admits_new_objects(
    registry: &Registry,
    store: &dyn Store,
    kind: &ServedKind,
    namespace: &str,
    name: &str,
) -> Result<Option<Precondition>, StatusError> {
    if !kind.definition.namespaced {
        return Ok(None);
    }
    let missing = || StatusError::not_found("", "namespaces", namespace);
    let environments = registry.environments().ok_or_else(missing)?;
    let key = Key::cluster(environments.clone(), namespace);
    let environment = store.get(&key).await?.ok_or_else(missing)?;
    if metadata::is_terminating(&environment.value) {
        let why =
            format!("unable to create new content in namespace {namespace} because it is being terminated");
        let definition = &kind.definition;
        let cause = Cause {
            reason: "NamespaceTerminating".to_owned(),
            message: format!("namespace {namespace} is being terminated"),
            field: "metadata.namespace".to_owned(),
        };
        let error = StatusError::forbidden_object(definition.group, definition.plural, name, &why);
        return Err(error.with_causes(vec![cause]));
    }
    // Not merely "exists": a deletion that begins meanwhile changes the revision, and the write is judged anew.
    Ok(Some(Precondition::At(key, environment.revision)))
}
