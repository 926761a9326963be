//! A server over the store in memory, with the kind App of the recorded pairs, a kind that the server derives, and
//! Environment.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::expect_used,
    clippy::needless_pass_by_value
)]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::body::Body;
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use jiff::Timestamp;
use podium_apiserver::{
    Admission, AdmissionRequest, Admitted, Answer, ApiServer, DefaultDeny, Limits, Operation, Principal,
    Registry, ServerOptions, StatusError, SubresourceCall, Subresources, Token, TokenAuthenticator,
};
use podium_model::clock::Clock;
use podium_model::kinds::{Column, KindDefinition, Subresource, Writes};
use podium_store::{Change, Key, MemoryStore, Precondition, ResourceKey, SharedStore, Transaction};
use serde_json::{Value, json};

pub const APPS: &str = "/apis/demo.dev/v1/namespaces/rec/apps";
pub const ADMIN: &str = "Bearer admin-token";
pub const STRANGER: &str = "Bearer stranger-token";

pub fn app() -> KindDefinition {
    KindDefinition {
        group: "demo.dev",
        version: "v1",
        kind: "App",
        plural: "apps",
        singular: "app",
        short_names: &["ap"],
        namespaced: true,
        writes: Writes::Clients,
        // As in the recorded custom resource definition, without its CEL rules.
        schema: json!({
            "type": "object", "description": "App is a sample.", "required": ["spec"],
            "properties": {
                "spec": {"type": "object", "required": ["size"], "properties": {
                    "owner": {"type": "string", "default": "nobody"},
                    "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                        "items": {"type": "object", "required": ["name"],
                            "properties": {"name": {"type": "string"}, "port": {"type": "integer"}}}},
                    "replicas": {"type": "integer", "default": 1},
                    "size": {"type": "integer", "minimum": 1, "maximum": 10, "description": "size in GB"},
                    "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                }},
                "status": {"type": "object", "properties": {
                    "replicas": {"type": "integer"},
                    "conditions": {"type": "array", "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
                }},
            },
        }),
        columns: const {
            &[
                Column {
                    name: "Size",
                    kind: "integer",
                    path: ".spec.size",
                    wide: false,
                },
                Column {
                    name: "Ready",
                    kind: "string",
                    path: ".status.conditions[?(@.type==\"Ready\")].status",
                    wide: false,
                },
            ]
        },
        status: true,
        subresources: vec![
            Subresource {
                name: "plan",
                method: "POST",
                description: "Says what would change.",
                query: vec![("depth", "How deep.")],
                request: Some(json!({"type": "object", "required": ["size"], "properties": {
                    "size": {"type": "integer"}, "note": {"type": "string", "default": "none"}}})),
                response: Some(json!({"type": "object", "properties": {"seen": {"type": "string"}}})),
            },
            Subresource {
                name: "logs",
                method: "GET",
                description: "Writes what happened.",
                query: vec![("follow", "Whether to go on.")],
                request: None,
                response: None,
            },
        ],
    }
}

pub fn derived() -> KindDefinition {
    KindDefinition {
        kind: "Made",
        plural: "mades",
        singular: "made",
        short_names: &[],
        writes: Writes::Derived,
        schema: json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {}}}}),
        columns: &[],
        subresources: Vec::new(),
        ..app()
    }
}

pub fn environment() -> KindDefinition {
    KindDefinition {
        group: "podium.dev",
        version: "v1alpha1",
        kind: "Environment",
        plural: "environments",
        singular: "environment",
        short_names: &["env"],
        namespaced: false,
        schema: json!({"type": "object", "required": ["spec"], "properties": {
            "spec": {"type": "object", "properties": {"project": {"type": "string"}}},
            "status": {"type": "object", "properties": {}},
        }}),
        columns: &[],
        subresources: Vec::new(),
        ..app()
    }
}

/// A clock that stands still.
pub struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_800_000_000).expect("a time")
    }
}

/// An admission that does what the object's annotation `test` says, and remembers what it saw.
#[derive(Default)]
pub struct Obedient {
    pub seen: Mutex<Vec<(Operation, String, bool)>>,
}

#[async_trait]
impl Admission for Obedient {
    async fn admit(&self, request: AdmissionRequest<'_>) -> Result<Admitted, StatusError> {
        self.seen
            .lock()
            .expect("lock")
            .push((request.operation, request.name.to_owned(), request.dry_run));
        let mut admitted = Admitted::default();
        let object = request.new.as_ref().or(request.old).cloned().unwrap_or_default();
        match object["metadata"]["annotations"]["test"].as_str() {
            Some("refuse") => return Err(StatusError::forbidden("the admission says no")),
            Some("change") => {
                let mut changed = object.clone();
                changed["spec"]["owner"] = json!("admission");
                admitted.object = Some(changed);
                admitted.warnings.push("the owner was changed".to_owned());
            }
            Some("spoil") => {
                let mut changed = object.clone();
                changed["spec"]["size"] = json!(0);
                admitted.object = Some(changed);
            }
            Some("also") => {
                let key = Key::namespaced(
                    ResourceKey::new("demo.dev", "mades"),
                    request.namespace,
                    request.name,
                );
                admitted.changes.push(Change::Put(
                    key,
                    Arc::new(json!({"apiVersion": "demo.dev/v1", "kind": "Made",
                    "metadata": {"name": request.name, "namespace": request.namespace}, "spec": {}})),
                ));
            }
            Some("moved") => {
                let key = Key::namespaced(ResourceKey::new("demo.dev", "mades"), "rec", "never");
                admitted.preconditions.push(Precondition::Exists(key));
            }
            _ => {}
        }
        Ok(admitted)
    }
}

