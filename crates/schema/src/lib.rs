//! Structural schemas, as Kubernetes defines them for custom resources.
//!
//! **What it guarantees.** One schema serves validation, pruning, defaulting, documentation and OpenAPI. A parsed
//! [`Schema`] is structural: every field's type is known without evaluating `anyOf` and the like, so that unknown
//! fields can be named and dropped. Validation tells all that is wrong at once, in the words of kube-apiserver, and
//! never shows the value of a `writeOnly` field. Nothing here panics, reads the clock or does I/O; patterns are
//! matched in linear time.
//!
//! **What it refuses.** References (`$ref`), unknown keywords (with a suggestion), schemas that are deeper or
//! larger than [`limits`], patterns that need backtracking, `properties` together with an open
//! `additionalProperties`, and types inside `allOf`, `anyOf`, `oneOf` and `not`.
//!
//! **Where it goes beyond Kubernetes.** `writeOnly` marks a secret, `x-podium-identity` an output that is known
//! before the resource is made, `propertyNames`, `const` and `uniqueItems` are checked, and
//! `additionalProperties: false` is taken for what it means here anyway: unknown fields are unknown.
//!
//! **Rejected.** A general JSON Schema validator: it cannot prune or default, and its messages are not those that
//! clients of Kubernetes know.

mod format;
mod generate;
mod keywords;
mod node;
mod parse;
mod path;
mod shape;
mod suggest;
mod validate;

pub use generate::{from_rust, structural};
pub use node::{ListType, Node, Schema, Type};
pub use parse::{StructuralError, limits};
pub use path::{Segment, render_path};
pub use shape::UnknownField;
pub use suggest::nearest;
pub use validate::{Violation, ViolationKind};
