//! OpenAPI version 3: an index, and one document for each group and version, made from the registry when it is first
//! asked for and kept. Its address has its digest, so that clients keep it as long as it is true.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use axum::body::Body;
use bytes::Bytes;
use http::header::{HeaderValue, LOCATION};
use http::{HeaderMap, Response};
use ring::digest::{SHA512, digest};
use serde_json::{Map, Value, json};

use crate::metadata;
use crate::names::hex_upper;
use crate::registry::{Registry, ServedKind};
use crate::request::Query;
use crate::respond;
use crate::status::StatusError;

const INDEX: &str = "/openapi/v3";
const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";
const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";
const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
const PATCH: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";

/// All documents of a registry.
pub(crate) struct OpenApi {
    registry: Arc<Registry>,
    /// By path without the lead: `apis/podium.dev/v1alpha1`.
    documents: OnceLock<BTreeMap<String, (Bytes, String)>>,
}

impl OpenApi {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        Self {
            registry,
            documents: OnceLock::new(),
        }
    }

    fn documents(&self) -> &BTreeMap<String, (Bytes, String)> {
        self.documents.get_or_init(|| {
            let versions = self.registry.group_versions().into_iter();
            versions
                .map(|(group, version)| {
                    let path = if group.is_empty() {
                        format!("api/{version}")
                    } else {
                        format!("apis/{group}/{version}")
                    };
                    let bytes = Bytes::from(document(&self.registry, group, version).to_string());
                    let tag = hex_upper(digest(&SHA512, &bytes).as_ref());
                    (path, (bytes, tag))
                })
                .collect()
        })
    }

    /// The document at a path, if there is one. (Version 2 is not offered: clients of today do without.)
    pub(crate) fn answer(
        &self,
        path: &str,
        query: &Query,
        headers: &HeaderMap,
    ) -> Option<Result<Response<Body>, StatusError>> {
        let rest = path.strip_prefix(INDEX)?;
        if rest.is_empty() {
            let paths: Map<String, Value> = self
                .documents()
                .iter()
                .map(|(path, (_, tag))| {
                    (
                        path.clone(),
                        json!({"serverRelativeURL": format!("{INDEX}/{path}?hash={tag}")}),
                    )
                })
                .collect();
            // Plain text by name, as kube-apiserver sends it.
            let index = json!({"paths": paths}).to_string();
            return Some(Ok(respond::body(
                200,
                "text/plain; charset=utf-8",
                "no-cache, private",
                Body::from(index),
            )));
        }
        let name = rest.strip_prefix('/')?;
        let (content, tag) = self.documents().get(name)?;
        let hash = query.text("hash");
        if !hash.is_empty() && hash != tag {
            // What the client knows is no longer true: here is the new one.
            let mut response = respond::text(301, "");
            if let Ok(place) = HeaderValue::from_str(&format!("{path}?hash={tag}")) {
                response.headers_mut().insert(LOCATION, place);
            }
            return Some(Ok(response));
        }
        let cache = if hash.is_empty() {
            "no-cache, private"
        } else {
            "public, immutable"
        };
        Some(Ok(respond::cached(
            headers,
            "application/json",
            cache,
            tag,
            content.clone(),
        )))
    }
}