/// Subresources that answer with what they were called with.
pub struct Echo;

#[async_trait]
impl Subresources for Echo {
    async fn call(&self, call: SubresourceCall<'_>) -> Result<Answer, StatusError> {
        if call.subresource == "logs" {
            let pieces = futures::stream::iter([Ok("one\n".into()), Ok("two\n".into())]);
            return Ok(Answer::Stream {
                content_type: "text/plain".to_owned(),
                body: Box::pin(pieces),
            });
        }
        let seen = format!(
            "{} {}/{} {:?}",
            call.principal.name, call.namespace, call.name, call.query
        );
        Ok(Answer::Json(json!({"seen": seen, "body": call.body})))
    }
}

pub struct World {
    pub api: ApiServer,
    pub store: SharedStore,
    pub admission: Arc<Obedient>,
    pub registry: Arc<Registry>,
}

impl World {
    /// A server in which the environment `rec` exists.
    pub async fn new() -> Self {
        let store: SharedStore = Arc::new(MemoryStore::new().expect("random bytes"));
        let registry = Arc::new(Registry::new(vec![app(), derived(), environment()]).expect("kinds"));
        let admission = Arc::new(Obedient::default());
        let token = |secret: &str, name: &str, groups: &[&str]| Token {
            secret: secret.to_owned(),
            principal: Principal {
                name: name.to_owned(),
                groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            },
        };
        let tokens = [
            token("admin-token", "admin", &["system:masters"]),
            token("stranger-token", "stranger", &[]),
        ];
        let api = ApiServer::new(ServerOptions {
            registry: Arc::clone(&registry),
            store: Arc::clone(&store),
            clock: Arc::new(Still),
            authenticator: Arc::new(TokenAuthenticator::new(tokens).expect("random bytes")),
            authorizer: Arc::new(DefaultDeny),
            admission: Arc::clone(&admission) as Arc<dyn Admission>,
            subresources: Arc::new(Echo),
            extra: axum::Router::new().route("/extra", axum::routing::get(|| async { "extra" })),
            limits: Limits {
                fresh_wait: std::time::Duration::from_millis(50),
                ..Limits::default()
            },
        });
        let world = Self {
            api,
            store,
            admission,
            registry,
        };
        world
            .put_environment("rec", json!({"finalizers": ["podium.dev/removal"]}))
            .await;
        world
    }

    pub async fn put_environment(&self, name: &str, more: Value) {
        let mut metadata = json!({"name": name, "uid": format!("uid-of-{name}"), "generation": 1,
            "creationTimestamp": "2026-11-23T17:57:53Z"});
        for (field, value) in more.as_object().into_iter().flatten() {
            metadata[field] = value.clone();
        }
        let key = Key::cluster(ResourceKey::new("podium.dev", "environments"), name);
        let value = json!({"apiVersion": "podium.dev/v1alpha1", "kind": "Environment", "metadata": metadata, "spec": {}});
        self.put(key, value).await;
    }

    /// Writes as an internal caller does.
    pub async fn put(&self, key: Key, value: Value) {
        let transaction = Transaction {
            principal: "test".into(),
            changes: vec![Change::Put(key, Arc::new(value))],
            ..Transaction::default()
        };
        self.store.commit(transaction).await.expect("a commit");
    }

    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response<Body> {
        let method: Method = method.parse().expect("a method");
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.api
            .handle(request.body(Body::from(body.to_owned())).expect("a request"))
            .await
    }

    /// As the administrator, with JSON.
    pub async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let media = if method == "PATCH" {
            "application/merge-patch+json"
        } else {
            "application/json"
        };
        let text = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let headers = [("authorization", ADMIN), ("content-type", media)];
        let response = self.send(method, path, &headers, &text).await;
        let status = response.status().as_u16();
        (status, read(response).await)
    }

    pub async fn create(&self, name: &str, more: Value) -> Value {
        let mut metadata = json!({"name": name});
        for (field, value) in more.as_object().into_iter().flatten() {
            metadata[field] = value.clone();
        }
        let object =
            json!({"apiVersion": "demo.dev/v1", "kind": "App", "metadata": metadata, "spec": {"size": 2}});
        let (status, body) = self.call("POST", APPS, object).await;
        assert_eq!(status, 201, "{body}");
        body
    }
}

/// The body: JSON when it is, otherwise text.
pub async fn read(response: Response<Body>) -> Value {
    let bytes = response.into_body().collect().await.expect("a body").to_bytes();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    serde_json::from_slice(&bytes).unwrap_or(Value::String(text))
}

/// The events of a watch that ends.
pub async fn events(response: Response<Body>) -> Vec<Value> {
    let bytes = response.into_body().collect().await.expect("a body").to_bytes();
    let text = String::from_utf8(bytes.to_vec()).expect("text");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("an event"))
        .collect()
}
