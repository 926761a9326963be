//! Resolve, assemble and explain: from documents and rules to a graph, and from a graph and what is live to a plan.
//!
//! **What it guarantees.** Everything here is a pure function: no I/O, no clock, no random number; the same documents in
//! any order give the same bytes. It never sees the plaintext of a secret. All mistakes of all documents are found
//! at once, each with the document and the path.
//!
//! **The three steps.**
//! 1. [`Catalogue::build`] compiles types, module versions and rules once.
//! 2. [`resolve()`] turns requests into a [`podium_model::graph::Graph`]: it chooses modules by rule, follows their
//!    dependencies to a fixpoint, puts identity outputs in their places, and orders the rest.
//! 3. [`Draft::assemble`] compares the graph with what is live; [`Draft::finish`] adds the changed fields and makes the
//!    [`podium_model::plan::Plan`].
//!
//! **What it refuses.** Types nobody makes, conflicting params, cycles of ordering references, identity outputs that
//! depend on what is made, graphs above [`MAX_NODES`].
//!
//! **Rejected.** A transitive reduction of the graph (known to be what makes large Terraform graphs slow, and nobody
//! needs it); evaluating inputs while walking (a shared resource's params are known only when all requesters are).

mod assemble;
mod catalogue;
mod choose;
mod context;
mod difference;
mod identity;
mod outputs;
mod request;
mod resolve;
mod scope;
mod values;

pub use assemble::{Draft, DraftNode, GateOptions, LiveResource, applied_digest};
pub use catalogue::{
    Catalogue, CatalogueInput, CompiledModule, CompiledRequest, ModuleVersionInput, RuleInput, TypeEntry,
    TypeInput,
};
pub use choose::{Choice, choose, explain_choice};
pub use context::EnvironmentContext;
pub use difference::{difference, flatten, flatten_with};
pub use outputs::{declared_outputs, evaluate_inputs, evaluate_outputs};
pub use request::{Live, ReferenceUse, RequestInput, WorkloadInput};
pub use resolve::{MAX_NODES, Resolution, resolve};
pub use values::check_outputs;