/// `dev.podium.v1alpha1.Workload`: the group from its end, as Kubernetes names schemas.
fn schema_name(kind: &ServedKind, suffix: &str) -> String {
    let definition = &kind.definition;
    if definition.group.is_empty() {
        return format!(
            "io.k8s.api.core.{}.{}{suffix}",
            definition.version, definition.kind
        );
    }
    let group: Vec<&str> = definition.group.split('.').rev().collect();
    format!(
        "{}.{}.{}{suffix}",
        group.join("."),
        definition.version,
        definition.kind
    )
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn document(registry: &Registry, group: &str, version: &str) -> Value {
    let mut paths = Map::new();
    let mut schemas = common();
    for kind in registry.of(group, version) {
        schemas.insert(schema_name(kind, ""), object_schema(kind));
        schemas.insert(schema_name(kind, "List"), list_schema(kind));
        add_paths(kind, &mut paths, &mut schemas);
    }
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Podium", "version": env!("CARGO_PKG_VERSION")},
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

fn gvk(kind: &ServedKind, suffix: &str) -> Value {
    let definition = &kind.definition;
    json!({"group": definition.group, "version": definition.version, "kind": format!("{}{suffix}", definition.kind)})
}

fn type_meta() -> (Value, Value) {
    (
        json!({"type": "string", "description": "Version of the kind's schema, with its group."}),
        json!({"type": "string", "description": "The kind of object."}),
    )
}

fn object_schema(kind: &ServedKind) -> Value {
    let mut schema = kind.source.clone();
    let (api_version, name) = type_meta();
    let mut properties = Map::new();
    properties.insert("apiVersion".to_owned(), api_version);
    properties.insert("kind".to_owned(), name);
    properties.insert(
        "metadata".to_owned(),
        json!({"description": "Name, labels and the like.", "allOf": [reference(OBJECT_META)]}),
    );
    for (name, property) in schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        properties.insert(name.clone(), property.clone());
    }
    schema["properties"] = Value::Object(properties);
    schema["x-kubernetes-group-version-kind"] = json!([gvk(kind, "")]);
    schema
}

fn list_schema(kind: &ServedKind) -> Value {
    let (api_version, name) = type_meta();
    json!({
        "type": "object",
        "description": format!("A list of {}.", kind.definition.plural),
        "required": ["items"],
        "properties": {
            "apiVersion": api_version,
            "kind": name,
            "metadata": {"allOf": [reference(LIST_META)]},
            "items": {"type": "array", "items": reference(&schema_name(kind, ""))},
        },
        "x-kubernetes-group-version-kind": [gvk(kind, "List")],
    })
}

/// Schemas that all documents share.
fn common() -> Map<String, Value> {
    let text = |description: &str| json!({"type": "string", "description": description});
    let mut object_meta = metadata::schema();
    object_meta["description"] = json!("What every object has: its name, labels and the like.");
    Map::from_iter([
        (OBJECT_META.to_owned(), object_meta),
        (
            LIST_META.to_owned(),
            json!({"type": "object", "properties": {
                "continue": text("Given back, it reads the next page."),
                "resourceVersion": text("The revision from which a watch misses nothing."),
                "remainingItemCount": {"type": "integer", "format": "int64"},
            }}),
        ),
        (
            STATUS.to_owned(),
            json!({"type": "object", "description": "How a request ended, when there is no object to show.",
            "properties": {
                "apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"},
                "status": text("`Success` or `Failure`."), "message": text("A sentence for people."),
                "reason": text("A word for machines."), "code": {"type": "integer", "format": "int32"},
                "details": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            },
            "x-kubernetes-group-version-kind": [{"group": "", "version": "v1", "kind": "Status"}]}),
        ),
        (
            DELETE_OPTIONS.to_owned(),
            json!({"type": "object", "properties": {
            "apiVersion": {"type": "string"}, "kind": {"type": "string"},
            "dryRun": {"type": "array", "items": {"type": "string"}},
            "gracePeriodSeconds": {"type": "integer", "format": "int64"},
            "propagationPolicy": text("Accepted; what belongs to an object is removed through a plan."),
            "preconditions": {"type": "object", "properties": {"uid": {"type": "string"}, "resourceVersion": {"type": "string"}}},
        }, "x-kubernetes-group-version-kind": [{"group": "", "version": "v1", "kind": "DeleteOptions"}]}),
        ),
        (
            PATCH.to_owned(),
            json!({"type": "object", "description": "A merge patch, or the operations of a JSON patch."}),
        ),
    ])
}

fn parameter(name: &str, kind: &str, description: &str) -> Value {
    json!({"name": name, "in": "query", "description": description, "schema": {"type": kind, "uniqueItems": true}})
}

fn dry_run() -> Value {
    parameter(
        "dryRun",
        "string",
        "`All`: everything is checked and nothing is kept.",
    )
}

fn write_parameters() -> Vec<Value> {
    vec![
        dry_run(),
        parameter(
            "fieldManager",
            "string",
            "A name for the tool that makes the change.",
        ),
        parameter(
            "fieldValidation",
            "string",
            "What happens to unknown and duplicate fields: `Ignore` drops them, `Warn` (the default) drops and tells \
             them, `Strict` refuses them.",
        ),
    ]
}

fn list_parameters() -> Vec<Value> {
    vec![
        parameter(
            "allowWatchBookmarks",
            "boolean",
            "Whether a watch may send bookmarks.",
        ),
        parameter("continue", "string", "Where the page before ended."),
        parameter(
            "fieldSelector",
            "string",
            "Selects by `metadata.name` and `metadata.namespace`.",
        ),
        parameter("labelSelector", "string", "Selects by labels."),
        parameter("limit", "integer", "Most objects of a page."),
        parameter(
            "resourceVersion",
            "string",
            "The revision that must have been reached.",
        ),
        parameter("resourceVersionMatch", "string", "`NotOlderThan` or `Exact`."),
        parameter(
            "sendInitialEvents",
            "boolean",
            "Whether a watch begins with what is there.",
        ),
        parameter("timeoutSeconds", "integer", "How long a watch lasts."),
        parameter("watch", "boolean", "Whether changes follow."),
    ]
}

