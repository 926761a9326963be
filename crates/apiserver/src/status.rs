//! Errors as Kubernetes knows them: a `Status` with code, reason and causes.

use podium_schema::Violation;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What one field has to do with an error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// A word for machines: `FieldValueInvalid`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// A sentence for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The field: `spec.size`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
}

impl From<&Violation> for Cause {
    fn from(violation: &Violation) -> Self {
        Self {
            reason: violation.kind.reason().to_owned(),
            message: violation.cause(),
            field: violation.field(),
        }
    }
}

/// What an error is about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusDetails {
    /// The object's name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Its kind, or the plural name of its resource.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Its uid.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// What each field has to do with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// When to try again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u32>,
    /// Mistakes of documents, each with its path: Podium's own addition, for clients that have the text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Value>,
}

/// An error as a Kubernetes `Status`.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct StatusError {
    /// HTTP status code.
    pub code: u16,
    /// A word for machines: `NotFound`.
    pub reason: &'static str,
    /// A sentence for people.
    pub message: String,
    /// What it is about.
    pub details: Option<Box<StatusDetails>>,
}

/// `workloads.podium.dev`, or `namespaces` in the core group.
pub(crate) fn qualified(name: &str, group: &str) -> String {
    if group.is_empty() {
        name.to_owned()
    } else {
        format!("{name}.{group}")
    }
}

impl StatusError {
    /// An error with code, reason and message.
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: None,
        }
    }

    fn about(mut self, group: &str, kind: &str, name: &str) -> Self {
        let details = self.details.get_or_insert_default();
        group.clone_into(&mut details.group);
        kind.clone_into(&mut details.kind);
        name.clone_into(&mut details.name);
        self
    }

    /// 404: no such object.
    pub fn not_found(group: &str, plural: &str, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", qualified(plural, group));
        Self::new(404, "NotFound", message).about(group, plural, name)
    }

    /// 409: the object is there already.
    pub fn already_exists(group: &str, plural: &str, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", qualified(plural, group));
        Self::new(409, "AlreadyExists", message).about(group, plural, name)
    }

    /// 409: the object is not as the client thinks.
    pub fn conflict(group: &str, kind: &str, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": {why}",
            qualified(kind, group)
        );
        Self::new(409, "Conflict", message).about(group, kind, name)
    }

    /// 409: the object changed since the client read it.
    pub fn modified(group: &str, plural: &str, name: &str) -> Self {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(group, plural, name, why)
    }

    /// 422: fields of the object are not as they must be.
    pub fn invalid(group: &str, kind: &str, name: &str, causes: Vec<Cause>) -> Self {
        let told: Vec<String> = causes
            .iter()
            .map(|cause| format!("{}: {}", cause.field, cause.message))
            .collect();
        let told = if let [only] = told.as_slice() {
            only.clone()
        } else {
            format!("[{}]", told.join(", "))
        };
        let message = format!("{} \"{name}\" is invalid: {told}", qualified(kind, group));
        let mut error = Self::new(422, "Invalid", message).about(group, kind, name);
        error.details.get_or_insert_default().causes = causes;
        error
    }

    /// 422 for one field whose value is wrong; `bad` is its rendering.
    pub fn invalid_field(group: &str, kind: &str, name: &str, field: &str, bad: &str, why: &str) -> Self {
        Self::invalid(group, kind, name, vec![cause_invalid(field, bad, why)])
    }

    /// 400: the request makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 403: the client may not do this; `message` is the whole sentence.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(403, "Forbidden", message)
    }

    /// 403 about an object.
    pub fn forbidden_object(group: &str, plural: &str, name: &str, why: &str) -> Self {
        let what = qualified(plural, group);
        let message = if name.is_empty() {
            format!("{what} is forbidden: {why}")
        } else {
            format!("{what} \"{name}\" is forbidden: {why}")
        };
        Self::forbidden(message).about(group, plural, name)
    }

    /// 401: who are you?
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// 405: not this method on this resource; the message says what to do instead.
    pub fn method_not_allowed(message: impl Into<String>) -> Self {
        Self::new(405, "MethodNotAllowed", message)
    }

    /// 406: none of the wanted formats can be had.
    pub fn not_acceptable(accepted: &str) -> Self {
        Self::new(
            406,
            "NotAcceptable",
            format!("only the following media types are accepted: {accepted}"),
        )
    }

    /// 408: the client was too slow.
    pub fn request_timeout() -> Self {
        Self::new(408, "Timeout", "the request's body did not arrive in time")
    }

    /// 410: history is gone; list again.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 413: too much.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(413, "RequestEntityTooLarge", message)
    }

    /// 415: the body's format is not one that is read.
    pub fn unsupported_media_type(accepted: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {accepted}"
        );
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// 500: our fault. The message hides internals; write them to the log where this is made.
    pub fn internal() -> Self {
        let message = "Internal error occurred: the server could not carry out the request; its log says why";
        Self::new(500, "InternalError", message)
    }

    /// 503: not now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(503, "ServiceUnavailable", message).retry_after(1)
    }

    /// 504: it took too long.
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::new(504, "Timeout", message)
    }

    /// 504: the client knows a revision that this server has not reached.
    pub fn resource_version_too_large(wanted: u64, current: u64) -> Self {
        let message = format!("Timeout: Too large resource version: {wanted}, current: {current}");
        let mut error = Self::timeout(message).retry_after(1);
        error.details.get_or_insert_default().causes.push(Cause {
            reason: "ResourceVersionTooLarge".to_owned(),
            message: "Too large resource version".to_owned(),
            field: String::new(),
        });
        error
    }

    /// Says when to try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.details.get_or_insert_default().retry_after_seconds = Some(seconds);
        self
    }

    /// Adds mistakes of documents as `details.problems`.
    #[must_use]
    pub fn with_problems(mut self, problems: Vec<Value>) -> Self {
        self.details.get_or_insert_default().problems = problems;
        self
    }

    /// Adds causes.
    #[must_use]
    pub fn with_causes(mut self, causes: Vec<Cause>) -> Self {
        self.details.get_or_insert_default().causes.extend(causes);
        self
    }
}

