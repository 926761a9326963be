//! What the writer hands to watchers right after a commit, so that most of them never read the database.

use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::error::StoreError;
use crate::types::{Event, EventKind, Key, Revision, StoredObject, WatchRequest};

/// A message to all watchers.
#[derive(Clone, Debug)]
pub(super) enum Live {
    /// A commit took effect.
    Commit(Arc<LiveCommit>),
    /// The store closed; nothing follows.
    Closed,
}

/// A commit that changed objects.
#[derive(Debug)]
pub(super) struct LiveCommit {
    pub(super) first: Revision,
    pub(super) last: Revision,
    /// The changes; none when they are too large to keep for a slow watcher, or nobody watched: history has them.
    pub(super) events: Option<Vec<LiveEvent>>,
}

/// One change.
#[derive(Debug)]
pub(super) struct LiveEvent {
    pub(super) kind: EventKind,
    pub(super) key: Key,
    pub(super) revision: Revision,
    pub(super) created: Revision,
    pub(super) principal: Arc<str>,
    pub(super) value: Option<Arc<Value>>,
    pub(super) previous: Option<Previous>,
}

/// A value before a change, parsed when the first watcher wants it and never in the writer.
#[derive(Debug)]
pub(super) struct Previous {
    text: String,
    value: OnceLock<Option<Arc<Value>>>,
}

impl Previous {
    pub(super) fn new(text: String) -> Self {
        Self {
            text,
            value: OnceLock::new(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.text.len()
    }

    fn value(&self) -> Option<Arc<Value>> {
        self.value
            .get_or_init(|| serde_json::from_str(&self.text).ok().map(Arc::new))
            .clone()
    }
}

impl LiveEvent {
    fn event(&self) -> Result<Event, StoreError> {
        let damaged = || StoreError::Damaged {
            what: format!("the value of {} before {}", self.key, self.revision),
        };
        let previous = match &self.previous {
            Some(previous) => Some(previous.value().ok_or_else(damaged)?),
            None => None,
        };
        let value = self
            .value
            .clone()
            .or_else(|| previous.clone())
            .ok_or_else(damaged)?;
        let object = StoredObject {
            key: self.key.clone(),
            revision: self.revision,
            created: self.created,
            principal: Arc::clone(&self.principal),
            value,
        };
        Ok(Event {
            kind: self.kind,
            object,
            previous,
        })
    }
}

/// The events after `after` that the request selects.
pub(super) fn select(
    events: &[LiveEvent],
    request: &WatchRequest,
    after: Revision,
) -> Result<Vec<Event>, StoreError> {
    events
        .iter()
        .filter(|event| {
            event.revision > after
                && request
                    .resource
                    .as_ref()
                    .is_none_or(|resource| *resource == event.key.resource)
                && request
                    .namespace
                    .as_ref()
                    .is_none_or(|namespace| *namespace == event.key.namespace)
        })
        .map(LiveEvent::event)
        .collect()
}