fn json_content(schema: &Value) -> Value {
    json!({"application/json": {"schema": schema}})
}

struct Operation<'k> {
    kind: &'k ServedKind,
    action: &'static str,
    description: String,
    parameters: Vec<Value>,
    body: Option<Value>,
    answers: Vec<(&'static str, Option<Value>)>,
}

impl Operation<'_> {
    fn write(self, id: &str) -> Value {
        let mut responses = Map::new();
        for (code, schema) in self.answers {
            let description = if code == "201" { "Created" } else { "OK" };
            let mut answer = json!({"description": description});
            answer["content"] = match schema {
                Some(schema) => json_content(&schema),
                None => json!({"text/plain": {"schema": {"type": "string"}}}),
            };
            responses.insert(code.to_owned(), answer);
        }
        responses.insert("401".to_owned(), json!({"description": "Unauthorized"}));
        let mut operation = json!({
            "description": self.description,
            "operationId": id,
            "parameters": self.parameters,
            "responses": responses,
            "x-kubernetes-action": self.action,
            "x-kubernetes-group-version-kind": gvk(self.kind, ""),
        });
        if let Some(body) = self.body {
            operation["requestBody"] = json!({"content": body, "required": self.action != "delete"});
        }
        operation
    }
}

fn add_paths(kind: &ServedKind, paths: &mut Map<String, Value>, schemas: &mut Map<String, Value>) {
    let definition = &kind.definition;
    let root = if definition.group.is_empty() {
        format!("/api/{}", definition.version)
    } else {
        format!("/apis/{}/{}", definition.group, definition.version)
    };
    let scope = if definition.namespaced {
        "/namespaces/{namespace}"
    } else {
        ""
    };
    let collection = format!("{root}{scope}/{}", definition.plural);
    let path_parameter = |name: &str, description: &str| {
        json!({"name": name, "in": "path", "required": true, "description": description,
            "schema": {"type": "string", "uniqueItems": true}})
    };
    let mut scope_parameters = Vec::new();
    if definition.namespaced {
        scope_parameters.push(path_parameter(
            "namespace",
            "The namespace: the name of the environment's object.",
        ));
    }
    let mut item_parameters = vec![path_parameter(
        "name",
        &format!("The name of the {}.", definition.kind),
    )];
    item_parameters.extend(scope_parameters.clone());
    if definition.namespaced {
        let mut everywhere = Map::new();
        everywhere.insert(
            "get".to_owned(),
            list_operation(kind).write(&id(kind, "list", "ForAllNamespaces")),
        );
        paths.insert(format!("{root}/{}", definition.plural), Value::Object(everywhere));
    }
    let own = reference(&schema_name(kind, ""));
    let status = reference(STATUS);
    let mut on_collection = Map::new();
    on_collection.insert(
        "get".to_owned(),
        list_operation(kind).write(&id(kind, "list", "")),
    );
    let mut on_item = Map::new();
    let operation = |action, what: &str, parameters, body, answers| Operation {
        kind,
        action,
        description: format!("{what} {}", definition.kind),
        parameters,
        body,
        answers,
    };
    let read = || {
        vec![parameter(
            "resourceVersion",
            "string",
            "The revision that must have been reached.",
        )]
    };
    let get = operation(
        "get",
        "read the specified",
        read(),
        None,
        vec![("200", Some(own.clone()))],
    );
    on_item.insert("get".to_owned(), get.write(&id(kind, "read", "")));
    if kind.is_writable() {
        let whole = || Some(json_content(&own));
        let answers = |codes: &[&'static str]| {
            codes
                .iter()
                .map(|code| (*code, Some(own.clone())))
                .collect::<Vec<_>>()
        };
        let create = operation("post", "create", write_parameters(), whole(), answers(&["201"]));
        on_collection.insert("post".to_owned(), create.write(&id(kind, "create", "")));
        let clear = operation(
            "deletecollection",
            "delete a collection of",
            list_parameters(),
            None,
            vec![("200", Some(status.clone()))],
        );
        on_collection.insert(
            "delete".to_owned(),
            clear.write(&id(kind, "delete", "").replace(
                &capital(kind.definition.version),
                &format!("{}Collection", capital(kind.definition.version)),
            )),
        );
        let put = operation(
            "put",
            "replace the specified",
            write_parameters(),
            whole(),
            answers(&["200"]),
        );
        on_item.insert("put".to_owned(), put.write(&id(kind, "replace", "")));
        let mut parameters = write_parameters();
        parameters.push(parameter("force", "boolean", "Only for server-side apply."));
        let patch = reference(PATCH);
        let body = json!({"application/merge-patch+json": {"schema": patch}, "application/json-patch+json": {"schema": patch}});
        let patch = operation(
            "patch",
            "partially update the specified",
            parameters,
            Some(body),
            answers(&["200"]),
        );
        on_item.insert("patch".to_owned(), patch.write(&id(kind, "patch", "")));
    }
    if kind.is_deletable() {
        let parameters = vec![
            dry_run(),
            parameter(
                "propagationPolicy",
                "string",
                "Accepted; what belongs to an object is removed through a plan.",
            ),
        ];
        let body = Some(json_content(&reference(DELETE_OPTIONS)));
        let delete = operation(
            "delete",
            "delete the specified",
            parameters,
            body,
            vec![("200", Some(status))],
        );
        on_item.insert("delete".to_owned(), delete.write(&id(kind, "delete", "")));
    }
    if !scope_parameters.is_empty() {
        on_collection.insert("parameters".to_owned(), Value::Array(scope_parameters));
    }
    on_item.insert("parameters".to_owned(), json!(item_parameters));
    paths.insert(collection.clone(), Value::Object(on_collection));
    let item = format!("{collection}/{{name}}");
    paths.insert(item.clone(), Value::Object(on_item));
    if definition.status {
        let get = operation(
            "get",
            "read status of the specified",
            read(),
            None,
            vec![("200", Some(own))],
        );
        let path = json!({"get": get.write(&id(kind, "read", "Status")), "parameters": item_parameters});
        paths.insert(format!("{item}/status"), path);
    }
    add_subresources(kind, &item, &item_parameters, paths, schemas);
}

