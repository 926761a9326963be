//! The control plane: releases, plans, runs, and the life of environments and workloads.
//!
//! Here the pure parts meet the store: documents go through the front end and the planner, what comes out is committed as
//! one release, the engine carries it out by the drivers, and what came of it is written back.
//!
//! **What it guarantees.**
//! 1. One way: `deploy`, kubectl, rollback, destroy and the server's own changes all become releases by the same code.
//! 2. A release is one transaction: documents, graph, plan, run, and every resource that it touches; computed on its
//!    predecessor, and computed anew when somebody else was faster.
//! 3. What is about to be applied is written down before it is, so that it can be destroyed however the apply ends.
//! 4. One run at a time in an environment; a run that has not begun gives way to a later release.
//! 5. A document that does not resolve is shown, its last resolved content stays, the other workloads go on.
//! 6. Plaintext of a secret exists between a tool's answer and its sealing, and inside a sink; nowhere else.
//!
//! **What it refuses.** To replace or delete without the author's agreement; documents onto a pinned environment; to
//! delete what something live names.
//!
//! **Rejected.** A controller per kind that polls: everything here follows the store's watch. Deriving plans from events
//! (a missed event would be a missed change): every pass compares all documents of one environment with what was last
//! resolved.

mod admission;
mod catalogue;
mod documents;
mod environment;
mod error;
mod executor;
mod objects;
mod planning;
mod ports;
mod reconcile;
mod releasing;
mod runs;
mod secrets;
mod service;
mod verbs;
mod workloads;

pub use admission::KindAdmission;
pub use error::ControlError;
pub use reconcile::{ENVIRONMENT_FINALIZER, PROJECT_FINALIZER};
pub use service::{ControlOptions, ControlPlane};
pub use verbs::Verbs;
