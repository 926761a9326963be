//! Objects of the store with their types: read once at the edge, then trusted.

use std::sync::Arc;

use jiff::Timestamp;
use podium_model::condition::{Condition, ConditionStatus, set_condition};
use podium_model::kinds::{GROUP, api_version};
use podium_store::{
    Change, Key, ListRequest, Precondition, ResourceKey, Revision, Store, StoreError, StoredObject,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use crate::error::ControlError;

/// The key of one of Podium's resources.
pub(crate) fn resource(plural: &str) -> ResourceKey {
    ResourceKey::new(GROUP, plural)
}

/// The key of an object in a namespace.
pub(crate) fn namespaced(plural: &str, namespace: &str, name: &str) -> Key {
    Key::namespaced(resource(plural), namespace, name)
}

/// The key of a cluster-scoped object.
pub(crate) fn cluster(plural: &str, name: &str) -> Key {
    Key::cluster(resource(plural), name)
}

/// An object with its spec and status.
#[derive(Clone, Debug)]
pub(crate) struct Object<Spec, Status> {
    pub(crate) key: Key,
    pub(crate) revision: Revision,
    pub(crate) principal: Arc<str>,
    pub(crate) uid: String,
    pub(crate) generation: i64,
    pub(crate) deleting: bool,
    pub(crate) spec: Spec,
    pub(crate) status: Status,
    value: Arc<Json>,
}

impl<Spec: DeserializeOwned + Serialize, Status: DeserializeOwned + Serialize + Default>
    Object<Spec, Status>
{
    /// Reads an object as stored.
    pub(crate) fn read(stored: &StoredObject) -> Result<Self, ControlError> {
        let damaged = |part: &str, error: serde_json::Error| {
            ControlError::Damaged(format!("{}: {part}: {error}", stored.key))
        };
        let metadata = &stored.value["metadata"];
        let spec =
            serde_json::from_value(stored.value["spec"].clone()).map_err(|error| damaged("spec", error))?;
        let status = match &stored.value["status"] {
            Json::Null => Status::default(),
            status => serde_json::from_value(status.clone()).map_err(|error| damaged("status", error))?,
        };
        Ok(Self {
            key: stored.key.clone(),
            revision: stored.revision,
            principal: Arc::clone(&stored.principal),
            uid: metadata["uid"].as_str().unwrap_or_default().to_owned(),
            generation: metadata["generation"].as_i64().unwrap_or_default(),
            deleting: metadata["deletionTimestamp"].is_string(),
            spec,
            status,
            value: Arc::clone(&stored.value),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.key.name
    }

    /// The precondition that nobody changed it since it was read.
    pub(crate) fn unchanged(&self) -> Precondition {
        Precondition::At(self.key.clone(), self.revision)
    }

    /// When it was created.
    pub(crate) fn created(&self) -> Option<Timestamp> {
        self.value["metadata"]["creationTimestamp"]
            .as_str()
            .and_then(|text| text.parse().ok())
    }

    /// The change that writes its status, and its spec when that was changed.
    pub(crate) fn put(&self) -> Result<Change, ControlError> {
        let encode = |part: &str, result: Result<Json, serde_json::Error>| {
            result.map_err(|error| ControlError::Damaged(format!("{}: {part}: {error}", self.key)))
        };
        let mut value = (*self.value).clone();
        let spec = encode("spec", serde_json::to_value(&self.spec))?;
        if value["spec"] != spec {
            value["spec"] = spec;
            value["metadata"]["generation"] = json!(self.generation + 1);
        }
        value["status"] = encode("status", serde_json::to_value(&self.status))?;
        Ok(Change::Put(self.key.clone(), Arc::new(value)))
    }

    /// Its finalizers.
    pub(crate) fn finalizers(&self) -> Vec<String> {
        self.value["metadata"]["finalizers"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|finalizer| finalizer.as_str().map(str::to_owned))
            .collect()
    }

    /// The whole object as JSON, as it was read.
    pub(crate) fn json(&self) -> &Json {
        &self.value
    }
}

/// A new object of the server's own.
pub(crate) fn create<Spec: Serialize, Status: Serialize>(
    key: &Key,
    kind: &str,
    uid: &str,
    now: Timestamp,
    spec: &Spec,
    status: &Status,
) -> Result<Change, ControlError> {
    let encode = |part: &str, result: Result<Json, serde_json::Error>| {
        result.map_err(|error| ControlError::Damaged(format!("{key}: {part}: {error}")))
    };
    let mut metadata = json!({
        "name": &*key.name,
        "uid": uid,
        "generation": 1,
        "creationTimestamp": seconds(now),
    });
    if !key.namespace.is_empty() {
        metadata["namespace"] = json!(&*key.namespace);
    }
    Ok(Change::Put(
        key.clone(),
        Arc::new(json!({
            "apiVersion": api_version(),
            "kind": kind,
            "metadata": metadata,
            "spec": encode("spec", serde_json::to_value(spec))?,
            "status": encode("status", serde_json::to_value(status))?,
        })),
    ))
}

/// A time as Kubernetes writes it in metadata: whole seconds.
pub(crate) fn seconds(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second())
        .unwrap_or(time)
        .to_string()
}

/// Reads one object with its types.
pub(crate) async fn get<Spec, Status>(
    store: &dyn Store,
    key: &Key,
) -> Result<Option<Object<Spec, Status>>, ControlError>
where
    Spec: DeserializeOwned + Serialize,
    Status: DeserializeOwned + Serialize + Default,
{
    match store.get(key).await? {
        Some(stored) => Object::read(&stored).map(Some),
        None => Ok(None),
    }
}

/// Reads all objects of a resource, in one namespace or everywhere.
pub(crate) async fn list<Spec, Status>(
    store: &dyn Store,
    plural: &str,
    namespace: Option<&str>,
) -> Result<Vec<Object<Spec, Status>>, ControlError>
where
    Spec: DeserializeOwned + Serialize,
    Status: DeserializeOwned + Serialize + Default,
{
    list_raw(store, plural, namespace)
        .await?
        .iter()
        .map(Object::read)
        .collect()
}

/// Reads all objects of a resource as they are stored.
pub(crate) async fn list_raw(
    store: &dyn Store,
    plural: &str,
    namespace: Option<&str>,
) -> Result<Vec<StoredObject>, StoreError> {
    let request = ListRequest {
        resource: resource(plural),
        namespace: namespace.map(Arc::from),
        limit: 0,
        after: None,
    };
    Ok(store.list(&request).await?.items)
}

/// Sets the condition `Ready`.
pub(crate) fn set_ready(
    conditions: &mut Vec<Condition>,
    status: ConditionStatus,
    reason: &str,
    message: &str,
    generation: i64,
    now: Timestamp,
) {
    set_condition(
        conditions,
        Condition {
            condition_type: "Ready".to_owned(),
            status,
            reason: reason.to_owned(),
            message: message.to_owned(),
            last_transition_time: now,
            observed_generation: generation,
        },
    );
}
