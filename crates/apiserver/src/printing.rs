//! Stored objects as they are served: with `metadata.resourceVersion`, and as the view that is asked for.

use std::sync::Arc;

use podium_store::{Event, Revision, StoredObject};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;

use crate::namespaces;
use crate::registry::{ServedKind, View};

/// An object with the revision it is served at. `None` for what was never stored (dry runs).
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) value: Arc<Value>,
    pub(crate) revision: Option<Revision>,
}

impl Shown {
    pub(crate) fn new(kind: &ServedKind, object: &StoredObject) -> Self {
        Self::of(kind, Arc::clone(&object.value), Some(object.revision))
    }

    pub(crate) fn of(kind: &ServedKind, value: Arc<Value>, revision: Option<Revision>) -> Self {
        let value = match kind.view {
            View::Plain => value,
            View::Namespace => Arc::new(namespaces::view(&value)),
        };
        Self { value, revision }
    }

    pub(crate) fn previous(kind: &ServedKind, event: &Event) -> Option<Self> {
        event
            .previous
            .as_ref()
            .map(|value| Self::of(kind, Arc::clone(value), None))
    }

    /// `metadata`, with the resource version.
    pub(crate) fn metadata(&self) -> Metadata<'_> {
        Metadata {
            fields: self.value.get("metadata").and_then(Value::as_object),
            revision: self.revision,
        }
    }

    /// The whole object as a value of its own.
    pub(crate) fn to_value(&self) -> Value {
        let mut value = (*self.value).clone();
        if let Some(revision) = self.revision {
            value["metadata"]["resourceVersion"] = Value::String(revision.to_string());
        }
        value
    }
}

impl Serialize for Shown {
    /// Without copying the object: the resource version is written in passing.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(fields) = self.value.as_object() else {
            return self.value.serialize(serializer);
        };
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in fields {
            if name == "metadata" {
                map.serialize_entry(name, &self.metadata())?;
            } else {
                map.serialize_entry(name, value)?;
            }
        }
        map.end()
    }
}

/// `metadata` of a [`Shown`].
pub(crate) struct Metadata<'a> {
    fields: Option<&'a serde_json::Map<String, Value>>,
    revision: Option<Revision>,
}

impl Serialize for Metadata<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self
            .fields
            .into_iter()
            .flatten()
            .filter(|(name, _)| *name != "resourceVersion")
        {
            map.serialize_entry(name, value)?;
        }
        if let Some(revision) = self.revision {
            map.serialize_entry("resourceVersion", &revision.to_string())?;
        }
        map.end()
    }
}
