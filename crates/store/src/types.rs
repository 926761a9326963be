//! Keys, revisions, transactions and events: the vocabulary of the store.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Largest object the store takes, in bytes of its JSON text (1.5 MiB, as Kubernetes; Podium's own kinds are held
/// to 256 KiB by the API server).
pub const MAX_OBJECT_BYTES: usize = 1_572_864;

/// A point in the one strictly increasing history of a store. 0 is "before everything".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// One resource of the API: `podium.dev` and `workloads`. The core group is the empty string.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ResourceKey {
    /// API group, empty for the core group.
    pub group: Arc<str>,
    /// Plural name in lower case.
    pub resource: Arc<str>,
}

impl ResourceKey {
    /// A resource of `group` with the plural name `resource`.
    pub fn new(group: &str, resource: &str) -> Self {
        Self {
            group: group.into(),
            resource: resource.into(),
        }
    }
}

impl fmt::Display for ResourceKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() {
            formatter.write_str(&self.resource)
        } else {
            write!(formatter, "{}.{}", self.resource, self.group)
        }
    }
}

/// The address of one object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// Which resource of the API.
    pub resource: ResourceKey,
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: Arc<str>,
    /// Name, unique in resource and namespace.
    pub name: Arc<str>,
}

impl Key {
    /// An object of a namespaced resource.
    pub fn namespaced(resource: ResourceKey, namespace: &str, name: &str) -> Self {
        Self {
            resource,
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// An object of a cluster-scoped resource.
    pub fn cluster(resource: ResourceKey, name: &str) -> Self {
        Self {
            resource,
            namespace: "".into(),
            name: name.into(),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(formatter, "{}/{}", self.resource, self.name)
        } else {
            write!(formatter, "{}/{}/{}", self.resource, self.namespace, self.name)
        }
    }
}

/// An object as stored: its JSON holds no `metadata.resourceVersion`; that is [`StoredObject::revision`].
#[derive(Clone, Debug, PartialEq)]
pub struct StoredObject {
    /// Address.
    pub key: Key,
    /// Revision of its last change.
    pub revision: Revision,
    /// Revision at which this life of the object began.
    pub created: Revision,
    /// Who made the last change.
    pub principal: Arc<str>,
    /// The object.
    pub value: Arc<Value>,
}

/// What must hold for a transaction to be carried out, checked inside it.
#[derive(Clone, Debug, PartialEq)]
pub enum Precondition {
    /// No object has this key.
    Absent(Key),
    /// The object exists and its last change is this revision.
    At(Key, Revision),
    /// The object exists, whatever its revision.
    Exists(Key),
}

/// One change of an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Creates or replaces the object. Guard it with a [`Precondition`].
    Put(Key, Arc<Value>),
    /// Removes the object; no error when it is not there.
    Delete(Key),
}

impl Change {
    /// The object that is changed.
    pub fn key(&self) -> &Key {
        match self {
            Self::Put(key, _) | Self::Delete(key) => key,
        }
    }
}

/// A row to append to the journal of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct JournalEntry {
    /// The run, by the uid of its object.
    pub run: Arc<str>,
    /// Its place in the run's journal, counted from 0. The commit fails when that place is taken or would leave a
    /// gap: two workers can never both append.
    pub sequence: u64,
    /// The record.
    pub record: Arc<Value>,
}

/// A row of a journal, read back.
#[derive(Clone, Debug, PartialEq)]
pub struct JournalRow {
    /// Place in the run's journal.
    pub sequence: u64,
    /// The record.
    pub record: Value,
}

/// A right to act for a while, with a token that grows each time the lease changes hands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// What is leased.
    pub name: Arc<str>,
    /// Who holds it.
    pub holder: Arc<str>,
    /// Grows with every new holder, and never goes back, also after expiry or release.
    pub token: u64,
    /// End of the lease, in milliseconds of the Unix epoch by the caller's clock.
    pub expires_ms: i64,
}

/// The lease that must still be held for a transaction to be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseCheck {
    /// What is leased.
    pub name: Arc<str>,
    /// The token that was given with it.
    pub token: u64,
}

/// All that one commit does, or does not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transaction {
    /// Who writes.
    pub principal: Arc<str>,
    /// What must hold.
    pub preconditions: Vec<Precondition>,
    /// Object changes, in order; two of one key are refused.
    pub changes: Vec<Change>,
    /// Journal rows.
    pub journal: Vec<JournalEntry>,
    /// Blobs that the changes name and that must exist and stay.
    pub blobs: Vec<BlobDigest>,
    /// The lease that must be held, by its token. (Expiry alone does not fail the check: only a newer token or a
    /// release does, so a slow holder that nobody replaced may still write.)
    pub lease: Option<LeaseCheck>,
}

/// What a commit did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Revision of each change, in the order of [`Transaction::changes`]. A delete of what was not there takes
    /// none and shows the current revision.
    pub revisions: Vec<Revision>,
    /// The store's revision after the commit.
    pub revision: Revision,
}

/// A page of a list to read.
#[derive(Clone, Debug)]
pub struct ListRequest {
    /// Which resource.
    pub resource: ResourceKey,
    /// One namespace, or all.
    pub namespace: Option<Arc<str>>,
    /// Most objects to return; 0 is no limit.
    pub limit: usize,
    /// The last key of the page before, exclusive: (namespace, name).
    pub after: Option<(Arc<str>, Arc<str>)>,
}

/// A page of a list, all of it read at one revision.
#[derive(Clone, Debug)]
pub struct ListPage {
    /// The objects, ordered by namespace and name.
    pub items: Vec<StoredObject>,
    /// The revision at which the list was read: watch from here to miss nothing.
    pub revision: Revision,
    /// Whether more follow after the last item.
    pub more: bool,
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It came to be.
    Created,
    /// It changed.
    Updated,
    /// It went away; [`Event::object`] is its last state, at the revision of the delete.
    Deleted,
}

/// One change, as watchers see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The object after the change (before it, for a delete) with the revision of the change.
    pub object: StoredObject,
    /// The value before the change, for updates and deletes: selectors need it to tell "left the selection".
    pub previous: Option<Arc<Value>>,
}

/// What to watch.
#[derive(Clone, Debug)]
pub struct WatchRequest {
    /// One resource, or everything.
    pub resource: Option<ResourceKey>,
    /// One namespace, or all.
    pub namespace: Option<Arc<str>>,
    /// Events after this revision are delivered.
    pub after: Revision,
}

/// The address of a blob: a digest of its plaintext under a key that only this installation knows, so that equal
/// content has one address and nobody can test a guess from outside. 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BlobDigest(Arc<str>);

impl BlobDigest {
    /// Reads a digest from its text.
    ///
    /// # Errors
    /// Hands the text back when it is not 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, String> {
        let valid = text.len() == 64
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if valid {
            Ok(Self(text.into()))
        } else {
            Err(text.to_owned())
        }
    }

    /// The digest with these bytes.
    pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(crate::sealing::hex(bytes).into())
    }

    /// The 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BlobDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
