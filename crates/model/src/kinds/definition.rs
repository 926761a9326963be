//! What the API server needs to know of a kind to serve it.

use serde_json::Value;

/// Who may write objects of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writes {
    /// Clients create, update and delete them.
    Clients,
    /// The server derives them: clients read them, and are refused everything else.
    Derived,
}

/// A column of `kubectl get`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Heading.
    pub name: &'static str,
    /// `string`, `integer`, `date` or `boolean`.
    pub kind: &'static str,
    /// Where the cell comes from: a JSON path of the form `.spec.size` or
    /// `.status.conditions[?(@.type=="Ready")].status`.
    pub path: &'static str,
    /// Shown only with `-o wide`.
    pub wide: bool,
}

/// A further verb on an object, served beside `status`.
#[derive(Clone, Debug)]
pub struct Subresource {
    /// Last part of its path.
    pub name: &'static str,
    /// `GET` or `POST`.
    pub method: &'static str,
    /// One sentence for the documentation.
    pub description: &'static str,
    /// Query parameters: name and meaning.
    pub query: Vec<(&'static str, &'static str)>,
    /// JSON schema of the request body, for `POST`.
    pub request: Option<Value>,
    /// JSON schema of the answer; `None` for a stream of text.
    pub response: Option<Value>,
}

/// A kind, as the API server serves it.
#[derive(Clone, Debug)]
pub struct KindDefinition {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// API version.
    pub version: &'static str,
    /// Kind, as documents write it.
    pub kind: &'static str,
    /// Plural name, as paths write it.
    pub plural: &'static str,
    /// Singular name.
    pub singular: &'static str,
    /// Short names for kubectl.
    pub short_names: &'static [&'static str],
    /// Whether its objects live in a namespace.
    pub namespaced: bool,
    /// Who may write them.
    pub writes: Writes,
    /// Structural schema of the whole object without `apiVersion`, `kind` and `metadata`: an object schema with the
    /// properties `spec` and `status`, all references inlined.
    pub schema: Value,
    /// Columns between NAME and AGE.
    pub columns: &'static [Column],
    /// Whether status is a subresource, so that a write of the object leaves status alone.
    pub status: bool,
    /// Further subresources.
    pub subresources: Vec<Subresource>,
}