fn add_subresources(
    kind: &ServedKind,
    item: &str,
    item_parameters: &[Value],
    paths: &mut Map<String, Value>,
    schemas: &mut Map<String, Value>,
) {
    for served in &kind.subresources {
        let definition = &served.definition;
        let title: String = capital(definition.name);
        let mut named = |schema: &Option<Value>, suffix: &str| {
            schema.as_ref().map(|schema| {
                let name = schema_name(kind, &format!("{title}{suffix}"));
                schemas.insert(name.clone(), schema.clone());
                reference(&name)
            })
        };
        let request = named(&served.request_source, "Request");
        let response = named(&served.response_source, "Response");
        let post = definition.method == "POST";
        let operation = Operation {
            kind,
            action: if post { "post" } else { "get" },
            description: definition.description.to_owned(),
            parameters: definition
                .query
                .iter()
                .map(|(name, meaning)| parameter(name, "string", meaning))
                .collect(),
            body: request.as_ref().map(json_content),
            answers: vec![("200", response.clone()), ("201", response)]
                .into_iter()
                .take(if post { 2 } else { 1 })
                .collect(),
        };
        let id = id(kind, if post { "create" } else { "read" }, &title);
        let entry = paths
            .entry(format!("{item}/{}", definition.name))
            .or_insert_with(|| json!({"parameters": item_parameters}));
        entry[if post { "post" } else { "get" }] = operation.write(&id);
    }
}

fn list_operation(kind: &ServedKind) -> Operation<'_> {
    Operation {
        kind,
        action: "list",
        description: format!("list or watch objects of kind {}", kind.definition.kind),
        parameters: list_parameters(),
        body: None,
        answers: vec![("200", Some(reference(&schema_name(kind, "List"))))],
    }
}

/// `readPodiumDevV1alpha1NamespacedWorkload`, as Kubernetes names operations.
fn id(kind: &ServedKind, verb: &str, suffix: &str) -> String {
    let definition = &kind.definition;
    let group: String = if definition.group.is_empty() {
        "Core".to_owned()
    } else {
        definition.group.split('.').map(capital).collect()
    };
    let scope = if definition.namespaced && suffix != "ForAllNamespaces" {
        "Namespaced"
    } else {
        ""
    };
    format!(
        "{verb}{group}{}{scope}{}{suffix}",
        capital(definition.version),
        definition.kind
    )
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
        .unwrap_or_default()
}
