//! The API: Kubernetes paths and object rules over the store, by HTTPS.
//!
//! **What it guarantees.**
//! 1. Stock clients work: discovery (legacy and aggregated), OpenAPI v3, get, list, watch, create, update, merge and
//!    JSON patch, delete, tables, dry runs, field validation, finalizers, conflicts, errors as `Status`.
//! 2. Default deny: every request is authenticated and authorised before its body is read. Anonymous clients see
//!    only health and version.
//! 3. What is written is structural: pruned, defaulted, validated against the kind's schema, admitted, and committed
//!    in one transaction with what the admission adds. A dry run does all of it but the commit.
//! 4. A list says the revision from which a watch misses nothing; a watch is ordered and says `410 Expired` when it
//!    cannot go on.
//! 5. Clients never write status, nor objects that the server derives.
//! 6. Everything is bounded: handshakes, headers, bodies, connections, patches. A slow client delays nobody.
//!
//! **What it refuses.** Protobuf bodies, strategic merge patches and server-side apply (415, naming what is taken);
//! plain HTTP; namespaced writes into a namespace that is missing or going away.
//!
//! **Seams.** [`Authenticator`], [`Authorizer`], [`Admission`] and [`Subresources`]; the kinds come as a [`Registry`].
//!
//! **Rejected.** Routing by a web framework: the paths are data (kinds are open), and the authoriser needs the parsed
//! request, not a route. Objects as Rust types: kinds are open. A namespace kind of its own: a Namespace is a view of
//! its Environment, so the two can never disagree.

mod authentication;
mod authorization;
mod blobs;
mod connection;
mod decode;
mod discovery;
mod duplicates;
mod jsonpath;
mod metadata;
mod names;
mod namespaces;
mod negotiate;
mod objects;
mod openapi;
mod printing;
mod registry;
mod request;
mod respond;
mod reviews;
mod seams;
mod selector;
mod server;
mod status;
mod table;
pub mod tls;

pub use authentication::{Token, TokenAuthenticator};
pub use authorization::DefaultDeny;
pub use connection::{ServeError, listen, serve};
pub use registry::{Registry, RegistryError, ServedKind};
pub use seams::{
    Admission, AdmissionRequest, Admitted, Answer, Attributes, Authentication, Authenticator, Authorizer,
    BodyStream, Decision, Operation, Principal, SubresourceCall, Subresources,
};
pub use server::{ApiServer, Limits, ServerOptions};
pub use status::{Cause, StatusDetails, StatusError};