/// `Invalid value: BAD: WHY` about a field.
pub(crate) fn cause_invalid(field: &str, bad: &str, why: &str) -> Cause {
    Cause {
        reason: "FieldValueInvalid".to_owned(),
        message: format!("Invalid value: {bad}: {why}"),
        field: field.to_owned(),
    }
}

/// `Forbidden: WHY` about a field.
pub(crate) fn cause_forbidden(field: &str, why: &str) -> Cause {
    Cause {
        reason: "FieldValueForbidden".to_owned(),
        message: format!("Forbidden: {why}"),
        field: field.to_owned(),
    }
}

impl Serialize for StatusError {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        #[expect(clippy::struct_field_names, reason = "the wire format names them")]
        struct Status<'a> {
            kind: &'static str,
            api_version: &'static str,
            metadata: serde_json::Map<String, Value>,
            status: &'static str,
            message: &'a str,
            reason: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            details: Option<&'a StatusDetails>,
            code: u16,
        }
        Status {
            kind: "Status",
            api_version: "v1",
            metadata: serde_json::Map::new(),
            status: "Failure",
            message: &self.message,
            reason: self.reason,
            details: self.details.as_deref(),
            code: self.code,
        }
        .serialize(serializer)
    }
}

impl From<podium_store::StoreError> for StatusError {
    fn from(error: podium_store::StoreError) -> Self {
        match &error {
            podium_store::StoreError::ReadOnly { reason } => {
                tracing::warn!(reason, "the store refuses writes");
                Self::unavailable(format!("the store cannot write: {reason}"))
            }
            podium_store::StoreError::Closed => Self::unavailable("the server is shutting down"),
            other => {
                tracing::error!(error = %other, cause = ?std::error::Error::source(other), "the store failed");
                Self::internal()
            }
        }
    }
}
