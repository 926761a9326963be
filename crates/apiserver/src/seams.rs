//! The traits through which the rest of Podium takes part in a request.

use std::collections::BTreeMap;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;
use http::{HeaderMap, Method};
use podium_model::kinds::KindDefinition;
use podium_store::{BlobDigest, Change, Precondition};
use serde_json::Value;

use crate::status::StatusError;

/// Who makes a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Name, as it is written beside every change.
    pub name: String,
    /// Groups; the server adds `system:authenticated`.
    pub groups: Vec<String>,
}

impl Principal {
    /// Somebody of whom nothing is known.
    pub fn anonymous() -> Self {
        Self {
            name: "system:anonymous".to_owned(),
            groups: vec!["system:unauthenticated".to_owned()],
        }
    }

    /// Whether the principal belongs to a group.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|name| name == group)
    }
}

/// What an authenticator found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// The request proves who makes it.
    Principal(Principal),
    /// The request claims nothing.
    Anonymous,
    /// The request claims something that is not true.
    Invalid,
}

/// Finds out who makes a request.
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// Judges the headers of a request.
    async fn authenticate(&self, headers: &HeaderMap) -> Authentication;
}

/// What a request wants to do, as Kubernetes' RBAC describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; for other paths the method
    /// in lower case.
    pub verb: String,
    /// API group; empty for the core group and for other paths.
    pub group: String,
    /// Plural name; empty for other paths.
    pub resource: String,
    /// Subresource, or empty.
    pub subresource: String,
    /// Namespace; empty at the cluster scope.
    pub namespace: String,
    /// Object's name; empty for collections.
    pub name: String,
    /// The whole path.
    pub path: String,
}

impl Attributes {
    /// Whether this is about a resource of the API, and not about a path beside it.
    pub fn is_resource(&self) -> bool {
        !self.resource.is_empty()
    }
}

/// Whether somebody may do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allow,
    /// No; the reason, if any, is shown.
    Deny(Option<String>),
}

/// Decides who may do what.
#[async_trait]
pub trait Authorizer: Send + Sync + 'static {
    /// Judges one request.
    async fn authorize(&self, principal: &Principal, attributes: &Attributes) -> Decision;
}

/// What happens to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It is created.
    Create,
    /// It is changed (by update or patch).
    Update,
    /// It is deleted.
    Delete,
}

/// A write, for the admission to judge and complete.
#[derive(Debug)]
pub struct AdmissionRequest<'a> {
    /// What happens.
    pub operation: Operation,
    /// Who does it.
    pub principal: &'a Principal,
    /// The kind.
    pub kind: &'a KindDefinition,
    /// Namespace; empty at the cluster scope.
    pub namespace: &'a str,
    /// The object's name.
    pub name: &'a str,
    /// The object as it is; `None` on create.
    pub old: Option<&'a Value>,
    /// The object as it will be, valid, without `metadata.resourceVersion`. On delete: the object with its
    /// `deletionTimestamp` while finalizers hold it, `None` when it goes at once.
    pub new: Option<Value>,
    /// Whether nothing is to be kept: the admission must have no effect of its own.
    pub dry_run: bool,
}

/// What an admission makes of a write.
#[derive(Debug, Default)]
pub struct Admitted {
    /// The object as it is to be stored; `None` leaves [`AdmissionRequest::new`] as it is. On delete of an object
    /// without finalizers, `Some` keeps it with this content instead.
    pub object: Option<Value>,
    /// Further changes in the same transaction.
    pub changes: Vec<Change>,
    /// What must still hold when the transaction is carried out. When it does not, the whole request is judged anew.
    pub preconditions: Vec<Precondition>,
    /// Blobs that the changes name.
    pub blobs: Vec<BlobDigest>,
    /// Shown to the client, each as a `Warning` header.
    pub warnings: Vec<String>,
}

/// Judges and completes writes.
#[async_trait]
pub trait Admission: Send + Sync + 'static {
    /// Judges one write. It may be called several times for one request, when the store changes meanwhile.
    ///
    /// # Errors
    /// What the client is told when the write is refused.
    async fn admit(&self, request: AdmissionRequest<'_>) -> Result<Admitted, StatusError>;
}

/// A call of one of a kind's own subresources.
#[derive(Debug)]
pub struct SubresourceCall<'a> {
    /// Who calls.
    pub principal: &'a Principal,
    /// The kind.
    pub kind: &'a KindDefinition,
    /// Namespace; empty at the cluster scope.
    pub namespace: &'a str,
    /// The object's name; whether it exists is for the implementation to see.
    pub name: &'a str,
    /// Which subresource.
    pub subresource: &'a str,
    /// `GET` or `POST`.
    pub method: Method,
    /// Query parameters, all of them documented ones.
    pub query: BTreeMap<String, String>,
    /// The request's body, valid against its schema, with defaults filled in.
    pub body: Option<Value>,
}

/// A body that arrives in pieces.
pub type BodyStream = Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>>;

/// What a subresource answers.
pub enum Answer {
    /// 200 and JSON.
    Json(Value),
    /// 201 and JSON.
    Created(Value),
    /// 200 and a body that is sent as it comes; it ends when the server shuts down.
    Stream {
        /// Its media type.
        content_type: String,
        /// The body.
        body: BodyStream,
    },
    /// 200 and a body.
    Bytes {
        /// Its media type.
        content_type: String,
        /// The body.
        body: Bytes,
    },
}

/// Carries out the verbs that kinds have beside the usual ones.
#[async_trait]
pub trait Subresources: Send + Sync + 'static {
    /// Carries out one call.
    ///
    /// # Errors
    /// What the client is told.
    async fn call(&self, call: SubresourceCall<'_>) -> Result<Answer, StatusError>;
}
