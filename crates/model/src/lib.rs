//! The words of Podium as types: kinds, ids, conditions, values, requests, graph and plan.
//!
//! **What it guarantees.** Types only: no I/O, no async, no clock reading outside [`clock::SystemClock`]. What
//! crosses a crate boundary is described here, so that the planner, the engine, the drivers and the API server
//! agree without knowing each other.

pub mod clock;
pub mod kinds;
pub mod secret;
